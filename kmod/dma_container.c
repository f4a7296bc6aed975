// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: type1 containers, and what is mapped in them, as far as
 * dma_observe.c sees it.
 *
 * A hole in VFIO is closed here as well. While VFIO unmaps a range, it has drivers
 * unpin what is pinned there, looks again, and takes it for a bug (BUG_ON()) to find
 * pinned pages too often. A server that touches the range all the time could cause
 * that, so pinning waits for the unmaps that are under way.
 *
 * One spinlock guards all of this, since probes cannot sleep. They run with
 * preemption disabled, where PREEMPT_RT could not take it: dma_observe.c does not
 * start there.
 */

#include <linux/rbtree.h>
#include <linux/slab.h>

#include "device.h"
#include "work.h"

/* With more mappings than this, a server is better off with an aperture. */
#define VUM_CONTAINER_MAX	4096
/* Likewise of the parts of those mappings that have files behind them. */
#define VUM_CONTAINER_PARTS	2048
/*
 * Maps and unmaps of one container that are followed at a time, and tasks of it that
 * have mapped and wait. No consumer has that many threads that map: with more, the
 * container is no longer observed.
 *
 * All containers together have VUM_CALLS_SHARED, so that a tenant with many of them
 * cannot use up the probe's room. A container with fewer than VUM_CONTAINER_SURE calls
 * under way is served beyond that; with 256 containers, this takes half of
 * VUM_CALLS_MAX. The rest is for tasks that the probe looks at without following them,
 * one on each CPU. If all of it were used up, calls would be missed, and all containers
 * be given up.
 */
#define VUM_CONTAINER_CALLS	128
#define VUM_CALLS_SHARED	(VUM_CALLS_MAX / 4)
/* A consumer without an ioctl for so long is taken to be done with its container. */
#define VUM_CONTAINER_QUIET	(5 * HZ)

/**
 * struct vum_container - a type1 container, from open to release
 * @node: in vum_containers
 * @iommu: VFIO's name for the container
 * @id: this module's name for it, which no other container ever has
 * @seq: count of calls that have begun and of maps that have ended
 * @maps: struct vum_observed of each mapping, by IOVA; they do not overlap
 * @nr: number of entries in @maps
 * @missed: calls that the probe had missed when the container was opened
 * @nr_parts: number of parts of these mappings, of those that have any
 * @unsplit: the mappings of which the files have yet to be found
 * @own: one of this module's groups has been in the container: consumers are to find
 *	the files behind their mappings
 * @calls: number of ioctls under way that are followed
 * @waiters: number of tasks that wait until the servers have heard of what they mapped
 * @last: when an ioctl last was under way, or a group began to leave; in jiffies
 * @blind: more ioctls were under way at a time than are followed
 * @lost: why @maps is not what is mapped, or NULL
 * @unmaps: struct vum_call of each unmap that is under way
 * @devices: this module's devices that are open in the container
 */
struct vum_container {
	struct list_head node;
	const void *iommu;
	unsigned long id;
	u64 seq;
	struct rb_root maps;
	unsigned int nr;
	unsigned int nr_parts;
	struct list_head unsplit;
	bool own;
	int missed;
	unsigned int calls;
	unsigned int waiters;
	unsigned long last;
	bool blind;
	const char *lost;
	struct list_head unmaps;
	struct list_head devices;
};

/**
 * struct vum_observed - a mapping in a container
 * @node: in container->maps
 * @seq: the container's sequence number when it was mapped
 * @vaddr: its first byte in the consumer's address space, 0 if that is unknown
 * @unsplit: in container->unsplit, if there is a @mapper
 * @mapper: the task that has yet to find the files behind it, or NULL
 * @parts: the mapping in parts with a file each; NULL if there is no such file
 * @nr_parts: number of entries in @parts
 * @map: the mapping
 */
struct vum_observed {
	struct rb_node node;
	u64 seq;
	u64 vaddr;
	struct list_head unsplit;
	const struct task_struct *mapper;
	struct vum_mapping *parts;
	unsigned int nr_parts;
	struct vum_mapping map;
};

