// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "ctl.h"

struct list {
	struct json_object *array;	/* NULL: a table */
	bool bad;
};

static void print_row(const struct vum_info *info)
{
	char pid[16] = "-";

	if (info->attached && !info->server_pid)
		snprintf(pid, sizeof(pid), "?");
	else if (info->attached)
		snprintf(pid, sizeof(pid), "%u", info->server_pid);
	printf("%-36s  %-9s  %-4s  %-7s  %s\n", info->uuid, ctl_state(info),
	       info->open ? "yes" : "no", pid, info->socket ? info->socket : "-");
}

static void on_listed(const struct vum_info *info, void *arg)
{
	struct list *list = arg;

	if (list->bad)
		return;
	if (!ctl_check_version(info))
		list->bad = true;
	else if (list->array)
		json_object_array_add(list->array, ctl_json(info));
	else
		print_row(info);
}

int ctl_list(struct vum_nl *nl, const struct ctl_args *args)
{
	struct list list = { .array = args->json ? json_object_new_array() : NULL };
	int err;

	if (!args->json)
		printf("%-36s  %-9s  %-4s  %-7s  %s\n", "UUID", "STATE", "OPEN", "SERVER",
		       "SOCKET");
	err = vum_nl_dump(nl, on_listed, &list);
	/* Mdevs came or went meanwhile, but any list is soon out of date. */
	if (err == -EINTR)
		err = 0;
	if (list.array && !err && !list.bad)
		ctl_json_print(list.array, true);
	else
		json_object_put(list.array);
	if (err)
		return ctl_fail("list", err);
	return list.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
