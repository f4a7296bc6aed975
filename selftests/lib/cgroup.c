// SPDX-License-Identifier: GPL-2.0
/* See cgroup.h. */
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "test.h"
#include "world.h"

void cgroup_up(void)
{
	if (mkdir(CGROUP_ROOT, 0700) && errno != EEXIST)
		FAIL("cannot make " CGROUP_ROOT);
	if (mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL) && errno != EBUSY)
		test_skip("no cgroup2 (%s)", strerror(errno));
	CHECK(!mkdir(CGROUP, 0700) || errno == EEXIST);
}

static void move(pid_t pid, const char *procs)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	CHECK_EQ(write_file(procs, text), 0);
}

void cgroup_enter(pid_t pid)
{
	move(pid, CGROUP "/cgroup.procs");
}

void cgroup_leave(pid_t pid)
{
	move(pid, CGROUP_ROOT "/cgroup.procs");
}

/* The first thread is the one that serves. */
static void starve_by_others(pid_t pid)
{
	const struct sched_param param = { .sched_priority = 0 };

	CHECK_EQ(sched_setscheduler(pid, SCHED_IDLE, &param), 0);
	for (int cpu = 0; cpu < (int)sysconf(_SC_NPROCESSORS_ONLN); cpu++)
		test_keep_busy(cpu);
}

void cgroup_starve(pid_t pid)
{
	cgroup_up();
	if (write_file(CGROUP_ROOT "/cgroup.subtree_control", "+cpu")) {
		starve_by_others(pid);
		return;
	}
	CHECK_EQ(write_file(CGROUP "/cpu.max", "2000 200000"), 0);
	cgroup_enter(pid);
}
