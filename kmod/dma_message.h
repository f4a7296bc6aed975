/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: DMA_READ and DMA_WRITE.
 */
#ifndef VUM_DMA_MESSAGE_H
#define VUM_DMA_MESSAGE_H

#include "message.h"

bool vum_dma_answer_now(struct vum_device *dev, struct vum_msg *msg);
void vum_dma_message_init(struct vum_device *dev);
void vum_dma_message_exit(struct vum_device *dev);

#endif /* VUM_DMA_MESSAGE_H */
