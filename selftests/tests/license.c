// SPDX-License-Identifier: GPL-2.0
/*
 * Which servers have served a device, under which licence by their own account, and which
 * are not taken: license_policy, --pledge, the module's taint.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/dma.h"
#include "../lib/test.h"

#define PLEDGE_FILE	"/run/vum-test-pledge"
#define TAINT		"/sys/module/vfio_user_mdev/parameters/taint"
/* TAINT_USER in the kernel. */
#define TAINTED_USER	(1UL << 6)

static struct world w;
static struct consumer c;
/* With a new helper for each server, since one that has been refused has to wait. */
static bool anew;

/* The n-th server that `show` tells of; the present or last one is the first. */
static struct json_object *served_by(size_t n)
{
	struct json_object *servers = json_get(ctl_run_json("show --json %s", w.uuid), "servers");

	if (json_object_array_length(servers) <= n)
		FAIL("no server %zu in %s", n, json_object_to_json_string(servers));
	return json_object_array_get_idx(servers, n);
}

static bool text_is(struct json_object *json, const char *key, const char *text)
{
	const char *is = json_get_text(json, key);

	return text && is ? !strcmp(is, text) : text == is;
}

static void replace_server(const char *option, const char *value)
{
	const char *const args[] = { option, value, NULL };

	if (w.server)
		world_kill(&w.server, SIGKILL);
	world_server(&w, args);
}

/* Is it the new server that is attached, and not the old one still? */
static bool serves(void)
{
	struct json_object *json = ctl_run_json("show --json %s", w.uuid);
	struct json_object *servers = json_get(json, "servers");

	return text_is(json, "state", "attached") && json_object_array_length(servers) &&
	       json_get_number(json_object_array_get_idx(servers, 0), "pid") == w.server;
}

/* The server declares something, and is attached, or refused with this reason. */
static void declares(const char *option, const char *value, const char *reason)
{
	char is[128] = "";

	test_doing = value;
	if (anew)
		world_kill(&w.helper, SIGKILL);
	replace_server(option, value);
	if (anew)
		world_helper(&w, NULL);
	if (!reason) {
		CHECK_SOON(serves());
		return;
	}
	/* The licence is a part of the reason: the server before may have had the same. */
	CHECK_SOON((dma_show_text(&w, "reason", is, sizeof(is)), strstr(is, reason)) &&
		   (strcmp(option, "--license") != 0 || strstr(is, value)));
	CHECK_SOON(world_state_is(&w, "broken"));
}

static void up(const char *policy)
{
	world_mdev(&w);
	world_attr_set(&w, "license_policy", policy);
	world_helper(&w, NULL);
}

TEST(policy_any)
{
	up("any");
	declares("--license", "", NULL);
	CHECK(text_is(served_by(0), "license", NULL));
	declares("--license", "Proprietary (all rights) reserved", NULL);
	CHECK(text_is(served_by(0), "license", "Proprietary (all rights) reserved"));
	CHECK(text_is(served_by(0), "gpl_compatible", "false"));
	declares("--license", "GPL-2.0-only", NULL);
	CHECK(text_is(served_by(0), "gpl_compatible", "true"));
}

TEST(policy_declared)
{
	up("declared");
	declares("--license", "", "it declares no licence, and license_policy is declared");
	declares("--license", "GPL 2", "is no SPDX expression: GPL 2");
	declares("--license", "LicenseRef-Acme-Internal", NULL);
}

