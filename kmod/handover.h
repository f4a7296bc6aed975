/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: handing a device from one server to another.
 */
#ifndef VUM_HANDOVER_H
#define VUM_HANDOVER_H

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/un.h>
#include <linux/workqueue.h>

struct vum_device;

/**
 * struct vum_saved - a state on its way from one server to another
 * @ref: one reference of the handover's, one of an attachment's that loads it
 * @reqs: requests whose replies are the state
 * @bytes: size of the state
 * @memory: about what all of it takes, in bytes
 */
struct vum_saved {
	refcount_t ref;
	struct list_head reqs;
	u64 bytes;
	u64 memory;
};

/**
 * struct vum_handover - the handover that is under way, or the last one
 * @runs: one is under way; set with conn's lock held. What follows belongs to the worker
 *	until it is cleared
 * @work: work item that does it
 * @socket: where the other server listens
 * @until: when what is under way has to be over, in jiffies
 * @stopped: the present server has been told to stop, and takes nothing but questions
 * @saved: the state that the next attachment's server has to load, with a reference, or
 *	NULL; conn's lock guards this and the next two
 * @taken: a server is told to run with that state, and whether it does is not known yet
 * @loaded: the attachment whose server has done so, or 0
 * @pause_us: how long consumers' requests had to wait
 * @ret: what came of it: 0 or an error
 * @why: the reason for an error
 */
struct vum_handover {
	bool runs;
	struct work_struct work;
	char socket[UNIX_PATH_MAX];
	unsigned long until;
	bool stopped;
	struct vum_saved *saved;
	bool taken;
	u32 loaded;
	s64 pause_us;
	int ret;
	char why[128];
};

/* How much time is left, in milliseconds, at least one. */
static inline u32 vum_handover_left(const struct vum_handover *ho)
{
	long left = READ_ONCE(ho->until) - jiffies;

	return left > 0 ? max(1U, jiffies_to_msecs(left)) : 1;
}

void vum_handover_init(struct vum_device *dev);
int vum_handover(struct vum_device *dev, const char *socket);
struct vum_saved *vum_handover_saved(struct vum_device *dev);
void vum_saved_put(struct vum_saved *saved);
const char *vum_handover_load(struct vum_device *dev, u32 session,
			      const struct vum_saved *saved);
const char *vum_handover_run(struct vum_device *dev, u32 session,
			     const struct vum_saved *saved);

#endif /* VUM_HANDOVER_H */
