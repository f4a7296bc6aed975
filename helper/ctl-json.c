// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include <json-c/json.h>

#include "ctl.h"

void ctl_json_add(struct json_object *o, const char *key, struct json_object *value)
{
	json_object_object_add(o, key, value);
}

void ctl_json_add_text(struct json_object *o, const char *key, const char *text)
{
	ctl_json_add(o, key, text ? json_object_new_string(text) : NULL);
}

static const char *text_or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

static struct json_object *json_server(const struct vum_info *info)
{
	struct json_object *o;

	if (!info->attached)
		return NULL;
	o = json_object_new_object();
	ctl_json_add(o, "pid", info->server_pid ? json_object_new_int64(info->server_pid) : NULL);
	ctl_json_add(o, "uid", json_object_new_int64(info->server_uid));
	ctl_json_add(o, "gid", json_object_new_int64(info->server_gid));
	ctl_json_add(o, "ended", json_object_new_boolean(info->server_ended));
	ctl_json_add_text(o, "license", text_or_null(info->server_license));
	return o;
}

static struct json_object *json_notes(const struct vum_info *info)
{
	struct json_object *notes = json_object_new_array();

	for (unsigned int i = 0; i < info->nr_notes; i++) {
		struct json_object *note = json_object_new_object();

		ctl_json_add_text(note, "text", info->notes[i].text);
		ctl_json_add(note, "count", json_object_new_int64(info->notes[i].count));
		json_object_array_add(notes, note);
	}
	return notes;
}

static struct json_object *json_refused(const struct vum_info *info)
{
	struct json_object *all = json_object_new_object();

	for (unsigned int i = 0; i < info->nr_refused; i++) {
		struct json_object *one = json_object_new_object();

		ctl_json_add(one, "count", json_object_new_int64(info->refused[i].count));
		ctl_json_add(one, "errno", json_object_new_int64(info->refused[i].error_no));
		ctl_json_add(all, ctl_command(info->refused[i].cmd), one);
	}
	return all;
}

struct json_object *ctl_json(const struct vum_info *info)
{
	struct json_object *o = json_object_new_object();

	ctl_json_add_text(o, "uuid", info->uuid);
	ctl_json_add_text(o, "type", info->type);
	ctl_json_add_text(o, "state", ctl_state(info));
	ctl_json_add_text(o, "reason", info->reason);
	ctl_json_add(o, "since", info->since ? json_object_new_uint64(info->since) : NULL);
	ctl_json_add(o, "open", json_object_new_boolean(info->open));
	ctl_json_add(o, "consumer_pid",
		     info->consumer_pid ? json_object_new_int64(info->consumer_pid) : NULL);
	ctl_json_add_text(o, "socket", info->socket);
	ctl_json_add(o, "server", json_server(info));
	ctl_json_add(o, "helper", json_object_new_boolean(info->helper));
	ctl_json_add_text(o, "data_path", info->data_path);
	ctl_json_add(o, "requests", json_object_new_uint64(info->requests));
	ctl_json_add(o, "aborted", json_object_new_uint64(info->aborted));
	ctl_json_add(o, "errors", json_object_new_uint64(info->errors));
	ctl_json_add(o, "attaches", json_object_new_uint64(info->attaches));
	ctl_json_add_text(o, "dma", info->dma);
	ctl_json_add(o, "pinned", json_object_new_uint64(info->pinned));
	ctl_json_add(o, "dma_faults", json_object_new_uint64(info->dma_faults));
	ctl_json_add(o, "evicted", json_object_new_uint64(info->evicted));
	ctl_json_add_text(o, "dma_announce", info->announce);
	ctl_json_add(o, "dma_mappings", json_object_new_int64(info->mappings));
	ctl_json_add(o, "dma_shared", json_object_new_int64(info->shared));
	ctl_json_add_text(o, "dma_inexact", info->inexact);
	ctl_json_add(o, "refused", json_refused(info));
	ctl_json_add(o, "without", json_notes(info));
	return o;
}

static struct json_object *json_histogram(const struct vum_figures *figures, uint32_t cmd)
{
	struct json_object *o = json_object_new_object();
	struct json_object *buckets = json_object_new_array();

	for (unsigned int i = 0; i < VUM_LATENCY_BUCKETS; i++) {
		struct json_object *bucket = json_object_new_object();
		uint64_t below = ctl_below_ns(i);

		ctl_json_add(bucket, "below_ns", below ? json_object_new_uint64(below) : NULL);
		ctl_json_add(bucket, "count", json_object_new_uint64(figures->latency[cmd][i]));
		json_object_array_add(buckets, bucket);
	}
	ctl_json_add(o, "count", json_object_new_uint64(ctl_count(figures, cmd)));
	ctl_json_add(o, "buckets", buckets);
	return o;
}

/* Hand over text, since json-c prints a double with digits that mean nothing. */
static struct json_object *json_seconds(double seconds)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", seconds);
	return json_object_new_double_s(seconds, text);
}

struct json_object *ctl_json_figures(const struct vum_figures *figures, double seconds)
{
	struct json_object *o = json_object_new_object();
	struct json_object *latency = json_object_new_object();

	ctl_json_add_text(o, "uuid", figures->uuid);
	if (seconds > 0)
		ctl_json_add(o, "seconds", json_seconds(seconds));
	ctl_json_add(o, "requests", json_object_new_uint64(figures->requests));
	ctl_json_add(o, "aborted", json_object_new_uint64(figures->aborted));
	ctl_json_add(o, "errors", json_object_new_uint64(figures->errors));
	ctl_json_add(o, "attaches", json_object_new_uint64(figures->attaches));
	ctl_json_add(o, "evicted", json_object_new_uint64(figures->evicted));
	for (uint32_t cmd = 0; cmd < VUM_LATENCY_CMDS; cmd++)
		if (ctl_count(figures, cmd))
			ctl_json_add(latency, ctl_command(cmd), json_histogram(figures, cmd));
	ctl_json_add(o, "latency", latency);
	return o;
}

void ctl_json_print(struct json_object *o, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	flags |= pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : 0;
	puts(json_object_to_json_string_ext(o, flags));
	json_object_put(o);
}
