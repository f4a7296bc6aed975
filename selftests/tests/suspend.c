// SPDX-License-Identifier: GPL-2.0
/* The machine goes to sleep, or a control group does, while tasks wait for a server. */

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/cgroup.h"
#include "../lib/dma.h"

#define PAGE	4096UL
#define IOVA	0x100000000ULL
/* How long the server takes, beyond what the machine sleeps. */
#define SLOW_MS	2500

static struct world w;

/* All tasks are frozen, this one too, and thawed a second later. */
static void sleep_and_wake(void)
{
	int ret;

	if (write_file("/sys/power/pm_test", "freezer"))
		test_skip("the kernel cannot test how it suspends (CONFIG_PM_DEBUG)");
	/* Else it takes five seconds, and twenty if it fails. */
	write_file("/sys/module/suspend/parameters/pm_test_delay", "1");
	write_file("/sys/power/pm_freeze_timeout", "5000");
	ret = write_file("/sys/power/state", "freeze");
	write_file("/sys/power/pm_test", "none");
	CHECK_EQ(ret, 0);
}

/* A consumer in a process of its own, which waits for the server in this. */
static pid_t wait_in_child(enum vfio_user_command cmd, void (*wait)(struct consumer *))
{
	world_up(&w, NULL);
	return puppet_fault_in_child(&w, cmd, PUPPET_FAULT_DELAY, SLOW_MS, wait);
}

static void is_waiting(pid_t pid)
{
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
}

static void goes_on(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK(world_state_is(&w, "attached"));
}

static void read_register(struct consumer *c)
{
	puppet_check(c, 4);
}

static void map_memory(struct consumer *c)
{
	dma_map(c, dma_memory(PAGE), IOVA, PAGE, DMA_READ | DMA_WRITE);
	CHECK_EQ(dma_run(c, PUPPET_DMA_FILL, IOVA, PAGE, 1), 0);
}

TEST(machine_in_an_access)
{
	pid_t pid = wait_in_child(VFIO_USER_REGION_READ, read_register);

	is_waiting(pid);
	sleep_and_wake();
	goes_on(pid);
}

TEST(machine_in_a_map)
{
	pid_t pid;

	consumer_needs_observer();
	pid = wait_in_child(VFIO_USER_DMA_MAP, map_memory);
	is_waiting(pid);
	sleep_and_wake();
	goes_on(pid);
}

TEST(machine_with_nothing_under_way)
{
	struct consumer c;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	sleep_and_wake();
	puppet_check(&c, 8);
}

/* As of a systemd that freezes a slice with consumer and server in it. */
TEST(slice_in_an_access)
{
	pid_t pid = wait_in_child(VFIO_USER_REGION_READ, read_register);

	cgroup_up();
	cgroup_enter(pid);
	cgroup_enter(w.server);
	CHECK_EQ(write_file(CGROUP "/cgroup.freeze", "1"), 0);
	/* Longer than the server would take. */
	test_sleep_ms(SLOW_MS + 500);
	is_waiting(pid);
	CHECK_EQ(write_file(CGROUP "/cgroup.freeze", "0"), 0);
	goes_on(pid);
}
