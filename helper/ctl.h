/* SPDX-License-Identifier: GPL-2.0 */
/* vfio-user-mdevctl: what its verbs share. */
#ifndef HELPER_CTL_H
#define HELPER_CTL_H

#include <stdbool.h>

#include "netlink.h"

struct json_object;

#define EXIT_USAGE 2

/* Each returns the exit code. @nl is open and the module found. */
int ctl_list(struct vum_nl *nl, bool json, const char *arg);
int ctl_show(struct vum_nl *nl, bool json, const char *arg);
int ctl_monitor(struct vum_nl *nl, bool json, const char *arg);

/* Says "vfio-user-mdevctl: @what: ..." and returns the exit code. */
int ctl_fail(const char *what, int err);

/* False, after a message, if module and tool do not fit. */
bool ctl_check_version(const struct vum_info *info);

/* Never NULL. */
const char *ctl_state(const struct vum_info *info);

/* One mdev as an object, keys in a fixed order. */
struct json_object *ctl_json(const struct vum_info *info);
/* Adds @value to @o; text of NULL becomes null. */
void ctl_json_add(struct json_object *o, const char *key, struct json_object *value);
void ctl_json_add_text(struct json_object *o, const char *key, const char *text);
/* Prints it, one line if not @pretty, and frees it. */
void ctl_json_print(struct json_object *o, bool pretty);

#endif /* HELPER_CTL_H */
