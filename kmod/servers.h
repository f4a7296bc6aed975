/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: which servers have served a device.
 */
#ifndef VUM_SERVERS_H
#define VUM_SERVERS_H

#include <linux/list.h>
#include <linux/types.h>

#include "../uapi/vfio_user_mdev.h"

struct pid;

/* How many servers of a device are remembered. */
#define VUM_NR_SERVERS		16

/**
 * struct vum_server - a server that serves a device, or has
 * @node: in struct vum_servers
 * @pid: its process, as VUM_ATTR_SERVER_PID has it
 * @uid: that process's uid
 * @gid: that process's gid
 * @from: when it was attached, the first time, in seconds since 1970
 * @until: when that ended, the last time; 0 if it has not
 * @times: how often it was attached in a row, and ended the same way
 * @served: it was in working order
 * @flags: VUM_ATTACH_LICENSE, VUM_ATTACH_GPL
 * @why: why it ended
 * @license: what it declares, in the same allocation; empty if it declares none
 * @exe: the path of its executable, behind @license; empty if it is not known
 */
struct vum_server {
	struct list_head node;
	s32 pid;
	u32 uid;
	u32 gid;
	time64_t from;
	time64_t until;
	u32 times;
	bool served;
	u32 flags;
	char why[VUM_MAX_TEXT];
	const char *license;
	char exe[];
};

/**
 * struct vum_servers - the last servers of a device; conn's lock guards them
 * @list: of struct vum_server, the present or last one first
 * @nr: how many there are
 */
struct vum_servers {
	struct list_head list;
	u32 nr;
};

void vum_servers_init(struct vum_servers *servers);
void vum_servers_exit(struct vum_servers *servers);
struct vum_server *vum_server_new(const struct vum_attach *a, const char *license,
				  struct pid *pid);
struct vum_server *vum_servers_add(struct vum_servers *servers, struct vum_server *server);
void vum_servers_serve(struct vum_servers *servers, const struct vum_attach *peer);
void vum_servers_end(struct vum_servers *servers, const struct vum_attach *peer,
		     const char *why);

/* The server that serves the device, or has last; NULL if there was none. */
static inline struct vum_server *vum_servers_last(const struct vum_servers *servers)
{
	return list_empty(&servers->list) ? NULL :
	       list_first_entry(&servers->list, struct vum_server, node);
}

#endif /* VUM_SERVERS_H */
