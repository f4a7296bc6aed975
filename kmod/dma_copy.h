/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: copying from and to the consumer's memory.
 */
#ifndef VUM_DMA_COPY_H
#define VUM_DMA_COPY_H

#include <linux/types.h>

struct vum_device;

bool vum_dma_reachable(struct vum_device *dev, u32 session);
bool vum_dma_at_hand(struct vum_device *dev, u64 iova, int need, unsigned long *pfn);
size_t vum_dma_copy_pinned(struct vum_device *dev, u32 session, u64 iova,
			   char __user *to, const char __user *from, size_t len);
size_t vum_dma_copy_at_hand(struct vum_device *dev, u32 session, u64 iova, void *buf,
			    size_t len, bool write);
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write);

#endif /* VUM_DMA_COPY_H */
