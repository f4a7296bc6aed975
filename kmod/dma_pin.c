// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: which pages of the consumer's memory are pinned for the server.
 *
 * A page is pinned when the server first touches it, and stays pinned until the
 * consumer unmaps it, the server goes, or the device is closed.
 *
 * dma->lock guards the table of pages. It is not held while VFIO pins or unpins:
 * type1 calls vum_dma_unmap() with its device_list_lock held, and takes that lock
 * while it holds its iommu->lock, which pinning and unpinning need. Therefore
 *
 * - one task at a time pins, without dma->lock. dma->pinning tells other tasks the
 *   range. If some of that range is unmapped meanwhile, dma->pinning is marked
 *   stale, and the pages are unpinned instead of stored;
 * - a page that has to go is taken out of the server's page tables at once, and
 *   stays in dma->pages as VUM_PAGE_REVOKED until a worker has unpinned it;
 * - vum_dma_unmap() waits for the worker, but never for long without progress:
 *   another thread that unmaps may hold iommu->lock and wait for device_list_lock,
 *   which VFIO holds until vum_dma_unmap() returns. VFIO then calls again.
 *
 * iommufd insists that pages are unpinned in the pieces in which they were
 * pinned, so the last page of each piece is marked.
 */

#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "device.h"
#include "work.h"

/*
 * How long the scratch page absorbs accesses to a page, and hides a new mapping, after
 * a fault has ended that found nothing.
 */
#define VUM_ABSORB_MS	2

/* Smallest and largest block of pages that vum_dma_choose() considers. */
#define VUM_BATCH_MIN	8UL
#define VUM_BATCH_MAX	512UL

/*
 * For so long after an unmap that is not observed, nothing is pinned, since VFIO
 * looks for pinned pages again after vum_dma_unmap().
 */
#define VUM_UNMAP_US	1000

/*
 * How long vum_dma_unmap() waits without progress before it returns to type1, which
 * calls it again ten times at most; doubled each time in a row that this was not
 * enough.
 */
#define VUM_PATIENCE_MS		5
#define VUM_PATIENCE_DOUBLINGS	8

/* How long vum_dma_unmap() polls first: another CPU often runs the worker at once. */
#define VUM_PATIENCE_SPIN_US	200

/*
 * An entry of dma->pages, at index IOVA >> PAGE_SHIFT, holds the page frame's number
 * and these flags. An entry without flags stands for an access that found nothing,
 * and is marked VUM_ABSENT.
 */
#define VUM_PAGE_READ		IOMMU_READ
#define VUM_PAGE_WRITE		IOMMU_WRITE
#define VUM_PAGE_PROT		(VUM_PAGE_READ | VUM_PAGE_WRITE)
#define VUM_PAGE_LAST		BIT(2)	/* last page of a piece */
#define VUM_PAGE_REVOKED	BIT(3)	/* unreachable, to be unpinned */
#define VUM_PAGE_SHIFT		4

/* Mark: the server's page tables may show the scratch page here; zap them soon. */
#define VUM_ABSENT		XA_MARK_0
/* Mark of entries with VUM_PAGE_REVOKED, by which the worker finds them. */
#define VUM_REVOKED		XA_MARK_1

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

/**
 * vum_dma_lookup - look up a page
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @pfn: set to the page frame's number if the page is there
 * @writable: set, if the page is there, to whether it may be written
 *
 * Return: 1 if the page is there; 0 if it has yet to be pinned; -EFAULT if that has
 * just been tried in vain; -EPERM if the page is there, but not for @need.
 */
int vum_dma_lookup(struct vum_device *dev, unsigned long index, int need,
		   unsigned long *pfn, bool *writable)
{
	void *entry = xa_load(&dev->dma.pages, index);
	unsigned long flags;

	lockdep_assert_held(&dev->dma.lock);
	if (!entry)
		return 0;
	flags = vum_page_flags(entry);
	if (flags & VUM_PAGE_REVOKED)
		return 0;
	if (!(flags & VUM_PAGE_PROT))
		return -EFAULT;
	if ((flags & need) != need)
		return -EPERM;
	*pfn = vum_page_pfn(entry);
	*writable = flags & VUM_PAGE_WRITE;
	return 1;
}

