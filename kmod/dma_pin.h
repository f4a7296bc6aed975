/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: pinning the consumer's memory.
 */
#ifndef VUM_DMA_PIN_H
#define VUM_DMA_PIN_H

#include "dma.h"

struct vum_device;

void vum_dma_pin_init(struct vum_dma *dma);
void vum_dma_pin_exit(struct vum_dma *dma);
int vum_dma_pin(struct vum_device *dev, u32 session, unsigned long index, int need,
		const struct vum_copy *copy);

#endif /* VUM_DMA_PIN_H */
