// SPDX-License-Identifier: GPL-2.0
/* Which servers have served an mdev, and when. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <json-c/json.h>

#include "ctl.h"

void ctl_print_time(uint64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fputs(text, stdout);
}

static void print_server(const struct vum_past_server *server, void *arg)
{
	(void)arg;
	printf("Served by: pid %u, uid %u, %s, ", server->pid, server->uid,
	       server->exe[0] ? server->exe : "unknown executable");
	if (server->license[0])
		printf("declares %s: ", server->license);
	else
		printf("declares no licence: ");
	ctl_print_time(server->from);
	printf(" to ");
	if (server->until) {
		ctl_print_time(server->until);
		printf(": %s", server->why);
		if (server->times > 1)
			printf(", %" PRIu32 " times in a row", server->times);
		putchar('\n');
	} else {
		puts("now");
	}
}

int ctl_print_servers(struct vum_nl *nl, const char *uuid)
{
	return vum_nl_servers(nl, uuid, print_server, NULL);
}

static void add_server(const struct vum_past_server *server, void *arg)
{
	struct json_object *o = json_object_new_object();

	ctl_json_add(o, "pid", server->pid ? json_object_new_int64(server->pid) : NULL);
	ctl_json_add(o, "uid", json_object_new_int64(server->uid));
	ctl_json_add(o, "gid", json_object_new_int64(server->gid));
	ctl_json_add_text(o, "executable", server->exe[0] ? server->exe : NULL);
	ctl_json_add_text(o, "license", server->license[0] ? server->license : NULL);
	ctl_json_add(o, "gpl_compatible", json_object_new_boolean(server->gpl));
	ctl_json_add(o, "from", json_object_new_uint64(server->from));
	ctl_json_add(o, "until", server->until ? json_object_new_uint64(server->until) : NULL);
	ctl_json_add(o, "times", json_object_new_int64(server->times));
	ctl_json_add_text(o, "why", server->why[0] ? server->why : NULL);
	json_object_array_add(arg, o);
}

int ctl_json_servers(struct vum_nl *nl, const char *uuid, struct json_object *array)
{
	return vum_nl_servers(nl, uuid, add_server, array);
}
