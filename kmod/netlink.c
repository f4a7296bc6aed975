// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the generic netlink family, which lists mdevs, shows their state
 * and counters, and sends events.
 */

#include <linux/sizes.h>
#include <net/genetlink.h>

#include "device.h"
#include "netlink.h"

/* A reply with the latencies of every command, or with all servers, fits into this. */
#define VUM_GENL_SIZE	SZ_8K
static_assert(VUM_NR_SERVERS * (3 * VUM_MAX_TEXT + 100) < VUM_GENL_SIZE);

static struct genl_family vum_genl;

/* The mdevs from probe to remove, and a count of the changes to this list. */
static LIST_HEAD(vum_devices);
static unsigned int vum_devices_seq = 1;
static DEFINE_MUTEX(vum_netlink_lock);	/* guards both */

/* How many pages have been evicted: work that faults and accesses wait for. */
static int vum_put_evicted(struct sk_buff *skb, const struct vum_dma *dma)
{
	return nla_put_u64_64bit(skb, VUM_ATTR_DMA_EVICTED,
				 READ_ONCE(dma->evict.count), VUM_ATTR_PAD);
}

static int vum_put_counters(struct sk_buff *skb, const struct vum_stats *stats)
{
	return nla_put_u64_64bit(skb, VUM_ATTR_REQUESTS, stats->requests,
				 VUM_ATTR_PAD) ?:
	       nla_put_u64_64bit(skb, VUM_ATTR_ABORTED, stats->aborted,
				 VUM_ATTR_PAD) ?:
	       nla_put_u64_64bit(skb, VUM_ATTR_ERRORS, stats->errors,
				 VUM_ATTR_PAD) ?:
	       nla_put_u64_64bit(skb, VUM_ATTR_ATTACHES, stats->attaches,
				 VUM_ATTR_PAD);
}

static int vum_put_server(struct sk_buff *skb, const struct vum_conn *conn)
{
	const struct vum_server *server = vum_servers_last(&conn->servers);

	if (!vum_conn_alive(conn))
		return 0;
	return nla_put_string(skb, VUM_ATTR_DATA_PATH,
			      vum_data_path_names[conn->path]) ?:
	       nla_put_u32(skb, VUM_ATTR_SERVER_PID, conn->peer.server_pid) ?:
	       nla_put_u32(skb, VUM_ATTR_SERVER_UID, conn->peer.server_uid) ?:
	       nla_put_u32(skb, VUM_ATTR_SERVER_GID, conn->peer.server_gid) ?:
	       nla_put_string(skb, VUM_ATTR_SERVER_LICENSE, server->license) ?:
	       (vum_conn_server_ended(conn) ?
		nla_put_flag(skb, VUM_ATTR_SERVER_ENDED) : 0);
}

/* Why there is no server, and since when; or since when there is one. */
static int vum_put_end(struct sk_buff *skb, const struct vum_conn *conn)
{
	const struct vum_server *last = vum_servers_last(&conn->servers);
	const char *why = last ? last->why : "";
	int ret = 0;

	if (conn->state == VUM_STATE_BROKEN)
		why = conn->reason;
	if (*why)
		ret = nla_put_string(skb, VUM_ATTR_REASON, why);
	if (!ret && conn->when)
		ret = nla_put_u64_64bit(skb, VUM_ATTR_SINCE, conn->when, VUM_ATTR_PAD);
	return ret;
}

/*
 * Reads without the mutexes of dma and announce: they may be held for long, and an
 * event is sent with conn's lock held.
 */
static int vum_put_dma(struct sk_buff *skb, struct vum_device *dev)
{
	const struct vum_dma *dma = &dev->dma;
	const char *why;
	bool exact = vum_announce_show(dev, &why);

	return nla_put_string(skb, VUM_ATTR_DMA,
			      vum_dma_mode_names[READ_ONCE(dma->announced)]) ?:
	       nla_put_u64_64bit(skb, VUM_ATTR_PINNED, READ_ONCE(dma->pinned),
				 VUM_ATTR_PAD) ?:
	       nla_put_u64_64bit(skb, VUM_ATTR_DMA_FAULTS,
				 READ_ONCE(dma->faults), VUM_ATTR_PAD) ?:
	       vum_put_evicted(skb, dma) ?:
	       nla_put_string(skb, VUM_ATTR_DMA_ANNOUNCE,
			      exact ? "exact" : "aperture") ?:
	       nla_put_u32(skb, VUM_ATTR_DMA_MAPPINGS,
			   READ_ONCE(dev->announce.nr_told)) ?:
	       nla_put_u32(skb, VUM_ATTR_DMA_FILES,
			   READ_ONCE(dev->announce.nr_files)) ?:
	       (why ? nla_put_string(skb, VUM_ATTR_DMA_INEXACT, why) : 0);
}

