/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the DMA window, the file by which a server maps the consumer's
 * memory.
 */
#ifndef VUM_DMA_WINDOW_H
#define VUM_DMA_WINDOW_H

#include <linux/limits.h>
#include <linux/mm.h>

struct file;
struct vum_device;

/* Bytes of IOVAs that a window can show: a file's offset ends at 2^63. */
#define VUM_WINDOW_SIZE		((u64)LLONG_MAX & PAGE_MASK)

struct file *vum_window_new(struct vum_device *dev);

#endif /* VUM_DMA_WINDOW_H */
