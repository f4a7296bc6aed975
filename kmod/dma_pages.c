// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the table of the pages that a server has touched.
 *
 * A page is pinned when the server first touches it, and stays so until the consumer
 * unmaps it, the server goes, the device is closed, or the page is evicted to make
 * room for others. A page that has to go is taken out of the server's page tables at
 * once, and stays in the table as VUM_PAGE_REVOKED until a worker has unpinned it. A
 * page that was evicted leaves VUM_PAGE_EVICTED behind, by which a fault knows that
 * the page is to be pinned again, and not that the consumer has unmapped it.
 *
 * While the consumer tracks what the server writes, a page is shown for writing, or
 * copied to, only after VUM_PAGE_DIRTY is set, and is taken out of the page tables when
 * that is cleared. So the flag is set for every page that may have been written since.
 * It outlives the pin: the consumer wants to know of pages that it has unmapped, too.
 *
 * iommufd insists that pages are unpinned in the pieces in which they were pinned, so
 * the last page of each piece is marked. What is evicted are whole pieces.
 */

#include <linux/iommu.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "device.h"
#include "dma_pages.h"
#include "work.h"

/*
 * How long the scratch page absorbs accesses to a page, and hides a new mapping, after
 * a fault has ended that found nothing.
 */
#define VUM_ABSORB_MS	2

/*
 * So many pieces are looked at in a row, with the lock held, and the second half of
 * them is evicted even if in use.
 */
#define VUM_EVICT_LOOKS	16

/* After so many evictions, and as many as pages are pinned, their traces are swept. */
#define VUM_SWEEP_MIN	16384UL

/*
 * An entry of dma->pages, at index IOVA >> PAGE_SHIFT, holds the page frame's number
 * and these flags.
 */
#define VUM_PAGE_READ		IOMMU_READ
#define VUM_PAGE_WRITE		IOMMU_WRITE
#define VUM_PAGE_PROT		(VUM_PAGE_READ | VUM_PAGE_WRITE)
#define VUM_PAGE_LAST		BIT(2)	/* last page of a piece */
#define VUM_PAGE_REVOKED	BIT(3)	/* unreachable, to be unpinned */
#define VUM_PAGE_EVICTED	BIT(4)	/* unreachable, but may be pinned again */
#define VUM_PAGE_YOUNG		BIT(5)	/* put into page tables since the last look */
#define VUM_PAGE_ABSENT		BIT(6)	/* not pinned: an access found nothing */
#define VUM_PAGE_DIRTY		BIT(7)	/* written since the consumer last asked */
#define VUM_PAGE_SHIFT		8

/* Mark: the server's page tables may show the scratch page here; zap them soon. */
#define VUM_ABSENT		XA_MARK_0
/* Mark of entries with VUM_PAGE_REVOKED, by which the worker finds them. */
#define VUM_REVOKED		XA_MARK_1
/* Mark of entries with VUM_PAGE_PROT. */
#define VUM_PINNED		XA_MARK_2

static void *vum_page_entry(unsigned long pfn, unsigned long flags)
{
	return xa_mk_value(pfn << VUM_PAGE_SHIFT | flags);
}

static unsigned long vum_page_pfn(const void *entry)
{
	return xa_to_value(entry) >> VUM_PAGE_SHIFT;
}

static unsigned long vum_page_flags(const void *entry)
{
	return xa_to_value(entry) & (BIT(VUM_PAGE_SHIFT) - 1);
}

static bool vum_page_pinned(const void *entry)
{
	return entry && vum_page_flags(entry) & VUM_PAGE_PROT;
}

/* Was the page never pinned, as far as is known, or has it been evicted? */
static bool vum_page_none(const void *entry)
{
	return !entry || !(vum_page_flags(entry) & ~(VUM_PAGE_EVICTED | VUM_PAGE_DIRTY));
}

/* Is all that is known of the page that it has been evicted, and maybe written before? */
static bool vum_page_only_evicted(const void *entry)
{
	return entry && (vum_page_flags(entry) & ~VUM_PAGE_DIRTY) == VUM_PAGE_EVICTED;
}

