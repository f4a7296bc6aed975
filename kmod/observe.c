// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: what consumers map, observed from outside.
 *
 * VFIO tells an mdev driver of unmaps, and only where it has pinned pages; of
 * maps it tells nothing. Return probes on the type1 container's functions see
 * both. This is the only file that leans on such ground: everything else works
 * without it, and it can go the day VFIO has a callback for maps.
 *
 * It also closes a hole: while VFIO unmaps a range, it asks us to unpin what is
 * pinned there, looks again, and takes it for a bug (BUG_ON()) to find pinned
 * pages too often. A server that touches the range all the time could cause
 * that. So pinning waits for the unmaps that are under way.
 *
 * The probes run with preemption disabled; all is under one raw spinlock.
 */

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vum.h"

static bool observe = true;
module_param(observe, bool, 0444);
MODULE_PARM_DESC(observe, "watch consumers map memory, for vfio_user/dma_announce=exact (default Y)");

/* Beyond this, a server is better off with an aperture. */
#define VUM_OBSERVE_MAX		4096
/* Ioctls of one container at a time; nobody has that many threads that map. */
#define VUM_OBSERVE_CALLS	128

/**
 * struct vum_container - a type1 container, from open to release
 * @node: in vum_containers
 * @iommu: VFIO's name for it
 * @seq: counts calls
 * @maps: struct vum_observed by IOVA; they do not overlap
 * @nr: how many
 * @missed: calls that the probe had missed when this was opened
 * @calls: ioctls that are under way and followed
 * @blind: there were more than are followed
 * @lost: why @maps is not what is mapped, or NULL
 * @unmaps: struct vum_call of the unmaps that are under way
 * @devices: ours that are in it
 */
struct vum_container {
	struct list_head node;
	const void *iommu;
	u64 seq;
	struct rb_root maps;
	unsigned int nr;
	int missed;
	unsigned int calls;
	bool blind;
	const char *lost;
	struct list_head unmaps;
	struct list_head devices;
};

struct vum_observed {
	struct rb_node node;
	u64 seq;
	struct vum_mapping map;
};

/**
 * struct vum_call - an ioctl that is under way
 * @node: in container->unmaps, if it is an unmap
 * @iommu: VFIO's name for the container
 * @seq: container's, when the call began
 * @task: who calls
 * @cmd: VFIO_IOMMU_MAP_DMA or VFIO_IOMMU_UNMAP_DMA
 * @uarg: where the argument is
 * @unread: it could not be read
 * @map: the argument
 * @unmap: the argument
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

static DEFINE_RAW_SPINLOCK(vum_observe_lock);
static LIST_HEAD(vum_containers);
static DECLARE_WAIT_QUEUE_HEAD(vum_observe_wait);
static struct kretprobe vum_ioctl_probe;
/* Why nothing is observed, or NULL. */
static const char *vum_unobserved = "the observer is switched off (module parameter observe)";

static struct vum_container *vum_container_find(const void *iommu)
{
	struct vum_container *c;

	list_for_each_entry(c, &vum_containers, node)
		if (c->iommu == iommu)
			return c;
	return NULL;
}

static struct vum_observed *vum_observed(struct rb_node *node)
{
	return rb_entry_safe(node, struct vum_observed, node);
}

static void vum_observed_drop(struct vum_container *c, struct vum_observed *o)
{
	rb_erase(&o->node, &c->maps);
	c->nr--;
	kfree(o);
}

/* The first that ends at @iova or later. */
static struct vum_observed *vum_observed_from(struct vum_container *c, u64 iova)
{
	struct rb_node *n = c->maps.rb_node;
	struct vum_observed *found = NULL;

	while (n) {
		struct vum_observed *o = vum_observed(n);

		if (o->map.iova + (o->map.size - 1) >= iova) {
			found = o;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return found;
}

static bool vum_observed_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct vum_observed, node)->map.iova <
	       rb_entry(b, struct vum_observed, node)->map.iova;
}

static void vum_container_empty(struct vum_container *c)
{
	struct vum_observed *o, *next;

	rbtree_postorder_for_each_entry_safe(o, next, &c->maps, node)
		kfree(o);
	c->maps = RB_ROOT;
	c->nr = 0;
}

static void vum_container_lose(struct vum_container *c, const char *why)
{
	if (!c->lost)
		c->lost = why;
	vum_container_empty(c);
}

