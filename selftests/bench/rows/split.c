// SPDX-License-Identifier: GPL-2.0
/*
 * Who does the work of a read of a trapped BAR: how long each process runs for
 * one, and how many system calls it makes. The first is measured without the
 * tracing that the second needs.
 * clocks: icount
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../paths.h"

#define TRACING		"/sys/kernel/tracing/"
#define SYS_ENTER	TRACING "events/raw_syscalls/sys_enter/"
#define READS		1000

static struct paths paths;

/**
 * struct process - one of those that take part
 * @role: what it is called in the report
 * @pid: its
 */
struct process {
	const char *role;
	pid_t pid;
};

static const struct call {
	long nr;
	const char *name;
} calls[] = {
	{ SYS_read, "read" },
	{ SYS_write, "write" },
	{ SYS_poll, "poll" },
	{ SYS_ioctl, "ioctl" },
	{ SYS_pread64, "pread" },
	{ SYS_sendmsg, "sendmsg" },
	{ SYS_recvmsg, "recvmsg" },
	{ SYS_epoll_wait, "epoll_wait" },
};

static void read_bar(struct path *p)
{
	CHECK_EQ(path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40),
		 PUPPET_PATTERN ^ 0x40);
}

/* In ns; all of these have one thread. */
static double ran(pid_t pid)
{
	char path[64], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	return strtod(buf, NULL);
}

static void emit(const char *name, const struct path *p, const char *role,
		 const char *call, const char *unit, double value)
{
	char variant[64];

	snprintf(variant, sizeof(variant), "%s%s%s", role, *call ? " " : "",
		 call);
	bench_emit(name, p->name, variant, unit, false, value / READS);
}

static void split_time(struct path *p, const struct process *who, size_t nr)
{
	double before[BENCH_PIDS];

	for (int i = 0; i < 50; i++)
		read_bar(p);
	for (size_t i = 0; i < nr; i++)
		before[i] = ran(who[i].pid);
	for (int i = 0; i < READS; i++)
		read_bar(p);
	for (size_t i = 0; i < nr; i++)
		emit("split-run", p, who[i].role, "", "ns",
		     ran(who[i].pid) - before[i]);
}

/* Lines of a histogram: { common_pid: 1, id: 2 } hitcount: 3 */
static unsigned long hits(const char *hist, pid_t pid, long call)
{
	for (const char *p = hist; (p = strstr(p, "common_pid:")); p++) {
		const char *id = strstr(p, ", id:");
		const char *hit = strstr(p, "hitcount:");

		if (!id || !hit)
			break;
		if (strtol(p + strlen("common_pid:"), NULL, 10) == pid &&
		    strtol(id + strlen(", id:"), NULL, 10) == call)
			return strtoul(hit + strlen("hitcount:"), NULL, 10);
	}
	return 0;
}

static void count_calls(struct path *p, const struct process *who, size_t nr)
{
	static char hist[1 << 16];

	CHECK_EQ(write_file(SYS_ENTER "trigger", "hist:keys=common_pid,id"), 0);
	for (int i = 0; i < READS; i++)
		read_bar(p);
	CHECK_EQ(read_file(SYS_ENTER "hist", hist, sizeof(hist)), 0);
	CHECK_EQ(write_file(SYS_ENTER "trigger", "!hist:keys=common_pid,id"), 0);
	for (size_t i = 0; i < nr; i++) {
		for (size_t k = 0; k < sizeof(calls) / sizeof(*calls); k++) {
			unsigned long n = hits(hist, who[i].pid, calls[k].nr);

			if (n >= READS / 10)
				emit("split-calls", p, who[i].role,
				     calls[k].name, "calls", (double)n);
		}
	}
}

TEST(split)
{
	bench_limit(120);
	paths_up(&paths, &(struct setup){ 0 });
	for (size_t i = 0; i < paths.nr; i++) {
		struct path *p = &paths.path[i];
		const struct process who[] = {
			{ "consumer", getpid() },
			{ "server", p->world.server },
			{ "helper", paths.helper },
		};
		const size_t nr = p->is_direct ? 2 : 3;

		split_time(p, who, nr);
		count_calls(p, who, nr);
	}
}
