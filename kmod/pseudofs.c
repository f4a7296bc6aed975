// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: files of the module's own. Each inode is for one device only, so
 * that its pages can be taken away from every process that has mapped them.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "pseudofs.h"

#define VUM_PSEUDOFS_MAGIC	0x56554d44

static struct vfsmount *vum_pseudofs_mnt;

/**
 * vum_pseudofs_inode - create an inode
 * @dev: device that the inode is for; no reference is taken
 * @size: size of its files, in bytes
 *
 * Return: the inode, with a reference for the caller; or -ENOMEM.
 */
struct inode *vum_pseudofs_inode(struct vum_device *dev, loff_t size)
{
	struct inode *inode = alloc_anon_inode(vum_pseudofs_mnt->mnt_sb);

	if (IS_ERR(inode))
		return inode;
	inode->i_private = dev;
	i_size_write(inode, size);
	return inode;
}

/**
 * vum_pseudofs_file - create a file
 * @inode: inode; the caller's reference goes to the file, or is dropped on error
 * @name: name of the file in /proc/<pid>/maps
 * @fops: file operations, whose owner is this module
 *
 * Return: the file, with a reference for the caller; -ENODEV if the module is being
 * unloaded; or an error as alloc_file_pseudo().
 */
struct file *vum_pseudofs_file(struct inode *inode, const char *name,
			       const struct file_operations *fops)
{
	struct file *file;

	if (!try_module_get(THIS_MODULE)) {
		iput(inode);
		return ERR_PTR(-ENODEV);
	}
	file = alloc_file_pseudo(inode, vum_pseudofs_mnt, name, O_RDWR, fops);
	if (IS_ERR(file)) {
		iput(inode);
		module_put(THIS_MODULE);
	}
	return file;
}

static int vum_pseudofs_init_fs(struct fs_context *fc)
{
	return init_pseudo(fc, VUM_PSEUDOFS_MAGIC) ? 0 : -ENOMEM;
}

/* No .owner: the mount would pin the module, whose exit is what ends the mount. */
static struct file_system_type vum_pseudofs = {
	.name		= "vfio_user_mdev",
	.init_fs_context = vum_pseudofs_init_fs,
	.kill_sb	= kill_anon_super,
};

int vum_pseudofs_init(void)
{
	vum_pseudofs_mnt = kern_mount(&vum_pseudofs);
	return PTR_ERR_OR_ZERO(vum_pseudofs_mnt);
}

void vum_pseudofs_exit(void)
{
	kern_unmount(vum_pseudofs_mnt);
}