static bool vum_dma_all_there(struct vum_dma *dma, unsigned long first,
			      unsigned long last)
{
	unsigned long index, nr = 0;
	void *entry;

	/* Most often the block is not pinned, and then a look at its ends will do. */
	if (!xa_load(&dma->pages, first) || !xa_load(&dma->pages, last))
		return false;
	xa_for_each_range(&dma->pages, index, entry, first, last)
		nr += vum_page_pinned(entry);
	return nr == last - first + 1;
}

/*
 * Choose the range to pin for a touch of one page: that page alone, unless the
 * server touches memory block by block. If all of the block before is pinned, the
 * rest of this one is chosen, so that no more is pinned ahead than has been touched.
 * Blocks count, not the pages just before, since memcpy() may go backwards within a
 * block.
 */
static void vum_dma_choose(struct vum_dma *dma, unsigned long index,
			   unsigned long *first, unsigned long *nr)
{
	unsigned long block = VUM_BATCH_MAX, start, last = index;

	*first = index;
	*nr = 1;
	for (; block >= VUM_BATCH_MIN; block >>= 1) {
		start = round_down(index, block);
		if (start && vum_dma_all_there(dma, start - block, start - 1))
			break;
	}
	if (block < VUM_BATCH_MIN)
		return;
	while (*first > start && !xa_load(&dma->pages, *first - 1))
		--*first;
	while (last < start + block - 1 && !xa_load(&dma->pages, last + 1))
		last++;
	*nr = last - *first + 1;
}

/* Is the consumer unmapping any of this? dma_container.c tells why pins must wait. */
static bool vum_dma_unmapping(struct vum_device *dev, unsigned long index,
			      unsigned long nr)
{
	struct vum_dma *dma = &dev->dma;
	int seen = vum_container_unmapping(dev, index, nr);

	if (seen >= 0)
		return seen;
	/* iommufd itself refuses to pin what is being unmapped. */
	if (vum_by_iommufd(&dev->vdev))
		return false;
	return atomic_read(&dma->unmaps) ||
	       ktime_us_delta(ktime_get(), READ_ONCE(dma->unmapped_at)) < VUM_UNMAP_US;
}

/* Reserved pages may be a device's memory, which the kernel cannot copy like RAM. */
static bool vum_pfn_reserved(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	return PageReserved(page) && page != ZERO_PAGE(0);
}

/* The lock makes the consumer's unmap wait for the copy. Returns 0 or -EFAULT. */
static int vum_dma_copy_page(struct vum_dma *dma, unsigned long pfn,
			     const struct vum_copy *copy)
{
	void *page;

	lockdep_assert_held(&dma->lock);
	if (vum_pfn_reserved(pfn))
		return -EFAULT;
	page = kmap_local_pfn(pfn);
	if (copy->write)
		memcpy(page + copy->offset, copy->buf, copy->size);
	else
		memcpy(copy->buf, page + copy->offset, copy->size);
	kunmap_local(page);
	return 0;
}

/*
 * Find the page, or claim dma->pinning for it: then *@pins is true, and the caller
 * goes on with vum_dma_pin_chosen(). Returns 0 or an error, as vum_dma_pin(), or
 * -EAGAIN if the caller must vum_dma_wait_turn() first.
 */
