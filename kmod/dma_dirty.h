/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: telling the consumer which of its pages the server has written.
 */
#ifndef VUM_DMA_DIRTY_H
#define VUM_DMA_DIRTY_H

#include <linux/types.h>

struct vum_device;

void vum_dirty_init(struct vum_device *dev);
void vum_dirty_end(struct vum_device *dev);
void vum_dirty_share(struct vum_device *dev, u32 session);

#endif /* VUM_DMA_DIRTY_H */
