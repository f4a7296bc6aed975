// SPDX-License-Identifier: GPL-2.0
/* vfio-user-mdevctl, and with it the generic netlink family. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

#define MONITOR_LOG "/run/vum-test-monitor.log"

static struct world w;
static struct consumer c;
static char out[1 << 18];

static int ctl(const char *args)
{
	char command[512];

	snprintf(command, sizeof(command), "%s %s 2>&1",
		 world_bin("vfio-user-mdevctl"), args);
	return command_output(command, out, sizeof(out));
}

static struct json_object *ctl_json(const char *args)
{
	struct json_object *json;

	CHECK_EQ(ctl(args), 0);
	json = json_tokener_parse(out);
	if (!json)
		FAIL("no JSON: %s", out);
	return json;
}

static const char *get(struct json_object *json, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value))
		FAIL("no \"%s\" in %s", key, json_object_to_json_string(json));
	return json_object_get_string(value);
}

TEST(list)
{
	struct json_object *json;

	CHECK_EQ(json_object_array_length(ctl_json("list --json")), 0);
	world_up(&w, NULL);
	json = ctl_json("list --json");
	CHECK_EQ(json_object_array_length(json), 1);
	json = json_object_array_get_idx(json, 0);
	CHECK(!strcmp(get(json, "uuid"), w.uuid));
	CHECK(!strcmp(get(json, "state"), "attached"));
	CHECK(!strcmp(get(json, "socket"), w.socket));
	CHECK_EQ(ctl("list"), 0);
	CHECK(strstr(out, w.uuid) && strstr(out, "attached"));
}

/* More than one netlink message can hold. */
TEST(list_many)
{
	for (int i = 0; i < 200; i++)
		world_mdev(&w);
	CHECK_EQ(json_object_array_length(ctl_json("list --json")), 200);
}

TEST(show)
{
	char args[128], pid[16];
	struct json_object *json;
	uint32_t value;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR, ENXIO);
	CHECK_EQ(puppet_read(&c, 0, &value), -ENXIO);
	snprintf(args, sizeof(args), "show --json %s", w.uuid);
	json = ctl_json(args);
	snprintf(pid, sizeof(pid), "%d", w.server);
	CHECK(strstr(json_object_to_json_string(json), pid));
	CHECK_EQ(atoi(get(json, "errors")), 1);
	CHECK_EQ(atoi(get(json, "aborted")), 0);
	CHECK_EQ(atoi(get(json, "attaches")), 1);
	CHECK(atoi(get(json, "requests")) > 10);
	CHECK(!strcmp(get(json, "open"), "true"));
	snprintf(args, sizeof(args), "show %s", w.uuid);
	CHECK_EQ(ctl(args), 0);
	CHECK(strstr(out, pid));
}

TEST(show_why_it_is_broken)
{
	const char *const args[] = { "--no-pci", NULL };
	char cmd[128];

	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "broken");
	snprintf(cmd, sizeof(cmd), "show %s", w.uuid);
	CHECK_EQ(ctl(cmd), 0);
	CHECK(strstr(out, "broken"));
	CHECK(strstr(out, "not a PCI device"));
}

TEST(show_what_is_not_there)
{
	CHECK_EQ(ctl("show 11111111-2222-3333-4444-555555555555"), 1);
	CHECK(strstr(out, "11111111-2222-3333-4444-555555555555"));
	CHECK_EQ(ctl("show not-a-uuid"), 1);
}

TEST(usage)
{
	CHECK_EQ(ctl("--help"), 0);
	CHECK(strstr(out, "monitor"));
	CHECK_EQ(ctl("--version"), 0);
	CHECK_EQ(ctl(""), 2);
	CHECK_EQ(ctl("frobnicate"), 2);
	CHECK_EQ(ctl("show"), 2);
}

/* Every event, in the order in which things happen. */
TEST(monitor)
{
	static const char *const events[] = { "created", "attached", "opened",
		"detached", "attached", "closed", "changed", "removed" };
	const char *const args[] = { "monitor", "--json", NULL };
	char path[256], line[4096];
	pid_t pid;
	FILE *f;

	unlink(MONITOR_LOG);
	pid = world_spawn(MONITOR_LOG, "vfio-user-mdevctl", args);
	test_sleep_ms(1000);
	world_up(&w, NULL);
	consumer_open(&c, &w);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	/* The state can be seen before it is told. */
	CHECK_SOON(file_count(MONITOR_LOG, "\"event\":\"attached\"") == 2, 2000);
	consumer_close(&c);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_attr_set(&w, "socket", "/run/other.sock");
	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", w.uuid);
	CHECK_EQ(write_file(path, "1"), 0);
	CHECK_SOON(file_count(MONITOR_LOG, "removed") == 1, 2000);
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
			CHECK(!strcmp(get(json, "uuid"), w.uuid));
		} while (i == 6 && !strcmp(get(json, "event"), "detached"));
		if (strcmp(get(json, "event"), events[i]) != 0)
			FAIL("event %zu is %s, not %s", i, get(json, "event"),
			     events[i]);
	}
	fclose(f);
}