static DEFINE_SPINLOCK(vum_container_lock);
static LIST_HEAD(vum_containers);
static unsigned long vum_container_ids;
/* Number of ioctls under way that are followed, of all containers. */
static unsigned int vum_calls;
/* Grows when a container changes or a device enters one; see vum_container_gen(). */
static unsigned long vum_gen;
static DECLARE_WAIT_QUEUE_HEAD(vum_container_wait);
/* Why the observer does not run, or NULL. */
static const char *vum_unobserved = "the observer has not been started";
struct vum_probe_state vum_probe_state;

static struct vum_container *vum_container_find(const void *iommu)
{
	struct vum_container *c;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(c, &vum_containers, node)
		if (c->iommu == iommu)
			return c;
	return NULL;
}

static struct vum_container *vum_container_find_id(unsigned long id)
{
	struct vum_container *c;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(c, &vum_containers, node)
		if (c->id == id)
			return c;
	return NULL;
}

static struct vum_observed *vum_observed(struct rb_node *node)
{
	return rb_entry_safe(node, struct vum_observed, node);
}

static void vum_observed_free(struct vum_observed *o)
{
	vum_mappings_drop_files(o->parts, o->nr_parts);
	kfree(o->parts);
	kfree(o);
}

static void vum_observed_drop(struct vum_container *c, struct vum_observed *o)
{
	rb_erase(&o->node, &c->maps);
	if (o->mapper)
		list_del(&o->unsplit);
	c->nr--;
	c->nr_parts -= o->nr_parts;
	vum_observed_free(o);
}

/* Find the first mapping that ends at @iova or later. */
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
		vum_observed_free(o);
	c->maps = RB_ROOT;
	c->nr = 0;
	c->nr_parts = 0;
	INIT_LIST_HEAD(&c->unsplit);
}

static void vum_container_give_up(struct vum_container *c, const char *why)
{
	lockdep_assert_held(&vum_container_lock);
	if (!c->lost)
		c->lost = why;
	vum_container_empty(c);
}

static void vum_container_tell(struct vum_container *c)
{
	struct vum_device *dev;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(dev, &c->devices, member.node)
		vum_work_queue(&dev->announce.work);
}

/*
 * Note that there is something new, which the servers are to be told. If there is one
 * server, and a task that is to wait for it (@waits), that task tells it. This saves a
 * worker; several servers are told by workers, at the same time.
 */
static void vum_container_changed(struct vum_container *c, bool waits)
{
	struct vum_device *dev;

	lockdep_assert_held(&vum_container_lock);
	WRITE_ONCE(vum_gen, vum_gen + 1);
	list_for_each_entry(dev, &c->devices, member.node)
		WRITE_ONCE(dev->member.gen, vum_gen);
	if (!waits || !list_is_singular(&c->devices))
		vum_container_tell(c);
}

