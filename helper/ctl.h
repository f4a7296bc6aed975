/* SPDX-License-Identifier: GPL-2.0 */
/* vfio-user-mdevctl: what its verbs share. */
#ifndef HELPER_CTL_H
#define HELPER_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "netlink.h"

struct json_object;

#define EXIT_USAGE 2

/**
 * struct ctl_args - what a verb is to do
 * @json: for programs
 * @uuid: of the mdev; NULL: all of them
 * @watch_ms: how often to print; 0: once
 */
struct ctl_args {
	bool json;
	const char *uuid;
	unsigned int watch_ms;
};

/* Each returns the exit code. @nl is open and the module found. */
int ctl_list(struct vum_nl *nl, const struct ctl_args *args);
int ctl_show(struct vum_nl *nl, const struct ctl_args *args);
int ctl_monitor(struct vum_nl *nl, const struct ctl_args *args);
int ctl_stats(struct vum_nl *nl, const struct ctl_args *args);

/* Says "vfio-user-mdevctl: @what: ..." and returns the exit code. */
int ctl_fail(const char *what, int err);

/* False, after a message, if module and tool do not fit. */
bool ctl_check_version(const struct vum_info *info);

/* What says that SIGINT or SIGTERM came, which do nothing else; or -errno. */
int ctl_open_signals(void);

/* Never NULL. */
const char *ctl_state(const struct vum_info *info);

/* One mdev as an object, keys in a fixed order. */
struct json_object *ctl_json(const struct vum_info *info);
/* The figures likewise. @seconds: what they are of; 0: all of its life. */
struct json_object *ctl_json_figures(const struct vum_figures *figures, double seconds);
/* Adds @value to @o; text of NULL becomes null. */
void ctl_json_add(struct json_object *o, const char *key, struct json_object *value);
void ctl_json_add_text(struct json_object *o, const char *key, const char *text);
/* Prints it, one line if not @pretty, and frees it. */
void ctl_json_print(struct json_object *o, bool pretty);

/* In ns: the replies in this bucket took less; 0: the last one has no such bound. */
uint64_t ctl_below_ns(unsigned int bucket);
uint64_t ctl_count(const struct vum_figures *figures, uint32_t cmd);
/* Never NULL. */
const char *ctl_command(uint32_t cmd);

/* For people: a page about an mdev, or a line of what it does each second. */
void ctl_print_figures(const struct vum_figures *figures);
void ctl_print_rates_head(bool uuid);
void ctl_print_rates(const struct vum_figures *figures, double seconds, bool uuid);

#endif /* HELPER_CTL_H */
