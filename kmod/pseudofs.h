/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: files that are in no directory.
 */
#ifndef VUM_PSEUDOFS_H
#define VUM_PSEUDOFS_H

#include <linux/types.h>

struct file;
struct file_operations;
struct inode;
struct vum_device;

int vum_pseudofs_init(void);
void vum_pseudofs_exit(void);
struct inode *vum_pseudofs_inode(struct vum_device *dev, loff_t size);
struct file *vum_pseudofs_file(struct inode *inode, const char *name,
			       const struct file_operations *fops);

#endif /* VUM_PSEUDOFS_H */