static void vum_container_changed(struct vum_container *c)
{
	struct vum_device *dev;

	list_for_each_entry(dev, &c->devices, dma.in_container) {
		WRITE_ONCE(dev->dma.gen, dev->dma.gen + 1);
		vum_announce_later(dev);
	}
}

static void vum_container_map(struct vum_container *c, struct vum_call *call)
{
	struct vum_observed *o, *old, *next;
	u64 last = call->map.iova + (call->map.size - 1);

	if (call->map.flags & VFIO_DMA_MAP_FLAG_VADDR || c->lost)
		return;
	/* VFIO accepts no such thing: the consumer has changed it meanwhile. */
	if (!call->map.size || last < call->map.iova ||
	    !PAGE_ALIGNED(call->map.iova | call->map.size)) {
		vum_container_lose(c, "an ioctl of the consumer's could not be followed");
		return;
	}
	o = c->nr < VUM_OBSERVE_MAX ? kmalloc(sizeof(*o), GFP_ATOMIC) : NULL;
	if (!o) {
		vum_container_lose(c, c->nr < VUM_OBSERVE_MAX ?
				   "out of memory" :
				   "the consumer has more than 4096 mappings");
		return;
	}
	/* Mappings do not overlap: what is in the way has been unmapped. */
	for (old = vum_observed_from(c, call->map.iova);
	     old && old->map.iova <= last; old = next) {
		next = vum_observed(rb_next(&old->node));
		vum_observed_drop(c, old);
	}
	o->seq = ++c->seq;
	o->map.iova = call->map.iova;
	o->map.size = call->map.size;
	o->map.prot = call->map.flags &
		      (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	rb_add(&o->node, &c->maps, vum_observed_less);
	c->nr++;
}

static void vum_call_range(const struct vum_call *call, u64 *first, u64 *last)
{
	/* VFIO_DMA_UNMAP_FLAG_ALL goes with 0 and 0, which makes all of it. */
	*first = call->unread ? 0 : call->unmap.iova;
	*last = call->unread ? U64_MAX : *first + (call->unmap.size - 1);
}

static void vum_container_unmap(struct vum_container *c, struct vum_call *call)
{
	struct vum_observed *o, *next;
	u64 first, last;

	if (call->unmap.flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return;
	vum_call_range(call, &first, &last);
	for (o = vum_observed_from(c, first); o && o->map.iova <= last; o = next) {
		next = vum_observed(rb_next(&o->node));
		/* Of two that overlap in time, which came first? */
		if (o->seq > call->seq) {
			vum_container_lose(c,
					   "the consumer maps and unmaps the same IOVAs at once");
			return;
		}
		vum_observed_drop(c, o);
	}
}

static size_t vum_call_size(unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_map, size);
	case VFIO_IOMMU_UNMAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	default:
		return 0;
	}
}

static void vum_call_read(struct vum_call *call)
{
	call->unread = copy_from_user_nofault(&call->map,
					      (void __user *)call->uarg,
					      vum_call_size(call->cmd));
}

/* vfio_iommu_type1_ioctl(iommu, cmd, arg) */
static int vum_ioctl_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_call *call = (struct vum_call *)ri->data;
	struct vum_container *c;
	unsigned long flags;

	call->iommu = (void *)regs_get_kernel_argument(regs, 0);
	call->cmd = regs_get_kernel_argument(regs, 1);
	call->uarg = regs_get_kernel_argument(regs, 2);
	if (!vum_call_size(call->cmd))
		return 1;
	vum_call_read(call);
	call->task = current;
	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	c = vum_container_find(call->iommu);
	if (c && c->calls == VUM_OBSERVE_CALLS) {
		c->blind = true;
		vum_container_lose(c, "the consumer maps and unmaps too much at once");
		c = NULL;
	}
	if (c) {
		c->calls++;
		call->seq = ++c->seq;
		if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
			list_add(&call->node, &c->unmaps);
	}
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	/* There is something to do on return. */
	return !c;
}

static void vum_container_returned(struct vum_container *c,
				   struct vum_call *call, long ret)
{
	bool unmap = call->cmd == VFIO_IOMMU_UNMAP_DMA;

	c->calls--;
	if (unmap)
		list_del(&call->node);
	/* An error of a map changes nothing, nor does EINVAL of an unmap. */
	if (ret && (!unmap || ret == -EINVAL))
		return;
	if (ret || call->unread)
		vum_container_lose(c, "an ioctl of the consumer's could not be followed");
	else if (unmap)
		vum_container_unmap(c, call);
	else
		vum_container_map(c, call);
	vum_container_changed(c);
}

