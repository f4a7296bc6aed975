// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: IOMMU groups in type1 containers, and when a device may leave.
 *
 * This closes a hole in VFIO. When a device is removed, its group goes, and with the
 * last group the container (vfio_device_remove_group()): a task that is in an ioctl
 * of the container, or about to be, finds freed memory. QEMU closes the device first,
 * then unmaps, then takes the group out, so removal waits for that. The instant
 * between removal's last look and VFIO's own remains open, and so do ioctls that are not
 * followed: see VUM_CONTAINER_CALLS.
 */

#include <linux/iommu.h>
#include <linux/slab.h>

#include "device.h"
#include "dma_group.h"

/**
 * struct vum_group - an IOMMU group of any driver in a container
 * @node: in vum_groups
 * @iommu: VFIO's name for the container
 * @group: the group
 * @leaving: the group's mdev, which is one of this module's, is being removed
 */
struct vum_group {
	struct list_head node;
	const void *iommu;
	const struct iommu_group *group;
	bool leaving;
};

/* Probes take this lock, with preemption disabled; see dma_container.c. */
static DEFINE_SPINLOCK(vum_group_lock);
static LIST_HEAD(vum_groups);
/* The groups of this module's devices: member.group_node of each. */
static LIST_HEAD(vum_own_groups);
static DECLARE_WAIT_QUEUE_HEAD(vum_group_wait);

/**
 * vum_group_own - note that a device's group is one of this module's
 * @dev: device, registered with VFIO
 */
void vum_group_own(struct vum_device *dev)
{
	struct iommu_group *group = iommu_group_get(dev->vdev.dev);
	struct vum_group *g;
	unsigned long flags;

	spin_lock_irqsave(&vum_group_lock, flags);
	dev->member.group = group;
	list_add(&dev->member.group_node, &vum_own_groups);
	/* A consumer may have put the group into a container already. */
	list_for_each_entry(g, &vum_groups, node)
		if (g->group == group)
			vum_container_own(g->iommu);
	spin_unlock_irqrestore(&vum_group_lock, flags);
	iommu_group_put(group);
}

/**
 * vum_group_disown - forget a device's group
 * @dev: device, still registered with VFIO
 */
void vum_group_disown(struct vum_device *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&vum_group_lock, flags);
	list_del(&dev->member.group_node);
	spin_unlock_irqrestore(&vum_group_lock, flags);
}

static bool vum_group_is_own(const struct iommu_group *group)
{
	const struct vum_device *dev;

	lockdep_assert_held(&vum_group_lock);
	list_for_each_entry(dev, &vum_own_groups, member.group_node)
		if (dev->member.group == group)
			return true;
	return false;
}

/**
 * vum_group_add - note that a group has come into a container
 * @iommu: VFIO's name for the container
 * @group: group of any driver, not only of this module
 *
 * If there is no memory for that, removal will not wait for the group to leave.
 *
 * Context: any.
 */
void vum_group_add(const void *iommu, const struct iommu_group *group)
{
	struct vum_group *g = kzalloc(sizeof(*g), GFP_ATOMIC);
	unsigned long flags;

	spin_lock_irqsave(&vum_group_lock, flags);
	if (g) {
		g->iommu = iommu;
		g->group = group;
		list_add(&g->node, &vum_groups);
	}
	if (vum_group_is_own(group))
		vum_container_own(iommu);
	spin_unlock_irqrestore(&vum_group_lock, flags);
}

/* Forget @group in the container; NULL stands for any group, or for any container. */
static void vum_group_forget(const void *iommu, const struct iommu_group *group)
{
	struct vum_group *g, *next;
	unsigned long flags;

	spin_lock_irqsave(&vum_group_lock, flags);
	list_for_each_entry_safe(g, next, &vum_groups, node) {
		if ((iommu && g->iommu != iommu) || (group && g->group != group))
			continue;
		list_del(&g->node);
		kfree(g);
	}
	spin_unlock_irqrestore(&vum_group_lock, flags);
	wake_up_all(&vum_group_wait);
}

/**
 * vum_group_remove - note that a group leaves a container
 * @iommu: VFIO's name for the container
 * @group: group of any driver, not only of this module
 *
 * Context: any.
 */
void vum_group_remove(const void *iommu, const struct iommu_group *group)
{
	vum_group_forget(iommu, group);
}

/**
 * vum_group_remove_all - note that a container is being closed
 * @iommu: VFIO's name for the container; or NULL, for all containers
 *
 * Context: any.
 */
void vum_group_remove_all(const void *iommu)
{
	vum_group_forget(iommu, NULL);
}

/* Would the container go with the groups that leave? */
static bool vum_group_last(const void *iommu)
{
	struct vum_group *g;

	lockdep_assert_held(&vum_group_lock);
	list_for_each_entry(g, &vum_groups, node)
		if (g->iommu == iommu && !g->leaving)
			return false;
	return true;
}

/* Can @group go? From the first call on, it counts as leaving. */
static bool vum_group_idle(const struct iommu_group *group)
{
	struct vum_group *g;
	unsigned long flags;
	bool idle = true, first;

	spin_lock_irqsave(&vum_group_lock, flags);
	list_for_each_entry(g, &vum_groups, node) {
		if (g->group != group)
			continue;
		/*
		 * The first time, the consumer has just closed the device, or failed to
		 * open it, and goes on to use the container.
		 */
		first = !g->leaving;
		g->leaving = true;
		if (vum_container_in_use(g->iommu, first) && vum_group_last(g->iommu))
			idle = false;
	}
	spin_unlock_irqrestore(&vum_group_lock, flags);
	return idle;
}

/**
 * vum_group_wait_idle - wait until a consumer is done with its container
 * @dev: device that is to be removed, and is neither open nor can be opened
 *
 * A consumer counts as done if it has made no ioctl for some seconds, since it may
 * keep its container for as long as it likes.
 */
void vum_group_wait_idle(struct vum_device *dev)
{
	struct iommu_group *group = iommu_group_get(dev->vdev.dev);

	/* No wake-up tells that the container has been quiet for long enough. */
	while (!wait_event_idle_timeout(vum_group_wait, vum_group_idle(group), HZ / 10))
		;
	iommu_group_put(group);
}
