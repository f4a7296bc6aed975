/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the observer, which sees from outside what consumers map.
 */
#ifndef VUM_DMA_OBSERVE_H
#define VUM_DMA_OBSERVE_H

struct vfio_device_ops;

void vum_observe_init(const struct vfio_device_ops *ops);
void vum_observe_exit(void);

#endif /* VUM_DMA_OBSERVE_H */
