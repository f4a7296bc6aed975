/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: handing a device from one server to another.
 */
#ifndef VUM_HANDOVER_H
#define VUM_HANDOVER_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/un.h>
#include <linux/workqueue.h>

struct vum_device;

/**
 * struct vum_handover - the handover that is under way, or the last one
 * @runs: one is under way; set with conn's lock held. What follows belongs to the worker
 *	until it is cleared
 * @work: work item that does it
 * @socket: where the other server listens
 * @state: requests whose replies are the state
 * @bytes: size of the state
 * @waits: the next attachment's server is to load the state
 * @loaded: the attachment whose server has done so
 * @pause_us: how long consumers' requests had to wait
 * @ret: what came of it: 0 or an error
 * @why: the reason for an error
 */
struct vum_handover {
	bool runs;
	struct work_struct work;
	char socket[UNIX_PATH_MAX];
	struct list_head state;
	u64 bytes;
	bool waits;
	u32 loaded;
	s64 pause_us;
	int ret;
	char why[128];
};

void vum_handover_init(struct vum_device *dev);
int vum_handover(struct vum_device *dev, const char *socket);
const char *vum_handover_load(struct vum_device *dev, u32 session);
const char *vum_handover_run(struct vum_device *dev, u32 session);

#endif /* VUM_HANDOVER_H */