static int vum_ioctl_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_call *call = (struct vum_call *)ri->data;
	struct vum_container *c;
	unsigned long flags;

	/* By now the page has been read, so it is there. */
	if (call->unread && call->cmd == VFIO_IOMMU_MAP_DMA)
		vum_call_read(call);
	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	c = vum_container_find(call->iommu);
	if (c)
		vum_container_returned(c, call, regs_return_value(regs));
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
		wake_up_all(&vum_observe_wait);
	return 0;
}

/* vfio_iommu_type1_open(), which returns the iommu */
static int vum_open_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	void *iommu = (void *)regs_return_value(regs);
	struct vum_container *c;
	unsigned long flags;

	if (IS_ERR_OR_NULL(iommu))
		return 0;
	/* Without it, devices in there do without. */
	c = kzalloc(sizeof(*c), GFP_ATOMIC);
	if (!c)
		return 0;
	c->iommu = iommu;
	c->maps = RB_ROOT;
	c->missed = vum_ioctl_probe.nmissed;
	INIT_LIST_HEAD(&c->unmaps);
	INIT_LIST_HEAD(&c->devices);
	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	list_add(&c->node, &vum_containers);
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	return 0;
}

static void vum_container_unlink(struct vum_device *dev)
{
	if (dev->dma.container)
		list_del(&dev->dma.in_container);
	WRITE_ONCE(dev->dma.container, NULL);
}

static void vum_container_free(struct vum_container *c)
{
	struct vum_device *dev, *next;

	list_for_each_entry_safe(dev, next, &c->devices, dma.in_container)
		vum_container_unlink(dev);
	list_del(&c->node);
	vum_container_empty(c);
	kfree(c);
}

/* vfio_iommu_type1_release(iommu) */
static int vum_release_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_container *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	c = vum_container_find((void *)regs_get_kernel_argument(regs, 0));
	if (c)
		vum_container_free(c);
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	return 1;
}

/* vfio_iommu_type1_register_device(iommu, vdev) */
static int vum_register_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vfio_device *vdev = (void *)regs_get_kernel_argument(regs, 1);
	struct vum_container *c;
	struct vum_device *dev;
	unsigned long flags;

	if (vdev->ops != &vum_device_ops)
		return 1;
	dev = vum_from_vfio(vdev);
	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	c = vum_container_find((void *)regs_get_kernel_argument(regs, 0));
	vum_container_unlink(dev);
	dev->dma.type1 = true;
	WRITE_ONCE(dev->dma.gen, dev->dma.gen + 1);
	WRITE_ONCE(dev->dma.container, c);
	if (c)
		list_add(&dev->dma.in_container, &c->devices);
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	return 1;
}

/**
 * vum_observe_unbind - the device leaves its container
 * @dev: device
 */
void vum_observe_unbind(struct vum_device *dev)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	vum_container_unlink(dev);
	dev->dma.type1 = false;
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	wake_up_all(&vum_observe_wait);
}

static bool vum_container_blind(const struct vum_container *c)
{
	return c->blind || c->missed != vum_ioctl_probe.nmissed;
}

/**
 * vum_observe_unmapping - is any of this being unmapped right now?
 * @dev: device
 * @index: first page, IOVA >> PAGE_SHIFT
 * @nr: pages
 *
 * Returns 1 if so, 0 if not, -ENODATA if that is not known.
 */
int vum_observe_unmapping(struct vum_device *dev, unsigned long index,
			  unsigned long nr)
{
	u64 from = (u64)index << PAGE_SHIFT, to = from + ((u64)nr << PAGE_SHIFT) - 1;
	u64 first, last;
	struct vum_container *c;
	struct vum_call *call;
	unsigned long flags;
	int ret = -ENODATA;

	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	c = dev->dma.container;
	if (c && !vum_container_blind(c)) {
		ret = 0;
		list_for_each_entry(call, &c->unmaps, node) {
			vum_call_range(call, &first, &last);
			if (to >= first && from <= last)
				ret = 1;
		}
	}
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	return ret;
}

/**
 * vum_observe_told - VFIO tells of an unmap, in the context of whoever unmaps
 * @dev: device
 * @iova: first byte
 * @last: last byte
 *
 * If that is not what was read, the consumer has changed it in between.
 */
