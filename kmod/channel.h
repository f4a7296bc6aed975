/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the channel, the helper's door to a device.
 */
#ifndef VUM_CHANNEL_H
#define VUM_CHANNEL_H

#include <linux/cdev.h>
#include <linux/device.h>

struct vum_device;

/**
 * struct vum_channel - /dev/vfio-user/<uuid>
 * @stale: the mdev has got another socket since; conn's lock guards this and @opened
 * @opened: a process has the channel open
 * @cdev: the character device
 * @chrdev: its struct device, which holds a reference on the vfio device
 */
struct vum_channel {
	bool stale;
	bool opened;
	struct cdev cdev;
	struct device chrdev;
};

extern struct class vum_class;

int vum_channel_chrdev_init(void);
void vum_channel_chrdev_exit(void);
int vum_channel_add(struct vum_device *dev);
void vum_channel_del(struct vum_device *dev);

#endif /* VUM_CHANNEL_H */
