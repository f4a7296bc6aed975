// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: figures for operators: counters, and how long replies take.
 */

#include <net/netlink.h>

#include "vum.h"

int vum_put_counters(struct sk_buff *skb, const struct vum_stats *stats)
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

/**
 * vum_stats_begin - a device is used: measure how long replies take
 * @dev: device
 *
 * Idle ones have no memory for that. What has begun goes on.
 *
 * Returns 0 or -ENOMEM.
 */
int vum_stats_begin(struct vum_device *dev)
{
	struct vum_latency __percpu *latency;
	struct vum_channel *ch = &dev->ch;

	if (ch->latency)
		return 0;
	latency = alloc_percpu_gfp(struct vum_latency, GFP_KERNEL_ACCOUNT);
	if (!latency)
		return -ENOMEM;
	/* Not before it is all zeroes. */
	smp_store_release(&ch->latency, latency);
	return 0;
}

void vum_stats_exit(struct vum_device *dev)
{
	free_percpu(dev->ch.latency);
}

/* Returns whether there has been any reply. */
static bool vum_latency_sum(const struct vum_latency __percpu *latency, u32 cmd,
			    u64 *counts)
{
	bool any = false;
	int cpu, i;

	memset(counts, 0, VUM_LATENCY_BUCKETS * sizeof(*counts));
	for_each_possible_cpu(cpu) {
		const struct vum_latency *l = per_cpu_ptr(latency, cpu);

		for (i = 0; i < VUM_LATENCY_BUCKETS; i++) {
			counts[i] += READ_ONCE(l->count[cmd][i]);
			any |= !!counts[i];
		}
	}
	return any;
}

static int vum_put_latency(struct sk_buff *skb, const struct vum_channel *ch)
{
	const struct vum_latency __percpu *latency = READ_ONCE(ch->latency);
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

/**
 * vum_put_stats - what VUM_CMD_GET_STATS answers of a device
 * @skb: goes there
 * @dev: device
 */
int vum_put_stats(struct sk_buff *skb, struct vum_device *dev)
{
	struct vum_stats stats;

	vum_lock(&dev->ch);
	stats = dev->ch.stats;
	vum_unlock(&dev->ch);
	return nla_put_string(skb, VUM_ATTR_UUID, dev->uuid) ?:
	       vum_put_counters(skb, &stats) ?:
	       vum_put_latency(skb, &dev->ch);
}
