/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: IOMMU groups in type1 containers, and when a device may leave.
 */
#ifndef VUM_DMA_GROUP_H
#define VUM_DMA_GROUP_H

struct iommu_group;
struct vum_device;

/* For the observer. */
void vum_group_add(const void *iommu, const struct iommu_group *group);
void vum_group_remove(const void *iommu, const struct iommu_group *group);
void vum_group_remove_all(const void *iommu);

/* For a device, from its registration with VFIO to its removal. */
void vum_group_own(struct vum_device *dev);
void vum_group_disown(struct vum_device *dev);
void vum_group_wait_idle(struct vum_device *dev);

#endif /* VUM_DMA_GROUP_H */
