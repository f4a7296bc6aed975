// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: how long replies take, counted without a lock.
 */

#include <linux/bitops.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "stats.h"

/**
 * vum_stats_refused - count a reply with an error
 * @stats: counters
 * @reply: the reply's header, of a command that the module knows
 */
void vum_stats_refused(struct vum_stats *stats, const struct vfio_user_header *reply)
{
	stats->errors++;
	stats->refused[reply->cmd].count++;
	stats->refused[reply->cmd].error_no = reply->error_no;
}

/**
 * vum_latency_begin - allocate latency counters, unless that has been done
 * @latency: where the counters are kept
 *
 * Only a device that has had a consumer has them, since they take some memory on
 * each CPU.
 *
 * Return: 0 or -ENOMEM.
 */
int vum_latency_begin(struct vum_latency __percpu **latency)
{
	struct vum_latency __percpu *counters;

	if (*latency)
		return 0;
	counters = alloc_percpu_gfp(struct vum_latency, GFP_KERNEL_ACCOUNT);
	if (!counters)
		return -ENOMEM;
	/* Other CPUs must not see the pointer before the zeroes. */
	smp_store_release(latency, counters);
	return 0;
}

/**
 * vum_latency_add - count a reply
 * @latency: counters, or NULL
 * @cmd: command of the request
 * @since: ktime_get_ns() when the request was queued
 */
void vum_latency_add(struct vum_latency __percpu *latency, u16 cmd, u64 since)
{
	unsigned int bucket;
	u64 units;

	if (!latency)
		return;
	units = (ktime_get_ns() - since) >> VUM_LATENCY_SHIFT;
	bucket = min_t(unsigned int, fls64(units), VUM_LATENCY_BUCKETS - 1);
	this_cpu_inc(latency->count[cmd][bucket]);
}

/**
 * vum_latency_sum - sum a command's counters over all CPUs
 * @latency: counters
 * @cmd: command
 * @counts: VUM_LATENCY_BUCKETS sums
 *
 * Return: true if there has been any reply to @cmd.
 */
bool vum_latency_sum(const struct vum_latency __percpu *latency, u32 cmd,
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
