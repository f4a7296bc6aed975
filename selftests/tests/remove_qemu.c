// SPDX-License-Identifier: GPL-2.0
/* Removing an mdev that the distribution's QEMU uses. */

#include <sys/wait.h>

#include "../lib/dma.h"
#include "../lib/driver.h"

static struct world w;
static struct qemu q;

/* QEMU is asked, unplugs the device, and goes on with another. */
TEST(removed_in_use)
{
	struct world next;

	world_up(&w, driver_puppet());
	qemu_start(&q, NULL);
	qemu_add(&q, 0, &w);
	world_remove_ends(world_remove_start(&w));
	qemu_event(&q, "DEVICE_DELETED");
	qemu_check_unpinned(&q);
	CHECK_SOON(dma_pins_balance());

	world_mdev(&next);
	world_server(&next, driver_puppet());
	world_wait_state(&next, "attached");
	qemu_add(&q, 0, &next);
	driver_check(&q, 0);
	qemu_quit(&q);
}

/* QEMU cannot let go before the guest does, and this one takes its time. */
TEST(removed_while_the_guest_hesitates)
{
	const struct world *mdevs[] = { &w, NULL };
	pid_t removal;

	world_up(&w, driver_puppet());
	qemu_start(&q, mdevs);
	driver_check(&q, 0);
	CHECK(!qemu_button(&q, 0));
	removal = world_remove_start(&w);
	CHECK_SOON(qemu_button(&q, 0));
	driver_check_registers(&q, 0);
	driver_hammer(&q, 0);
	/* VFIO asks every 10 s, and QEMU passes it on. */
	CHECK_SOON(qemu_button(&q, 0));
	driver_check_registers(&q, 0);
	CHECK_EQ(waitpid(removal, NULL, WNOHANG), 0);
	qemu_power(&q, 0, false);
	world_remove_ends(removal);
	qemu_event(&q, "DEVICE_DELETED");
	qemu_check_unpinned(&q);
	CHECK_SOON(dma_pins_balance());
	qemu_quit(&q);
}
