// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: how many pages of the consumer's memory may be pinned.
 *
 * What the server has is a mapping, not a promise: a page can be taken out of the
 * window and unpinned at any time, and comes back by the next touch. So a low bound
 * costs speed, not data, unless it is below VUM_PINNED_MIN. There are three: the
 * consumer's RLIMIT_MEMLOCK, of which the module learns when VFIO refuses to pin; the
 * operator's vfio_user/dma_max_pinned; and memory pressure, by a shrinker, which lets
 * the consumer's memory be swapped.
 */

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "device.h"
#include "dma_evict.h"
#include "dma_pages.h"
#include "work.h"

/*
 * With fewer pages than this a device does not work, since an instruction that copies
 * from page to page would evict what it needs.
 */
#define VUM_PINNED_MIN	4UL

/* For so long the module believes that the limit is where VFIO has refused to pin. */
#define VUM_LIMIT_HOLDS	(60 * HZ)

/* Pages go in batches: this part of the bound. */
#define VUM_EVICT_PART	16

static LIST_HEAD(vum_evict_devices);
static DEFINE_SPINLOCK(vum_evict_lock);
static struct shrinker *vum_shrinker;

static struct vum_dma *vum_dma_of(struct vum_evict *evict)
{
	return container_of(evict, struct vum_dma, evict);
}

/**
 * vum_evict_init - prepare a device that is being allocated
 * @evict: zeroed
 */
void vum_evict_init(struct vum_evict *evict)
{
	INIT_LIST_HEAD(&evict->node);
	evict->limit = ULONG_MAX;
}

/**
 * vum_evict_open - note whose memory is pinned from now on
 * @dma: its lock is held, by a task of the consumer's
 */
void vum_evict_open(struct vum_dma *dma)
{
	struct vum_evict *evict = &dma->evict;

	lockdep_assert_held(&dma->lock);
	evict->mm = current->mm;
	if (evict->mm)
		mmgrab(evict->mm);
	evict->memcg = get_mem_cgroup_from_mm(evict->mm);
	evict->limit = ULONG_MAX;
	evict->swept = evict->count;
	evict->forgotten = false;
	evict->told = false;
	spin_lock(&vum_evict_lock);
	list_add_tail(&evict->node, &vum_evict_devices);
	spin_unlock(&vum_evict_lock);
}

/**
 * vum_evict_close - forget whose memory was pinned; nothing is pinned any more
 * @dma: its lock is held
 */
void vum_evict_close(struct vum_dma *dma)
{
	struct vum_evict *evict = &dma->evict;

	lockdep_assert_held(&dma->lock);
	spin_lock(&vum_evict_lock);
	list_del_init(&evict->node);
	spin_unlock(&vum_evict_lock);
	if (evict->mm)
		mmdrop(evict->mm);
	evict->mm = NULL;
	mem_cgroup_put(evict->memcg);
	evict->memcg = NULL;
}

/**
 * vum_evict_bound - tell how many pages may be pinned
 * @dma: its lock need not be held
 *
 * Return: number of pages, ULONG_MAX if there is no bound.
 */
unsigned long vum_evict_bound(const struct vum_dma *dma)
{
	u64 max = READ_ONCE(dma->evict.max_pinned) >> PAGE_SHIFT;

	return min_t(u64, READ_ONCE(dma->evict.limit), max ?: ULONG_MAX);
}

/* Have the worker that unpins evict this many pages. */
static void vum_evict_ask(struct vum_dma *dma, unsigned long nr)
{
	long old = atomic_long_read(&dma->evict.give_back);
	long want = min_t(unsigned long, nr, LONG_MAX);

	while (old < want && !atomic_long_try_cmpxchg(&dma->evict.give_back, &old, want))
		;
	vum_work_queue_unpin(&dma->unpin);
}

