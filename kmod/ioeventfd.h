/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: writes that a consumer causes by signalling an eventfd.
 */
#ifndef VUM_IOEVENTFD_H
#define VUM_IOEVENTFD_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/vfio.h>

struct vum_device;

/**
 * struct vum_ioeventfds - the ioeventfds of a device
 * @lock: guards @list
 * @list: struct vum_ioeventfd
 */
struct vum_ioeventfds {
	struct mutex lock; /* see above */
	struct list_head list;
};

long vum_ioeventfd_set(struct vum_device *dev,
		       struct vfio_device_ioeventfd __user *arg);
void vum_ioeventfd_catch_up(struct vum_device *dev, u32 session);
void vum_ioeventfd_release(struct vum_device *dev);

#endif /* VUM_IOEVENTFD_H */
