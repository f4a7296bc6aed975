/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: type1 containers (container.c), and who sees what happens to
 * them (observe.c).
 */
#ifndef VUM_DMA_CONTAINER_H
#define VUM_DMA_CONTAINER_H

#include "vum.h"

/**
 * struct vum_call - an ioctl that is under way
 * @node: in container->unmaps, if it is an unmap
 * @iommu: VFIO's name for the container
 * @seq: container's, when the call began
 * @task: who calls
 * @cmd: VFIO_IOMMU_MAP_DMA, for example
 * @uarg: where the argument is
 * @unread: it could not be read
 * @map: the argument of VFIO_IOMMU_MAP_DMA
 * @unmap: that of VFIO_IOMMU_UNMAP_DMA
 */
struct vum_call {
	struct list_head node;
	const void *iommu;
	u64 seq;
	const struct task_struct *task;
	unsigned int cmd;
	unsigned long uarg;
	bool unread;
	union {
		struct vfio_iommu_type1_dma_map map;
		struct vfio_iommu_type1_dma_unmap unmap;
	};
};

bool vum_container_call_begin(struct vum_call *call);
struct file *vum_container_call_end(struct vum_call *call, long ret);
void vum_container_open(const void *iommu);
void vum_container_release(const void *iommu);
void vum_container_add_group(const void *iommu, const struct iommu_group *group);
void vum_container_remove_group(const void *iommu, const struct iommu_group *group);
void vum_container_bind(const void *iommu, struct vum_device *dev);
void vum_container_exit(void);

int vum_observe_missed(void);
const char *vum_observe_why_not(void);

#endif /* VUM_DMA_CONTAINER_H */
