/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the shape of a server's device: its regions and IRQ indexes, as
 * the server describes them.
 */
#ifndef VUM_SHAPE_H
#define VUM_SHAPE_H

#include <linux/gfp_types.h>
#include <linux/vfio.h>

struct vum_msg;

#define VUM_MAX_REGIONS		64
/* Region i begins at offset i << VUM_REGION_SHIFT of the device's file. */
#define VUM_REGION_SHIFT	40
#define VUM_MAX_IRQ_INDEXES	16
#define VUM_MAX_IRQS		2048

/**
 * struct vum_region - a region as the server describes it
 * @size: in bytes; 0 if there is no such region
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE, and _MMAP if there is a @file
 * @caps: the capabilities that it has, BIT(VFIO_REGION_INFO_CAP_*)
 * @type: of VFIO_REGION_INFO_CAP_TYPE
 * @subtype: of VFIO_REGION_INFO_CAP_TYPE
 * @nr_areas: number of entries in @areas
 * @areas: of VFIO_REGION_INFO_CAP_SPARSE_MMAP: whole pages, which do not overlap
 * @file: the server's file that shows the region, or NULL
 * @offset: where the region begins in @file, in bytes
 * @inode: the inode of @file, once a page of the region has been touched; else NULL
 * @version: what inode_peek_iversion_raw() of @inode was when pages were last looked at
 */
struct vum_region {
	u64 size;
	u32 flags;
	u32 caps;
	u32 type;
	u32 subtype;
	u32 nr_areas;
	struct vfio_region_sparse_mmap_area *areas;
	struct file *file;
	u64 offset;
	struct inode *inode;
	u64 version;
};

/**
 * struct vum_irq - an IRQ index as the server describes it
 * @flags: VFIO_IRQ_INFO_*
 * @count: number of sub-indexes
 */
struct vum_irq {
	u32 flags;
	u32 count;
};

/**
 * struct vum_shape - what a server replied to DEVICE_GET_INFO and its companions
 * @flags: VFIO_DEVICE_FLAGS_*
 * @num_regions: at least VFIO_PCI_NUM_REGIONS
 * @num_irqs: at least VFIO_PCI_NUM_IRQS
 * @memory_bars: the regions that are memory BARs, as a bitmap
 * @interrupt_pin: the register of that name in configuration space
 * @irqs: an index that the server does not have has a count of 0
 * @regions: a region that the server does not have has a size of 0
 *
 * A device's shape is fixed while a consumer has the device open, but for the files
 * of its regions: see region_mmap.c.
 */
struct vum_shape {
	u32 flags;
	u32 num_regions;
	u32 num_irqs;
	u32 memory_bars;
	u8 interrupt_pin;
	struct vum_irq irqs[VUM_MAX_IRQ_INDEXES];
	struct vum_region regions[];
};

struct vum_shape *vum_shape_alloc(u32 num_regions, gfp_t gfp);
void vum_shape_free(struct vum_shape *shape);
bool vum_shape_same(const struct vum_shape *a, const struct vum_shape *b);
const char *vum_region_take(struct vum_region *region, u32 index,
			    const struct vum_msg *reply, const char **lack);
int vum_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
		    struct vfio_info_cap *caps);

#endif /* VUM_SHAPE_H */
