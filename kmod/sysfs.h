/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: attributes in sysfs.
 */
#ifndef VUM_SYSFS_H
#define VUM_SYSFS_H

struct attribute_group;

extern const struct attribute_group *vum_mdev_groups[];
extern const struct attribute_group *vum_parent_groups[];

#endif /* VUM_SYSFS_H */
