// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl.h"

struct show {
	bool json;
	struct json_object *object;
	bool bad;
	bool done;
};

static void print_server(const struct vum_info *info)
{
	if (!info->attached) {
		printf("Server:    -\n");
		return;
	}
	if (info->server_pid)
		printf("Server:    pid %u", info->server_pid);
	else
		printf("Server:    pid unknown (of another PID namespace, or it had ended)");
	printf(", uid %u, gid %u%s\n", info->server_uid, info->server_gid,
	       info->server_ended ? "; has ended, and another process has its connection" : "");
}

/* What the operator can do about a device that has no server. */
static void print_advice(const struct vum_info *info)
{
	if (info->state == VUM_STATE_ATTACHED)
		return;
	if (!info->helper)
		printf("To do:     start vfio-user-mdevd: systemctl start vfio-user-mdevd\n");
	else if (info->state == VUM_STATE_DETACHED)
		printf("To do:     start a server on the socket; it is attached by itself\n");
	else if (info->state == VUM_STATE_BROKEN)
		printf("To do:     mend or replace the server; it is tried every second\n");
}

static void print_human(const struct vum_info *info)
{
	printf("UUID:      %s\n", info->uuid);
	printf("Type:      %s\n", info->type ? info->type : "-");
	printf("State:     %s%s%s", ctl_state(info), info->reason ? ": " : "",
	       info->reason ? info->reason : "");
	if (info->since) {
		printf(", since ");
		ctl_print_time(info->since);
	}
	putchar('\n');
	print_advice(info);
	fputs("Open:      ", stdout);
	ctl_print_consumer(info);
	printf("Socket:    %s\n", info->socket ? info->socket : "-");
	print_server(info);
	printf("Helper:    %s\n", info->helper ? "yes" : "no");
	printf("Data path: %s\n", info->data_path ? info->data_path : "-");
	printf("Requests:  %" PRIu64 "\n", info->requests);
	printf("Aborted:   %" PRIu64 "\n", info->aborted);
	printf("Errors:    %" PRIu64 "\n", info->errors);
	printf("Attaches:  %" PRIu64 "\n", info->attaches);
	printf("DMA:       %s, %" PRIu64 " pages pinned, %" PRIu64 " evicted, %" PRIu64
	       " accesses to nothing\n",
	       info->dma ? info->dma : "-", info->pinned, info->evicted, info->dma_faults);
	printf("Announced: %s, %" PRIu32 " mappings, %" PRIu32 " by their files%s%s\n",
	       info->announce ? info->announce : "-", info->mappings, info->shared,
	       info->inexact ? ", not exact since " : "", info->inexact ? info->inexact : "");
	for (unsigned int i = 0; i < info->nr_refused; i++)
		printf("Refused:   %s (count %" PRIu32 ", the last with %s)\n",
		       ctl_command(info->refused[i].cmd), info->refused[i].count,
		       info->refused[i].error_no ? strerror((int)info->refused[i].error_no) :
						   "no errno");
	for (unsigned int i = 0; i < info->nr_notes; i++)
		printf("Without:   %s (count %" PRIu32 ")\n", info->notes[i].text,
		       info->notes[i].count);
}

static void on_answer(const struct vum_info *info, void *arg)
{
	struct show *show = arg;

	show->done = true;
	if (!ctl_check_version(info))
		show->bad = true;
	else if (show->json)
		show->object = ctl_json(info);
	else
		print_human(info);
}

static int show_servers(struct vum_nl *nl, const char *uuid, struct show *show)
{
	struct json_object *array;
	int err;

	if (!show->json)
		return ctl_print_servers(nl, uuid);
	array = json_object_new_array();
	err = ctl_json_servers(nl, uuid, array);
	ctl_json_add(show->object, "servers", array);
	ctl_json_print(show->object, true);
	return err;
}

int ctl_show(struct vum_nl *nl, const struct ctl_args *args)
{
	struct show show = { .json = args->json };
	int err = vum_nl_get(nl, args->uuid, on_answer, &show);

	if (!err && !show.done)
		err = -ENODEV;
	if (!err && !show.bad)
		err = show_servers(nl, args->uuid, &show);
	if (err)
		return ctl_fail(args->uuid, err);
	return show.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
