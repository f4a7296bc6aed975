/* SPDX-License-Identifier: GPL-2.0 */
/* What the verbs of vfio-user-mdevctl share. */
#ifndef HELPER_CTL_H
#define HELPER_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

struct json_object;

#define EXIT_USAGE 2

/**
 * struct ctl_args - what a verb is to do
 * @json: print JSON, for programs
 * @uuid: of the mdev; NULL for all mdevs
 * @socket: path of a server's socket, or NULL; create: of --socket
 * @watch_ms: time between two prints, in ms; 0: print once
 * @prometheus: print for Prometheus
 * @settings: NAME=VALUE, @nr_settings of them
 * @nr_settings: how many there are
 */
struct ctl_args {
	bool json;
	const char *uuid;
	const char *socket;
	unsigned int watch_ms;
	bool prometheus;
	char **settings;
	int nr_settings;
};

/* The verbs. @nl is open and resolved. They return the exit code. */
int ctl_list(struct vum_nl *nl, const struct ctl_args *args);
int ctl_show(struct vum_nl *nl, const struct ctl_args *args);
int ctl_monitor(struct vum_nl *nl, const struct ctl_args *args);
int ctl_stats(struct vum_nl *nl, const struct ctl_args *args);
int ctl_create(struct vum_nl *nl, const struct ctl_args *args);
int ctl_set(struct vum_nl *nl, const struct ctl_args *args);
int ctl_remove(struct vum_nl *nl, const struct ctl_args *args);
int ctl_prometheus(struct vum_nl *nl, const struct ctl_args *args);
int ctl_handover(struct vum_nl *nl, const struct ctl_args *args);

/* Print "vfio-user-mdevctl: @what: ..." about -errno and return the exit code. */
int ctl_fail(const char *what, int err);

/* Returns false, after a message, if module and tool differ in their version. */
bool ctl_check_version(const struct vum_info *info);

/* Returns a signalfd of SIGINT and SIGTERM, which are blocked; or -errno. */
int ctl_open_signals(void);

/* Returns the state's name, never NULL. */
const char *ctl_state(const struct vum_info *info);

/* Returns an object for one mdev, its keys in a fixed order. */
struct json_object *ctl_json(const struct vum_info *info);
/* Likewise for its figures, which are of @seconds, or of all its life if 0. */
struct json_object *ctl_json_figures(const struct vum_figures *figures, double seconds);
/* Add a value to @o; @text of NULL becomes null. */
void ctl_json_add(struct json_object *o, const char *key, struct json_object *value);
void ctl_json_add_text(struct json_object *o, const char *key, const char *text);
/* Print @o, on one line if not @pretty, and free it. */
void ctl_json_print(struct json_object *o, bool pretty);

/* Write the path of a file of an mdev's in sysfs. Returns 0, or -ENOENT if @uuid is none. */
int ctl_mdev_path(char *path, size_t size, const char *uuid, const char *file);

/* Write a text in one go, as sysfs wants it. Returns 0 or -errno. */
int ctl_write_file(const char *path, const char *text);

/* Read a line, without its end; "" if there is none. */
void ctl_read_line(const char *path, char *buf, size_t size);

/* Print local time, from seconds since 1970. */
void ctl_print_time(uint64_t seconds);

/* Print who has an mdev open, and the end of that line. */
void ctl_print_consumer(const struct vum_info *info);

/* Print the servers of an mdev, or add them to an array. Return 0 or -errno. */
int ctl_print_servers(struct vum_nl *nl, const char *uuid);
int ctl_json_servers(struct vum_nl *nl, const char *uuid, struct json_object *array);

/* Returns how many ns @bucket's replies stayed below, or 0: the last has no bound. */
uint64_t ctl_below_ns(unsigned int bucket);
uint64_t ctl_count(const struct vum_figures *figures, uint32_t cmd);
/* Returns the command's name or number, never NULL. */
const char *ctl_command(uint32_t cmd);

/* Print, for people, a page about an mdev, or a line of what it does each second. */
void ctl_print_figures(const struct vum_figures *figures);
void ctl_print_rates_head(bool uuid);
void ctl_print_rates(const struct vum_figures *figures, double seconds, bool uuid);

#endif /* HELPER_CTL_H */
