/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The newer way to a VFIO device: by a node of its own, with memory from an
 * iommufd. For consumer.c, and for cases that are about just that.
 */
#ifndef VUM_LIB_CDEV_H
#define VUM_LIB_CDEV_H

#include "world.h"

/*
 * /dev/iommu, with an IOAS that its VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA
 * are about; fails the case.
 */
int cdev_iommufd(void);
/* Another, empty, in the place of that. */
void cdev_new_ioas(int iommufd);
/*
 * The device, bound to the iommufd, with that IOAS as its memory; or -errno:
 * -ENODEV if there is none any more, or what VFIO_DEVICE_BIND_IOMMUFD says.
 */
int cdev_device(int iommufd, const struct world *w);
/* What the device has for memory from now on: that IOAS, or nothing. */
void cdev_attach(int device, int iommufd);
void cdev_detach(int device);

#endif /* VUM_LIB_CDEV_H */
