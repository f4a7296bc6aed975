// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>

#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "netlink-private.h"

/* An event is less than 3 KiB, and most are less than one: room for a few thousand mdevs created at once. */
#define HEAR_BUFFER (4 << 20)

static struct nla_policy policy[VUM_ATTR_MAX + 1] = {
	[VUM_ATTR_API_VERSION]	= { .type = NLA_U32 },
	[VUM_ATTR_EVENT]	= { .type = NLA_U32 },
	[VUM_ATTR_UUID]		= { .type = NLA_STRING },
	[VUM_ATTR_TYPE]		= { .type = NLA_STRING },
	[VUM_ATTR_STATE]	= { .type = NLA_U32 },
	[VUM_ATTR_OPEN]		= { .type = NLA_FLAG },
	[VUM_ATTR_SOCKET]	= { .type = NLA_STRING },
	[VUM_ATTR_SERVER_PID]	= { .type = NLA_U32 },
	[VUM_ATTR_SERVER_UID]	= { .type = NLA_U32 },
	[VUM_ATTR_SERVER_GID]	= { .type = NLA_U32 },
	[VUM_ATTR_REASON]	= { .type = NLA_STRING },
	[VUM_ATTR_REQUESTS]	= { .type = NLA_U64 },
	[VUM_ATTR_ABORTED]	= { .type = NLA_U64 },
	[VUM_ATTR_ERRORS]	= { .type = NLA_U64 },
	[VUM_ATTR_ATTACHES]	= { .type = NLA_U64 },
	[VUM_ATTR_DMA]		= { .type = NLA_STRING },
	[VUM_ATTR_PINNED]	= { .type = NLA_U64 },
	[VUM_ATTR_DMA_FAULTS]	= { .type = NLA_U64 },
	[VUM_ATTR_DMA_ANNOUNCE]	= { .type = NLA_STRING },
	[VUM_ATTR_DMA_MAPPINGS]	= { .type = NLA_U32 },
	[VUM_ATTR_DMA_INEXACT]	= { .type = NLA_STRING },
	[VUM_ATTR_DATA_PATH]	= { .type = NLA_STRING },
	[VUM_ATTR_HELPER]	= { .type = NLA_FLAG },
	[VUM_ATTR_DMA_EVICTED]	= { .type = NLA_U64 },
	[VUM_ATTR_NOTES]	= { .type = NLA_NESTED },
	[VUM_ATTR_DMA_FILES]	= { .type = NLA_U32 },
	[VUM_ATTR_CONSUMER_PID]	= { .type = NLA_U32 },
	[VUM_ATTR_REFUSED]	= { .type = NLA_NESTED },
	[VUM_ATTR_SERVER_LICENSE] = { .type = NLA_STRING },
	[VUM_ATTR_SINCE]	= { .type = NLA_U64 },
};

static struct nla_policy refused_policy[VUM_REFUSED_MAX + 1] = {
	[VUM_REFUSED_CMD]	= { .type = NLA_U32 },
	[VUM_REFUSED_COUNT]	= { .type = NLA_U32 },
	[VUM_REFUSED_ERRNO]	= { .type = NLA_U32 },
};

static struct nla_policy note_policy[VUM_NOTE_MAX + 1] = {
	[VUM_NOTE_TEXT]		= { .type = NLA_STRING },
	[VUM_NOTE_COUNT]	= { .type = NLA_U32 },
};

static const char * const state_names[] = {
	[VUM_STATE_DETACHED]	= "detached",
	[VUM_STATE_ATTACHING]	= "attaching",
	[VUM_STATE_ATTACHED]	= "attached",
	[VUM_STATE_BROKEN]	= "broken",
};

