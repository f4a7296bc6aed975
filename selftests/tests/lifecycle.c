// SPDX-License-Identifier: GPL-2.0
/* An mdev's life under the distribution's QEMU: used, left, reset. */

#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../lib/dma.h"
#include "../lib/driver.h"

#define MAX_MAPS 64

static struct world w;
static struct qemu q;

/* Each uses it, every other one is killed while the device writes to it. */
TEST(one_qemu_after_another)
{
	const struct world *mdevs[] = { &w, NULL };

	world_up(&w, driver_puppet());
	for (int i = 0; i < 6; i++) {
		qemu_start(&q, mdevs);
		qemu_enable(&q, 0);
		if (i && !(i % 2))
			driver_stop_hammer(&q, 0);
		driver_check(&q, 0);
		if (i % 2) {
			driver_hammer(&q, 0);
			qemu_kill(&q);
		} else {
			qemu_quit(&q);
		}
		CHECK_EQ(dma_show(&w, "pinned"), 0);
		CHECK_SOON(dma_pins_balance());
	}
	dma_check_nothing_left(&w);
}

static void kill_server(struct world *which)
{
	world_kill(&which->server, SIGKILL);
	world_wait_state(which, "detached");
}

static void restart_server(struct world *which)
{
	world_server(which, driver_puppet());
	world_wait_state(which, "attached");
}

/*
 * What a driver does about a device that fails it, as far as it comes. When
 * MSI-X goes off, QEMU turns the interrupt pin on, and asks which one that is.
 */
TEST(server_killed_while_interrupts_are_in_use)
{
	const struct world *mdevs[] = { &w, NULL };

	world_up(&w, driver_puppet());
	qemu_start(&q, mdevs);
	driver_check(&q, 0);
	kill_server(&w);
	CHECK_EQ(driver_get(&q, 0, PUPPET_MAGIC), 0xffffffff);
	driver_set_msix(&q, 0, false);
	restart_server(&w);
	CHECK_EQ(driver_get(&q, 0, PUPPET_NR_VECTORS), 0);
	driver_check_intx(&q, 0);
	driver_check_msix(&q, 0);

	kill_server(&w);
	qemu_do(&q, "{\"execute\": \"system_reset\"}");
	qemu_event(&q, "\"RESET\"");
	restart_server(&w);
	driver_check(&q, 0);
	driver_set_msix(&q, 0, false);
	driver_check_intx(&q, 0);
	qemu_quit(&q);
}

static int by_addr(const void *a, const void *b)
{
	const struct puppet_announced_map *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* What the server knows of the guest's memory. */
static unsigned int told(unsigned int slot, struct puppet_announced_map *maps)
{
	uint64_t bar = qemu_bar(slot, 3);
	uint32_t *words = (uint32_t *)maps;
	uint32_t nr = qemu_read32(&q, bar);

	CHECK(nr <= MAX_MAPS);
	for (unsigned int i = 0; i < nr * sizeof(*maps) / 4; i++)
		words[i] = qemu_read32(&q, bar + sizeof(struct puppet_announced) +
					   4UL * i);
	qsort(maps, nr, sizeof(*maps), by_addr);
	return nr;
}

static bool is_told(unsigned int slot, uint64_t addr)
{
	struct puppet_announced_map maps[MAX_MAPS];
	unsigned int nr = told(slot, maps);

	for (unsigned int i = 0; i < nr; i++)
		if (addr >= maps[i].addr && addr - maps[i].addr < maps[i].size)
			return true;
	return false;
}

/*
 * The machine is reset while its devices work: they are reset, lose their
 * interrupts and addresses, and nothing of the memory they have.
 */
TEST(machine_reset_in_use)
{
	struct puppet_announced_map before[MAX_MAPS], after[MAX_MAPS];
	const struct world *mdevs[] = { &w, NULL };
	unsigned int nr, resets[2];
	struct world other;

	world_up(&w, driver_puppet());
	world_mdev(&other);
	world_server(&other, driver_puppet());
	world_wait_state(&other, "attached");
	qemu_start(&q, mdevs);
	qemu_add(&q, 1, &other);
	for (unsigned int i = 0; i < 2; i++) {
		driver_check(&q, i);
		resets[i] = driver_get(&q, i, PUPPET_NR_RESETS);
	}
	nr = told(0, before);
	/* A device can reach the other's mapped BAR as well. */
	CHECK(is_told(0, qemu_bar(1, 0)));

	driver_hammer(&q, 0);
	qemu_do(&q, "{\"execute\": \"system_reset\"}");
	qemu_event(&q, "\"RESET\"");
	CHECK(qemu_read32(&q, qemu_bar(0, 2)) != PUPPET_MAGIC_VALUE);
	for (unsigned int i = 0; i < 2; i++) {
		qemu_enable(&q, i);
		CHECK_EQ(driver_get(&q, i, PUPPET_NR_RESETS), resets[i] + 1);
		CHECK_EQ(driver_get(&q, i, PUPPET_NR_VECTORS), 0);
	}
	/* The hammer goes on, as nothing resets what does it. */
	qemu_write32(&q, DRIVER_RAM(0), 0);
	CHECK_SOON(qemu_read32(&q, DRIVER_RAM(0)) == 0x11223344);
	driver_stop_hammer(&q, 0);
	for (unsigned int i = 0; i < 2; i++)
		driver_check(&q, i);
	CHECK_EQ(told(0, after), nr);
	CHECK(!memcmp(before, after, nr * sizeof(*before)));
	qemu_quit(&q);
	dma_check_nothing_left(&w);
}

/* The guest of a QEMU that may lock no memory at all stops, rather than lose data. */
TEST(memory_that_cannot_be_pinned)
{
	const struct world *mdevs[] = { &w, NULL };
	const struct rlimit none = { 0, 0 };

	world_up(&w, NULL);
	CHECK(!prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK));
	qemu_start(&q, mdevs);
	driver_check(&q, 0);
	qemu_do(&q, "{\"execute\": \"cont\"}");
	qemu_event(&q, "\"RESUME\"");
	CHECK(!prlimit(q.pid, RLIMIT_MEMLOCK, &none, NULL));
	/* Memory that the device has not been to. */
	driver_set(&q, 0, PUPPET_DMA_IOVA, DRIVER_RAM(1));
	driver_set(&q, 0, PUPPET_DMA_OP, PUPPET_DMA_FILL);
	qemu_event(&q, "\"STOP\"");
	CHECK(world_state_is(&w, "broken"));
	qemu_kill(&q);
	world_wait_state(&w, "attached");
	dma_check_nothing_left(&w);
}
