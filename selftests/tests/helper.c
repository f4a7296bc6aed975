// SPDX-License-Identifier: GPL-2.0
/* The daemon: its command line, its beginning and its end, and what it costs. */

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

/* Reads until the daemon has found out what pays. */
#define WARM_UP	200
#define READS	100

static char out[4096];

static int helper_run(const char *args)
{
	char command[512];

	snprintf(command, sizeof(command), "%s %s 2>&1",
		 world_bin("vfio-user-mdevd"), args);
	return command_output(command, out, sizeof(out));
}

TEST(usage)
{
	CHECK_EQ(helper_run("--help"), 0);
	CHECK(strstr(out, "--poll-us"));
	CHECK_EQ(helper_run("--version"), 0);
	CHECK_EQ(helper_run("--frobnicate"), 2);
	CHECK(strstr(out, "--help"));
	CHECK_EQ(helper_run("--only=me"), 2);
	CHECK(strstr(out, "not a uuid"));
	CHECK_EQ(helper_run("me"), 2);
	CHECK(strstr(out, "did you mean"));
	CHECK_EQ(helper_run("--log-level=loud"), 2);
	CHECK(strstr(out, "must be error, warning"));
}

TEST(not_root)
{
	char command[256], out[512];

	snprintf(command, sizeof(command), "setpriv --reuid=65534 --clear-groups %s 2>&1",
		 world_bin("vfio-user-mdevd"));
	CHECK_EQ(command_output(command, out, sizeof(out)), 1);
	CHECK(strstr(out, "run me as root"));
}

/* The module and programs of another build: what each side says, and that none goes on. */
TEST(another_interface_version)
{
	const char *const waits[] = { "--wait", NULL };
	struct world w;
	char command[256];

	world_mdev(&w);
	snprintf(command, sizeof(command), "%s 2>&1", world_bin("next-vfio-user-mdevd"));
	CHECK_EQ(command_output(command, out, sizeof(out)), 1);
	CHECK(strstr(out, "install the two from the same release"));
	CHECK_EQ(strcspn(out, "\n") + 1, strlen(out));
	CHECK(strstr(out, "this helper 9999"));
	CHECK_EQ(kernel_log_count(w.uuid, "speaks interface version 9999, this module"), 1);
	w.helper = world_spawn(world_helper_log(), "next-vfio-user-mdevd", waits);
	CHECK_SOON(file_count(world_helper_log(), "waiting for another module") == 1);
	test_sleep_ms(1000);
	CHECK_EQ(kill(w.helper, 0), 0);
	CHECK_EQ(file_count(world_helper_log(), "interface version"), 1);
	world_kill(&w.helper, SIGTERM);
	snprintf(command, sizeof(command), "%s show %s 2>&1", world_bin("next-vfio-user-mdevctl"),
		 w.uuid);
	CHECK_EQ(command_output(command, out, sizeof(out)), 1);
	CHECK(strstr(out, "this tool 9999"));
	CHECK(world_state_is(&w, "detached"));
}

TEST(bad_poll_us)
{
	static const char *const bad[] = { "", "-1", "1000001", "5s", "x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char args[64];

		test_doing = bad[i];
		snprintf(args, sizeof(args), "--poll-us=%s", bad[i]);
		CHECK_EQ(helper_run(args), 2);
		CHECK(strstr(out, "from 0 to 1000000"));
	}
}

TEST(helper_serves_what_was_there_before)
{
	struct world w;

	world_mdev(&w);
	world_server(&w, NULL);
	test_sleep_ms(100);
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
}

TEST(helper_ends_cleanly)
{
	struct world w;

	world_up(&w, NULL);
	/* Sanitizers, the leak checker among them, speak at the end. */
	CHECK_EQ(world_kill(&w.helper, SIGTERM), 0);
	/* The kernel keeps what connection it has. */
	world_wait_state(&w, world_relayed() ? "detached" : "attached");
}

/* How often it went to sleep, and how often others had the CPU instead. */
static void switches(pid_t pid, unsigned long long *sleeps,
		     unsigned long long *preempted)
{
	char path[PATH_MAX], buf[4096];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	p = strstr(buf, "\nvoluntary_ctxt_switches:");
	CHECK(p);
	CHECK_EQ(sscanf(p, "\nvoluntary_ctxt_switches: %llu "
			"nonvoluntary_ctxt_switches: %llu", sleeps, preempted), 2);
}

static unsigned long long cpu_and_switches(pid_t pid)
{
	unsigned long long ticks[2], sleeps, preempted;
	char path[PATH_MAX], buf[4096];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	CHECK_EQ(sscanf(strrchr(buf, ')'),
			") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			&ticks[0], &ticks[1]), 2);
	switches(pid, &sleeps, &preempted);
	return (sleeps + preempted) * 1000 + ticks[0] + ticks[1];
}

TEST(idle_device_costs_no_cpu)
{
	unsigned long long before;
	struct consumer c;
	struct world w;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
	/* It hears of the open, and has to have slept over it. */
	do {
		before = cpu_and_switches(w.helper);
		test_sleep_ms(500);
	} while (cpu_and_switches(w.helper) != before);
	test_sleep_ms(3000);
	CHECK_EQ(cpu_and_switches(w.helper), before);
}

/* Start the daemon with @poll_us, and a consumer whose messages it relays. */
static void relay_up(struct world *w, struct consumer *c, const char *poll_us)
{
	const char *const args[] = { poll_us, NULL };

	world_mdev(w);
	world_attr_set(w, "data_path", "relay");
	world_server(w, NULL);
	world_helper(w, args);
	world_wait_state(w, "attached");
	consumer_open(c, w);
	for (int i = 0; i < WARM_UP; i++)
		puppet_check(c, 0);
}

/* How often the daemon sleeps while it relays READS reads. */
static unsigned long long sleeps(struct world *w, struct consumer *c)
{
	unsigned long long before, after, preempted;

	switches(w->helper, &before, &preempted);
	for (int i = 0; i < READS; i++)
		puppet_check(c, 0);
	switches(w->helper, &after, &preempted);
	test_say("slept %llu times in %d reads", after - before, READS);
	return after - before;
}

TEST(sleeps_if_so_wished)
{
	struct consumer c;
	struct world w;

	relay_up(&w, &c, "--poll-us=0");
	/* Twice a read, unless it finds more to do. */
	CHECK(sleeps(&w, &c) >= READS / 2);
}

/* Does it take a millisecond until the CPU is this task's again, though none here is busy? */
static bool others_have_the_cpu(void)
{
	long long now, before = test_now_ms(), end = before + 500;

	while (before < end) {
		sched_yield();
		now = test_now_ms();
		if (now > before + 1)
			return true;
		before = now;
	}
	return false;
}

TEST(looks_for_what_comes_soon)
{
	struct consumer c;
	struct world w;
	long long end;

	relay_up(&w, &c, "--poll-us=1000000");
	/* While others have the machine it does not poll, and should begin again. */
	end = test_now_ms() + TEST_SOON_MS;
	while (sleeps(&w, &c) >= READS / 10)
		if (test_now_ms() > end) {
			if (others_have_the_cpu())
				test_skip("others have the CPU all the time, as other VMs do");
			FAIL("not within %d ms", TEST_SOON_MS);
		}
}