static int vum_dma_pin_begin(struct vum_device *dev, u32 session,
			     unsigned long index, int need,
			     const struct vum_copy *copy, bool *pins)
{
	struct vum_dma *dma = &dev->dma;
	struct vum_pinning *pinning = &dma->pinning;
	unsigned long pfn, nr;
	bool writable;
	int found;

	lockdep_assert_held(&dma->lock);
	*pins = false;
	if (!dma->window || dma->session != session ||
	    (copy && !vum_conn_current(&dev->conn, session)))
		return -EIO;
	if (!dma->open)
		return -ENODEV;
	found = vum_dma_lookup(dev, index, need, &pfn, &writable);
	if (found > 0)
		return copy ? vum_dma_copy_page(dma, pfn, copy) : 0;
	/* The page was pinned with all permissions that the mapping has. */
	if (found == -EPERM)
		return found;
	if (pinning->nr || xa_get_mark(&dma->pages, index, VUM_REVOKED) ||
	    vum_dma_unmapping(dev, index, 1))
		return -EAGAIN;
	*pins = true;
	pinning->index = index;
	vum_dma_choose(dma, index, &pinning->first, &nr);
	if (nr > 1 && vum_dma_unmapping(dev, pinning->first, nr)) {
		pinning->first = index;
		nr = 1;
	}
	WRITE_ONCE(pinning->nr, nr);
	return 0;
}

static bool vum_dma_revoked(struct vum_dma *dma, unsigned long first,
			    unsigned long last)
{
	return xa_find(&dma->pages, &first, last, VUM_REVOKED);
}

/*
 * Wait until it may be possible to pin a page: no other task pins, and the page is
 * neither being unpinned nor unmapped. Returns 0; -EINTR if the caller is being
 * killed; -EFAULT if the page has been unmapped since the access began (*@unmapped
 * remembers that from one call to the next) and is being unmapped once more. Between
 * the two unmaps, the access found nothing. Without this answer, a consumer that maps
 * and unmaps all the time would keep the server's thread waiting.
 */