/* Has the worker done all that it was asked for? */
static bool vum_evict_idle(struct vum_dma *dma)
{
	return !atomic_long_read(&dma->evict.give_back) &&
	       !vum_pages_revoked(dma, 0, ULONG_MAX);
}

/**
 * vum_evict_make_room - evict pages, so that others can be pinned within the bound
 * @dev: device, dma->lock not held
 * @nr: number of pages that are to be pinned
 *
 * Context: the worker that pins, so nothing else is pinned meanwhile.
 */
void vum_evict_make_room(struct vum_device *dev, unsigned long nr)
{
	struct vum_dma *dma = &dev->dma;
	struct vum_evict *evict = &dma->evict;
	unsigned long bound, pinned;

	if (time_after(jiffies, evict->limit_at + VUM_LIMIT_HOLDS))
		WRITE_ONCE(evict->limit, ULONG_MAX);
	for (;;) {
		bound = vum_evict_bound(dma);
		pinned = READ_ONCE(dma->pinned);
		if (pinned + nr <= bound || !pinned)
			return;
		vum_evict_ask(dma, max(pinned + nr - bound, bound / VUM_EVICT_PART));
		wait_event(dma->wait, READ_ONCE(dma->pinned) + nr <= vum_evict_bound(dma) ||
			   vum_evict_idle(dma));
	}
}

/*
 * Add up what devices of the same consumer have pinned and, with @ask, have them give
 * back some of that.
 */
static unsigned long vum_evict_siblings(struct vum_dma *dma, bool ask)
{
	unsigned long pinned, sum = 0;
	struct vum_evict *other;

	spin_lock(&vum_evict_lock);
	list_for_each_entry(other, &vum_evict_devices, node) {
		pinned = READ_ONCE(vum_dma_of(other)->pinned);
		if (other == &dma->evict || other->mm != dma->evict.mm ||
		    pinned < VUM_PINNED_MIN)
			continue;
		sum += pinned;
		if (ask)
			vum_evict_ask(vum_dma_of(other),
				      clamp(pinned / VUM_EVICT_PART, 1UL, VUM_BATCH_MAX));
	}
	spin_unlock(&vum_evict_lock);
	return sum;
}

/* Have siblings give back pages, and wait until they do. Returns whether they did. */
static bool vum_evict_from_siblings(struct vum_dma *dma)
{
	unsigned long before = vum_evict_siblings(dma, true), end = jiffies + HZ;

	while (before && time_before(jiffies, end)) {
		usleep_range(USEC_PER_MSEC, 2 * USEC_PER_MSEC);
		if (vum_evict_siblings(dma, false) < before)
			return true;
	}
	return false;
}

static void vum_evict_tell(struct vum_device *dev)
{
	struct vum_evict *evict = &dev->dma.evict;
	unsigned long kib = dev->dma.evict.limit << (PAGE_SHIFT - 10);

	lockdep_assert_held(&dev->dma.lock);
	if (evict->told)
		return;
	evict->told = true;
	vum_notice(dev, "the consumer may not lock more than these %lu KiB for the server, so pages come and go; for speed, let it lock (ulimit -l) as much as it maps for DMA\n",
		   kib);
}

/**
 * vum_evict_at_limit - evict pages because VFIO has not pinned a page for want of memory
 * @dev: device, dma->lock not held
 * @tries: how often this has been done for the page; each time, twice as much goes
 *
 * Most often this is the consumer's limit, which is where the number of pinned pages
 * has got to. Call vum_evict_tried() when that is known.
 *
 * Context: the worker that pins.
 * Return: true if it may help to try again.
 */
