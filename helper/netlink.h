/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel module tells about the mdevs, for daemon and control tool. */
#ifndef HELPER_NETLINK_H
#define HELPER_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../uapi/vfio_user_mdev.h"

/**
 * struct vum_info - one mdev, or one event of it
 * @event: enum vum_event, -1 if this is no event
 * @api_version: the module's
 * @uuid: never NULL
 * @type: may be NULL, as the other strings
 * @state: enum vum_state
 * @open: a consumer has it open
 * @attached: @server_* are valid
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
	const char *reason;
	uint64_t requests;
	uint64_t aborted;
	uint64_t errors;
	uint64_t attaches;
	const char *dma;
	uint64_t pinned;
	uint64_t dma_faults;
	const char *announce;
	uint32_t mappings;
	const char *inexact;
	const char *data_path;
	bool helper;
};

typedef void (*vum_info_fn)(const struct vum_info *info, void *arg);

/**
 * struct vum_figures - what an mdev has done since it was created
 * @uuid: of it
 * @latency: replies by command, and by how long they took: VUM_LATENCY_*
 *
 * The rest is as in enum vum_attr.
 */
struct vum_figures {
	char uuid[40];
	uint64_t requests;
	uint64_t aborted;
	uint64_t errors;
	uint64_t attaches;
	uint64_t latency[VUM_LATENCY_CMDS][VUM_LATENCY_BUCKETS];
};

typedef void (*vum_figures_fn)(const struct vum_figures *figures, void *arg);

/* What happens to the family itself: the module was loaded or unloaded. */
typedef void (*vum_family_fn)(bool there, void *arg);

struct nl_sock;

/**
 * struct vum_nl - a connection to the kernel
 * @ask: for questions, one at a time
 * @hear: for events, non-blocking
 * @family: id, 0 if the module is not there
 * @on_event: for vum_nl_hear()
 * @on_family: for vum_nl_hear(); may be NULL
 * @arg: for both
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
 * All functions return 0 or -errno. Of interest: ENOENT, no module; ENODEV, no
 * such mdev; ENOBUFS, events were lost; EPERM, one must be root.
 */
int vum_nl_open(struct vum_nl *nl);
void vum_nl_close(struct vum_nl *nl);

/* Finds the module, and again after it was loaded anew. */
int vum_nl_resolve(struct vum_nl *nl);

/* Sets up @hear. If @nl->on_family is set, the module may come later. */
int vum_nl_listen(struct vum_nl *nl);

/* Gets the events of the module that was resolved, from now on. */
int vum_nl_join(struct vum_nl *nl);

int vum_nl_fd(const struct vum_nl *nl);

/* Calls back for what has come; one datagram. */
int vum_nl_hear(struct vum_nl *nl);

/* Every mdev. EINTR: after the last, but some came or went meanwhile. */
int vum_nl_dump(struct vum_nl *nl, vum_info_fn fn, void *arg);

/* One mdev. */
int vum_nl_get(struct vum_nl *nl, const char *uuid, vum_info_fn fn, void *arg);

/* The figures of one mdev, or, if @uuid is NULL, of all as vum_nl_dump(). */
int vum_nl_figures(struct vum_nl *nl, const char *uuid, vum_figures_fn fn, void *arg);

/* NULL if unknown. */
const char *vum_state_name(uint32_t state);
const char *vum_event_name(int event);

/* For "%s: ...", of an -errno from above. */
const char *vum_nl_strerror(int err);

#endif /* HELPER_NETLINK_H */
