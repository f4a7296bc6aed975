/* SPDX-License-Identifier: GPL-2.0 */
/* vfio-user-mdevctl: running it, and reading what it says. */
#ifndef VUM_LIB_CTL_H
#define VUM_LIB_CTL_H

#include <json-c/json.h>

/* What it said last, both to stdout and stderr. */
extern char ctl_out[1 << 18];

/* Returns the exit status. */
int ctl_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What comes out, which has to be JSON; fails the case. */
struct json_object *ctl_run_json(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* What is there under a key; fail the case if nothing is. */
struct json_object *json_get(struct json_object *json, const char *key);
const char *json_get_text(struct json_object *json, const char *key);
long json_get_number(struct json_object *json, const char *key);

#endif /* VUM_LIB_CTL_H */