void vum_observe_told(struct vum_device *dev, u64 iova, u64 last)
{
	u64 from, to;
	struct vum_call *call;
	unsigned long flags;

	raw_spin_lock_irqsave(&vum_observe_lock, flags);
	if (dev->dma.container) {
		list_for_each_entry(call, &dev->dma.container->unmaps, node) {
			vum_call_range(call, &from, &to);
			if (call->task == current && (iova < from || last > to))
				call->unread = true;
		}
	}
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
}

/**
 * vum_observe_wait_unmapped - wait until a page is no longer being unmapped
 * @dev: device
 * @index: IOVA >> PAGE_SHIFT
 *
 * Returns 0, or -EINTR if the caller is being killed.
 */
int vum_observe_wait_unmapped(struct vum_device *dev, unsigned long index)
{
	return wait_event_killable(vum_observe_wait,
				   vum_observe_unmapping(dev, index, 1) <= 0) ?
	       -EINTR : 0;
}

static const char *vum_observe_why_not(const struct vum_device *dev)
{
	const struct vum_container *c = dev->dma.container;

	if (vum_unobserved)
		return vum_unobserved;
	if (!dev->dma.type1)
		return "the consumer's memory is not in a type1 container";
	if (!c)
		return "the consumer's container is older than the module";
	if (vum_container_blind(c) && !c->lost)
		return "too many ioctls at once to be observed";
	return c->lost;
}

/**
 * vum_observe_snapshot - what has the consumer mapped?
 * @dev: device
 * @maps: by IOVA; to be kvfree()d
 * @nr: how many
 *
 * Returns NULL, or why that is not known.
 */
const char *vum_observe_snapshot(struct vum_device *dev,
				 struct vum_mapping **maps, unsigned int *nr)
{
	unsigned int room = 64;
	struct vum_observed *o;
	unsigned long flags;
	const char *why;

	for (;;) {
		*maps = kvcalloc(room, sizeof(**maps), GFP_KERNEL);
		if (!*maps)
			return "out of memory";
		*nr = 0;
		raw_spin_lock_irqsave(&vum_observe_lock, flags);
		why = vum_observe_why_not(dev);
		if (why || dev->dma.container->nr <= room)
			break;
		room = dev->dma.container->nr;
		raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
		kvfree(*maps);
	}
	if (!why)
		for (o = vum_observed(rb_first(&dev->dma.container->maps)); o;
		     o = vum_observed(rb_next(&o->node)))
			(*maps)[(*nr)++] = o->map;
	raw_spin_unlock_irqrestore(&vum_observe_lock, flags);
	if (why)
		kvfree(*maps);
	return why;
}

/* An ioctl can take its time; what comes beyond these is missed, and counted. */
static struct kretprobe vum_ioctl_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_ioctl",
	.entry_handler	= vum_ioctl_enter,
	.handler	= vum_ioctl_return,
	.data_size	= sizeof(struct vum_call),
	.maxactive	= 1024,
};

static struct kretprobe vum_open_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_open",
	.handler	= vum_open_return,
	.maxactive	= 64,
};

static struct kretprobe vum_release_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_release",
	.entry_handler	= vum_release_enter,
	.maxactive	= 64,
};

static struct kretprobe vum_register_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_register_device",
	.entry_handler	= vum_register_enter,
	.maxactive	= 64,
};

static struct kretprobe *vum_probes[] = {
	/* In this order: a container that is known is released and followed. */
	&vum_release_probe, &vum_ioctl_probe, &vum_register_probe,
	&vum_open_probe,
};

/**
 * vum_observe_init - begin to observe
 *
 * If that is not possible, devices do without.
 */
void vum_observe_init(void)
{
	int ret;

	if (!observe)
		return;
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		vum_unobserved = "the observer does not work on PREEMPT_RT";
		return;
	}
	request_module("vfio_iommu_type1");
	ret = register_kretprobes(vum_probes, ARRAY_SIZE(vum_probes));
	vum_unobserved = ret ? "the kernel's kretprobes do not work" : NULL;
	if (ret)
		pr_notice("cannot observe what consumers map (error %d): servers will be told an aperture\n",
			  ret);
}

void vum_observe_exit(void)
{
	struct vum_container *c, *next;

	if (vum_unobserved)
		return;
	unregister_kretprobes(vum_probes, ARRAY_SIZE(vum_probes));
	list_for_each_entry_safe(c, next, &vum_containers, node)
		vum_container_free(c);
}
