/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the data file of a migration.
 */
#ifndef VUM_MIGRATE_DATA_H
#define VUM_MIGRATE_DATA_H

#include <linux/types.h>

struct file;
struct vum_device;

struct file *vum_mig_open(struct vum_device *dev, bool load);

#endif /* VUM_MIGRATE_DATA_H */