static int vum_put_refused(struct sk_buff *skb, const struct vum_stats *stats)
{
	struct nlattr *all = nla_nest_start(skb, VUM_ATTR_REFUSED), *nest;
	u32 cmd;

	for (cmd = 0; all && cmd < VUM_LATENCY_CMDS; cmd++) {
		if (!stats->refused[cmd].count)
			continue;
		nest = nla_nest_start(skb, VUM_REFUSED);
		if (!nest || nla_put_u32(skb, VUM_REFUSED_CMD, cmd) ||
		    nla_put_u32(skb, VUM_REFUSED_COUNT, stats->refused[cmd].count) ||
		    nla_put_u32(skb, VUM_REFUSED_ERRNO, stats->refused[cmd].error_no))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	if (!all)
		return -EMSGSIZE;
	nla_nest_end(skb, all);
	return 0;
}

static int vum_put_note(struct sk_buff *skb, const char *text, u32 count)
{
	struct nlattr *nest;

	if (!count)
		return 0;
	nest = nla_nest_start(skb, VUM_NOTE);
	if (!nest || nla_put_string(skb, VUM_NOTE_TEXT, text) ||
	    nla_put_u32(skb, VUM_NOTE_COUNT, count))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int vum_put_notes(struct sk_buff *skb, const struct vum_notes *notes)
{
	struct nlattr *nest = nla_nest_start(skb, VUM_ATTR_NOTES);
	int ret = nest ? 0 : -EMSGSIZE;
	u32 i;

	for (i = 0; !ret && i < VUM_NR_NOTES; i++)
		ret = vum_put_note(skb, notes->note[i].text, notes->note[i].count);
	ret = ret ?: vum_put_note(skb, "and more", notes->more);
	if (!ret)
		nla_nest_end(skb, nest);
	return ret;
}

/* With conn's lock held, so that what is told fits together. */
static int vum_put_state(struct sk_buff *skb, struct vum_device *dev)
{
	const struct vum_conn *conn = &dev->conn;
	int ret;

	vum_conn_assert_held(conn);
	ret = nla_put_u32(skb, VUM_ATTR_API_VERSION, VUM_API_VERSION) ?:
	      nla_put_string(skb, VUM_ATTR_UUID, dev->uuid) ?:
	      nla_put_string(skb, VUM_ATTR_TYPE, "vfio-user-pci") ?:
	      nla_put_string(skb, VUM_ATTR_SOCKET, dev->socket) ?:
	      nla_put_u32(skb, VUM_ATTR_STATE, conn->state) ?:
	      vum_put_server(skb, conn) ?:
	      vum_put_end(skb, conn) ?:
	      vum_put_counters(skb, &conn->stats) ?:
	      vum_put_dma(skb, dev) ?:
	      vum_put_notes(skb, &conn->notes) ?:
	      vum_put_refused(skb, &conn->stats);
	if (!ret && dev->open)
		ret = nla_put_flag(skb, VUM_ATTR_OPEN) ?:
		      nla_put_u32(skb, VUM_ATTR_CONSUMER_PID, pid_nr(dev->consumer));
	if (!ret && dev->channel.opened)
		ret = nla_put_flag(skb, VUM_ATTR_HELPER);
	return ret;
}

static int vum_put_device(struct sk_buff *skb, struct vum_device *dev, bool admin)
{
	int ret;

	vum_conn_lock(&dev->conn);
	ret = vum_put_state(skb, dev);
	vum_conn_unlock(&dev->conn);
	return ret;
}

static int vum_put_latency(struct sk_buff *skb, const struct vum_conn *conn)
{
	const struct vum_latency __percpu *latency = READ_ONCE(conn->latency);
	u64 counts[VUM_LATENCY_BUCKETS];
	struct nlattr *nest;
	u32 cmd;

	for (cmd = 0; latency && cmd < VUM_LATENCY_CMDS; cmd++) {
		if (!vum_latency_sum(latency, cmd, counts))
			continue;
		nest = nla_nest_start(skb, VUM_ATTR_LATENCY);
		if (!nest || nla_put_u32(skb, VUM_LATENCY_CMD, cmd) ||
		    nla_put(skb, VUM_LATENCY_COUNTS, sizeof(counts), counts))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

static int vum_put_stats(struct sk_buff *skb, struct vum_device *dev, bool admin)
{
	struct vum_stats stats;

	vum_conn_lock(&dev->conn);
	stats = dev->conn.stats;
	vum_conn_unlock(&dev->conn);
	return nla_put_string(skb, VUM_ATTR_UUID, dev->uuid) ?:
	       vum_put_counters(skb, &stats) ?:
	       vum_put_evicted(skb, &dev->dma) ?:
	       vum_put_latency(skb, &dev->conn);
}

/* @exe: whether the receiver may see what other users' processes execute. */
static int vum_put_past_server(struct sk_buff *skb, const struct vum_server *server, bool exe)
{
	struct nlattr *nest = nla_nest_start(skb, VUM_SERVER);
	int ret;

	if (!nest)
		return -EMSGSIZE;
	ret = nla_put_u32(skb, VUM_SERVER_PID, server->pid) ?:
	      nla_put_u32(skb, VUM_SERVER_UID, server->uid) ?:
	      nla_put_u32(skb, VUM_SERVER_GID, server->gid) ?:
	      nla_put_string(skb, VUM_SERVER_EXE, exe ? server->exe : "") ?:
	      nla_put_u32(skb, VUM_SERVER_TIMES, server->times) ?:
	      nla_put_string(skb, VUM_SERVER_LICENSE, server->license) ?:
	      nla_put_u64_64bit(skb, VUM_SERVER_FROM, server->from, VUM_SERVER_PAD) ?:
	      nla_put_u64_64bit(skb, VUM_SERVER_UNTIL, server->until, VUM_SERVER_PAD) ?:
	      nla_put_string(skb, VUM_SERVER_WHY, server->why);
	if (!ret && server->flags & VUM_ATTACH_GPL)
		ret = nla_put_flag(skb, VUM_SERVER_GPL);
	if (!ret)
		nla_nest_end(skb, nest);
	return ret;
}

static int vum_put_servers(struct sk_buff *skb, struct vum_device *dev, bool admin)
{
	int ret = nla_put_string(skb, VUM_ATTR_UUID, dev->uuid);
	struct nlattr *nest = nla_nest_start(skb, VUM_ATTR_SERVERS);
	struct vum_conn *conn = &dev->conn;
	const struct vum_server *server;

	if (ret || !nest)
		return -EMSGSIZE;
	vum_conn_lock(conn);
	list_for_each_entry(server, &conn->servers.list, node)
		ret = ret ?: vum_put_past_server(skb, server, admin);
	vum_conn_unlock(conn);
	if (!ret)
		nla_nest_end(skb, nest);
	return ret;
}

/* Appends to @skb what a command replies of one device; @admin: to an administrator. */
typedef int (*vum_put_fn)(struct sk_buff *skb, struct vum_device *dev, bool admin);

static int vum_get(struct sk_buff *request, struct genl_info *info, u8 cmd, vum_put_fn put)
{
	bool admin = netlink_capable(request, CAP_NET_ADMIN);
	struct vum_device *dev;
	struct sk_buff *reply;
	int ret = -ENODEV;
	void *hdr;

	if (GENL_REQ_ATTR_CHECK(info, VUM_ATTR_UUID))
		return -EINVAL;
	reply = genlmsg_new(VUM_GENL_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &vum_genl, 0, cmd);
	if (!hdr) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	mutex_lock(&vum_netlink_lock);
	list_for_each_entry(dev, &vum_devices, node) {
		if (nla_strcmp(info->attrs[VUM_ATTR_UUID], dev->uuid))
			continue;
		ret = put(reply, dev, admin);
		break;
	}
	mutex_unlock(&vum_netlink_lock);
	if (ret) {
		nlmsg_free(reply);
		return ret;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int vum_dump(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		    vum_put_fn put)
{
	struct vum_device *dev;
	long skip = cb->args[0];
	void *hdr;
	int ret = 0;

	mutex_lock(&vum_netlink_lock);
	cb->seq = vum_devices_seq;
	list_for_each_entry(dev, &vum_devices, node) {
		if (skip-- > 0)
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &vum_genl, NLM_F_MULTI,
				  cmd);
		if (!hdr)
			break;
		ret = put(skb, dev, false);
		if (ret) {
			genlmsg_cancel(skb, hdr);
			break;
		}
		genl_dump_check_consistent(cb, hdr);
		genlmsg_end(skb, hdr);
		cb->args[0]++;
	}
	mutex_unlock(&vum_netlink_lock);
	/* Report @ret only if not even one device has fit. */
	return skb->len ?: ret;
}

static int vum_get_device(struct sk_buff *skb, struct genl_info *info)
{
	return vum_get(skb, info, VUM_CMD_GET_DEVICE, vum_put_device);
}

static int vum_dump_devices(struct sk_buff *skb, struct netlink_callback *cb)
{
	return vum_dump(skb, cb, VUM_CMD_GET_DEVICE, vum_put_device);
}

static int vum_get_stats(struct sk_buff *skb, struct genl_info *info)
{
	return vum_get(skb, info, VUM_CMD_GET_STATS, vum_put_stats);
}

static int vum_dump_stats(struct sk_buff *skb, struct netlink_callback *cb)
{
	return vum_dump(skb, cb, VUM_CMD_GET_STATS, vum_put_stats);
}

static int vum_get_servers(struct sk_buff *skb, struct genl_info *info)
{
	return vum_get(skb, info, VUM_CMD_GET_SERVERS, vum_put_servers);
}

static const struct nla_policy vum_policy[] = {
	[VUM_ATTR_UUID] = { .type = NLA_NUL_STRING, .len = UUID_STRING_LEN },
};

static const struct genl_small_ops vum_genl_ops[] = {
	{
		.cmd	= VUM_CMD_GET_DEVICE,
		.doit	= vum_get_device,
		.dumpit	= vum_dump_devices,
	},
	{
		.cmd	= VUM_CMD_GET_STATS,
		.doit	= vum_get_stats,
		.dumpit	= vum_dump_stats,
	},
	{
		.cmd	= VUM_CMD_GET_SERVERS,
		.doit	= vum_get_servers,
	},
};

static const struct genl_multicast_group vum_genl_groups[] = {
	{ .name = VUM_GENL_MCGRP_EVENTS },
};

static struct genl_family vum_genl __ro_after_init = {
	.name		= VUM_GENL_NAME,
	.version	= VUM_GENL_VERSION,
	.maxattr	= ARRAY_SIZE(vum_policy) - 1,
	.policy		= vum_policy,
	.module		= THIS_MODULE,
	.small_ops	= vum_genl_ops,
	.n_small_ops	= ARRAY_SIZE(vum_genl_ops),
	.resv_start_op	= VUM_CMD_GET_DEVICE,
	.mcgrps		= vum_genl_groups,
	.n_mcgrps	= ARRAY_SIZE(vum_genl_groups),
};

/**
 * vum_netlink_event - send an event to the family's listeners
 * @dev: device, whose connection is locked
 * @event: what has happened to it
 *
 * Called by way of vum_conn_event(). A listener that misses an event is told so by
 * netlink (ENOBUFS).
 */
void vum_netlink_event(struct vum_device *dev, enum vum_event event)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_ATOMIC);
	void *hdr;

	if (!skb) {
		genl_set_err(&vum_genl, &init_net, 0, 0, -ENOBUFS);
		return;
	}
	hdr = genlmsg_put(skb, 0, 0, &vum_genl, 0, VUM_CMD_EVENT);
	if (!hdr || nla_put_u32(skb, VUM_ATTR_EVENT, event) ||
	    vum_put_state(skb, dev)) {
		nlmsg_free(skb);
		genl_set_err(&vum_genl, &init_net, 0, 0, -ENOBUFS);
		return;
	}
	genlmsg_end(skb, hdr);
	genlmsg_multicast(&vum_genl, skb, 0, 0, GFP_ATOMIC);
}

/**
 * vum_netlink_add - add a device to those that netlink shows
 * @dev: device
 */
void vum_netlink_add(struct vum_device *dev)
{
	mutex_lock(&vum_netlink_lock);
	list_add_tail(&dev->node, &vum_devices);
	vum_devices_seq++;
	mutex_unlock(&vum_netlink_lock);
}

/**
 * vum_netlink_del - remove a device from those that netlink shows
 * @dev: device
 */
void vum_netlink_del(struct vum_device *dev)
{
	mutex_lock(&vum_netlink_lock);
	list_del(&dev->node);
	vum_devices_seq++;
	mutex_unlock(&vum_netlink_lock);
}

int __init vum_netlink_init(void)
{
	return genl_register_family(&vum_genl);
}

void vum_netlink_exit(void)
{
	genl_unregister_family(&vum_genl);
}