/* Change the flags of an entry. That needs no memory, since the entry is there. */
static void vum_page_change(struct vum_dma *dma, unsigned long index, void *entry,
			    unsigned long clear, unsigned long set)
{
	unsigned long flags = vum_page_flags(entry);

	lockdep_assert_held(&dma->lock);
	if ((flags & ~clear) != (flags | set))
		xa_store(&dma->pages, index,
			 vum_page_entry(vum_page_pfn(entry), (flags & ~clear) | set), 0);
}

/* Forget all of a page that is not pinned, but that it was written. */
static void vum_page_drop(struct vum_dma *dma, unsigned long index, const void *entry)
{
	lockdep_assert_held(&dma->lock);
	if (vum_page_flags(entry) & VUM_PAGE_DIRTY)
		xa_store(&dma->pages, index, vum_page_entry(0, VUM_PAGE_DIRTY), 0);
	else
		xa_erase(&dma->pages, index);
}

static int vum_page_found(const void *entry, int need, unsigned long *pfn,
			  bool *writable)
{
	unsigned long flags;

	if (!entry)
		return 0;
	flags = vum_page_flags(entry);
	if (flags & VUM_PAGE_ABSENT)
		return -ENOENT;
	if (!(flags & VUM_PAGE_PROT))
		return 0;
	if ((flags & need) != need)
		return -EPERM;
	*pfn = vum_page_pfn(entry);
	*writable = flags & VUM_PAGE_WRITE;
	return 1;
}

/**
 * vum_pages_lookup - look up a page that the server is to reach
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @pfn: set to the page frame's number if the page is there
 * @writable: set, if the page is there, to whether it may be written without another
 *	call, with IOMMU_WRITE in @need
 *
 * Return: 1 if the page is there; 0 if it has yet to be pinned; -ENOENT if that has
 * just been tried in vain; -EPERM if the page is there, but not for @need.
 */
int vum_pages_lookup(struct vum_device *dev, unsigned long index, int need,
		     unsigned long *pfn, bool *writable)
{
	struct vum_dma *dma = &dev->dma;
	void *entry = xa_load(&dma->pages, index);
	int found = vum_page_found(entry, need, pfn, writable);
	unsigned long dirty = 0;

	lockdep_assert_held(&dma->lock);
	if (found <= 0)
		return found;
	if (dma->tracked) {
		dirty = need & IOMMU_WRITE ? VUM_PAGE_DIRTY : 0;
		*writable &= !!((vum_page_flags(entry) | dirty) & VUM_PAGE_DIRTY);
	}
	vum_page_change(dma, index, entry, 0, VUM_PAGE_YOUNG | dirty);
	return found;
}

/**
 * vum_pages_none - find out whether a page was never pinned, or has been evicted
 * @dma: its lock is held
 * @index: IOVA >> PAGE_SHIFT
 */
bool vum_pages_none(struct vum_dma *dma, unsigned long index)
{
	lockdep_assert_held(&dma->lock);
	return vum_page_none(xa_load(&dma->pages, index));
}

/**
 * vum_pages_last_none - find the last of a run of pages after one that is to be pinned
 * @dma: its lock is held
 * @index: IOVA >> PAGE_SHIFT, of that page
 * @max: last page to look at
 *
 * Return: the last page up to which vum_pages_none() is true of all after @index.
 */
unsigned long vum_pages_last_none(struct vum_dma *dma, unsigned long index,
				  unsigned long max)
{
	XA_STATE(xas, &dma->pages, index + 1);
	unsigned long last = max;
	void *entry;

	lockdep_assert_held(&dma->lock);
	rcu_read_lock();
	xas_for_each(&xas, entry, max) {
		if (vum_page_none(entry))
			continue;
		last = xas.xa_index - 1;
		break;
	}
	rcu_read_unlock();
	return last;
}

/**
 * vum_pages_all_pinned - find out whether all pages of a range are pinned
 * @dma: its lock is held
 * @first: first page, IOVA >> PAGE_SHIFT
 * @last: last page
 */