static const char * const event_names[] = {
	[VUM_EVENT_CREATED]	= "created",
	[VUM_EVENT_REMOVED]	= "removed",
	[VUM_EVENT_ATTACHED]	= "attached",
	[VUM_EVENT_DETACHED]	= "detached",
	[VUM_EVENT_OPENED]	= "opened",
	[VUM_EVENT_CLOSED]	= "closed",
	[VUM_EVENT_BROKEN]	= "broken",
	[VUM_EVENT_CHANGED]	= "changed",
	[VUM_EVENT_OPEN_FAILED]	= "open_failed",
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const char *vum_state_name(uint32_t state)
{
	return state < ARRAY_SIZE(state_names) ? state_names[state] : NULL;
}

const char *vum_event_name(int event)
{
	return event >= 0 && event < (int)ARRAY_SIZE(event_names) ? event_names[event] : NULL;
}

const char *vum_nl_strerror(int err)
{
	switch (err) {
	case -ENOENT:
		return "module vfio_user_mdev is not loaded: modprobe vfio_user_mdev";
	case -EPERM:
	case -EACCES:
		return "not permitted: run me as root";
	case -ENODEV:
		return "there is no such mdev: \"vfio-user-mdevctl list\" shows those that exist";
	case -EOPNOTSUPP:
		return "the module does not know how: install module and tool from the same "
		       "release";
	default:
		return strerror(-err);
	}
}

/* Translate libnl's own error numbers, of which there are fewer than errnos. */
static int to_errno(int nlerr)
{
	switch (-nlerr) {
	case 0:
		return 0;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_AGAIN:
	case NLE_INTR:
		return -EAGAIN;
	case NLE_NOMEM:		/* from ENOBUFS of recvmsg() */
		return -ENOBUFS;
	case NLE_DUMP_INTR:
		return -EINTR;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_INVAL:
		return -EINVAL;
	case NLE_OPNOTSUPP:
	case NLE_PROTO_MISMATCH:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static uint32_t get_u32(struct nlattr *a)
{
	return a ? nla_get_u32(a) : 0;
}

static uint64_t get_u64(struct nlattr *a)
{
	return a ? nla_get_u64(a) : 0;
}

static const char *get_string(struct nlattr *a)
{
	return a ? nla_get_string(a) : NULL;
}

static void parse_notes(struct nlattr *notes, struct vum_info *info)
{
	struct nlattr *note, *a[VUM_NOTE_MAX + 1];
	int left;

	if (!notes)
		return;
	nla_for_each_nested(note, notes, left) {
		if (info->nr_notes == VUM_INFO_NOTES ||
		    nla_parse_nested(a, VUM_NOTE_MAX, note, note_policy) < 0 ||
		    !a[VUM_NOTE_TEXT] || !a[VUM_NOTE_COUNT])
			continue;
		info->notes[info->nr_notes++] = (struct vum_info_note) {
			.text = nla_get_string(a[VUM_NOTE_TEXT]),
			.count = nla_get_u32(a[VUM_NOTE_COUNT]),
		};
	}
}

static void parse_refused(struct nlattr *all, struct vum_info *info)
{
	struct nlattr *nest, *a[VUM_REFUSED_MAX + 1];
	int left;

	if (!all)
		return;
	nla_for_each_nested(nest, all, left) {
		if (info->nr_refused == VUM_LATENCY_CMDS ||
		    nla_parse_nested(a, VUM_REFUSED_MAX, nest, refused_policy) < 0 ||
		    !a[VUM_REFUSED_CMD] || !a[VUM_REFUSED_COUNT] || !a[VUM_REFUSED_ERRNO])
			continue;
		info->refused[info->nr_refused++] = (struct vum_info_refused) {
			.cmd = nla_get_u32(a[VUM_REFUSED_CMD]),
			.count = nla_get_u32(a[VUM_REFUSED_COUNT]),
			.error_no = nla_get_u32(a[VUM_REFUSED_ERRNO]),
		};
	}
}

/* Returns false if the message is malformed or names no mdev. */
static bool parse_info(struct nlmsghdr *h, struct vum_info *info)
{
	struct nlattr *a[VUM_ATTR_MAX + 1];

	if (genlmsg_parse(h, 0, a, VUM_ATTR_MAX, policy) < 0 || !a[VUM_ATTR_UUID])
		return false;
	*info = (struct vum_info) {
		.event = a[VUM_ATTR_EVENT] ? (int)nla_get_u32(a[VUM_ATTR_EVENT]) : -1,
		.api_version = get_u32(a[VUM_ATTR_API_VERSION]),
		.uuid = get_string(a[VUM_ATTR_UUID]),
		.type = get_string(a[VUM_ATTR_TYPE]),
		.state = get_u32(a[VUM_ATTR_STATE]),
		.open = a[VUM_ATTR_OPEN],
		.socket = get_string(a[VUM_ATTR_SOCKET]),
		.attached = a[VUM_ATTR_SERVER_PID],
		.server_pid = get_u32(a[VUM_ATTR_SERVER_PID]),
		.server_uid = get_u32(a[VUM_ATTR_SERVER_UID]),
		.server_gid = get_u32(a[VUM_ATTR_SERVER_GID]),
		.server_ended = a[VUM_ATTR_SERVER_ENDED],
		.server_license = get_string(a[VUM_ATTR_SERVER_LICENSE]),
		.reason = get_string(a[VUM_ATTR_REASON]),
		.since = get_u64(a[VUM_ATTR_SINCE]),
		.requests = get_u64(a[VUM_ATTR_REQUESTS]),
		.aborted = get_u64(a[VUM_ATTR_ABORTED]),
		.errors = get_u64(a[VUM_ATTR_ERRORS]),
		.attaches = get_u64(a[VUM_ATTR_ATTACHES]),
		.dma = get_string(a[VUM_ATTR_DMA]),
		.pinned = get_u64(a[VUM_ATTR_PINNED]),
		.dma_faults = get_u64(a[VUM_ATTR_DMA_FAULTS]),
		.evicted = get_u64(a[VUM_ATTR_DMA_EVICTED]),
		.announce = get_string(a[VUM_ATTR_DMA_ANNOUNCE]),
		.mappings = get_u32(a[VUM_ATTR_DMA_MAPPINGS]),
		.shared = get_u32(a[VUM_ATTR_DMA_FILES]),
		.inexact = get_string(a[VUM_ATTR_DMA_INEXACT]),
		.data_path = get_string(a[VUM_ATTR_DATA_PATH]),
		.helper = a[VUM_ATTR_HELPER],
		.consumer_pid = get_u32(a[VUM_ATTR_CONSUMER_PID]),
	};
	parse_notes(a[VUM_ATTR_NOTES], info);
	parse_refused(a[VUM_ATTR_REFUSED], info);
	return true;
}

bool vum_nl_from_kernel(struct nl_msg *msg)
{
	return nlmsg_get_src(msg)->nl_pid == 0 && genlmsg_valid_hdr(nlmsg_hdr(msg), 0);
}

/* Events */

/* Generic netlink's controller tells of all families; pick out the module's. */
static void hear_controller(struct vum_nl *nl, struct nlmsghdr *h)
{
	struct nlattr *a[CTRL_ATTR_MAX + 1];
	struct genlmsghdr *g = nlmsg_data(h);

	if (!nl->on_family || genlmsg_parse(h, 0, a, CTRL_ATTR_MAX, NULL) < 0 ||
	    !a[CTRL_ATTR_FAMILY_NAME] ||
	    nla_strcmp(a[CTRL_ATTR_FAMILY_NAME], VUM_GENL_NAME) != 0)
		return;
	if (g->cmd == CTRL_CMD_NEWFAMILY) {
		nl->on_family(true, nl->arg);
	} else if (g->cmd == CTRL_CMD_DELFAMILY) {
		nl->family = 0;
		nl->on_family(false, nl->arg);
	}
}

static int on_heard(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct vum_nl *nl = arg;
	struct vum_info info;

	if (!vum_nl_from_kernel(msg))
		return NL_SKIP;
	if (h->nlmsg_type == GENL_ID_CTRL)
		hear_controller(nl, h);
	else if (h->nlmsg_type == nl->family && parse_info(h, &info) && info.event >= 0)
		nl->on_event(&info, nl->arg);
	return NL_OK;
}

int vum_nl_hear(struct vum_nl *nl)
{
	int err = nl_recvmsgs_default(nl->hear);

	/* An event that cannot be read is as good as lost. */
	if (err < 0 && err != -NLE_AGAIN && err != -NLE_INTR)
		return -ENOBUFS;
	return 0;
}

int vum_nl_listen(struct vum_nl *nl)
{
	int size = HEAR_BUFFER;
	int group;

	nl_socket_disable_seq_check(nl->hear);
	nl_socket_modify_cb(nl->hear, NL_CB_VALID, NL_CB_CUSTOM, on_heard, nl);
	nl_socket_set_nonblocking(nl->hear);
	/* This size takes CAP_NET_ADMIN. Without it events are only lost sooner. */
	(void)setsockopt(nl_socket_get_fd(nl->hear), SOL_SOCKET, SO_RCVBUFFORCE, &size,
			 sizeof(size));
	if (!nl->on_family)
		return 0;
	group = genl_ctrl_resolve_grp(nl->ask, "nlctrl", "notify");
	if (group < 0)
		return to_errno(group);
	return to_errno(nl_socket_add_membership(nl->hear, group));
}

int vum_nl_join(struct vum_nl *nl)
{
	int group = genl_ctrl_resolve_grp(nl->ask, VUM_GENL_NAME, VUM_GENL_MCGRP_EVENTS);

	if (group < 0)
		return to_errno(group);
	return to_errno(nl_socket_add_membership(nl->hear, group));
}

int vum_nl_fd(const struct vum_nl *nl)
{
	return nl_socket_get_fd(nl->hear);
}

/* Questions */

int vum_nl_ask(struct vum_nl *nl, const struct vum_question *q)
{
	struct nl_msg *msg;
	int err;

	if (!nl->family)
		return -ENOENT;
	msg = nlmsg_alloc();
	if (!msg)
		return -ENOMEM;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0,
			 NLM_F_REQUEST | (q->uuid ? 0 : NLM_F_DUMP), q->cmd, VUM_GENL_VERSION) ||
	    (q->uuid && nla_put_string(msg, VUM_ATTR_UUID, q->uuid))) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	nl_socket_modify_cb(nl->ask, NL_CB_VALID, NL_CB_CUSTOM, q->on_answer, (void *)q);
	err = nl_send_auto(nl->ask, msg);
	nlmsg_free(msg);
	if (err >= 0)
		err = nl_recvmsgs_default(nl->ask);
	nl_socket_modify_cb(nl->ask, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
	return to_errno(err < 0 ? err : 0);
}

struct info_question {
	struct vum_question q;
	vum_info_fn fn;
	void *arg;
};

static int on_info(struct nl_msg *msg, void *arg)
{
	const struct info_question *iq = arg;
	struct vum_info info;

	if (vum_nl_from_kernel(msg) && parse_info(nlmsg_hdr(msg), &info))
		iq->fn(&info, iq->arg);
	return NL_OK;
}

int vum_nl_get(struct vum_nl *nl, const char *uuid, vum_info_fn fn, void *arg)
{
	const struct info_question iq = {
		.q = { VUM_CMD_GET_DEVICE, uuid, on_info },
		.fn = fn,
		.arg = arg,
	};

	return vum_nl_ask(nl, &iq.q);
}

int vum_nl_dump(struct vum_nl *nl, vum_info_fn fn, void *arg)
{
	return vum_nl_get(nl, NULL, fn, arg);
}

int vum_nl_resolve(struct vum_nl *nl)
{
	int id = genl_ctrl_resolve(nl->ask, VUM_GENL_NAME);

	nl->family = id < 0 ? 0 : id;
	return id < 0 ? to_errno(id) : 0;
}

int vum_nl_open(struct vum_nl *nl)
{
	int err;

	nl->family = 0;
	nl->ask = nl_socket_alloc();
	nl->hear = nl_socket_alloc();
	if (!nl->ask || !nl->hear) {
		vum_nl_close(nl);
		return -ENOMEM;
	}
	err = genl_connect(nl->ask);
	if (err >= 0)
		err = genl_connect(nl->hear);
	if (err < 0) {
		vum_nl_close(nl);
		return to_errno(err);
	}
	/* vum_nl_ask() reads answers only: an acknowledgement would be left unread. */
	nl_socket_disable_auto_ack(nl->ask);
	return 0;
}

void vum_nl_close(struct vum_nl *nl)
{
	nl_socket_free(nl->ask);
	nl_socket_free(nl->hear);
	nl->ask = NULL;
	nl->hear = NULL;
}
