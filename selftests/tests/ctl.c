// SPDX-License-Identifier: GPL-2.0
/* vfio-user-mdevctl, and with it the generic netlink family. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

#define MONITOR_LOG "/run/vum-test-monitor.log"
#define REMOVE_LOG "/run/vum-test-remove.log"

static struct world w;
static struct consumer c;

TEST(list)
{
	struct json_object *json;

	CHECK_EQ(json_object_array_length(ctl_run_json("list --json")), 0);
	world_up(&w, NULL);
	json = ctl_run_json("list --json");
	CHECK_EQ(json_object_array_length(json), 1);
	json = json_object_array_get_idx(json, 0);
	CHECK(!strcmp(json_get_text(json, "uuid"), w.uuid));
	CHECK(!strcmp(json_get_text(json, "state"), "attached"));
	CHECK(!strcmp(json_get_text(json, "socket"), w.socket));
	CHECK_EQ(ctl_run("list"), 0);
	CHECK(strstr(ctl_out, w.uuid) && strstr(ctl_out, "attached"));
}

/* More than one netlink message can hold. */
TEST(list_many)
{
	for (int i = 0; i < 200; i++)
		world_mdev(&w);
	CHECK_EQ(json_object_array_length(ctl_run_json("list --json")), 200);
}

TEST(show)
{
	char pid[32];
	struct json_object *json, *refused;
	uint32_t value;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR, ENXIO);
	CHECK_EQ(puppet_read(&c, 0, &value), -ENXIO);
	json = ctl_run_json("show --json %s", w.uuid);
	snprintf(pid, sizeof(pid), "%d", w.server);
	CHECK(strstr(json_object_to_json_string(json), pid));
	CHECK_EQ(json_get_number(json, "errors"), 1);
	CHECK_EQ(json_get_number(json, "aborted"), 0);
	CHECK_EQ(json_get_number(json, "consumer_pid"), getpid());
	refused = json_get(json_get(json, "refused"), "REGION_READ");
	CHECK_EQ(json_get_number(refused, "count"), 1);
	CHECK_EQ(json_get_number(refused, "errno"), ENXIO);
	CHECK_EQ(json_get_number(json, "attaches"), 1);
	CHECK(json_get_number(json, "requests") > 10);
	CHECK(!strcmp(json_get_text(json, "open"), "true"));
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	CHECK(strstr(ctl_out, pid));
	CHECK(strstr(ctl_out, "Refused:   REGION_READ (count 1, the last with No such device or address)"));
	snprintf(pid, sizeof(pid), "by pid %d (", getpid());
	CHECK(strstr(ctl_out, pid) && strstr(ctl_out, " KiB locked"));
}

TEST(show_why_it_is_broken)
{
	const char *const args[] = { "--no-pci", NULL };

	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "broken");
	/* The helper tries again now and then: for a moment it is not. */
	CHECK_SOON(!ctl_run("show %s", w.uuid) && strstr(ctl_out, "broken"));
	CHECK(strstr(ctl_out, "not a PCI device"));
}

TEST(show_what_is_not_there)
{
	CHECK_EQ(ctl_run("show 11111111-2222-3333-4444-555555555555"), 1);
	CHECK(strstr(ctl_out, "11111111-2222-3333-4444-555555555555"));
	CHECK_EQ(ctl_run("show not-a-uuid"), 1);
}

static const char create_in_vain[] = "create %s dma_mode=share poll_us=%s";

/* An mdev with attributes, which are set again, and its end. */
TEST(create_set_remove)
{
	char uuid[64], value[128];

	CHECK_EQ(ctl_run("create dma_mode=share --socket=/run/vum/a=b.sock poll_us=7"), 0);
	CHECK_EQ(strcspn(ctl_out, "\n"), 36);
	snprintf(w.uuid, sizeof(w.uuid), "%.36s", ctl_out);
	snprintf(uuid, sizeof(uuid), "%s", w.uuid);
	world_attr_get(&w, "dma_mode", value, sizeof(value));
	CHECK(!strcmp(value, "share"));
	world_attr_get(&w, "poll_us", value, sizeof(value));
	CHECK(!strcmp(value, "7"));
	world_attr_get(&w, "socket", value, sizeof(value));
	CHECK(!strcmp(value, "/run/vum/a=b.sock"));
	CHECK_EQ(ctl_run("set %s optional_commands= dma_mode=none", uuid), 0);
	world_attr_get(&w, "optional_commands", value, sizeof(value));
	CHECK(!strcmp(value, ""));
	CHECK_EQ(ctl_run("create %s", uuid), 1);
	CHECK(strstr(ctl_out, "exists already"));
	CHECK_EQ(ctl_run("remove %s", uuid), 0);
	CHECK_EQ(ctl_run("show %s", uuid), 1);
	CHECK_EQ(ctl_run("remove %s", uuid), 1);
	CHECK(strstr(ctl_out, "no such mdev"));
	CHECK_EQ(ctl_run("set %s poll_us=1", uuid), 1);
	CHECK(strstr(ctl_out, "no such mdev"));
	CHECK_EQ(ctl_run("create not-a-uuid"), 1);
	CHECK(strstr(ctl_out, "not a UUID"));
}

