// SPDX-License-Identifier: GPL-2.0
/*
 * Which process serves a device: not the one that called listen(), if that is another,
 * nor one that has ended.
 */

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

/* Does vfio-user-mdevctl show the mdev with these words? */
static bool shown(const char *words)
{
	CHECK_EQ(ctl_run("show %s", w.uuid), 0);
	return strstr(ctl_out, words);
}

/* The pid in the mdev's "server". */
static long server_pid(void)
{
	char text[64];

	world_attr_get(&w, "server", text, sizeof(text));
	return strtol(text, NULL, 10);
}

static long parent_of(long pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	CHECK_EQ(read_file(path, text, sizeof(text)), 0);
	/* "pid (comm) state ppid ..." */
	return strtol(strrchr(text, ')') + strlen(") S"), NULL, 10);
}

static void up_forking(const char *when)
{
	const char *const args[] = { "--fork", when, NULL };

	world_up(&w, args);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
}

TEST(socket_activation)
{
	up_forking("listen");
	CHECK(server_pid() != w.server);
	CHECK_EQ(parent_of(server_pid()), w.server);
	CHECK(!shown("has ended"));
	CHECK_EQ(file_count(world_helper_log(), "(pid unknown"), 0);
}

/* The helper knows the process that has answered it, the kernel each that sends. */
TEST(forks_when_it_has_answered)
{
	char text[64];

	up_forking("version");
	if (world_relayed()) {
		CHECK_EQ(server_pid(), w.server);
		CHECK_SOON(shown("has ended"));
		return;
	}
	CHECK(server_pid() != w.server);
	snprintf(text, sizeof(text), "pid %ld, ", server_pid());
	CHECK(shown(text));
	CHECK(!shown("has ended"));
	CHECK_EQ(kill((pid_t)server_pid(), 0), 0);
	kill((pid_t)server_pid(), SIGKILL);
	CHECK_SOON(!world_state_is(&w, "attached"));
}

/* A helper in a PID namespace, of which the server is no part. */
TEST(another_pid_namespace)
{
	world_mdev(&w);
	world_server(&w, NULL);
	CHECK_EQ(unshare(CLONE_NEWPID), 0);
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	/* The kernel learns it from the server's own messages. */
	CHECK_SOON(file_count(world_helper_log(), "(pid unknown") == world_relayed());
	if (world_relayed())
		CHECK(shown("pid unknown"));
	else
		CHECK_EQ(server_pid(), w.server);
}