/* By what the SPDX specification and the table in helper/license.c say. */
TEST(policy_gpl)
{
	static const char *const good[] = {
		"GPL-2.0-only", "gpl-2.0-or-later", "MIT", "BSD-3-Clause", "GPL-2.0+",
		"Apache-2.0 OR MIT", "MIT AND BSD-2-Clause", "(MIT)", "  ISC  ",
		"Apache-2.0 AND MIT OR Zlib", "(LicenseRef-x OR MIT) AND X11", "GPL-1.0+",
		"GPL-2.0-only WITH Linux-syscall-note",
	};
	static const char *const bad[] = {
		"Apache-2.0", "GPL-3.0-only", "MIT AND Apache-2.0", "LicenseRef-MIT",
		"MIT AND (Zlib OR Apache-2.0) AND SSPL-1.0", "DocumentRef-a:LicenseRef-b",
		"Apache-2.0 WITH LLVM-exception", "MIT WITH all-rights-reserved", "MIT-0+",
	};
	static const char *const none[] = {
		"MIT OR", "OR MIT", "(MIT", "MIT)", "MIT Zlib", "MIT WITH", "()", "MIT WITH (X)",
		"GPL v2", "MIT, Zlib", "a:b", "AND", "MIT or Zlib", "NONE", "NOASSERTION", "-",
		"...", "DocumentRef-a:b", "DocumentRef-a:LicenseRef-b:c", "MIT+OR Zlib",
	};

	up("gpl");
	anew = true;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		declares("--license", good[i], NULL);
		CHECK(text_is(served_by(0), "license", good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		declares("--license", bad[i], "is not compatible with GPL-2.0");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		declares("--license", none[i], "is no SPDX expression");
	declares("--license", "", "it declares no licence, and license_policy is gpl");
}

/* What cannot be a licence is taken for none, and shown as far as it can be. */
TEST(malformed)
{
	char huge[1024] = "{\"capabilities\":{\"license\":\"";
	size_t at = strlen(huge);

	memset(huge + at, 'M', 900);
	snprintf(huge + at + 900, sizeof(huge) - at - 900, "\"}}");
	up("declared");
	declares("--version-json", "{\"capabilities\":{\"license\":42}}", "SPDX expression: 42");
	declares("--version-json", "{\"capabilities\":{\"license\":[\"MIT\"]}}", "[\"MIT\"]");
	declares("--version-json", "{\"capabilities\":{\"license\":null}}", "no licence");
	declares("--version-json", "{\"capabilities\":{\"license\":\"M\\u0007T\\u00e4\"}}",
		 "expression: M?T??");
	declares("--version-json", "{\"capabilities\":{\"license\":\"MIT\\u0000\"}}",
		 "is no SPDX expression");
	declares("--version-json", huge, "is no SPDX expression: MMM");
	CHECK_EQ(strlen(json_get_text(served_by(0), "license")), 127);
	world_attr_set(&w, "license_policy", "any");
	world_wait_state(&w, "attached");
}

/* A server that has once been refused is asked nothing; and the message comes once. */
TEST(told_once)
{
	up("gpl");
	declares("--license", "SSPL-1.0", "SSPL-1.0");
	test_sleep_ms(2500);
	CHECK_EQ(kernel_log_count(w.uuid, "SSPL-1.0"), 1);
	CHECK_EQ(file_count(world_helper_log(), "SSPL-1.0"), 1);
	CHECK_EQ(file_count(world_server_log(), "GET_INFO"), 0);
	/* A policy that is not one is refused, and the old one stays. */
	CHECK_EQ(ctl_run("set %s license_policy=none", w.uuid), 1);
	CHECK(strstr(ctl_out, "any, declared or gpl"));
	consumer_prepare(&c, &w);
	CHECK_EQ(consumer_get_device(&c, &w), -ENODEV);
	CHECK_SOON(kernel_log_count(w.uuid, "cannot be opened: server on") == 1);
}

static void up_with_pledge(const char *text)
{
	const char *const args[] = { "--pledge=" PLEDGE_FILE, NULL };

	world_mdev(&w);
	CHECK(!write_file(PLEDGE_FILE, text));
	world_helper(&w, args);
}

TEST(pledge)
{
	unlink(PLEDGE_FILE);
	close(creat(PLEDGE_FILE, 0600));
	up_with_pledge("I am no \"derived work\" of /linux,\n\tand mean it.\n");
	declares("--verbose", NULL, "does not repeat the text");
	declares("--pledge", "I am no derived work", "does not repeat the text");
	declares("--version-json", "{\"capabilities\":{\"pledge\":\"I am no\"}}",
		 "is not the text");
	declares("--version-json", "{\"capabilities\":{\"pledge\":true}}", "is not the text");
	declares("--version-json", "{}", "does not repeat the text");
	declares("--pledge", "I am no \"derived work\" of /linux,\n\tand mean it.", NULL);
	consumer_open(&c, &w);
	/* Of five servers that are refused in a minute, the first three are told of at once. */
	CHECK_EQ(file_count(world_helper_log(), "is refused: "), 3);
}

TEST(pledge_that_is_none)
{
	char command[256];

	snprintf(command, sizeof(command), "%s --pledge=/nowhere 2>&1",
		 world_bin("vfio-user-mdevd"));
	CHECK_EQ(command_output(command, ctl_out, sizeof(ctl_out)), 1);
	CHECK(strstr(ctl_out, "/nowhere: No such file"));
	close(creat(PLEDGE_FILE, 0600));
	snprintf(command, sizeof(command), "%s --pledge=" PLEDGE_FILE " 2>&1",
		 world_bin("vfio-user-mdevd"));
	CHECK_EQ(command_output(command, ctl_out, sizeof(ctl_out)), 2);
	CHECK(strstr(ctl_out, "1 to 2048 bytes"));
}

static unsigned long tainted(void)
{
	char text[32];

	CHECK(!read_file("/proc/sys/kernel/tainted", text, sizeof(text)));
	return strtoul(text, NULL, 10);
}

/* Last of the cases about licences, since nothing takes a taint away. */
TEST(taint)
{
	up("any");
	if (tainted() & TAINTED_USER)
		test_skip("the kernel is tainted already");
	declares("--license", "Apache-2.0", NULL);
	CHECK(!write_file(TAINT, "1"));
	declares("--license", "MIT", NULL);
	CHECK(!(tainted() & TAINTED_USER));
	declares("--license", "Apache-2.0", NULL);
	CHECK(!write_file(TAINT, "0"));
	CHECK(tainted() & TAINTED_USER);
	CHECK_EQ(kernel_log_count(w.uuid, "declares Apache-2.0, no licence compatible"), 1);
}

/* Sixteen, of more, newest first; what they were, and how they ended. */
TEST(breadcrumb)
{
	long pid = 0;
	char license[32];
	struct json_object *server;

	up("any");
	for (int i = 0; i < 18; i++) {
		snprintf(license, sizeof(license), "LicenseRef-%d", i);
		declares("--license", license, NULL);
		CHECK_EQ(json_get_number(served_by(0), "pid"), w.server);
		if (i == 17)
			break;
		pid = w.server;
		world_kill(&w.server, SIGKILL);
		CHECK_SOON(!world_state_is(&w, "attached"));
	}
	CHECK_EQ(json_object_array_length(json_get(ctl_run_json("show --json %s", w.uuid),
						   "servers")), 16);
	server = served_by(0);
	CHECK(text_is(server, "until", NULL) && text_is(server, "why", NULL));
	CHECK_EQ(json_get_number(server, "uid"), 0);
	server = served_by(1);
	CHECK(text_is(server, "license", "LicenseRef-16"));
	CHECK_EQ(json_get_number(server, "pid"), pid);
	CHECK(strstr(json_get_text(server, "executable"), "/vum-puppet"));
	CHECK(json_get_number(server, "until") >= json_get_number(server, "from"));
	CHECK(text_is(server, "why", "the server hung up"));
	CHECK(text_is(served_by(15), "license", "LicenseRef-2"));
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	CHECK(strstr(ctl_out, "declares LicenseRef-17: "));
	CHECK_EQ(file_count(world_helper_log(), "declares the licence LicenseRef-0"), 1);
}

/* One that comes and goes is one of the sixteen; one that is refused makes room for others. */
TEST(breadcrumb_that_others_would_cover)
{
	char license[32];
	struct json_object *servers;

	up("declared");
	anew = true;
	for (int i = 0; i < 3; i++) {
		declares("--license", "LicenseRef-same", NULL);
		world_kill(&w.server, SIGKILL);
		CHECK_SOON(!world_state_is(&w, "attached"));
	}
	CHECK_EQ(json_get_number(served_by(0), "times"), 3);
	for (int i = 0; i < 20; i++) {
		snprintf(license, sizeof(license), "refused %d", i);
		declares("--license", license, license);
	}
	servers = json_get(ctl_run_json("show --json %s", w.uuid), "servers");
	/* Two attempts of the same server are two until the second has ended. */
	CHECK(json_object_array_length(servers) >= 15);
	CHECK(text_is(json_object_array_get_idx(servers, json_object_array_length(servers) - 1),
		      "license", "LicenseRef-same"));
}

/* Who may not see what others' processes execute sees no executable here either. */
TEST(executable_is_for_root)
{
	char command[512];

	up("any");
	declares("--verbose", NULL, NULL);
	snprintf(command, sizeof(command), "setpriv --reuid=65534 --clear-groups %s show %s 2>&1",
		 world_bin("vfio-user-mdevctl"), w.uuid);
	CHECK_EQ(command_output(command, ctl_out, sizeof(ctl_out)), 0);
	CHECK(strstr(ctl_out, "unknown executable, declares GPL-2.0-only"));
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	CHECK(strstr(ctl_out, "/vum-puppet, declares GPL-2.0-only"));
}

/* Whoever ends an attachment is named. */
TEST(why_it_ended)
{
	up("any");
	declares("--verbose", NULL, NULL);
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	CHECK(!strstr(ctl_out, "To do:"));
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(text_is(served_by(0), "why", "detached by way of vfio_user/state") ||
		   text_is(served_by(1), "why", "detached by way of vfio_user/state"));
	world_wait_state(&w, "attached");
	world_kill(&w.server, SIGKILL);
	CHECK_SOON(text_is(served_by(0), "why", "the server hung up"));
	CHECK_SOON(file_count(world_helper_log(), "hung up: accesses fail") == 1);
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	CHECK(strstr(ctl_out, "detached: the server hung up, since 20"));
	CHECK(strstr(ctl_out, "To do:     start a server on the socket"));
	world_kill(&w.helper, SIGKILL);
	CHECK_SOON(!ctl_run("show %s", w.uuid) && strstr(ctl_out, "start vfio-user-mdevd"));
}

/* A server that ends again and again is told of three times, then once a minute. */
TEST(crash_loop)
{
	up("any");
	for (int i = 0; i < 8; i++) {
		declares("--verbose", NULL, NULL);
		world_kill(&w.server, SIGKILL);
		CHECK_SOON(!world_state_is(&w, "attached"));
	}
	CHECK_EQ(json_get_number(served_by(0), "times"), 8);
	CHECK_EQ(file_count(world_helper_log(), "hung up: accesses fail"), 3);
	CHECK_EQ(file_count(world_helper_log(), "attached to the server"), 3);
}
