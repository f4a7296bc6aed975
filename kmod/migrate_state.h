/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the state of a device that is migrated.
 */
#ifndef VUM_MIGRATE_STATE_H
#define VUM_MIGRATE_STATE_H

#include <linux/types.h>
#include <linux/vfio.h>

#include "message.h"

struct vum_device;

/**
 * struct vum_mig_file - a data file: a session in which a state is saved or loaded
 * @dev: device, with a reference
 * @session: the attachment whose server saves or loads
 * @over: the device has left the states in which data flow; conn's lock guards it
 * @busy: bit 0: a task reads or writes, and may wait for its own memory or for the server,
 *	so that data keep their order; what follows belongs to it
 * @lost: some of the data got neither to the consumer nor to the server
 * @cut: the server's last reply had less than it was asked for
 * @drained: the server has no more
 * @bytes: number of bytes that have been read
 */
struct vum_mig_file {
	struct vum_device *dev;
	u32 session;
	bool over;
	unsigned long busy;
	bool lost;
	bool cut;
	bool drained;
	u64 bytes;
};

/* Where the data of a request from vum_mig_new_write() go. */
static inline void *vum_mig_data(struct vum_req *req)
{
	return ((struct vfio_user_mig_data *)req->msg.payload)->data;
}

int vum_mig_claim(struct vum_device *dev, unsigned long *busy);
void vum_mig_unclaim(struct vum_device *dev, unsigned long *busy);
bool vum_mig_flows(enum vfio_device_mig_state state);
void vum_mig_enter(struct vum_device *dev, enum vfio_device_mig_state state);
int vum_mig_ask(struct vum_device *dev, enum vum_req_kind kind, u32 session, u32 *state);
int vum_mig_begin(struct vum_device *dev);
void vum_mig_end(struct vum_device *dev);
enum vfio_device_mig_state vum_mig_state(struct vum_device *dev);
size_t vum_mig_chunk(const struct vum_device *dev, size_t len);
int vum_mig_call(struct vum_device *dev, u32 session, struct vum_req *req);
int vum_mig_tell(struct vum_device *dev, enum vum_req_kind kind, u32 session, u32 state);
void vum_mig_tell_async(struct vum_device *dev, u32 state);
struct vum_req *vum_mig_fetch(struct vum_device *dev, enum vum_req_kind kind, u32 session,
			      size_t len);
struct vum_req *vum_mig_new_write(enum vum_req_kind kind, size_t len);

#endif /* VUM_MIGRATE_STATE_H */
