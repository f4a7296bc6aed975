/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: giving the consumer's memory back.
 */
#ifndef VUM_DMA_UNPIN_H
#define VUM_DMA_UNPIN_H

#include "dma.h"

struct vfio_device;

void vum_dma_unpin_init(struct vum_dma *dma);
void vum_dma_unpin_exit(struct vum_dma *dma);
void vum_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length);

#endif /* VUM_DMA_UNPIN_H */
