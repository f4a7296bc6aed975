/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the generic netlink family, and the list of devices that it
 * shows.
 */
#ifndef VUM_NETLINK_H
#define VUM_NETLINK_H

#include "vfio_user_mdev.h"

struct vum_device;

int vum_netlink_init(void);
void vum_netlink_exit(void);
void vum_netlink_add(struct vum_device *dev);
void vum_netlink_del(struct vum_device *dev);
void vum_netlink_event(struct vum_device *dev, enum vum_event event);

#endif /* VUM_NETLINK_H */
