// SPDX-License-Identifier: GPL-2.0
/* See fault.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "test.h"
#include "world.h"

#define DEBUGFS		"/sys/kernel/debug/"
/* More than any operation makes; and more threads than there are. */
#define MAX_FAULTS	2000
#define MAX_TASKS	256
/* A sweep may take longer than a case may; but each of its rounds may not. */
#define ROUND_SECONDS	60

static pid_t armed[MAX_TASKS];
static unsigned int nr_armed;

/* What fails where; "N": also what could wait for memory. */
static const struct { const char *path, *value; } settings[] = {
	{ "failslab/ignore-gfp-wait", "N" },
	{ "failslab/verbose", "0" },
	{ "failslab/stacktrace-depth", "32" },
	{ "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "fail_page_alloc/min-order", "0" },
	{ "fail_page_alloc/verbose", "0" },
	{ "fail_page_alloc/stacktrace-depth", "32" },
	{ "fail_usercopy/verbose", "0" },
	{ "fail_usercopy/stacktrace-depth", "32" },
};

static void set(const char *path, const char *value)
{
	char full[128];

	snprintf(full, sizeof(full), DEBUGFS "%s", path);
	CHECK_EQ(write_file(full, value), 0);
}

/* Sets a range of code addresses for each kind of fault. */
static void set_range(const char *which, unsigned long start, unsigned long end)
{
	static const char *const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	char path[64], value[32];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		snprintf(path, sizeof(path), "%s/%s-start", kinds[i], which);
		snprintf(value, sizeof(value), "0x%lx", start);
		set(path, value);
		snprintf(path, sizeof(path), "%s/%s-end", kinds[i], which);
		snprintf(value, sizeof(value), "0x%lx", end);
		set(path, value);
	}
}

/*
 * Not below vfio_create_group(): where it fails for want of memory, VFIO warns of
 * itself, since vfio_group_release() finds the IOMMU group still there.
 */
static void leave_out_vfio_group(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long start = 0, end = 0, at;
	char name[128], type;

	CHECK(f);
	/* Sorted by address, but for the modules' at the end. */
	while (!end && fscanf(f, "%lx %c %127s%*[^\n]", &at, &type, name) == 3) {
		if (start && at > start)
			end = at;
		if (!strcmp(name, "vfio_create_group"))
			start = at;
	}
	fclose(f);
	CHECK(start && end);
	set_range("reject", start, end);
}

/* Only below functions of the module. */
static void set_module_range(void)
{
	unsigned long start, size;

	module_range(&start, &size);
	set_range("require", start, start + size);
}

void fault_need(void)
{
	if (access(DEBUGFS "failslab/require-start", F_OK) ||
	    access("/proc/self/fail-nth", F_OK))
		test_skip("this kernel has no fault injection (see world debug)");
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		set(settings[i].path, settings[i].value);
	set_module_range();
	leave_out_vfio_group();
}

static int set_nth(pid_t tid, unsigned int n)
{
	char path[64], value[16];

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", tid);
	snprintf(value, sizeof(value), "%u", n);
	return write_file(path, value);
}

/* A task that has gone meanwhile is none to be armed. */
static void arm(pid_t tid, unsigned int n)
{
	if (set_nth(tid, n))
		return;
	CHECK(nr_armed < MAX_TASKS);
	armed[nr_armed++] = tid;
}

static bool is_worker(pid_t pid)
{
	char path[64], comm[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return !read_file(path, comm, sizeof(comm)) &&
	       !strncmp(comm, "kworker/", strlen("kworker/"));
}

static void arm_all_in(const char *path, unsigned int n, bool workers)
{
	struct dirent *e;
	DIR *dir = opendir(path);

	CHECK(dir);
	while ((e = readdir(dir))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && (!workers || is_worker(tid)))
			arm(tid, n);
	}
	closedir(dir);
}

void fault_arm(const struct fault_tasks *tasks, unsigned int n)
{
	char path[64];

	if (tasks->workers)
		arm_all_in("/proc", n, true);
	if (tasks->process) {
		snprintf(path, sizeof(path), "/proc/%d/task", tasks->process);
		arm_all_in(path, n, false);
	}
	/* Last, since its own doings count. */
	if (tasks->self)
		arm(gettid(), n);
}

/* Whether anything has failed since fault_arm() is found out on the way. */
static bool hit;

void fault_disarm_all(void)
{
	char path[64], value[16];

	while (nr_armed) {
		pid_t tid = armed[--nr_armed];

		snprintf(path, sizeof(path), "/proc/%d/fail-nth", tid);
		if (read_file(path, value, sizeof(value)))
			continue;
		hit |= !strcmp(value, "0");
		set_nth(tid, 0);
	}
}

bool fault_disarm(void)
{
	bool result;

	fault_disarm_all();
	result = hit;
	hit = false;
	return result;
}

/* What a consumer is told when memory is short. */
static bool is_clear(int error)
{
	return error == -ENOMEM || error == -EFAULT || error == -EIO ||
	       error == -ENODEV;
}

void fault_sweep(const struct sweep *s)
{
	unsigned int first = (unsigned int)test_number("VUM_SWEEP_FROM", s->first);
	unsigned int n, rounds = 0, went_on = 0, no_memory = 0, fault = 0, other = 0;
	static char doing[64];
	bool failed;
	int error;

	test_doing = doing;
	for (n = first; ; n += s->step) {
		CHECK(n < MAX_FAULTS);
		snprintf(doing, sizeof(doing), "%s, n = %u", s->name, n);
		alarm(ROUND_SECONDS);
		fault_arm(&s->tasks, n);
		error = s->run(n);
		failed = fault_disarm();
		s->recover(error);
		if (!failed)
			break;
		rounds++;
		if (error && !is_clear(error))
			FAIL("fails with %s, which is no clear word", strerror(-error));
		went_on += !error;
		no_memory += error == -ENOMEM;
		fault += error == -EFAULT;
		other += error == -EIO || error == -ENODEV;
	}
	test_say("sweep: %s: %u of %u failed: %u went on, %u ENOMEM, %u EFAULT, %u EIO or ENODEV",
		 s->name, rounds, n - 1, went_on, no_memory, fault, other);
	if (error)
		FAIL("with nothing failing it fails with %s", strerror(-error));
	/* Else the fault injection has not worked. */
	CHECK(rounds);
	test_doing = NULL;
}
