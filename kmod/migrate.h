/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: live migration.
 */
#ifndef VUM_MIGRATE_H
#define VUM_MIGRATE_H

#include <linux/types.h>
#include <linux/vfio.h>

struct vum_device;
struct vum_mig_file;

/* Least max_data_xfer_size, in bytes, by which a device is migrated. */
#define VUM_MIG_LEAST	64

/**
 * struct vum_mig - how far a device's migration is
 * @busy: bit 0: a state, data or a reset are being asked for
 * @state: the state that the device is in; conn's lock guards this and the following
 * @session: the attachment whose server is in that state, unless it is RUNNING
 * @file: the data file of this state, on which it has no reference, or NULL
 * @bytes: size of the state when it was last saved
 * @able: the present server can save and load its device
 */
struct vum_mig {
	unsigned long busy;
	enum vfio_device_mig_state state;
	u32 session;
	struct vum_mig_file *file;
	u64 bytes;
	bool able;
};

void vum_mig_init(struct vum_device *dev);
void vum_mig_offer(struct vum_device *dev, u64 flags);
int vum_mig_reset(struct vum_device *dev, int (*reset)(struct vum_device *dev));
bool vum_mig_stopped(struct vum_device *dev);
void vum_mig_close(struct vum_device *dev);

#endif /* VUM_MIGRATE_H */
