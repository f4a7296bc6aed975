/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: counters and latencies of a device.
 */
#ifndef VUM_STATS_H
#define VUM_STATS_H

#include <linux/percpu.h>

#include "vfio_user.h"
#include "vfio_user_mdev.h"

/**
 * struct vum_latency - how long replies took, on one CPU
 * @count: replies by command and by the logarithm of the time, see VUM_LATENCY_*
 */
struct vum_latency {
	u64 count[VUM_LATENCY_CMDS][VUM_LATENCY_BUCKETS];
};

/**
 * struct vum_stats - counters of a device, as netlink shows them
 * @requests: messages queued for the server
 * @aborted: requests that ended without a reply
 * @errors: replies with an error
 * @attaches: servers attached
 * @refused: of @errors, by command: how many, and the errno of the last
 */
struct vum_stats {
	u64 requests;
	u64 aborted;
	u64 errors;
	u64 attaches;
	struct {
		u32 count;
		u32 error_no;
	} refused[VUM_LATENCY_CMDS];
};

void vum_stats_refused(struct vum_stats *stats, const struct vfio_user_header *reply);
int vum_latency_begin(struct vum_latency __percpu **latency);
void vum_latency_add(struct vum_latency __percpu *latency, u16 cmd, u64 since);
bool vum_latency_sum(const struct vum_latency __percpu *latency, u32 cmd,
		     u64 *counts);

#endif /* VUM_STATS_H */
