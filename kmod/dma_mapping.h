/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: mappings of a consumer's memory, and the files behind them.
 */
#ifndef VUM_DMA_MAPPING_H
#define VUM_DMA_MAPPING_H

#include <linux/types.h>

struct file;

/* Most parts of one mapping that can have files of their own. */
#define VUM_MAPPING_PARTS	64U

/**
 * struct vum_mapping - a range of IOVAs, with the consumer's memory behind it
 * @iova: first byte
 * @size: in bytes
 * @prot: VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, which have the values of
 *	IOMMU_READ, IOMMU_WRITE and of VFIO_USER_F_DMA_REGION_READ, _WRITE
 * @file: for dma_mode=share: the file that the memory is in, with a reference; NULL if
 *	the server is to reach it by the window
 * @offset: of the first byte in @file
 * @why: why there is no @file, a string constant
 */
struct vum_mapping {
	u64 iova;
	u64 size;
	u32 prot;
	struct file *file;
	u64 offset;
	const char *why;
};

bool vum_mapping_same(const struct vum_mapping *a, const struct vum_mapping *b);
void vum_mappings_drop_files(struct vum_mapping *list, unsigned int nr);
const char *vum_mapping_split(const struct vum_mapping *map, u64 vaddr,
			      struct vum_mapping **parts, unsigned int *nr);

#endif /* VUM_DMA_MAPPING_H */
