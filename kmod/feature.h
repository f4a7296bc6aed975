/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: VFIO_DEVICE_FEATURE.
 */
#ifndef VUM_FEATURE_H
#define VUM_FEATURE_H

#include <linux/types.h>

struct vfio_device;

int vum_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
		size_t argsz);

#endif /* VUM_FEATURE_H */
