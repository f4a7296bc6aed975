/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: regions in a consumer's address space.
 */
#ifndef VUM_REGION_MMAP_H
#define VUM_REGION_MMAP_H

#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "shape.h"

struct inode;
struct vfio_device;
struct vm_area_struct;
struct vum_device;

/**
 * struct vum_region_mmap - what a device's consumer has mapped of its regions
 * @lock: guards all that follows, and the files of dev->shape
 * @inode: the inode of all files that are mapped, whose offsets are those of the
 *	device's file; NULL before anything is mapped
 * @pages: the pages that have been touched, by offset in pages; each entry holds
 *	a reference
 * @touched: the regions that have pages in @pages
 * @look: looks after holes in the server's files
 */
struct vum_region_mmap {
	struct mutex lock; /* see above */
	struct inode *inode;
	struct xarray pages;
	DECLARE_BITMAP(touched, VUM_MAX_REGIONS);
	struct delayed_work look;
};

void vum_region_mmap_init(struct vum_device *dev);
void vum_region_mmap_exit(struct vum_device *dev);
int vum_region_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);
void vum_region_mmap_adopt(struct vum_device *dev, struct vum_shape *shape);
void vum_region_mmap_look(struct vum_device *dev);
void vum_region_mmap_pause(struct vum_device *dev);
void vum_region_mmap_close(struct vum_device *dev);

#endif /* VUM_REGION_MMAP_H */