bool vum_pages_all_pinned(struct vum_dma *dma, unsigned long first, unsigned long last)
{
	XA_STATE(xas, &dma->pages, first);
	unsigned long nr = 0;
	void *entry;

	lockdep_assert_held(&dma->lock);
	/* Most often the block is not pinned, and then a look at its ends will do. */
	if (!xa_load(&dma->pages, first) || !xa_load(&dma->pages, last))
		return false;
	rcu_read_lock();
	xas_for_each(&xas, entry, last)
		nr += vum_page_pinned(entry);
	rcu_read_unlock();
	return nr == last - first + 1;
}

/**
 * vum_pages_evicted - find out whether a page may have been evicted, not unmapped
 * @dma: its lock is held
 * @index: IOVA >> PAGE_SHIFT, of a page that is not pinned
 */
bool vum_pages_evicted(struct vum_dma *dma, unsigned long index)
{
	void *entry = xa_load(&dma->pages, index);
	unsigned long flags = entry ? vum_page_flags(entry) & ~VUM_PAGE_DIRTY : 0;

	lockdep_assert_held(&dma->lock);
	return flags ? flags & VUM_PAGE_EVICTED : dma->evict.forgotten;
}

/* Drop the entry of an unpinned page, unless it has something left to say. */
static void vum_page_forget(struct vum_dma *dma, unsigned long index)
{
	void *entry = xa_load(&dma->pages, index);
	unsigned long left = 0;

	lockdep_assert_held(&dma->lock);
	if (entry)
		left = vum_page_flags(entry) & (VUM_PAGE_EVICTED | VUM_PAGE_DIRTY);
	if (!(left & VUM_PAGE_EVICTED) && xa_get_mark(&dma->pages, index, VUM_ABSENT))
		left |= VUM_PAGE_ABSENT;
	if (!left) {
		xa_erase(&dma->pages, index);
		return;
	}
	xa_store(&dma->pages, index, vum_page_entry(0, left), 0);
	xa_clear_mark(&dma->pages, index, VUM_REVOKED);
	xa_clear_mark(&dma->pages, index, VUM_PINNED);
}

/**
 * vum_pages_store - store all of dma->batch that has been pinned, or nothing
 * @dma: its lock is held
 * @first: first page, IOVA >> PAGE_SHIFT
 * @nr: number of pages, which are a piece
 * @prot: IOMMU_READ, IOMMU_WRITE: the accesses that they are pinned for
 *
 * Return: 0 or -ENOMEM.
 */
int vum_pages_store(struct vum_dma *dma, unsigned long first, unsigned long nr,
		    int prot)
{
	XA_STATE(xas, &dma->pages, first);
	unsigned long i = 0;

	lockdep_assert_held(&dma->lock);
	do {
		xas_lock(&xas);
		for (; i < nr; i++) {
			unsigned long flags = prot | VUM_PAGE_YOUNG |
					      (i == nr - 1 ? VUM_PAGE_LAST : 0);
			void *old = xas_load(&xas);

			if (old)
				flags |= vum_page_flags(old) & VUM_PAGE_DIRTY;
			xas_store(&xas, vum_page_entry(page_to_pfn(dma->batch[i]), flags));
			if (xas_error(&xas))
				break;
			xas_set_mark(&xas, VUM_PINNED);
			xas_next(&xas);
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL_ACCOUNT));
	if (i == nr) {
		WRITE_ONCE(dma->pinned, dma->pinned + nr);
		return 0;
	}
	/* As if evicted, so that a fault that has seen one of them pinned tries again. */
	while (i--) {
		vum_page_change(dma, first + i, xa_load(&dma->pages, first + i),
				~VUM_PAGE_DIRTY, VUM_PAGE_EVICTED);
		xa_clear_mark(&dma->pages, first + i, VUM_PINNED);
	}
	return -ENOMEM;
}

/* Take pages out of the server's page tables. */
static void vum_pages_zap(struct vum_dma *dma, unsigned long index, unsigned long nr)
{
	lockdep_assert_held(&dma->lock);
	if (dma->window)
		unmap_mapping_pages(dma->window->f_mapping, index, nr, true);
}

/**
 * vum_pages_track - from now on, mark pages as dirty before the server can write them
 * @dma: its lock is held
 */
void vum_pages_track(struct vum_dma *dma)
{
	lockdep_assert_held(&dma->lock);
	dma->tracked = true;
	/* Pages that are mapped for writing have no mark: let the server fault at them. */
	vum_pages_zap(dma, 0, ULONG_MAX);
}

