// SPDX-License-Identifier: GPL-2.0
/* vfio-user-mdevctl. See ctl.h. */

#include <stdarg.h>
#include <stdio.h>

#include "ctl.h"
#include "test.h"
#include "world.h"

char ctl_out[1 << 18];

static int run(const char *fmt, va_list ap)
{
	char args[256], command[512];

	vsnprintf(args, sizeof(args), fmt, ap);
	snprintf(command, sizeof(command), "%s %s 2>&1",
		 world_bin("vfio-user-mdevctl"), args);
	return command_output(command, ctl_out, sizeof(ctl_out));
}

int ctl_run(const char *fmt, ...)
{
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(fmt, ap);
	va_end(ap);
	return status;
}

struct json_object *ctl_run_json(const char *fmt, ...)
{
	struct json_object *json;
	va_list ap;
	int status;

	va_start(ap, fmt);
	status = run(fmt, ap);
	va_end(ap);
	json = status ? NULL : json_tokener_parse(ctl_out);
	if (!json)
		FAIL("status %d, no JSON: %s", status, ctl_out);
	return json;
}

struct json_object *json_get(struct json_object *json, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value))
		FAIL("no \"%s\" in %s", key, json_object_to_json_string(json));
	return value;
}

const char *json_get_text(struct json_object *json, const char *key)
{
	return json_object_get_string(json_get(json, key));
}

long json_get_number(struct json_object *json, const char *key)
{
	return json_object_get_int64(json_get(json, key));
}