static int vum_dma_wait_turn(struct vum_device *dev, unsigned long index,
			     bool *unmapped)
{
	struct vum_dma *dma = &dev->dma;

	if (wait_event_killable(dma->wait, !READ_ONCE(dma->pinning.nr) &&
				!vum_dma_revoked(dma, index, index)))
		return -EINTR;
	if (vum_container_unmapping(dev, index, 1) > 0) {
		if (*unmapped)
			return -EFAULT;
		*unmapped = true;
		return vum_container_wait_unmapped(dev, index);
	}
	if (vum_dma_unmapping(dev, index, 1))
		usleep_range(VUM_UNMAP_US / 2, VUM_UNMAP_US);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Have VFIO pin the chosen range or, if that fails, the page at @index alone; with
 * all permissions that the mapping has, so that no page is pinned twice. Returns the
 * permissions, and *@nr pages from *@first on are in dma->batch; or an error.
 */
static int vum_dma_pin_pages(struct vum_device *dev, unsigned long index,
			     int need, unsigned long *first, unsigned long *nr)
{
	dma_addr_t iova = (dma_addr_t)index << PAGE_SHIFT;
	struct page **pages = dev->dma.batch;
	int prot = IOMMU_READ | IOMMU_WRITE;
	int ret = 0;

	*first = dev->dma.pinning.first;
	*nr = dev->dma.pinning.nr;
	if (*nr > 1)
		ret = vfio_pin_pages(&dev->vdev, (dma_addr_t)*first << PAGE_SHIFT,
				     *nr, prot, pages);
	if (ret > 0)
		return prot;
	*first = index;
	*nr = 1;
	ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
	if (ret == -EPERM && need != prot) {
		prot = need;
		ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
	}
	if (ret == 1)
		return prot;
	/* Where nothing is mapped, type1 returns -EINVAL, iommufd -ENOENT as well. */
	return ret == -EINVAL || ret == -ENOENT || ret >= 0 ? -EFAULT : ret;
}

/* Drop the entry of an unpinned page, unless the scratch page stands in for it. */
static void vum_dma_forget(struct vum_dma *dma, unsigned long index)
{
	lockdep_assert_held(&dma->lock);
	if (!xa_get_mark(&dma->pages, index, VUM_ABSENT)) {
		xa_erase(&dma->pages, index);
		return;
	}
	xa_store(&dma->pages, index, vum_page_entry(0, 0), 0);
	xa_clear_mark(&dma->pages, index, VUM_REVOKED);
}

/* Store all that has been pinned in dma->pages, or nothing. Returns 0 or -ENOMEM. */
static int vum_dma_store(struct vum_dma *dma, unsigned long first,
			 unsigned long nr, int prot)
{
	unsigned long i;

	lockdep_assert_held(&dma->lock);
	for (i = 0; i < nr; i++) {
		unsigned long flags = prot | (i == nr - 1 ? VUM_PAGE_LAST : 0);
		void *entry = vum_page_entry(page_to_pfn(dma->batch[i]), flags);

		if (xa_is_err(xa_store(&dma->pages, first + i, entry,
				       GFP_KERNEL_ACCOUNT)))
			break;
	}
	if (i == nr) {
		WRITE_ONCE(dma->pinned, dma->pinned + nr);
		return 0;
	}
	while (i--)
		vum_dma_forget(dma, first + i);
	return -ENOMEM;
}

static void vum_dma_pin_over(struct vum_dma *dma)
{
	lockdep_assert_held(&dma->lock);
	WRITE_ONCE(dma->pinning.nr, 0);
	WRITE_ONCE(dma->pinning.stale, false);
	dma->pinning.lost = false;
	wake_up_all(&dma->wait);
}

/*
 * Pin the range that vum_dma_pin_begin() has chosen. Returns 0 or an error, as
 * vum_dma_pin(), or -EAGAIN if some of the range was unmapped meanwhile; *@unmapped
 * is set if that was the page itself.
 */
static int vum_dma_pin_chosen(struct vum_device *dev, int need,
			      const struct vum_copy *copy, bool *unmapped)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long index = dma->pinning.index, first, nr, pfn;
	int prot = vum_dma_pin_pages(dev, index, need, &first, &nr), ret = prot;

	mutex_lock(&dma->lock);
	if (prot >= 0) {
		pfn = page_to_pfn(dma->batch[index - first]);
		ret = dma->pinning.stale ? -EAGAIN :
		      vum_dma_store(dma, first, nr, prot);
		if (!ret && copy)
			ret = vum_dma_copy_page(dma, pfn, copy);
		else if (ret)
			goto give_back;
	}
	vum_dma_pin_over(dma);
	mutex_unlock(&dma->lock);
	return ret;

give_back:
	mutex_unlock(&dma->lock);
	vfio_unpin_pages(&dev->vdev, (dma_addr_t)first << PAGE_SHIFT, nr);
	mutex_lock(&dma->lock);
	*unmapped |= dma->pinning.lost;
	vum_dma_pin_over(dma);
	mutex_unlock(&dma->lock);
	return ret;
}

/**
 * vum_dma_pin - pin a page of the consumer's memory, or copy from or to it
 * @dev: device, dma->lock not held
 * @session: the attachment that wants the page
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @copy: what to copy from or to the page, or NULL
 *
 * Return: 0 if @copy is done or, without @copy, if vum_dma_lookup() will find the
 * page unless it has been unmapped again; -EFAULT if the consumer has mapped nothing
 * there, or a device's memory, which cannot be copied; -EPERM if what is mapped is not
 * for @need; -ENOMEM if the consumer may not lock more memory, or there is none;
 * -ENODEV if there is no consumer; -EIO if the attachment has ended; -EINTR if the
 * caller is being killed.
 */
int vum_dma_pin(struct vum_device *dev, u32 session, unsigned long index, int need,
		const struct vum_copy *copy)
{
	struct vum_dma *dma = &dev->dma;
	bool unmapped = false, pins;
	int ret;

	for (;;) {
		if (mutex_lock_killable(&dma->lock))
			return -EINTR;
		ret = vum_dma_pin_begin(dev, session, index, need, copy, &pins);
		mutex_unlock(&dma->lock);
		if (pins)
			ret = vum_dma_pin_chosen(dev, need, copy, &unmapped);
		if (ret != -EAGAIN)
			return ret;
		ret = vum_dma_wait_turn(dev, index, &unmapped);
		if (ret)
			return ret;
	}
}

