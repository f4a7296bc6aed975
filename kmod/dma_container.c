// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: type1 containers, and what is mapped in them, as far as
 * observe.c sees it.
 *
 * It also closes a hole: while VFIO unmaps a range, it asks us to unpin what is
 * pinned there, looks again, and takes it for a bug (BUG_ON()) to find pinned
 * pages too often. A server that touches the range all the time could cause
 * that. So pinning waits for the unmaps that are under way.
 *
 * And another: with a device that is removed goes its group, and with the last
 * group the container, under the feet of whoever is in an ioctl of it or about to
 * be: he finds freed memory (vfio_device_remove_group()). QEMU closes the device
 * first, then unmaps, then takes the group out. So removal waits for that. What it
 * cannot close is the instant between its last look and VFIO's own.
 *
 * All is under one spinlock, since probes cannot sleep. They run with preemption
 * disabled, where PREEMPT_RT could not take it: observe.c does not start there.
 */

#include <linux/iommu.h>
#include <linux/rbtree.h>
#include <linux/slab.h>

#include "device.h"
#include "work.h"

/* Beyond this, a server is better off with an aperture. */
#define VUM_CONTAINER_MAX	4096
/* Ioctls of one container at a time; nobody has that many threads that map. */
#define VUM_CONTAINER_CALLS	128
/* Who has done nothing for so long is not about to do something. */
#define VUM_CONTAINER_QUIET	(5 * HZ)

/**
 * struct vum_container - a type1 container, from open to release
 * @node: in vum_containers
 * @iommu: VFIO's name for it
 * @seq: counts calls
 * @maps: struct vum_observed by IOVA; they do not overlap
 * @nr: how many
 * @missed: calls that the probe had missed when this was opened
 * @calls: ioctls that are under way and followed
 * @last: when there was any ioctl, or a group began to leave; in jiffies
 * @blind: there were more than are followed
 * @lost: why @maps is not what is mapped, or NULL
 * @unmaps: struct vum_call of the unmaps that are under way
 * @devices: ours that are open in it
 * @groups: struct vum_group of all that are in it
 */
struct vum_container {
	struct list_head node;
	const void *iommu;
	u64 seq;
	struct rb_root maps;
	unsigned int nr;
	int missed;
	unsigned int calls;
	unsigned long last;
	bool blind;
	const char *lost;
	struct list_head unmaps;
	struct list_head devices;
	struct list_head groups;
};

/* Any IOMMU group; it is leaving when the mdev that it is of is being removed. */
struct vum_group {
	struct list_head node;
	const struct iommu_group *group;
	bool leaving;
};

struct vum_observed {
	struct rb_node node;
	u64 seq;
	struct vum_mapping map;
};

static DEFINE_SPINLOCK(vum_container_lock);
static LIST_HEAD(vum_containers);
/* Counts what is mapped and unmapped. */
static unsigned long vum_gen;
static DECLARE_WAIT_QUEUE_HEAD(vum_container_wait);
/* Why the observer does not run, or NULL. */
static const char *vum_unobserved = "the observer has not been started";
/* The observer's count of calls that it has missed. */
static const int *vum_missed;

static struct vum_container *vum_container_find(const void *iommu)
{
	struct vum_container *c;

	lockdep_assert_held(&vum_container_lock);
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