bool vum_evict_at_limit(struct vum_device *dev, unsigned int tries)
{
	struct vum_dma *dma = &dev->dma;
	struct vum_evict *evict = &dma->evict;
	bool full;

	if (!vum_evict_idle(dma)) {
		wait_event(dma->wait, vum_evict_idle(dma));
		return true;
	}
	mutex_lock(&dma->lock);
	full = dma->pinned >= VUM_PINNED_MIN;
	if (full) {
		WRITE_ONCE(evict->limit, dma->pinned);
		evict->limit_at = jiffies;
		vum_evict_ask(dma, max(1UL, dma->pinned /
				       max(1, VUM_EVICT_PART >> tries)));
	}
	mutex_unlock(&dma->lock);
	if (!full)
		return vum_evict_from_siblings(dma);
	wait_event(dma->wait, vum_evict_idle(dma));
	return true;
}

/**
 * vum_evict_tried - note whether evicting has made VFIO pin again
 * @dev: device, dma->lock not held
 * @helped: it has; if not, it was not the consumer's limit
 *
 * Context: the worker that pins, after vum_evict_at_limit().
 */
void vum_evict_tried(struct vum_device *dev, bool helped)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	if (!helped)
		WRITE_ONCE(dma->evict.limit, ULONG_MAX);
	else if (dma->evict.limit != ULONG_MAX)
		vum_evict_tell(dev);
	mutex_unlock(&dma->lock);
}

/**
 * vum_evict_give_back - evict some of the pages that are wanted back
 * @dev: device, dma->lock held
 *
 * Context: the worker that unpins, which calls this again after it has unpinned them.
 * Return: true if there is more to evict.
 */
bool vum_evict_give_back(struct vum_device *dev)
{
	atomic_long_t *give_back = &dev->dma.evict.give_back;
	long want = atomic_long_read(give_back), done;

	lockdep_assert_held(&dev->dma.lock);
	if (want <= 0)
		return false;
	done = vum_pages_evict(dev, want);
	if (done && done < want)
		return atomic_long_sub_return(done, give_back) > 0;
	/* Unless somebody wants more meanwhile, that was all, or all that there is. */
	return atomic_long_cmpxchg(give_back, want, 0) != want && done;
}

/**
 * vum_evict_set_max - set the operator's bound
 * @dev: device
 * @max_pinned: bytes; 0: none
 */
void vum_evict_set_max(struct vum_device *dev, u64 max_pinned)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long bound, pinned;

	WRITE_ONCE(dma->evict.max_pinned, max_pinned);
	bound = vum_evict_bound(dma);
	pinned = READ_ONCE(dma->pinned);
	if (pinned > bound)
		vum_evict_ask(dma, pinned - bound);
}

static unsigned long vum_shrinker_count(struct shrinker *s, struct shrink_control *sc)
{
	struct vum_evict *evict;
	unsigned long nr = 0;

	spin_lock(&vum_evict_lock);
	list_for_each_entry(evict, &vum_evict_devices, node)
		nr += READ_ONCE(vum_dma_of(evict)->pinned);
	spin_unlock(&vum_evict_lock);
	return nr ?: SHRINK_EMPTY;
}

/* Workers give the pages back, since reclaim may hold any lock. */
static unsigned long vum_shrinker_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct vum_evict *evict;
	unsigned long nr, done = 0;

	spin_lock(&vum_evict_lock);
	list_for_each_entry(evict, &vum_evict_devices, node) {
		nr = min(READ_ONCE(vum_dma_of(evict)->pinned), sc->nr_to_scan - done);
		if (!nr || atomic_long_read(&evict->give_back))
			continue;
		vum_evict_ask(vum_dma_of(evict), nr);
		done += nr;
	}
	/* Another device comes first the next time. */
	list_rotate_left(&vum_evict_devices);
	spin_unlock(&vum_evict_lock);
	return done ?: SHRINK_STOP;
}

/**
 * vum_evict_begin - begin to give pages back under memory pressure
 *
 * Return: 0 or -ENOMEM.
 */
int vum_evict_begin(void)
{
	vum_shrinker = vum_shrinker_new(vum_shrinker_count, vum_shrinker_scan);
	return vum_shrinker ? 0 : -ENOMEM;
}

void vum_evict_end(void)
{
	vum_shrinker_free(vum_shrinker);
}