/**
 * vum_dma_absorb - let the scratch page stand in for a page, for VUM_ABSORB_MS
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT, for which there is an entry
 *
 * Even if the page is pinned meanwhile, its entry stays marked, since only
 * vum_dma_unabsorb() takes the scratch page out of the server's page tables.
 */
void vum_dma_absorb(struct vum_device *dev, unsigned long index)
{
	lockdep_assert_held(&dev->dma.lock);
	xa_set_mark(&dev->dma.pages, index, VUM_ABSENT);
	schedule_delayed_work(&dev->dma.unabsorb, msecs_to_jiffies(VUM_ABSORB_MS));
}

static const char *vum_dma_absence(int error)
{
	switch (error) {
	case -ENOMEM:
		return "the consumer may not lock more memory (ulimit -l), or there is none";
	case -EPERM:
		return "the consumer has mapped it for other access";
	case -ENODEV:
		return "no consumer has the device open";
	case -EAGAIN:
		return "the page is not pinned, and the access (a futex's, for one) cannot wait for that";
	default:
		return "the consumer has mapped nothing there";
	}
}

/**
 * vum_dma_count_fault - count an access that is refused, and log the first one
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @error: the error that vum_dma_pin() returned; -EAGAIN if it was not called
 */
void vum_dma_count_fault(struct vum_device *dev, unsigned long index, int error)
{
	struct vum_dma *dma = &dev->dma;

	lockdep_assert_held(&dma->lock);
	/* Do not count touches of the mapping with which attach.c tries out modes. */
	if (dma->session == READ_ONCE(dev->announce.session) && !dma->faults++)
		vum_warn(dev, "server touched IOVA 0x%llx: %s; more of this is counted, not told\n",
			 (u64)index << PAGE_SHIFT, vum_dma_absence(error));
}

/**
 * vum_dma_absent - remember for VUM_ABSORB_MS that an access has found nothing
 * @dev: device, dma->lock held
 * @index: IOVA >> PAGE_SHIFT
 * @error: the error that vum_dma_pin() returned
 *
 * Return: 0, and vum_dma_lookup() fails for such an access; or -ENOMEM.
 */
int vum_dma_absent(struct vum_device *dev, unsigned long index, int error)
{
	struct vum_dma *dma = &dev->dma;

	lockdep_assert_held(&dma->lock);
	/* A pinned page keeps its entry, as other accesses to it are permitted. */
	if (!xa_load(&dma->pages, index) &&
	    xa_is_err(xa_store(&dma->pages, index, vum_page_entry(0, 0),
			       GFP_KERNEL_ACCOUNT)))
		return -ENOMEM;
	vum_dma_absorb(dev, index);
	vum_dma_count_fault(dev, index, error);
	return 0;
}

/* Take pages out of the server's page tables. */
static void vum_dma_zap(struct vum_dma *dma, unsigned long index,
			unsigned long nr)
{
	lockdep_assert_held(&dma->lock);
	if (dma->window)
		unmap_mapping_pages(dma->window->f_mapping, index, nr, true);
}

/* Let the server fault again where it found nothing: memory may be mapped by now. */
static void vum_dma_unabsorb(struct work_struct *work)
{
	struct vum_dma *dma = container_of(to_delayed_work(work), struct vum_dma,
					   unabsorb);
	unsigned long index;
	void *entry;

	mutex_lock(&dma->lock);
	xa_for_each_marked(&dma->pages, index, entry, VUM_ABSENT) {
		vum_dma_zap(dma, index, 1);
		if (vum_page_flags(entry))
			xa_clear_mark(&dma->pages, index, VUM_ABSENT);
		else
			xa_erase(&dma->pages, index);
	}
	mutex_unlock(&dma->lock);
}

