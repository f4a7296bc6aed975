// SPDX-License-Identifier: GPL-2.0
/* Mdevs that come and go while the distribution's QEMU runs. */

#include <signal.h>
#include <stdio.h>

#include "../lib/dma.h"
#include "../lib/driver.h"

#define PLUGS 50

static struct world w;
static struct qemu q;

static void plug_and_unplug(bool power, bool use)
{
	qemu_add(&q, 0, &w);
	if (power) {
		qemu_enable(&q, 0);
		driver_check_registers(&q, 0);
	}
	if (use)
		driver_check(&q, 0);
	qemu_del(&q, 0);
	if (power) {
		CHECK(qemu_button(&q, 0));
		qemu_power(&q, 0, false);
	}
	qemu_event(&q, "DEVICE_DELETED");
	qemu_check_unpinned(&q);
}

/*
 * By turns before a guest has seen it, and with a guest that uses it. The
 * server is told of the end of it by messages that nobody waits for.
 */
TEST(plugged_and_unplugged)
{
	const struct world *mdevs[] = { &w, NULL };
	unsigned int in_qemu = 0, in_helper, in_server;

	world_up(&w, driver_puppet());
	in_helper = world_open_files(w.helper);
	in_server = world_open_files(w.server);
	qemu_start(&q, NULL);
	for (int i = 0; i < PLUGS; i++) {
		plug_and_unplug(i % 2, i % 10 == 1);
		if (i == 1)
			in_qemu = world_open_files(q.pid);
	}
	CHECK_SOON(world_open_files(q.pid) <= in_qemu);
	CHECK_SOON(world_open_files(w.helper) == in_helper);
	/* By cdev it keeps the aperture that it has been told of. */
	CHECK_SOON(world_open_files(w.server) == in_server + consumer_by_cdev());
	dma_check_nothing_left(&w);
	qemu_quit(&q);

	/* It was always the same server, which saw each open and close. */
	qemu_start(&q, mdevs);
	qemu_enable(&q, 0);
	CHECK(driver_get(&q, 0, PUPPET_NR_RESETS) > 2 * PLUGS);
	CHECK_EQ(driver_get(&q, 0, PUPPET_NR_CONNECTIONS), 1);
	qemu_quit(&q);
}

TEST(plugged_without_a_server)
{
	world_mdev(&w);
	world_helper(&w, NULL);
	world_attr_set(&w, "attach_timeout_ms", "200");
	qemu_start(&q, NULL);
	CHECK_EQ(qemu_try_add(&q, 0, &w), -1);
	world_server(&w, driver_puppet());
	world_wait_state(&w, "attached");
	qemu_add(&q, 0, &w);
	driver_check(&q, 0);
}

TEST(server_killed_and_device_unplugged)
{
	world_up(&w, driver_puppet());
	qemu_start(&q, NULL);
	qemu_add(&q, 0, &w);
	driver_check(&q, 0);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	qemu_del(&q, 0);
	qemu_power(&q, 0, false);
	qemu_event(&q, "DEVICE_DELETED");
	qemu_check_unpinned(&q);
	world_server(&w, driver_puppet());
	world_wait_state(&w, "attached");
	qemu_add(&q, 0, &w);
	driver_check(&q, 0);
	qemu_quit(&q);
	dma_check_nothing_left(&w);
}

/* Two from the beginning, two plugged in; taken in another order. */
TEST(four_in_one_qemu)
{
	struct world four[QEMU_SLOTS];
	const struct world *mdevs[] = { &four[0], &four[1], NULL };
	pid_t removal;

	for (int i = 0; i < QEMU_SLOTS; i++) {
		world_mdev(&four[i]);
		world_server(&four[i], driver_puppet());
		if (!i)
			world_helper(&four[i], NULL);
	}
	for (int i = 0; i < QEMU_SLOTS; i++)
		world_wait_state(&four[i], "attached");
	qemu_start(&q, mdevs);
	qemu_add(&q, 2, &four[2]);
	qemu_add(&q, 3, &four[3]);
	for (unsigned int i = 0; i < QEMU_SLOTS; i++)
		driver_check(&q, i);
	/* None has done anything to another. */
	for (unsigned int i = 0; i < QEMU_SLOTS; i++)
		CHECK_EQ(qemu_read32(&q, DRIVER_RAM(i)), DRIVER_FILLED(i));

	removal = world_remove_start(&four[2]);
	CHECK_SOON(qemu_button(&q, 2));
	qemu_power(&q, 2, false);
	world_remove_ends(removal);
	qemu_event(&q, "dev2");
	world_kill(&four[0].server, SIGKILL);
	qemu_del(&q, 0);
	qemu_power(&q, 0, false);
	qemu_event(&q, "dev0");
	driver_check(&q, 1);
	driver_check(&q, 3);
	qemu_kill(&q);
	dma_check_nothing_left(&four[1]);
}