/**
 * vum_pages_take_dirty - find pages that are marked as dirty, and take the marks off
 * @dma: its lock is held
 * @first: first page to look at, IOVA >> PAGE_SHIFT; set to the one to go on with
 * @last: last page
 * @runs: filled in with the pages, in order
 * @max: number of entries in @runs
 *
 * When this returns, the server cannot write them unless they are marked again.
 *
 * Return: number of entries in @runs. There may be more to find if @first is not beyond
 * @last.
 */
unsigned int vum_pages_take_dirty(struct vum_dma *dma, unsigned long *first,
				  unsigned long last, struct vum_run *runs,
				  unsigned int max)
{
	XA_STATE(xas, &dma->pages, *first);
	unsigned long looks = 0, flags;
	unsigned int nr = 0;
	void *entry;

	lockdep_assert_held(&dma->lock);
	*first = last + 1;
	xas_lock(&xas);
	xas_for_each(&xas, entry, last) {
		struct vum_run *run = nr ? &runs[nr - 1] : NULL;
		bool next = !run || run->first + run->nr != xas.xa_index;

		flags = vum_page_flags(entry);
		if (++looks > XA_CHECK_SCHED || (flags & VUM_PAGE_DIRTY && next && nr == max)) {
			*first = xas.xa_index;
			break;
		}
		if (!(flags & VUM_PAGE_DIRTY))
			continue;
		if (next) {
			run = &runs[nr++];
			*run = (struct vum_run){ .first = xas.xa_index };
		}
		run->nr++;
		flags &= ~VUM_PAGE_DIRTY;
		xas_store(&xas, flags ? vum_page_entry(vum_page_pfn(entry), flags) : NULL);
	}
	xas_unlock(&xas);
	/*
	 * Each zap goes through all mappings of the window, of which a server may have
	 * thousands, so zap all runs at once. Pages between the runs are mapped for
	 * reading only, and come back by a fault.
	 */
	if (nr)
		vum_pages_zap(dma, runs[0].first,
			      runs[nr - 1].first + runs[nr - 1].nr - runs[0].first);
	return nr;
}

/* End a piece at @last, since a revoked range ends there or begins after it. */
static void vum_pages_split(struct vum_dma *dma, unsigned long last)
{
	void *entry = xa_load(&dma->pages, last);

	if (entry && vum_page_flags(entry) & (VUM_PAGE_PROT | VUM_PAGE_REVOKED))
		vum_page_change(dma, last, entry, 0, VUM_PAGE_LAST);
}

/* Revoke one entry; the caller has zapped the page. */
static void vum_page_revoke(struct xa_state *xas, void *entry, unsigned long evicted)
{
	unsigned long flags = vum_page_flags(entry), dirty = flags & VUM_PAGE_DIRTY;

	if (flags & (VUM_PAGE_PROT | VUM_PAGE_REVOKED)) {
		flags = (flags & VUM_PAGE_LAST) | VUM_PAGE_REVOKED | evicted;
		xas_store(xas, vum_page_entry(0, flags | dirty));
		xas_set_mark(xas, VUM_REVOKED);
		xas_clear_mark(xas, VUM_PINNED);
	} else {
		xas_store(xas, dirty ? vum_page_entry(0, dirty) : NULL);
	}
}

/**
 * vum_pages_revoke - take a range away from the server
 * @dev: device, dma->lock held
 * @first: first page, IOVA >> PAGE_SHIFT
 * @last: last page
 *
 * The server cannot reach any of the range when this returns. A worker unpins it.
 */