/* End a piece at @last, since a revoked range ends there or begins after it. */
static void vum_dma_split(struct vum_dma *dma, unsigned long last)
{
	void *entry = xa_load(&dma->pages, last);

	if (entry && vum_page_flags(entry))
		xa_store(&dma->pages, last,
			 vum_page_entry(vum_page_pfn(entry),
					vum_page_flags(entry) | VUM_PAGE_LAST), 0);
}

/**
 * vum_dma_revoke - take a range away from the server
 * @dev: device, dma->lock held
 * @first: first page, IOVA >> PAGE_SHIFT
 * @last: last page
 *
 * The server cannot reach any of the range when this returns. A worker unpins it.
 */
void vum_dma_revoke(struct vum_device *dev, unsigned long first, unsigned long last)
{
	struct vum_dma *dma = &dev->dma;
	struct vum_pinning *pinning = &dma->pinning;
	XA_STATE(xas, &dma->pages, first);
	unsigned long n = 0;
	void *entry;

	vum_dma_zap(dma, first, last - first + 1);
	if (first)
		vum_dma_split(dma, first - 1);
	vum_dma_split(dma, last);
	xas_lock(&xas);
	xas_for_each(&xas, entry, last) {
		unsigned long flags = vum_page_flags(entry);

		if (flags & VUM_PAGE_PROT) {
			flags = (flags & VUM_PAGE_LAST) | VUM_PAGE_REVOKED;
			xas_store(&xas, vum_page_entry(0, flags));
			xas_set_mark(&xas, VUM_REVOKED);
		} else if (!(flags & VUM_PAGE_REVOKED)) {
			xas_store(&xas, NULL);
		}
		if (++n % XA_CHECK_SCHED)
			continue;
		xas_pause(&xas);
		xas_unlock(&xas);
		cond_resched();
		xas_lock(&xas);
	}
	xas_unlock(&xas);
	if (pinning->nr && pinning->first <= last &&
	    pinning->first + (pinning->nr - 1) >= first) {
		WRITE_ONCE(pinning->stale, true);
		if (pinning->index >= first && pinning->index <= last)
			pinning->lost = true;
	}
	if (vum_dma_revoked(dma, first, last))
		vum_work_queue_unpin(&dma->unpin);
}

/*
 * Find the next pages to unpin: one piece for iommufd, up to VUM_BATCH_MAX pages in a
 * row for type1. Returns their number.
 */
static unsigned long vum_dma_next_piece(struct vum_device *dev, unsigned long *first)
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

static void vum_dma_unpin(struct work_struct *work)
{
	struct vum_dma *dma = container_of(work, struct vum_dma, unpin);
	struct vum_device *dev = container_of(dma, struct vum_device, dma);
	unsigned long first, nr, i;

	mutex_lock(&dma->lock);
	while ((nr = vum_dma_next_piece(dev, &first))) {
		mutex_unlock(&dma->lock);
		vfio_unpin_pages(&dev->vdev, (dma_addr_t)first << PAGE_SHIFT, nr);
		mutex_lock(&dma->lock);
		for (i = 0; i < nr; i++)
			vum_dma_forget(dma, first + i);
		WRITE_ONCE(dma->pinned, dma->pinned - nr);
		wake_up_all(&dma->wait);
	}
	mutex_unlock(&dma->lock);
}

/* Has this device pages pinned in the range, or is a stale pin yet to be undone? */
static bool vum_dma_unpin_pending(struct vum_dma *dma, unsigned long first,
				  unsigned long last)
{
	return READ_ONCE(dma->pinning.stale) || vum_dma_revoked(dma, first, last);
}

static bool vum_dma_spin_unpinned(struct vum_dma *dma, unsigned long first,
				  unsigned long last)
{
	ktime_t end = ktime_add_us(ktime_get(), VUM_PATIENCE_SPIN_US);

	while (vum_dma_unpin_pending(dma, first, last)) {
		if (ktime_after(ktime_get(), end))
			return false;
		/* The worker may be waiting for this CPU. */
		cond_resched();
		cpu_relax();
	}
	return true;
}

