/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: type1 containers, and what is mapped in them.
 */
#ifndef VUM_DMA_CONTAINER_H
#define VUM_DMA_CONTAINER_H

#include <linux/list.h>
#include <linux/vfio.h>

#include "dma_mapping.h"

struct iommu_group;
struct vum_container;
struct vum_device;

/* Maps and unmaps that can be followed at a time; see dma_container.c. */
#define VUM_CALLS_MAX		1024
/* As many of each container can be followed whatever other containers do. */
#define VUM_CONTAINER_SURE	2

/**
 * struct vum_member - a device's place in its consumer's container
 * @container: the container, if it is observed
 * @node: in container->devices
 * @type1: the container is one of type1, observed or not
 * @gen: grows whenever the consumer maps or unmaps
 * @group: the device's IOMMU group, to be compared only; dma_group.c's lock guards it
 * @group_node: in the list of such groups, likewise
 *
 * The lock in dma_container.c guards the rest.
 */
struct vum_member {
	struct vum_container *container;
	struct list_head node;
	bool type1;
	unsigned long gen;
	const struct iommu_group *group;
	struct list_head group_node;
};

/**
 * struct vum_call - an ioctl of a container's that is under way
 * @node: in container->unmaps, if it is VFIO_IOMMU_UNMAP_DMA
 * @iommu: VFIO's name for the container
 * @id: this module's name for it
 * @seq: the container's sequence number when this call began
 * @task: the caller
 * @cmd: the ioctl's number, VFIO_IOMMU_MAP_DMA for example
 * @uarg: the address of the argument
 * @unread: the argument could not be read
 * @sure: no more than VUM_CONTAINER_SURE tasks of this container wait for the servers
 * @map: the argument of VFIO_IOMMU_MAP_DMA
 * @unmap: the argument of VFIO_IOMMU_UNMAP_DMA
 */
struct vum_call {
	struct list_head node;
	const void *iommu;
	unsigned long id;
	u64 seq;
	const struct task_struct *task;
	unsigned int cmd;
	unsigned long uarg;
	bool unread;
	bool sure;
	union {
		struct vfio_iommu_type1_dma_map map;
		struct vfio_iommu_type1_dma_unmap unmap;
	};
};

/**
 * struct vum_probe_state - what shows whether the observer misses ioctls
 * @missed: number of those that it has missed
 * @text: the code at which the probe is
 * @unarmed: what @text holds while the probe is not armed, which any administrator can
 *	bring about, by debugfs or sysctl
 */
struct vum_probe_state {
	const int *missed;
	const u32 *text;
	u32 unarmed;
};

extern struct vum_probe_state vum_probe_state;

/* For the observer. */
void vum_container_observe(const char *why_not, const struct vum_probe_state *state);
void vum_container_exit(void);
bool vum_container_call_begin(struct vum_call *call);
bool vum_container_call_end(struct vum_call *call, long ret);
void vum_container_waited(unsigned long id, bool heard, const char *why);
void vum_container_open(const void *iommu);
void vum_container_own(const void *iommu);
void vum_container_release(const void *iommu);
void vum_container_bind(const void *iommu, struct vum_device *dev);

/* For a consumer that has mapped something. */
bool vum_container_unsplit(unsigned long id, struct vum_mapping *map, u64 *vaddr);
void vum_container_split(unsigned long id, struct vum_mapping *parts, unsigned int nr,
			 const char *why);

/* For a device's consumer and its server. */
void vum_container_unbind(struct vum_device *dev);
bool vum_container_in_use(const void *iommu, bool touch);
int vum_container_unmapping(struct vum_device *dev, unsigned long index,
			    unsigned long nr);
void vum_container_check_unmap(struct vum_device *dev, u64 iova, u64 last);
u64 vum_container_vaddr(struct vum_device *dev, unsigned long index);
int vum_container_wait_unmapped(struct vum_device *dev, unsigned long index,
				long timeout);
const char *vum_container_snapshot(struct vum_device *dev, bool files,
				   struct vum_mapping **maps, unsigned int *nr);
unsigned long vum_container_gen(void);
struct vum_device *
vum_container_find_device(unsigned long id,
			  bool (*wanted)(const struct vum_device *dev, unsigned long gen),
			  unsigned long gen);

/*
 * Has the observer been disarmed? Only for a device whose container is observed: then
 * the code is in memory.
 */
static inline bool vum_probes_unarmed(void)
{
	return READ_ONCE(*vum_probe_state.text) == vum_probe_state.unarmed;
}

#endif /* VUM_DMA_CONTAINER_H */
