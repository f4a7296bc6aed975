/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the DMA window, the file by which a server maps the consumer's
 * memory.
 */
#ifndef VUM_DMA_WINDOW_H
#define VUM_DMA_WINDOW_H

#include <linux/types.h>

struct file;
struct vum_device;

struct file *vum_window_new(struct vum_device *dev, u32 session);

#endif /* VUM_DMA_WINDOW_H */
