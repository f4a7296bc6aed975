/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: a consumer's reads and writes of regions.
 */
#ifndef VUM_REGION_H
#define VUM_REGION_H

#include <linux/types.h>

struct vfio_device;

ssize_t vum_region_read(struct vfio_device *vdev, char __user *buf,
			size_t count, loff_t *ppos);
ssize_t vum_region_write(struct vfio_device *vdev, const char __user *buf,
			 size_t count, loff_t *ppos);

#endif /* VUM_REGION_H */