	lockdep_assert_held(&vum_container_lock);
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

static void vum_container_give_up(struct vum_container *c, const char *why)
{
	lockdep_assert_held(&vum_container_lock);
	if (!c->lost)
		c->lost = why;
	vum_container_empty(c);
}

static void vum_container_changed(struct vum_container *c)
{
	struct vum_device *dev;

	lockdep_assert_held(&vum_container_lock);
	WRITE_ONCE(vum_gen, vum_gen + 1);
	list_for_each_entry(dev, &c->devices, member.node) {
		WRITE_ONCE(dev->member.gen, vum_gen);
		vum_work_queue(&dev->announce.work);
	}
}

static void vum_container_map(struct vum_container *c, struct vum_call *call)
{
	struct vum_observed *o, *old, *next;
	u64 last = call->map.iova + (call->map.size - 1);

	lockdep_assert_held(&vum_container_lock);
	if (call->map.flags & VFIO_DMA_MAP_FLAG_VADDR || c->lost)
		return;
	/* VFIO accepts no such thing: the consumer has changed it meanwhile. */
	if (!call->map.size || last < call->map.iova ||
	    !PAGE_ALIGNED(call->map.iova | call->map.size)) {
		vum_container_give_up(c, "an ioctl of the consumer's could not be followed");
		return;
	}
	o = c->nr < VUM_CONTAINER_MAX ? kmalloc(sizeof(*o), GFP_ATOMIC) : NULL;
	if (!o) {
		vum_container_give_up(c, c->nr < VUM_CONTAINER_MAX ?
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

	lockdep_assert_held(&vum_container_lock);
	if (call->unmap.flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return;
	vum_call_range(call, &first, &last);
	for (o = vum_observed_from(c, first); o && o->map.iova <= last; o = next) {
		next = vum_observed(rb_next(&o->node));
		/* Of two that overlap in time, which came first? */
		if (o->seq > call->seq) {
			vum_container_give_up(c,
					      "the consumer maps and unmaps the same IOVAs at once");
			return;
		}
		vum_observed_drop(c, o);
	}
}

/**
 * vum_container_call_begin - an ioctl begins
 * @call: what is known of it
 *
 * Returns whether there is something to do at its end: vum_container_call_end().
 */
bool vum_container_call_begin(struct vum_call *call)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(call->iommu);
	if (c)
		c->last = jiffies;
	if (call->cmd != VFIO_IOMMU_MAP_DMA && call->cmd != VFIO_IOMMU_UNMAP_DMA)
		c = NULL;
	if (c && c->calls == VUM_CONTAINER_CALLS) {
		c->blind = true;
		vum_container_give_up(c, "the consumer maps and unmaps too much at once");
		c = NULL;
	}
	if (c) {
		c->calls++;
		call->seq = ++c->seq;
		if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
			list_add(&call->node, &c->unmaps);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return c;
}

/* Returns whether the caller has mapped something for a device of ours. */
static bool vum_container_follow(struct vum_container *c, struct vum_call *call,
				 long ret)
{
	bool unmap = call->cmd == VFIO_IOMMU_UNMAP_DMA;

	lockdep_assert_held(&vum_container_lock);
	c->calls--;
	c->last = jiffies;
	if (unmap)
		list_del(&call->node);
	/* An error of a map changes nothing, nor does EINVAL of an unmap. */
	if (ret && (!unmap || ret == -EINVAL))
		return false;
	if (ret || call->unread)
		vum_container_give_up(c, "an ioctl of the consumer's could not be followed");
	else if (unmap)
		vum_container_unmap(c, call);
	else
		vum_container_map(c, call);
	vum_container_changed(c);
	return !unmap && !list_empty(&c->devices);
}

/**
 * vum_container_call_end - follow an ioctl that ends
 * @call: what is known of the ioctl
 * @ret: what it returns
 *
 * Context: any.
 * Return: true if the caller should wait until the servers have heard of what it
 * has mapped. Of what it has unmapped they need not hear: the memory is gone.
 */
bool vum_container_call_end(struct vum_call *call, long ret)
{
	struct vum_container *c;
	unsigned long flags;
	bool wait = false;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(call->iommu);
	if (c)
		wait = vum_container_follow(c, call, ret);
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
		wake_up_all(&vum_container_wait);
	return wait;
}

/**
 * vum_container_lose - stop following a container
 * @iommu: VFIO's name for the container; it need not exist any more
 * @why: the reason, a string constant
 *
 * Context: any.
 */
void vum_container_lose(const void *iommu, const char *why)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c) {
		vum_container_give_up(c, why);
		vum_container_changed(c);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_open - a container has been opened
 * @iommu: VFIO's name for it
 *
 * From any context. Without memory, devices in there do without.
 */
void vum_container_open(const void *iommu)
{
	struct vum_container *c = kzalloc(sizeof(*c), GFP_ATOMIC);
	unsigned long flags;

	if (!c)
		return;
	c->iommu = iommu;
	c->maps = RB_ROOT;
	c->missed = READ_ONCE(*vum_missed);
	INIT_LIST_HEAD(&c->unmaps);
	INIT_LIST_HEAD(&c->devices);
	INIT_LIST_HEAD(&c->groups);
	spin_lock_irqsave(&vum_container_lock, flags);
	list_add(&c->node, &vum_containers);
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

static void vum_container_unlink(struct vum_device *dev)
{
	lockdep_assert_held(&vum_container_lock);
	if (dev->member.container)
		list_del(&dev->member.node);
	WRITE_ONCE(dev->member.container, NULL);
}

static void vum_container_drop_group(struct vum_group *g)
{
	lockdep_assert_held(&vum_container_lock);
	list_del(&g->node);
	kfree(g);
}

static void vum_container_free(struct vum_container *c)
{
	struct vum_device *dev, *next;
	struct vum_group *g, *next_group;

	list_for_each_entry_safe(dev, next, &c->devices, member.node)
		vum_container_unlink(dev);
	list_for_each_entry_safe(g, next_group, &c->groups, node)
		vum_container_drop_group(g);
	list_del(&c->node);
	vum_container_empty(c);
	kfree(c);
}

/**
 * vum_container_release - a container is closed
 * @iommu: VFIO's name for it
 */
void vum_container_release(const void *iommu)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c)
		vum_container_free(c);
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_add_group - a group has come into a container
 * @iommu: VFIO's name for the container
 * @group: any, not only ours
 *
 * From any context. Without memory, nobody will wait for it to leave.
 */
void vum_container_add_group(const void *iommu, const struct iommu_group *group)
{
	struct vum_group *g = kzalloc(sizeof(*g), GFP_ATOMIC);
	struct vum_container *c;
	unsigned long flags;

	if (!g)
		return;
	g->group = group;
	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c)
		list_add(&g->node, &c->groups);
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (!c)
		kfree(g);
}

/**
 * vum_container_remove_group - a group leaves a container
 * @iommu: VFIO's name for the container
 * @group: any, not only ours
 */
void vum_container_remove_group(const void *iommu, const struct iommu_group *group)
{
	struct vum_group *g, *next;
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c) {
		list_for_each_entry_safe(g, next, &c->groups, node)
			if (g->group == group)
				vum_container_drop_group(g);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	wake_up_all(&vum_container_wait);
}

/* Would it go with the groups that leave, while somebody is at work on it? */
static bool vum_container_busy(const struct vum_container *c)
{
	struct vum_group *g;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(g, &c->groups, node)
		if (!g->leaving)
			return false;
	return c->calls || time_before(jiffies, c->last + VUM_CONTAINER_QUIET);
}

/* The group leaves as soon as this is asked for the first time. */
static bool vum_container_group_idle(const struct iommu_group *group)
{
	struct vum_container *c;
	struct vum_group *g;
	unsigned long flags;
	bool left = true;

	spin_lock_irqsave(&vum_container_lock, flags);
	list_for_each_entry(c, &vum_containers, node) {
		list_for_each_entry(g, &c->groups, node) {
			if (g->group != group)
				continue;
			/* Who was kept from opening it, or has closed it, goes on now. */
			if (!g->leaving)
				c->last = jiffies;
			g->leaving = true;
			if (vum_container_busy(c))
				left = false;
		}
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return left;
}

/**
 * vum_container_wait_idle - wait until a consumer is done with its container
 * @dev: device that is to be removed, which nobody has open or will open
 *
 * Or has not touched it for a while: it may keep it for as long as it likes.
 */
void vum_container_wait_idle(struct vum_device *dev)
{
	struct iommu_group *group = iommu_group_get(dev->vdev.dev);

	/* Nothing happens when it has been quiet for long enough. */
	while (!wait_event_idle_timeout(vum_container_wait,
					vum_container_group_idle(group), HZ / 10))
		;
	iommu_group_put(group);
}

/* Nothing is observed any more. */
void vum_container_exit(void)
{
	struct vum_container *c, *next;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	list_for_each_entry_safe(c, next, &vum_containers, node)
		vum_container_free(c);
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_bind - a device comes into a container
 * @iommu: VFIO's name for it
 * @dev: device
 */
void vum_container_bind(const void *iommu, struct vum_device *dev)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	vum_container_unlink(dev);
	dev->member.type1 = true;
	WRITE_ONCE(vum_gen, vum_gen + 1);
	WRITE_ONCE(dev->member.gen, vum_gen);
	WRITE_ONCE(dev->member.container, c);
	if (c)
		list_add(&dev->member.node, &c->devices);
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_unbind - the device leaves its container
 * @dev: device
 */
void vum_container_unbind(struct vum_device *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	vum_container_unlink(dev);
	dev->member.type1 = false;
	spin_unlock_irqrestore(&vum_container_lock, flags);
	wake_up_all(&vum_container_wait);
}

static bool vum_container_blind(const struct vum_container *c)
{
	lockdep_assert_held(&vum_container_lock);
	return c->blind || c->missed != READ_ONCE(*vum_missed);
}

/**
 * vum_container_unmapping - is any of this being unmapped right now?
 * @dev: device
 * @index: first page, IOVA >> PAGE_SHIFT
 * @nr: pages
 *
 * Returns 1 if so, 0 if not, -ENODATA if that is not known.
 */
int vum_container_unmapping(struct vum_device *dev, unsigned long index,
			    unsigned long nr)
{
	u64 from = (u64)index << PAGE_SHIFT, to = from + ((u64)nr << PAGE_SHIFT) - 1;
	u64 first, last;
	struct vum_container *c;
	struct vum_call *call;
	unsigned long flags;
	int ret = -ENODATA;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = dev->member.container;
	if (c && !vum_container_blind(c)) {
		ret = 0;
		list_for_each_entry(call, &c->unmaps, node) {
			vum_call_range(call, &first, &last);
			if (to >= first && from <= last)
				ret = 1;
		}
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return ret;
}

/**
 * vum_container_check_unmap - VFIO tells of an unmap, in the context of whoever unmaps
 * @dev: device
 * @iova: first byte
 * @last: last byte
 *
 * If that is not what was read, the consumer has changed it in between.
 */
void vum_container_check_unmap(struct vum_device *dev, u64 iova, u64 last)
{
	u64 from, to;
	struct vum_call *call;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	if (dev->member.container) {
		list_for_each_entry(call, &dev->member.container->unmaps, node) {
			vum_call_range(call, &from, &to);
			if (call->task == current && (iova < from || last > to))
				call->unread = true;
		}
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_wait_unmapped - wait until a page is no longer being unmapped
 * @dev: device
 * @index: IOVA >> PAGE_SHIFT
 *
 * Returns 0, or -EINTR if the caller is being killed.
 */
int vum_container_wait_unmapped(struct vum_device *dev, unsigned long index)
{
	return wait_event_killable(vum_container_wait,
				   vum_container_unmapping(dev, index, 1) <= 0) ?
	       -EINTR : 0;
}

static const char *vum_container_why_not(const struct vum_device *dev)
{
	const struct vum_container *c = dev->member.container;

	lockdep_assert_held(&vum_container_lock);
	if (vum_unobserved)
		return vum_unobserved;
	if (!dev->member.type1)
		return "the consumer's memory is not in a type1 container";
	if (!c)
		return "the consumer's container is older than the module";
	if (vum_container_blind(c) && !c->lost)
		return "too many ioctls at once to be observed";
	return c->lost;
}

/**
 * vum_container_snapshot - what has the consumer mapped?
 * @dev: device
 * @maps: by IOVA; to be kvfree()d
 * @nr: how many
 *
 * Returns NULL, or why that is not known.
 */
const char *vum_container_snapshot(struct vum_device *dev,
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
		spin_lock_irqsave(&vum_container_lock, flags);
		why = vum_container_why_not(dev);
		if (why || dev->member.container->nr <= room)
			break;
		room = dev->member.container->nr;
		spin_unlock_irqrestore(&vum_container_lock, flags);
		kvfree(*maps);
	}
	if (!why)
		for (o = vum_observed(rb_first(&dev->member.container->maps)); o;
		     o = vum_observed(rb_next(&o->node)))
			(*maps)[(*nr)++] = o->map;
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (why)
		kvfree(*maps);
	return why;
}

/**
 * vum_container_gen - how often containers have changed
 *
 * Return: the count, which is that of the latest change of any container.
 */
unsigned long vum_container_gen(void)
{
	return READ_ONCE(vum_gen);
}

/**
 * vum_container_find_device - find a device of a container's
 * @iommu: VFIO's name for the container; it need not exist any more
 * @wanted: whether a device is the one; called with the containers' lock held
 * @gen: passed to @wanted
 *
 * Return: the first device that is @wanted, with a reference for the caller; or
 * NULL.
 */
struct vum_device *
vum_container_find_device(const void *iommu,
			  bool (*wanted)(const struct vum_device *dev, unsigned long gen),
			  unsigned long gen)
{
	struct vum_device *dev, *found = NULL;
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c) {
		list_for_each_entry(dev, &c->devices, member.node) {
			if (!wanted(dev, gen))
				continue;
			get_device(&dev->vdev.device);
			found = dev;
			break;
		}
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return found;
}

/**
 * vum_container_observe - begin to follow containers, or say why that is not done
 * @why_not: a string constant, or NULL
 * @missed: the observer's count of calls that it has missed
 */
void vum_container_observe(const char *why_not, const int *missed)
{
	vum_missed = missed;
	vum_unobserved = why_not;
}