void vum_pages_revoke(struct vum_device *dev, unsigned long first, unsigned long last)
{
	struct vum_dma *dma = &dev->dma;
	struct vum_pinning *pinning = &dma->pinning;
	XA_STATE(xas, &dma->pages, first);
	unsigned long n = 0, index;
	void *entry;

	lockdep_assert_held(&dma->lock);
	vum_pages_zap(dma, first, last - first + 1);
	if (first)
		vum_pages_split(dma, first - 1);
	vum_pages_split(dma, last);
	xas_lock(&xas);
	xas_for_each(&xas, entry, last) {
		index = xas.xa_index;
		vum_page_revoke(&xas, entry, 0);
		if (++n % XA_CHECK_SCHED)
			continue;
		/* Where an entry has been erased, xas_pause() may skip others. */
		xas_set(&xas, index + 1);
		xas_unlock(&xas);
		cond_resched();
		xas_lock(&xas);
	}
	xas_unlock(&xas);
	if (pinning->nr && pinning->first <= last &&
	    pinning->first + (pinning->nr - 1) >= first) {
		if (pinning->worker)
			send_sig(SIGKILL, pinning->worker, 1);
		WRITE_ONCE(pinning->stale, true);
		if (pinning->index >= first && pinning->index <= last)
			pinning->lost = true;
	}
	if (vum_pages_revoked(dma, first, last))
		vum_work_queue_unpin(&dma->unpin);
}

/* Find the piece of pinned pages that @first is in. Returns its size; 0: not pinned. */
static unsigned long vum_pages_piece(struct vum_dma *dma, unsigned long *first,
				     bool *young)
{
	void *entry = xa_load(&dma->pages, *first);
	unsigned long nr = 0;

	*young = false;
	while (*first) {
		void *before = xa_load(&dma->pages, *first - 1);

		if (!vum_page_pinned(before) || vum_page_flags(before) & VUM_PAGE_LAST)
			break;
		entry = before;
		--*first;
	}
	while (vum_page_pinned(entry)) {
		nr++;
		*young |= vum_page_flags(entry) & VUM_PAGE_YOUNG;
		if (vum_page_flags(entry) & VUM_PAGE_LAST)
			break;
		entry = xa_load(&dma->pages, *first + nr);
	}
	return nr;
}

static void vum_pages_evict_piece(struct vum_dma *dma, unsigned long first,
				  unsigned long nr)
{
	XA_STATE(xas, &dma->pages, first);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, first + (nr - 1))
		vum_page_revoke(&xas, entry, VUM_PAGE_EVICTED);
	xas_unlock(&xas);
}

static void vum_pages_set_old(struct vum_dma *dma, unsigned long first, unsigned long nr)
{
	void *entry;
	unsigned long i;

	for (i = first; i < first + nr; i++) {
		entry = xa_load(&dma->pages, i);
		vum_page_change(dma, i, entry, VUM_PAGE_YOUNG, 0);
	}
}

/*
 * Forget which pages were evicted, since VFIO does not tell when they are unmapped. A
 * fault that finds nothing is then always taken for one at a page that was evicted.
 */
static void vum_pages_sweep(struct vum_dma *dma)
{
	unsigned long index;
	void *entry;

	dma->evict.swept = dma->evict.count;
	dma->evict.forgotten = true;
	xa_for_each(&dma->pages, index, entry) {
		if (vum_page_only_evicted(entry))
			vum_page_drop(dma, index, entry);
		cond_resched();
	}
}

/**
 * vum_pages_evict - take pages away that have not been touched for long
 * @dev: device, dma->lock held
 * @want: number of pages; whole pieces go, so it may become more
 *
 * A hand goes round the table, as a clock's. A piece that the server's page tables have
 * shown since the hand last came by mostly stays, but is taken out of them, so that the
 * next touch is seen. The caller unpins the others.
 *
 * Return: number of pages that are to be unpinned, which may be less than @want: the
 * caller then releases the lock for a moment and goes on; 0 if nothing is pinned.
 */
unsigned long vum_pages_evict(struct vum_device *dev, unsigned long want)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long *hand = &dma->evict.hand, done = 0, nr;
	unsigned int looks;
	bool young;

	lockdep_assert_held(&dma->lock);
	for (looks = 0; done < want && (looks < VUM_EVICT_LOOKS || !done); looks++) {
		if (!xa_find(&dma->pages, hand, ULONG_MAX, VUM_PINNED)) {
			*hand = 0;
			if (!xa_find(&dma->pages, hand, ULONG_MAX, VUM_PINNED))
				break;
		}
		nr = vum_pages_piece(dma, hand, &young);
		if (WARN_ON_ONCE(!nr))
			break;
		vum_pages_zap(dma, *hand, nr);
		if (young && looks < VUM_EVICT_LOOKS / 2) {
			vum_pages_set_old(dma, *hand, nr);
		} else {
			vum_pages_evict_piece(dma, *hand, nr);
			done += nr;
		}
		*hand += nr;
	}
	WRITE_ONCE(dma->evict.count, dma->evict.count + done);
	if (dma->evict.count - dma->evict.swept > max(VUM_SWEEP_MIN, dma->pinned))
		vum_pages_sweep(dma);
	return done;
}

