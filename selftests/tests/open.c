// SPDX-License-Identifier: GPL-2.0
/* Opening a device whose server is not there yet, or never will be. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static void fails_after(struct world *w, int ms)
{
	struct consumer c;
	long long start;

	consumer_prepare(&c, w);
	start = test_now_ms();
	CHECK_EQ(consumer_get_device(&c, w), -ENODEV);
	/* The kernel counts in ticks, which may come late. */
	CHECK(test_now_ms() - start >= ms - 100);
	/* Nor is it the default that ends it. */
	CHECK(test_now_ms() - start < ms + 4000);
}

TEST(without_helper)
{
	struct world w;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "300");
	fails_after(&w, 300);
	CHECK_EQ(kernel_log_count(w.uuid, "no helper; start vfio-user-mdevd"), 1);
}

TEST(without_helper_by_default_for_5_seconds)
{
	struct world w;

	world_mdev(&w);
	fails_after(&w, 5000);
}

TEST(without_server)
{
	struct world w;

	world_mdev(&w);
	world_helper(&w, NULL);
	CHECK_SOON(file_count(world_helper_log(), "waiting for a server") == 1);
	world_attr_set(&w, "attach_timeout_ms", "300");
	fails_after(&w, 300);
	CHECK_EQ(kernel_log_count(w.uuid, w.socket), 1);
	CHECK_EQ(kernel_log_count(w.uuid, "no server on"), 1);
	CHECK_SOON(file_count(world_helper_log(), "could not open the device") == 1);
}

TEST(without_patience)
{
	struct world w;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "0");
	fails_after(&w, 0);
}

TEST(with_a_server_that_stalls)
{
	const char *const args[] = { "--stall", "4", NULL };
	struct world w;

	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "attaching");
	world_attr_set(&w, "attach_timeout_ms", "300");
	fails_after(&w, 300);
	CHECK_EQ(kernel_log_count(w.uuid, "does not answer"), 1);
}

TEST(waits_for_a_late_server)
{
	struct consumer c;
	struct world w;
	int status;
	pid_t pid;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "60000");
	world_helper(&w, NULL);
	CHECK_SOON(file_count(world_helper_log(), "waiting for a server") == 1);
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		puppet_check(&c, 8);
		_exit(0);
	}
	test_sleep_ms(1000);
	world_server(&w, NULL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	/* It had to be looked for, and nobody was told twice. */
	CHECK_EQ(file_count(world_helper_log(), "waiting for a server"), 1);
}

TEST(wait_can_be_killed)
{
	struct consumer c;
	struct world w;
	pid_t pid;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "60000");
	pid = fork();
	if (!pid) {
		consumer_prepare(&c, &w);
		consumer_get_device(&c, &w);
		_exit(0);
	}
	test_sleep_ms(300);
	CHECK_EQ(WTERMSIG(world_kill(&pid, SIGKILL)), SIGKILL);
}

TEST(one_consumer_after_the_other)
{
	struct consumer c;
	struct world w;

	world_up(&w, NULL);
	for (int i = 0; i < 20; i++) {
		consumer_open(&c, &w);
		puppet_check(&c, 4U * i);
		consumer_close(&c);
	}
}

TEST(no_consumer_finds_what_the_last_one_left)
{
	struct consumer c;
	struct world w;
	int fd;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, &fd));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 1);
	consumer_close(&c);

	consumer_open(&c, &w);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
	/* On open, on close, and on open again. */
	CHECK_EQ(puppet_get(&c, PUPPET_NR_RESETS), 3);
}
