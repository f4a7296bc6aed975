// SPDX-License-Identifier: GPL-2.0
/* An mdev's life under the distribution's QEMU: plugged, used, reset, taken. */

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../lib/dma.h"
#include "../lib/qemu.h"

/* What a device does to the guest's memory; each has its own megabyte. */
#define RAM(slot)	((16 + (slot)) * 0x100000UL)
#define FILLED(slot)	(0x01020304U * ((slot) + 1))
#define MSG_DATA	0x4d5349
#define NR_VECTORS	3
#define MAX_MAPS	64
/*
 * A machine that is emulated on one that is busy takes long to start QEMUs, and
 * to answer. What ends earlier than this has not hung.
 */
#define SLOW_SECONDS	100
#define PLUGS		50

static const char *const args[] = { "--touch", "--mmap-bar0", NULL };
static struct world w;
static struct qemu q;

static void up(void)
{
	alarm(SLOW_SECONDS);
	world_up(&w, args);
}

static uint32_t get(unsigned int slot, enum puppet_register reg)
{
	return qemu_read32(&q, qemu_bar(slot, 2) + reg);
}

static void set(unsigned int slot, enum puppet_register reg, uint32_t value)
{
	qemu_write32(&q, qemu_bar(slot, 2) + reg, value);
}

static void check_ids(unsigned int slot)
{
	CHECK_EQ(qemu_config_read(&q, slot, PCI_VENDOR_ID),
		 PUPPET_DEVICE_ID << 16 | PUPPET_VENDOR_ID);
}

static void check_registers(unsigned int slot)
{
	CHECK_EQ(get(slot, PUPPET_MAGIC), PUPPET_MAGIC_VALUE);
	/* BAR0 does not go through the server. */
	qemu_write32(&q, qemu_bar(slot, 0) + 8, 0x600d0000 + slot);
	CHECK_EQ(qemu_read32(&q, qemu_bar(slot, 0) + 8), 0x600d0000 + slot);
}

static void dma_start(unsigned int slot, enum puppet_dma_op op, uint32_t value)
{
	set(slot, PUPPET_DMA_IOVA, RAM(slot));
	set(slot, PUPPET_DMA_IOVA + 4, 0);
	set(slot, PUPPET_DMA_LENGTH, 0x10000);
	set(slot, PUPPET_DMA_VALUE, value);
	set(slot, PUPPET_DMA_OP, op);
}

static void check_dma(unsigned int slot, uint32_t value)
{
	dma_start(slot, PUPPET_DMA_FILL, value);
	CHECK_SOON(get(slot, PUPPET_DMA_STATUS) != EINPROGRESS);
	CHECK_EQ(get(slot, PUPPET_DMA_STATUS), 0);
	CHECK_EQ(qemu_read32(&q, RAM(slot)), value);
	CHECK_EQ(qemu_read32(&q, RAM(slot) + 0xfffc), value);
}

static void hammer(unsigned int slot)
{
	dma_start(slot, PUPPET_DMA_HAMMER, 0x11223344);
	CHECK_SOON(qemu_read32(&q, RAM(slot)) == 0x11223344);
}

/* It has not been hurt by what happened to the memory meanwhile. */
static void stop_hammer(unsigned int slot)
{
	set(slot, PUPPET_DMA_OP, PUPPET_DMA_STOP);
	CHECK_EQ(get(slot, PUPPET_DMA_STATUS), 0);
}

static void set_msix(unsigned int slot, bool on)
{
	qemu_config_write(&q, slot, PUPPET_CAP_MSIX,
			  on ? (uint32_t)PCI_MSIX_FLAGS_ENABLE << 16 : 0);
}