/**
 * vum_pages_evict_one - take one page away, with the piece that it is in
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 */
void vum_pages_evict_one(struct vum_device *dev, unsigned long index)
{
	struct vum_dma *dma = &dev->dma;
	bool young;
	unsigned long nr = vum_pages_piece(dma, &index, &young);

	lockdep_assert_held(&dma->lock);
	if (!nr)
		return;
	vum_pages_zap(dma, index, nr);
	vum_pages_evict_piece(dma, index, nr);
	vum_work_queue_unpin(&dma->unpin);
}

/**
 * vum_pages_not_mapped - note that a page is not mapped, or as good as unmapped
 * @dma: its lock is held, and nobody can have pinned the page since that was known
 * @index: IOVA >> PAGE_SHIFT
 *
 * If the page had been evicted, it has been unmapped since, of which VFIO does not tell.
 */
void vum_pages_not_mapped(struct vum_dma *dma, unsigned long index)
{
	void *entry = xa_load(&dma->pages, index);

	lockdep_assert_held(&dma->lock);
	if (vum_page_only_evicted(entry))
		vum_page_drop(dma, index, entry);
}

/**
 * vum_pages_revoked - find out whether some of a range has yet to be unpinned
 * @dma: its lock need not be held
 * @first: first page, IOVA >> PAGE_SHIFT
 * @last: last page
 */
bool vum_pages_revoked(struct vum_dma *dma, unsigned long first, unsigned long last)
{
	return xa_find(&dma->pages, &first, last, VUM_REVOKED);
}

/**
 * vum_pages_next_revoked - find the next pages to unpin
 * @dev: device, dma->lock held
 * @first: set to the first page, IOVA >> PAGE_SHIFT
 *
 * Return: number of pages, 0 if there are none: one piece for iommufd, up to
 * VUM_BATCH_MAX pages in a row for type1.
 */
unsigned long vum_pages_next_revoked(struct vum_device *dev, unsigned long *first)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long nr = 0;
	void *entry;

	lockdep_assert_held(&dma->lock);
	*first = 0;
	entry = xa_find(&dma->pages, first, ULONG_MAX, VUM_REVOKED);
	while (entry && nr < VUM_BATCH_MAX &&
	       vum_page_flags(entry) & VUM_PAGE_REVOKED) {
		nr++;
		if (vum_page_flags(entry) & VUM_PAGE_LAST &&
		    vum_by_iommufd(&dev->vdev))
			break;
		entry = xa_load(&dma->pages, *first + nr);
	}
	return nr;
}

/**
 * vum_pages_unpinned - note that pages have been unpinned
 * @dma: its lock is held
 * @first: first page, IOVA >> PAGE_SHIFT, from vum_pages_next_revoked()
 * @nr: number of pages
 */
void vum_pages_unpinned(struct vum_dma *dma, unsigned long first, unsigned long nr)
{
	unsigned long i;

	lockdep_assert_held(&dma->lock);
	for (i = 0; i < nr; i++)
		vum_page_forget(dma, first + i);
	WRITE_ONCE(dma->pinned, dma->pinned - nr);
}

/**
 * vum_pages_absorb - let the scratch page stand in for a page, for VUM_ABSORB_MS
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT, for which there is an entry
 *
 * Even if the page is pinned meanwhile, its entry stays marked, since only
 * vum_pages_unabsorb() takes the scratch page out of the server's page tables.
 */
void vum_pages_absorb(struct vum_device *dev, unsigned long index)
{
	lockdep_assert_held(&dev->dma.lock);
	xa_set_mark(&dev->dma.pages, index, VUM_ABSENT);
	schedule_delayed_work(&dev->dma.unabsorb, msecs_to_jiffies(VUM_ABSORB_MS));
}