/* Wait until the range is unpinned; for type1, only while there is progress. */
static void vum_dma_wait_unpinned(struct vum_device *dev, unsigned long first,
				  unsigned long last)
{
	struct vum_dma *dma = &dev->dma;
	unsigned int tired = min(READ_ONCE(dma->slow_unmaps), VUM_PATIENCE_DOUBLINGS);
	unsigned long pinned;
	long left;

	if (vum_dma_spin_unpinned(dma, first, last)) {
		WRITE_ONCE(dma->slow_unmaps, 0);
		return;
	}
	/* iommufd holds no lock that the worker needs, and may not call again. */
	if (vum_by_iommufd(&dev->vdev)) {
		wait_event(dma->wait, !vum_dma_unpin_pending(dma, first, last));
		return;
	}
	do {
		pinned = READ_ONCE(dma->pinned);
		left = wait_event_timeout(dma->wait, !vum_dma_unpin_pending(dma, first, last),
					  msecs_to_jiffies(VUM_PATIENCE_MS << tired));
	} while (!left && READ_ONCE(dma->pinned) != pinned);
	WRITE_ONCE(dma->slow_unmaps, left ? 0 : tired + 1);
}

/**
 * vum_dma_unmap - take a range that the consumer unmaps away from the server
 * @vdev: device
 * @iova: first byte
 * @length: number of bytes
 *
 * VFIO calls this if any device has pages pinned in the range, and calls again as
 * long as that is so. The device's server cannot reach the range when this returns.
 */
void vum_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	unsigned long first = iova >> PAGE_SHIFT;
	unsigned long last = (iova + (length - 1)) >> PAGE_SHIFT;
	struct vum_device *dev = vum_from_vfio(vdev);
	struct vum_dma *dma = &dev->dma;

	vum_container_check_unmap(dev, iova, iova + (length - 1));
	atomic_inc(&dma->unmaps);
	mutex_lock(&dma->lock);
	vum_dma_revoke(dev, first, last);
	mutex_unlock(&dma->lock);
	vum_dma_wait_unpinned(dev, first, last);
	WRITE_ONCE(dma->unmapped_at, ktime_get());
	atomic_dec(&dma->unmaps);
}

/**
 * vum_dma_open - let the consumer's memory be pinned
 * @dev: device
 */
void vum_dma_open(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	/* Allocate this no earlier, since most devices may never be opened. */
	if (!dma->batch)
		dma->batch = kcalloc(VUM_BATCH_MAX, sizeof(*dma->batch),
				     GFP_KERNEL | __GFP_NOFAIL);
	dma->open = true;
	mutex_unlock(&dma->lock);
}

/**
 * vum_dma_close - let go of the consumer's memory
 * @dev: device, still registered with its container
 *
 * VFIO does not let a closed device unpin, so this waits until all is unpinned.
 */
void vum_dma_close(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	dma->open = false;
	vum_dma_revoke(dev, 0, ULONG_MAX);
	mutex_unlock(&dma->lock);
	flush_work(&dma->unpin);
	wait_event(dma->wait, !READ_ONCE(dma->pinning.nr));
}

void vum_dma_pin_init(struct vum_dma *dma)
{
	xa_init(&dma->pages);
	init_waitqueue_head(&dma->wait);
	INIT_DELAYED_WORK(&dma->unabsorb, vum_dma_unabsorb);
	INIT_WORK(&dma->unpin, vum_dma_unpin);
}

/* The device's last reference has gone, so no window is left that could fault. */
void vum_dma_pin_exit(struct vum_dma *dma)
{
	cancel_delayed_work_sync(&dma->unabsorb);
	cancel_work_sync(&dma->unpin);
	xa_destroy(&dma->pages);
}