/* What is wrong is said with what would be right, and nothing is left of the mdev. */
TEST(settings_that_make_no_sense)
{
	static const char uuid[] = "11111111-2222-3333-4444-555555555555";

	CHECK_EQ(ctl_run(create_in_vain, uuid, "10001"), 1);
	CHECK(strstr(ctl_out, "poll_us takes microseconds, 0 to 10000"));
	CHECK_EQ(ctl_run("show %s", uuid), 1);
	CHECK_EQ(ctl_run("create %s poll=7", uuid), 2);
	CHECK(strstr(ctl_out, "dma_mode"));
	CHECK_EQ(ctl_run("show %s", uuid), 1);
	CHECK_EQ(ctl_run("set %s", uuid), 2);
	CHECK_EQ(ctl_run("create a b"), 2);
	CHECK_EQ(ctl_run("list --watch"), 2);
	world_mdev(&w);
	CHECK_EQ(ctl_run("set %s dma_mode=fast", w.uuid), 1);
	CHECK(strstr(ctl_out, "dma_mode takes auto, mmap, file, message, none or share"));
	CHECK_EQ(ctl_run("set %s socket=relative", w.uuid), 1);
	CHECK(strstr(ctl_out, "an absolute path"));
}

/* A consumer has the device open: its socket is fixed, and remove waits and says so. */
TEST(set_and_remove_in_use)
{
	const char *const args[] = { "remove", w.uuid, NULL };
	pid_t pid;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	CHECK_EQ(ctl_run("set %s socket=/run/other.sock", w.uuid), 1);
	CHECK(strstr(ctl_out, "handover"));
	unlink(REMOVE_LOG);
	pid = world_spawn(REMOVE_LOG, "vfio-user-mdevctl", args);
	CHECK_SOON(file_count(REMOVE_LOG, "is asked to let go") == 1);
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	consumer_close(&c);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(ctl_run("show %s", w.uuid), 1);
}

/* What promtool would check: names, types before samples, buckets that only grow. */
TEST(prometheus)
{
	static const char *const lines[] = {
		"# TYPE vfio_user_mdev_reply_seconds histogram",
		"vfio_user_mdev_state{uuid=\"%s\",state=\"attached\"} 1",
		"vfio_user_mdev_state{uuid=\"%s\",state=\"broken\"} 0",
		"vfio_user_mdev_open{uuid=\"%s\"} 1",
		"vfio_user_mdev_aborted_total{uuid=\"%s\"} 0",
		"vfio_user_mdev_reply_seconds_bucket{uuid=\"%s\",command=\"REGION_READ\",le=\"+Inf\"} ",
		"vfio_user_mdev_reply_seconds_count{uuid=\"%s\",command=\"REGION_READ\"} ",
	};
	char line[256];

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_check(&c, 8);
	CHECK_EQ(ctl_run("stats --prometheus"), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(line, sizeof(line), lines[i], w.uuid);
		if (!strstr(ctl_out, line))
			FAIL("no line %s", line);
	}
	CHECK_EQ(ctl_run("stats --prometheus %s", w.uuid), 2);
}

TEST(usage)
{
	CHECK_EQ(ctl_run("--help"), 0);
	CHECK(strstr(ctl_out, "monitor"));
	CHECK_EQ(ctl_run("--version"), 0);
	CHECK_EQ(ctl_run("%s", ""), 2);
	CHECK_EQ(ctl_run("frobnicate"), 2);
	CHECK_EQ(ctl_run("show"), 2);
}

/* Until it has told of all that becomes of an mdev; then its log is empty. */
static void wait_until_it_listens(void)
{
	struct world probe;

	do {
		world_mdev(&probe);
		world_remove(&probe);
		test_sleep_ms(100);
	} while (file_count(MONITOR_LOG, probe.uuid) != 2);
	CHECK(!truncate(MONITOR_LOG, 0));
}

/* Every event, in the order in which things happen. */
TEST(monitor)
{
	static const char *const events[] = { "created", "attached", "opened",
		"detached", "attached", "closed", "changed", "removed" };
	const char *const args[] = { "monitor", "--json", NULL };
	char line[4096];
	pid_t pid;
	FILE *f;

	unlink(MONITOR_LOG);
	pid = world_spawn(MONITOR_LOG, "vfio-user-mdevctl", args);
	wait_until_it_listens();
	world_up(&w, NULL);
	consumer_open(&c, &w);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	/* The state can be seen before it is told. */
	CHECK_SOON(file_count(MONITOR_LOG, "\"event\":\"attached\"") == 2);
	consumer_close(&c);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_attr_set(&w, "socket", "/run/other.sock");
	world_remove(&w);
	CHECK_SOON(file_count(MONITOR_LOG, "removed") == 1);
	CHECK_EQ(world_kill(&pid, SIGINT), 0);

	f = fopen(MONITOR_LOG, "r");
	CHECK(f);
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		struct json_object *json;

		/* The second loss of the server is of no interest here. */
		do {
			CHECK(fgets(line, sizeof(line), f));
			json = json_tokener_parse(line);
			CHECK(json);
			CHECK(!strcmp(json_get_text(json, "uuid"), w.uuid));
		} while (i == 6 && !strcmp(json_get_text(json, "event"), "detached"));
		if (strcmp(json_get_text(json, "event"), events[i]) != 0)
			FAIL("event %zu is %s, not %s", i, json_get_text(json, "event"),
			     events[i]);
	}
	fclose(f);
}