/* Let the server fault again where it found nothing: memory may be mapped by now. */
static void vum_pages_unabsorb(struct work_struct *work)
{
	struct vum_dma *dma = container_of(to_delayed_work(work), struct vum_dma,
					   unabsorb);
	unsigned long index;
	void *entry;

	mutex_lock(&dma->lock);
	xa_for_each_marked(&dma->pages, index, entry, VUM_ABSENT) {
		vum_pages_zap(dma, index, 1);
		xa_clear_mark(&dma->pages, index, VUM_ABSENT);
		if (vum_page_flags(entry) & VUM_PAGE_ABSENT)
			vum_page_drop(dma, index, entry);
	}
	mutex_unlock(&dma->lock);
}

/**
 * vum_pages_why - say in words why an access has failed
 * @error: the error that vum_dma_pin() returned; -EAGAIN if it was not called
 */
const char *vum_pages_why(int error)
{
	switch (error) {
	case -ENOMEM:
		return "the consumer may not lock enough memory (ulimit -l), or there is none";
	case -EPERM:
		return "the consumer has mapped it for other access";
	case -ENODEV:
		return "no consumer has the device open";
	case -ENOENT:
		return "the consumer has mapped no memory there";
	case -EAGAIN:
		return "the page is not pinned, and the access (a futex's?) cannot wait for that";
	case -ETIMEDOUT:
		return "its page does not come (see vfio_user/dma_fault_timeout_ms)";
	case -ESRCH:
		return "the process that has mapped the memory is gone";
	case -EFAULT:
		return "the consumer's memory cannot be pinned (a file on disk, or poisoned)";
	default:
		return "the consumer's memory cannot be pinned";
	}
}

/**
 * vum_pages_count_fault - count an access that is refused, and log the first one
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @error: the error that vum_dma_pin() returned; -EAGAIN if it was not called
 */
void vum_pages_count_fault(struct vum_device *dev, unsigned long index, int error)
{
	struct vum_dma *dma = &dev->dma;

	lockdep_assert_held(&dma->lock);
	/* Do not count touches of the mapping with which attach.c tries out modes. */
	if (dma->session == READ_ONCE(dev->announce.session) && !dma->faults++)
		vum_warn(dev, "server touched IOVA 0x%llx: %s; more of this is counted, not told\n",
			 (u64)index << PAGE_SHIFT, vum_pages_why(error));
}

/**
 * vum_pages_absent - remember for VUM_ABSORB_MS that an access has found nothing
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @error: the error that vum_dma_pin() returned
 *
 * Return: 0, and vum_pages_lookup() fails for such an access, or finds the page if it
 * has been pinned since; or -ENOMEM.
 */
int vum_pages_absent(struct vum_device *dev, unsigned long index, int error)
{
	struct vum_dma *dma = &dev->dma;
	void *entry = xa_load(&dma->pages, index);
	unsigned long flags;

	lockdep_assert_held(&dma->lock);
	/*
	 * If the page is not mapped, vum_pages_not_mapped() has cleared that it was
	 * evicted. So it has been pinned since, and evicted: the access will find that.
	 */
	if (entry && vum_page_flags(entry) & VUM_PAGE_EVICTED &&
	    (error == -ENOENT || error == -EPERM))
		return 0;
	/* A pinned page keeps its entry, as other accesses to it are permitted. */
	if (vum_page_none(entry)) {
		flags = VUM_PAGE_ABSENT;
		if (entry)
			flags |= vum_page_flags(entry) & VUM_PAGE_DIRTY;
		if (xa_is_err(xa_store(&dma->pages, index, vum_page_entry(0, flags),
				       GFP_KERNEL_ACCOUNT)))
			return -ENOMEM;
	}
	vum_pages_absorb(dev, index);
	vum_pages_count_fault(dev, index, error);
	return 0;
}

void vum_pages_init(struct vum_dma *dma)
{
	xa_init_flags(&dma->pages, XA_FLAGS_ACCOUNT);
	INIT_DELAYED_WORK(&dma->unabsorb, vum_pages_unabsorb);
}

/* The device's last reference has gone, so no window is left that could fault. */
void vum_pages_exit(struct vum_dma *dma)
{
	cancel_delayed_work_sync(&dma->unabsorb);
	xa_destroy(&dma->pages);
}