/* An interrupt is a write to memory: let it be one to where it can be seen. */
static void check_msix(unsigned int slot)
{
	uint64_t mailbox = RAM(slot) + 0x80000;

	for (unsigned int i = 0; i < NR_VECTORS; i++) {
		uint64_t entry = qemu_bar(slot, 4) + PUPPET_MSIX_TABLE +
				 (uint64_t)i * PCI_MSIX_ENTRY_SIZE;

		qemu_write32(&q, mailbox + 4UL * i, 0);
		qemu_write32(&q, entry, (uint32_t)(mailbox + 4UL * i));
		qemu_write32(&q, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
		qemu_write32(&q, entry + PCI_MSIX_ENTRY_DATA, MSG_DATA + i);
		qemu_write32(&q, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	}
	set_msix(slot, true);
	CHECK_EQ(get(slot, PUPPET_NR_VECTORS), NR_VECTORS);
	for (unsigned int i = 0; i < NR_VECTORS; i++) {
		set(slot, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16 | i);
		CHECK_SOON(qemu_read32(&q, mailbox + 4UL * i) == MSG_DATA + i);
	}
}

/*
 * Once the interrupt has come, the next access unmasks it, since there is no
 * KVM to tell when a guest is done with it. Then it comes again.
 */
static void check_intx(unsigned int slot)
{
	uint32_t before = get(slot, PUPPET_NR_SET_IRQS);

	set(slot, PUPPET_INTX_LEVEL, 1);
	CHECK_SOON(get(slot, PUPPET_NR_SET_IRQS) > before + 1);
	set(slot, PUPPET_INTX_LEVEL, 0);
}

/* All that a guest does with it. */
static void check_device(unsigned int slot)
{
	qemu_enable(&q, slot);
	check_ids(slot);
	check_registers(slot);
	check_dma(slot, FILLED(slot));
	check_msix(slot);
}

static unsigned int open_files(pid_t pid)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long locked_memory(pid_t pid)
{
	char path[64], buf[4096];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	p = strstr(buf, "VmLck:");
	CHECK(p);
	return strtol(p + 6, NULL, 10);
}

/* Nothing is held for a consumer any more, and the server has seen it all. */
static void check_nothing_left(const struct world *who)
{
	CHECK(dma_pins_balance());
	CHECK_EQ(dma_show(who, "pinned"), 0);
	CHECK_SOON(live_messages() == 0);
	CHECK_EQ(waitpid(who->server, NULL, WNOHANG), 0);
	CHECK(world_state_is(who, "attached"));
}

static void plug_and_unplug(bool power, bool use)
{
	qemu_add(&q, 0, &w);
	if (power)
		qemu_enable(&q, 0);
	if (power)
		check_registers(0);
	if (use)
		check_device(0);
	qemu_del(&q, 0);
	if (power) {
		CHECK(qemu_button(&q, 0));
		qemu_power(&q, 0, false);
	}
	qemu_event(&q, "DEVICE_DELETED");
	CHECK_EQ(locked_memory(q.pid), 0);
}

/*
 * By turns before a guest has seen it, and with a guest that uses it. The
 * server is told of the end of it by messages that nobody waits for.
 */
TEST(plugged_and_unplugged)
{
	const struct world *mdevs[] = { &w, NULL };
	unsigned int in_qemu = 0, in_helper, in_server;

	up();
	in_helper = open_files(w.helper);
	in_server = open_files(w.server);
	qemu_start(&q, NULL);
	for (int i = 0; i < PLUGS; i++) {
		plug_and_unplug(i % 2, i % 10 == 1);
		if (i == 1)
			in_qemu = open_files(q.pid);
	}
	CHECK_EQ(open_files(q.pid), in_qemu);
	CHECK_SOON(open_files(w.helper) == in_helper);
	CHECK_SOON(open_files(w.server) == in_server);
	check_nothing_left(&w);
	qemu_quit(&q);

	/* It was always the same server, which saw each open and close. */
	qemu_start(&q, mdevs);
	qemu_enable(&q, 0);
	CHECK(get(0, PUPPET_NR_RESETS) > 2 * PLUGS);
	CHECK_EQ(get(0, PUPPET_NR_CONNECTIONS), 1);
	qemu_quit(&q);
}

TEST(plugged_without_a_server)
{
	alarm(SLOW_SECONDS);
	world_mdev(&w);
	world_helper(&w, NULL);
	world_attr_set(&w, "attach_timeout_ms", "200");
	qemu_start(&q, NULL);
	CHECK_EQ(qemu_try_add(&q, 0, &w), -1);
	world_server(&w, args);
	world_wait_state(&w, "attached");
	qemu_add(&q, 0, &w);
	check_device(0);
}

/* Each uses it, every other one is killed while the device writes to it. */
TEST(one_qemu_after_another)
{
	const struct world *mdevs[] = { &w, NULL };

	up();
	for (int i = 0; i < 6; i++) {
		qemu_start(&q, mdevs);
		qemu_enable(&q, 0);
		if (i && !(i % 2))
			stop_hammer(0);
		check_device(0);
		if (i % 2) {
			hammer(0);
			qemu_kill(&q);
		} else {
			qemu_quit(&q);
		}
		CHECK_EQ(dma_show(&w, "pinned"), 0);
		CHECK(dma_pins_balance());
	}
	check_nothing_left(&w);
}

static pid_t start_removal(const struct world *which)
{
	char path[256];
	pid_t pid;

	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", which->uuid);
	pid = fork();
	if (!pid)
		_exit(write_file(path, "1") ? 1 : 0);
	CHECK(pid > 0);
	return pid;
}

/* VFIO looks every 10 s, but is told at once. */
static void removal_ends(pid_t pid)
{
	long long start = test_now_ms();
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK(test_now_ms() - start < 8000);
}

/* QEMU is asked, unplugs the device, and goes on with another. */
TEST(removed_in_use)
{
	struct world next;

	up();
	qemu_start(&q, NULL);
	qemu_add(&q, 0, &w);
	removal_ends(start_removal(&w));
	qemu_event(&q, "DEVICE_DELETED");
	CHECK_EQ(locked_memory(q.pid), 0);
	CHECK(dma_pins_balance());

	world_mdev(&next);
	world_server(&next, args);
	world_wait_state(&next, "attached");
	qemu_add(&q, 0, &next);
	check_device(0);
	qemu_quit(&q);
}

/* QEMU cannot let go before the guest does, and this one takes its time. */
TEST(removed_while_the_guest_hesitates)
{
	const struct world *mdevs[] = { &w, NULL };
	pid_t removal;

	up();
	qemu_start(&q, mdevs);
	check_device(0);
	CHECK(!qemu_button(&q, 0));
	removal = start_removal(&w);
	CHECK_SOON(qemu_button(&q, 0));
	check_registers(0);
	hammer(0);
	/* VFIO asks every 10 s, and QEMU passes it on. */
	CHECK_SOON(qemu_button(&q, 0));
	check_registers(0);
	CHECK_EQ(waitpid(removal, NULL, WNOHANG), 0);
	qemu_power(&q, 0, false);
	removal_ends(removal);
	qemu_event(&q, "DEVICE_DELETED");
	CHECK_EQ(locked_memory(q.pid), 0);
	CHECK(dma_pins_balance());
	qemu_quit(&q);
}

static void kill_server(struct world *which)
{
	world_kill(&which->server, SIGKILL);
	world_wait_state(which, "detached");
}

static void restart_server(struct world *which)
{
	world_server(which, args);
	world_wait_state(which, "attached");
}

/*
 * What a driver does about a device that fails it, as far as it comes. When
 * MSI-X goes off, QEMU turns the interrupt pin on, and asks which one that is.
 */
TEST(server_killed_while_interrupts_are_in_use)
{
	const struct world *mdevs[] = { &w, NULL };

	up();
	qemu_start(&q, mdevs);
	check_device(0);
	kill_server(&w);
	CHECK_EQ(get(0, PUPPET_MAGIC), 0xffffffff);
	set_msix(0, false);
	restart_server(&w);
	CHECK_EQ(get(0, PUPPET_NR_VECTORS), 0);
	check_intx(0);
	check_msix(0);

	kill_server(&w);
	qemu_do(&q, "{\"execute\": \"system_reset\"}");
	qemu_event(&q, "\"RESET\"");
	restart_server(&w);
	check_device(0);
	set_msix(0, false);
	check_intx(0);
	qemu_quit(&q);
}

TEST(server_killed_and_device_unplugged)
{
	up();
	qemu_start(&q, NULL);
	qemu_add(&q, 0, &w);
	check_device(0);
	kill_server(&w);
	qemu_del(&q, 0);
	qemu_power(&q, 0, false);
	qemu_event(&q, "DEVICE_DELETED");
	CHECK_EQ(locked_memory(q.pid), 0);
	restart_server(&w);
	qemu_add(&q, 0, &w);
	check_device(0);
	qemu_quit(&q);
	check_nothing_left(&w);
}

/* Two from the beginning, two plugged in; taken in another order. */
TEST(four_in_one_qemu)
{
	struct world four[QEMU_SLOTS];
	const struct world *mdevs[] = { &four[0], &four[1], NULL };
	pid_t removal;

	alarm(SLOW_SECONDS);
	for (int i = 0; i < QEMU_SLOTS; i++) {
		world_mdev(&four[i]);
		world_server(&four[i], args);
		if (!i)
			world_helper(&four[i], NULL);
	}
	for (int i = 0; i < QEMU_SLOTS; i++)
		world_wait_state(&four[i], "attached");
	qemu_start(&q, mdevs);
	qemu_add(&q, 2, &four[2]);
	qemu_add(&q, 3, &four[3]);
	for (unsigned int i = 0; i < QEMU_SLOTS; i++)
		check_device(i);
	/* None has done anything to another. */
	for (unsigned int i = 0; i < QEMU_SLOTS; i++)
		CHECK_EQ(qemu_read32(&q, RAM(i)), FILLED(i));

	removal = start_removal(&four[2]);
	CHECK_SOON(qemu_button(&q, 2));
	qemu_power(&q, 2, false);
	removal_ends(removal);
	qemu_event(&q, "dev2");
	world_kill(&four[0].server, SIGKILL);
	qemu_del(&q, 0);
	qemu_power(&q, 0, false);
	qemu_event(&q, "dev0");
	check_device(1);
	check_device(3);
	qemu_kill(&q);
	check_nothing_left(&four[1]);
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

	up();
	world_mdev(&other);
	world_server(&other, args);
	world_wait_state(&other, "attached");
	qemu_start(&q, mdevs);
	qemu_add(&q, 1, &other);
	for (unsigned int i = 0; i < 2; i++) {
		check_device(i);
		resets[i] = get(i, PUPPET_NR_RESETS);
	}
	nr = told(0, before);
	/* A device can reach the other's mapped BAR as well. */
	CHECK(is_told(0, qemu_bar(1, 0)));

	hammer(0);
	qemu_do(&q, "{\"execute\": \"system_reset\"}");
	qemu_event(&q, "\"RESET\"");
	CHECK(qemu_read32(&q, qemu_bar(0, 2)) != PUPPET_MAGIC_VALUE);
	for (unsigned int i = 0; i < 2; i++) {
		qemu_enable(&q, i);
		CHECK_EQ(get(i, PUPPET_NR_RESETS), resets[i] + 1);
		CHECK_EQ(get(i, PUPPET_NR_VECTORS), 0);
	}
	/* The hammer goes on, as nothing resets what does it. */
	qemu_write32(&q, RAM(0), 0);
	CHECK_SOON(qemu_read32(&q, RAM(0)) == 0x11223344);
	stop_hammer(0);
	for (unsigned int i = 0; i < 2; i++)
		check_device(i);
	CHECK_EQ(told(0, after), nr);
	CHECK(!memcmp(before, after, nr * sizeof(*before)));
	qemu_quit(&q);
	check_nothing_left(&w);
}