static void vum_container_map(struct vum_container *c, struct vum_call *call)
{
	struct vum_observed *o, *old, *next;
	u64 last = call->map.iova + (call->map.size - 1);

	lockdep_assert_held(&vum_container_lock);
	if (c->lost)
		return;
	if (call->map.flags & VFIO_DMA_MAP_FLAG_VADDR) {
		o = vum_observed_from(c, call->map.iova);
		if (o)
			o->vaddr = 0;
		return;
	}
	/* VFIO maps no such range: the consumer has changed the argument since. */
	if (!call->map.size || last < call->map.iova ||
	    !PAGE_ALIGNED(call->map.iova | call->map.size | call->map.vaddr)) {
		vum_container_give_up(c, "an ioctl of the consumer's could not be followed");
		return;
	}
	o = c->nr < VUM_CONTAINER_MAX ? kzalloc(sizeof(*o), GFP_ATOMIC) : NULL;
	if (!o) {
		vum_container_give_up(c, c->nr < VUM_CONTAINER_MAX ?
				      "out of memory" :
				      "the consumer has more than 4096 mappings");
		return;
	}
	/* Mappings do not overlap: those in the way have been unmapped. */
	for (old = vum_observed_from(c, call->map.iova);
	     old && old->map.iova <= last; old = next) {
		next = vum_observed(rb_next(&old->node));
		vum_observed_drop(c, old);
	}
	o->seq = ++c->seq;
	o->vaddr = call->map.vaddr;
	if (c->own) {
		o->mapper = call->task;
		list_add(&o->unsplit, &c->unsplit);
	}
	o->map.why = "it was mapped before the mdev's group came in";
	o->map.iova = call->map.iova;
	o->map.size = call->map.size;
	o->map.prot = call->map.flags &
		      (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	rb_add(&o->node, &c->maps, vum_observed_less);
	c->nr++;
}

static void vum_call_range(const struct vum_call *call, u64 *first, u64 *last)
{
	/* VFIO_DMA_UNMAP_FLAG_ALL has iova and size 0, which gives all IOVAs here. */
	*first = call->unread ? 0 : call->unmap.iova;
	*last = call->unread ? U64_MAX : *first + (call->unmap.size - 1);
}

/* Do servers have files of the consumer's memory? */
static bool vum_container_shares(const struct vum_container *c)
{
	const struct vum_device *dev;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(dev, &c->devices, member.node)
		if (READ_ONCE(dev->dma.announced) == VUM_DMA_SHARE)
			return true;
	return false;
}

/* Returns true if servers can reach the memory until they have heard of the unmap. */
static bool vum_container_unmap(struct vum_container *c, struct vum_call *call)
{
	struct vum_observed *o, *next;
	bool files = false;
	u64 first, last;

	lockdep_assert_held(&vum_container_lock);
	if (call->unmap.flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return false;
	vum_call_range(call, &first, &last);
	for (o = vum_observed_from(c, first); o && o->map.iova <= last; o = next) {
		next = vum_observed(rb_next(&o->node));
		/* The two overlap in time: it is unknown which came first. */
		if (o->seq > call->seq) {
			vum_container_give_up(c,
					      "the consumer maps and unmaps the same IOVAs at once");
			return vum_container_shares(c);
		}
		files = files || o->parts;
		vum_observed_drop(c, o);
	}
	/* What was mapped in a container that has been given up is not known. */
	return (files || c->lost) && vum_container_shares(c);
}

/* May one more ioctl of this container's be followed? */
static bool vum_container_has_room(const struct vum_container *c)
{
	lockdep_assert_held(&vum_container_lock);
	if (c->calls < VUM_CONTAINER_SURE)
		return true;
	return c->calls < VUM_CONTAINER_CALLS && vum_calls < VUM_CALLS_SHARED;
}

/**
 * vum_container_call_begin - begin to follow an ioctl
 * @call: what is known of the ioctl; stays in use until vum_container_call_end()
 *
 * Context: any.
 * Return: true if vum_container_call_end() must be called when the ioctl ends.
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
	if (c && !vum_container_has_room(c)) {
		c->blind = true;
		vum_container_give_up(c, "too many maps and unmaps at once to be observed");
		vum_container_changed(c, false);
		c = NULL;
	}
	if (c) {
		vum_calls++;
		c->calls++;
		call->id = c->id;
		call->seq = ++c->seq;
		if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
			list_add(&call->node, &c->unmaps);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return c;
}

/*
 * Count a task that is to wait as one of the container's, until vum_container_waited().
 * Returns false if there is no room for one.
 */
static bool vum_container_wait_begin(struct vum_container *c)
{
	lockdep_assert_held(&vum_container_lock);
	if (c->waiters == VUM_CONTAINER_CALLS) {
		vum_container_give_up(c, "too many of the consumer's threads wait for its server");
		return false;
	}
	c->waiters++;
	return true;
}

/* Returns true if the task must wait; see vum_container_wait_begin(). */
static bool vum_container_follow(struct vum_container *c, struct vum_call *call,
				 long ret)
{
	bool unmap = call->cmd == VFIO_IOMMU_UNMAP_DMA, wait = false;

	lockdep_assert_held(&vum_container_lock);
	c->calls--;
	c->last = jiffies;
	if (unmap)
		list_del(&call->node);
	/* A failed map changes nothing, nor does an unmap that fails with EINVAL. */
	if (ret && (!unmap || ret == -EINVAL))
		return false;
	if (!unmap)
		wait = c->own || !list_empty(&c->devices);
	if (ret || call->unread) {
		wait |= vum_container_shares(c);
		vum_container_give_up(c, "an ioctl of the consumer's could not be followed");
	} else if (unmap) {
		wait = vum_container_unmap(c, call);
	} else {
		vum_container_map(c, call);
	}
	wait = wait && vum_container_wait_begin(c);
	vum_container_changed(c, wait);
	return wait;
}

/**
 * vum_container_call_end - note what an ioctl has changed
 * @call: what is known of the ioctl
 * @ret: what the ioctl returns
 *
 * Context: any.
 * Return: true if the caller must find the files behind what it has mapped, tell the
 * servers and wait until they have heard of it, and then call vum_container_waited().
 * After an unmap it need not wait if the servers have lost the memory already, as all have
 * that do not have its file.
 */
bool vum_container_call_end(struct vum_call *call, long ret)
{
	struct vum_container *c;
	unsigned long flags;
	bool wait = false;

	spin_lock_irqsave(&vum_container_lock, flags);
	vum_calls--;
	c = vum_container_find_id(call->id);
	if (c) {
		wait = vum_container_follow(c, call, ret);
		call->sure = c->waiters <= VUM_CONTAINER_SURE;
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (call->cmd == VFIO_IOMMU_UNMAP_DMA)
		wake_up_all(&vum_container_wait);
	return wait;
}

/**
 * vum_container_waited - note that a task no longer waits for the servers
 * @id: the container, as vum_container_call_end() has left it in its call; it need not
 *	exist any more
 * @heard: the task has told the servers, which have heard of it; else workers tell them
 * @why: NULL; or why the task does not wait, by which the container is given up, a
 *	string constant
 *
 * Context: any.
 */
void vum_container_waited(unsigned long id, bool heard, const char *why)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find_id(id);
	if (c) {
		c->waiters--;
		if (why) {
			vum_container_give_up(c, why);
			vum_container_changed(c, false);
		} else if (!heard) {
			vum_container_tell(c);
		}
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_open - begin to observe a container that has been opened
 * @iommu: VFIO's name for the container
 *
 * If there is no memory for that, the container is not observed.
 *
 * Context: any.
 */
void vum_container_open(const void *iommu)
{
	struct vum_container *c = kzalloc(sizeof(*c), GFP_ATOMIC);
	unsigned long flags;

	if (!c)
		return;
	c->iommu = iommu;
	c->maps = RB_ROOT;
	c->missed = READ_ONCE(*vum_probe_state.missed);
	INIT_LIST_HEAD(&c->unsplit);
	INIT_LIST_HEAD(&c->unmaps);
	INIT_LIST_HEAD(&c->devices);
	spin_lock_irqsave(&vum_container_lock, flags);
	c->id = ++vum_container_ids;
	list_add(&c->node, &vum_containers);
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_own - note that one of this module's groups has come into a container
 * @iommu: VFIO's name for the container
 *
 * Context: any.
 */
void vum_container_own(const void *iommu)
{
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c)
		c->own = true;
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/* Find a mapping of which the caller has yet to find the files. */
static struct vum_observed *vum_container_find_unsplit(struct vum_container *c)
{
	struct vum_observed *o;

	lockdep_assert_held(&vum_container_lock);
	list_for_each_entry(o, &c->unsplit, unsplit)
		if (o->mapper == current)
			return o;
	return NULL;
}

/**
 * vum_container_unsplit - get a mapping of which the caller has yet to find the files
 * @id: this module's name for the container, which need not exist any more
 * @map: set to the mapping
 * @vaddr: set to where its memory begins in the caller's address space
 *
 * Return: false if there is none.
 */
bool vum_container_unsplit(unsigned long id, struct vum_mapping *map, u64 *vaddr)
{
	struct vum_observed *o = NULL;
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find_id(id);
	if (c)
		o = vum_container_find_unsplit(c);
	if (o) {
		*map = o->map;
		*vaddr = o->vaddr;
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return o;
}

/* Returns true if @o has taken @parts. */
static bool vum_observed_split(struct vum_container *c, struct vum_observed *o,
			       struct vum_mapping *parts, unsigned int nr, const char *why)
{
	list_del(&o->unsplit);
	o->mapper = NULL;
	if (why || (nr == 1 && !parts->file)) {
		o->map.why = why ?: parts->why;
		return false;
	}
	if (c->nr_parts + nr > VUM_CONTAINER_PARTS) {
		o->map.why = "the consumer's mappings have more than 2048 parts";
		return false;
	}
	o->parts = parts;
	o->nr_parts = nr;
	o->map.why = NULL;
	c->nr_parts += nr;
	return true;
}

/**
 * vum_container_split - note which files are behind a mapping
 * @id: this module's name for the container, which need not exist any more
 * @parts: parts of the mapping that vum_container_unsplit() has found, kmalloc()ed; this
 *	takes them, with their references on files. May be NULL
 * @nr: number of entries in @parts
 * @why: why there are no @parts, a string constant, or NULL
 *
 * The caller is a task that waits for the servers.
 */
void vum_container_split(unsigned long id, struct vum_mapping *parts, unsigned int nr,
			 const char *why)
{
	struct vum_observed *o = NULL;
	struct vum_container *c;
	unsigned long flags;
	bool taken = false;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find_id(id);
	if (c)
		o = vum_container_find_unsplit(c);
	if (o) {
		taken = vum_observed_split(c, o, parts, nr, why);
		vum_container_changed(c, true);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (taken)
		return;
	vum_mappings_drop_files(parts, nr);
	kfree(parts);
}

static void vum_container_unlink(struct vum_device *dev)
{
	lockdep_assert_held(&vum_container_lock);
	if (dev->member.container)
		list_del(&dev->member.node);
	WRITE_ONCE(dev->member.container, NULL);
}

static void vum_container_free(struct vum_container *c)
{
	struct vum_device *dev, *next;

	list_for_each_entry_safe(dev, next, &c->devices, member.node)
		vum_container_unlink(dev);
	list_del(&c->node);
	vum_container_empty(c);
	kfree(c);
}

/**
 * vum_container_release - forget a container that is being closed
 * @iommu: VFIO's name for the container
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
 * vum_container_in_use - find out whether a consumer still uses its container
 * @iommu: VFIO's name for the container
 * @touch: count this moment as one at which the container was in use
 *
 * Return: true if an ioctl is under way, or was within VUM_CONTAINER_QUIET.
 */
bool vum_container_in_use(const void *iommu, bool touch)
{
	struct vum_container *c;
	unsigned long flags;
	bool in_use = false;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find(iommu);
	if (c) {
		if (touch)
			c->last = jiffies;
		in_use = c->calls || time_before(jiffies, c->last + VUM_CONTAINER_QUIET);
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return in_use;
}

/* Forget all containers, now that the observer has stopped. */
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
 * vum_container_bind - put a device into its consumer's container
 * @iommu: VFIO's name for the container
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
	if (c) {
		/*
		 * A task that was about to tell the only server may now wait for the
		 * server of this device first, so a worker tells that one.
		 */
		vum_container_tell(c);
		list_add(&dev->member.node, &c->devices);
		c->own = true;
	}
	spin_unlock_irqrestore(&vum_container_lock, flags);
}

/**
 * vum_container_unbind - take a device out of its container
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

/*
 * Has the observer missed calls? If it was disarmed, the container is given up for
 * good, since what is mapped until the observer is armed again will never be known.
 */
static bool vum_container_blind(struct vum_container *c)
{
	lockdep_assert_held(&vum_container_lock);
	if (vum_probes_unarmed()) {
		c->blind = true;
		vum_container_give_up(c, "the kernel's probes were switched off");
	}
	return c->blind || c->missed != READ_ONCE(*vum_probe_state.missed);
}

/**
 * vum_container_unmapping - find out whether any of a range is being unmapped
 * @dev: device
 * @index: first page, IOVA >> PAGE_SHIFT
 * @nr: number of pages
 *
 * Return: 1 if some of the range is being unmapped, 0 if not, -ENODATA if unknown.
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
 * vum_container_check_unmap - compare what VFIO unmaps with what the probe has read
 * @dev: device
 * @iova: first byte that VFIO unmaps
 * @last: last byte that VFIO unmaps
 *
 * If VFIO unmaps more, the consumer has changed the argument after it was read.
 *
 * Context: the task that unmaps.
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
 * vum_container_vaddr - find out where the consumer has a page that it has mapped
 * @dev: device
 * @index: IOVA >> PAGE_SHIFT
 *
 * Return: the page's address in the consumer's address space, 0 if it is unknown.
 */
u64 vum_container_vaddr(struct vum_device *dev, unsigned long index)
{
	u64 iova = (u64)index << PAGE_SHIFT, vaddr = 0;
	struct vum_container *c;
	struct vum_observed *o;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = dev->member.container;
	o = c ? vum_observed_from(c, iova) : NULL;
	if (o && o->vaddr && o->map.iova <= iova)
		vaddr = o->vaddr + (iova - o->map.iova);
	spin_unlock_irqrestore(&vum_container_lock, flags);
	return vaddr;
}

/**
 * vum_container_wait_unmapped - wait until a page is no longer being unmapped
 * @dev: device
 * @index: IOVA >> PAGE_SHIFT
 * @timeout: how long to wait at most, in jiffies
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
int vum_container_wait_unmapped(struct vum_device *dev, unsigned long index,
				long timeout)
{
	return wait_event_killable_timeout(vum_container_wait,
					   vum_container_unmapping(dev, index, 1) <= 0,
					   timeout) < 0 ? -EINTR : 0;
}

static const char *vum_container_why_not(const struct vum_device *dev)
{
	struct vum_container *c = dev->member.container;

	lockdep_assert_held(&vum_container_lock);
	if (vum_unobserved)
		return vum_unobserved;
	if (!dev->member.type1)
		return "the consumer's memory is not in a type1 container";
	if (!c)
		return "the consumer's container is older than the module";
	if (vum_container_blind(c) && !c->lost)
		return "too many maps and unmaps at once to be observed";
	return c->lost;
}

/* Returns the number of @maps. */
static unsigned int vum_container_list(struct vum_container *c, bool files,
				       struct vum_mapping *maps)
{
	struct vum_observed *o;
	unsigned int i, nr = 0;

	lockdep_assert_held(&vum_container_lock);
	for (o = vum_observed(rb_first(&c->maps)); o; o = vum_observed(rb_next(&o->node))) {
		if (o->mapper)
			continue;
		if (!files || !o->parts)
			maps[nr++] = o->map;
		else
			for (i = 0; i < o->nr_parts; i++)
				maps[nr++] = o->parts[i];
	}
	for (i = 0; i < nr; i++)
		if (maps[i].file)
			get_file(maps[i].file);
	return nr;
}

/**
 * vum_container_snapshot - list what the consumer has mapped
 * @dev: device
 * @files: list parts of mappings, with the files behind them
 * @maps: set to the mappings by IOVA if NULL is returned; the caller drops their files
 *	and kvfree()s them
 * @nr: set to the number of entries in @maps
 *
 * A mapping whose files have yet to be found is left out: the call that makes it has not
 * returned.
 *
 * Return: NULL, or why the mappings are not known, a string constant.
 */
const char *vum_container_snapshot(struct vum_device *dev, bool files,
				   struct vum_mapping **maps, unsigned int *nr)
{
	unsigned int room = 64, wanted;
	unsigned long flags;
	const char *why;

	for (;;) {
		*maps = kvcalloc(room, sizeof(**maps), GFP_KERNEL);
		if (!*maps)
			return "out of memory";
		*nr = 0;
		spin_lock_irqsave(&vum_container_lock, flags);
		why = vum_container_why_not(dev);
		if (why)
			break;
		wanted = dev->member.container->nr + dev->member.container->nr_parts;
		if (wanted <= room)
			break;
		room = wanted;
		spin_unlock_irqrestore(&vum_container_lock, flags);
		kvfree(*maps);
	}
	if (!why)
		*nr = vum_container_list(dev->member.container, files, *maps);
	spin_unlock_irqrestore(&vum_container_lock, flags);
	if (why)
		kvfree(*maps);
	return why;
}

/**
 * vum_container_gen - get the generation of all containers
 *
 * Return: a count that grows with each change of any container; a device's member.gen
 * is its value at the last change of the device's container.
 */
unsigned long vum_container_gen(void)
{
	return READ_ONCE(vum_gen);
}

/**
 * vum_container_find_device - find a device in a container
 * @id: this module's name for the container, which need not exist any more
 * @wanted: tells whether a device is the one; called with the containers' lock held
 * @gen: passed to @wanted
 *
 * Return: the first device that is @wanted, with a reference for the caller; or
 * NULL.
 */
struct vum_device *
vum_container_find_device(unsigned long id,
			  bool (*wanted)(const struct vum_device *dev, unsigned long gen),
			  unsigned long gen)
{
	struct vum_device *dev, *found = NULL;
	struct vum_container *c;
	unsigned long flags;

	spin_lock_irqsave(&vum_container_lock, flags);
	c = vum_container_find_id(id);
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
 * @why_not: why containers are not followed, a string constant; NULL if they are
 * @state: what shows whether the observer misses ioctls
 */
void vum_container_observe(const char *why_not, const struct vum_probe_state *state)
{
	vum_probe_state = *state;
	vum_unobserved = why_not;
}
