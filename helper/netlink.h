/* SPDX-License-Identifier: GPL-2.0 */
/* What the module tells about mdevs, for the helper and vfio-user-mdevctl. */
#ifndef HELPER_NETLINK_H
#define HELPER_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../uapi/vfio_user_mdev.h"

/* More than the module has. */
#define VUM_INFO_NOTES	16

/**
 * struct vum_info - one mdev, or one event of it
 * @event: enum vum_event, -1 if this is no event
 * @api_version: the module's VUM_API_VERSION
 * @uuid: never NULL
 * @type: the mdev type; may be NULL, as all strings that follow
 * @state: enum vum_state
 * @open: a consumer has it open
 * @attached: a server is attached, and @server_* are valid
 *
 * The rest is as in enum vum_attr. Strings are valid during the callback.
 */
struct vum_info {
	int event;
	uint32_t api_version;
	const char *uuid;
	const char *type;
	uint32_t state;
	bool open;
	const char *socket;
	bool attached;
	uint32_t server_pid;
	uint32_t server_uid;
	uint32_t server_gid;
	bool server_ended;
	const char *server_license;
	const char *reason;
	uint64_t since;
	uint64_t requests;
	uint64_t aborted;
	uint64_t errors;
	uint64_t attaches;
	const char *dma;
	uint64_t pinned;
	uint64_t dma_faults;
	uint64_t evicted;
	const char *announce;
	uint32_t mappings;
	uint32_t shared;
	const char *inexact;
	const char *data_path;
	bool helper;
	uint32_t consumer_pid;
	unsigned int nr_notes;
	struct vum_info_note {
		const char *text;
		uint32_t count;
	} notes[VUM_INFO_NOTES];
	unsigned int nr_refused;
	struct vum_info_refused {
		uint32_t cmd;
		uint32_t count;
		uint32_t error_no;
	} refused[VUM_LATENCY_CMDS];
};

typedef void (*vum_info_fn)(const struct vum_info *info, void *arg);

/**
 * struct vum_figures - what an mdev has done since it was created
 * @uuid: of the mdev
 * @latency: number of replies by command and bucket of time, see VUM_LATENCY_CMDS
 *
 * The rest is as in enum vum_attr.
 */
struct vum_figures {
	char uuid[40];
	uint64_t requests;
	uint64_t aborted;
	uint64_t errors;
	uint64_t attaches;
	uint64_t evicted;
	uint64_t latency[VUM_LATENCY_CMDS][VUM_LATENCY_BUCKETS];
};

typedef void (*vum_figures_fn)(const struct vum_figures *figures, void *arg);

/* Called when the module, and its netlink family with it, was loaded or unloaded. */
typedef void (*vum_family_fn)(bool there, void *arg);

/**
 * struct vum_past_server - a server that serves an mdev, or has
 * @gpl: its licence is compatible with GPL-2.0
 *
 * The rest is as in enum vum_server_attr; no string is NULL. They are valid during the
 * callback.
 */
struct vum_past_server {
	uint32_t pid;
	uint32_t uid;
	uint32_t gid;
	const char *exe;
	const char *license;
	bool gpl;
	uint64_t from;
	uint64_t until;
	uint32_t times;
	const char *why;
};

typedef void (*vum_server_fn)(const struct vum_past_server *server, void *arg);

struct nl_sock;

/**
 * struct vum_nl - netlink sockets to the kernel
 * @ask: socket for questions, one at a time
 * @hear: socket for events, non-blocking
 * @family: id of the module's family, 0 if the module is not loaded
 * @on_event: called by vum_nl_hear() for an event
 * @on_family: called by vum_nl_hear() when the module comes or goes; may be NULL
 * @arg: argument of both
 */
struct vum_nl {
	struct nl_sock *ask;
	struct nl_sock *hear;
	int family;
	vum_info_fn on_event;
	vum_family_fn on_family;
	void *arg;
};

/*
 * These functions return 0 or -errno. Of interest: -ENOENT, the module is not loaded;
 * -ENODEV, no such mdev; -ENOBUFS, events were lost; -EPERM, the caller is not root.
 */
int vum_nl_open(struct vum_nl *nl);
void vum_nl_close(struct vum_nl *nl);

/* Look up the module's family; to be repeated after it was loaded anew. */
int vum_nl_resolve(struct vum_nl *nl);

/* Set up @nl->hear. With @nl->on_family the module need not be loaded yet. */
int vum_nl_listen(struct vum_nl *nl);

/* Receive events of the module from now on. */
int vum_nl_join(struct vum_nl *nl);

int vum_nl_fd(const struct vum_nl *nl);

/* Receive one datagram and call back for the events in it. */
int vum_nl_hear(struct vum_nl *nl);

/* Call @fn for every mdev. -EINTR: that was done, but some came or went meanwhile. */
int vum_nl_dump(struct vum_nl *nl, vum_info_fn fn, void *arg);

/* Call @fn for one mdev. */
int vum_nl_get(struct vum_nl *nl, const char *uuid, vum_info_fn fn, void *arg);

/* Call @fn for the figures of one mdev; if @uuid is NULL, of all as vum_nl_dump(). */
int vum_nl_figures(struct vum_nl *nl, const char *uuid, vum_figures_fn fn, void *arg);

/* Call @fn for each server that has served an mdev, the present or last one first. */
int vum_nl_servers(struct vum_nl *nl, const char *uuid, vum_server_fn fn, void *arg);

/* Return NULL if the number is unknown. */
const char *vum_state_name(uint32_t state);
const char *vum_event_name(int event);

/* Returns a text for the log about an -errno of the functions above. */
const char *vum_nl_strerror(int err);

#endif /* HELPER_NETLINK_H */
