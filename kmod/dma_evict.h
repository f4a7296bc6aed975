/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: how many pages may be pinned.
 */
#ifndef VUM_DMA_EVICT_H
#define VUM_DMA_EVICT_H

#include "dma.h"

struct vum_device;

void vum_evict_init(struct vum_evict *evict);
void vum_evict_open(struct vum_dma *dma);
void vum_evict_close(struct vum_dma *dma);
unsigned long vum_evict_bound(const struct vum_dma *dma);
void vum_evict_make_room(struct vum_device *dev, unsigned long nr);
bool vum_evict_at_limit(struct vum_device *dev, unsigned int tries);
void vum_evict_tried(struct vum_device *dev, bool helped);
bool vum_evict_give_back(struct vum_device *dev);
void vum_evict_set_max(struct vum_device *dev, u64 max_pinned);
int vum_evict_begin(void);
void vum_evict_end(void);

#endif /* VUM_DMA_EVICT_H */
