// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: pinning the consumer's memory for the server.
 *
 * A worker pins, one range of a device at a time. The task that wants a page waits
 * until dma->fault_timeout_ms have passed: the consumer's memory may be behind a
 * filesystem that does not answer, and one server serves many consumers. And a consumer
 * that closes its device does not wait for a server's thread to get on.
 *
 * dma->lock guards the table of pages. It is not held while VFIO pins or unpins:
 * type1 calls vum_dma_unmap() with its device_list_lock held, and takes that lock
 * while it holds its iommu->lock, which pinning and unpinning need. Therefore
 * dma->pinning tells other tasks the range. If some of that range is unmapped
 * meanwhile, dma->pinning is marked stale, and the pages are unpinned instead of
 * stored.
 */

#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "device.h"
#include "dma_evict.h"
#include "dma_pages.h"
#include "dma_pin.h"
#include "work.h"

/* Smallest block of pages that vum_dma_choose() considers; VUM_BATCH_MAX is the largest. */
#define VUM_BATCH_MIN	8UL

/* A block is at most this part of the pages that may be pinned. */
#define VUM_BATCH_PART	8

/* How often a page is tried to be pinned while others, of whatever device, are evicted. */
#define VUM_LIMIT_TRIES	8

/* How often a task asks again if there is no memory, and how long it waits, in jiffies. */
#define VUM_NOMEM_TRIES	3
#define VUM_NOMEM_WAIT	max(HZ / 100, 1)

/*
 * For so long after an unmap that is not observed, nothing is pinned, since VFIO
 * looks for pinned pages again after vum_dma_unmap().
 */
#define VUM_UNMAP_US	1000

/**
 * struct vum_asker - a task that has asked for a page, on its stack
 * @copy: what to copy from or to the page, or NULL
 * @until: when the task gives up, in jiffies, if @patient is not set
 * @patient: the task waits for ever
 * @done: the worker has tried
 * @ret: what came of it
 * @unmapped: the page has been unmapped since the task asked first
 * @alone: a range was unmapped in part, so the page shall be pinned alone
 * @checked: the page was pinned for other access, and has been evicted to ask VFIO anew
 * @tries: how often the task may ask again if there is no memory
 */
struct vum_asker {
	const struct vum_copy *copy;
	unsigned long until;
	bool patient;
	bool done;
	int ret;
	bool unmapped;
	bool alone;
	bool checked;
	unsigned int tries;
};

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
	unsigned long block = VUM_BATCH_MAX, start = 0, last;
	unsigned long most = vum_evict_bound(dma) / VUM_BATCH_PART;

	*first = index;
	*nr = 1;
	for (; block >= VUM_BATCH_MIN; block >>= 1) {
		start = round_down(index, block);
		if (block <= most && start &&
		    vum_pages_all_pinned(dma, start - block, start - 1))
			break;
	}
	if (block < VUM_BATCH_MIN)
		return;
	while (*first > start && vum_pages_none(dma, *first - 1))
		--*first;
	last = vum_pages_last_none(dma, index, start + block - 1);
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
 * Find the page, or claim dma->pinning for it. Returns 0 or an error, as
 * vum_dma_pin(); -EINPROGRESS if the caller is to vum_dma_wait_pinned(); or -EAGAIN if
 * it must vum_dma_wait_turn() first.
 */
static int vum_dma_pin_begin(struct vum_device *dev, u32 session,
			     unsigned long index, int need, struct vum_asker *asker)
{
	const struct vum_copy *copy = asker->copy;
	struct vum_dma *dma = &dev->dma;
	struct vum_pinning *pinning = &dma->pinning;
	unsigned long pfn, nr;
	bool writable;
	int found;

	lockdep_assert_held(&dma->lock);
	if (!dma->window || dma->session != session ||
	    (copy && !vum_conn_current(&dev->conn, session)))
		return -EIO;
	if (!dma->open)
		return -ENODEV;
	found = vum_pages_lookup(dev, index, need, &pfn, &writable);
	if (found > 0)
		return copy ? vum_dma_copy_page(dma, pfn, copy) : 0;
	/* While it was being pinned, the consumer may have mapped it for more. */
	if (found == -EPERM) {
		if (asker->checked)
			return found;
		asker->checked = true;
		vum_pages_evict_one(dev, index);
		return -EAGAIN;
	}
	if (pinning->nr || vum_pages_revoked(dma, index, index) ||
	    vum_dma_unmapping(dev, index, 1))
		return -EAGAIN;
	pinning->index = index;
	pinning->need = need;
	pinning->asker = asker;
	asker->done = false;
	vum_dma_choose(dma, index, &pinning->first, &nr);
	if (nr > 1 && (asker->alone || vum_dma_unmapping(dev, pinning->first, nr))) {
		pinning->first = index;
		nr = 1;
	}
	WRITE_ONCE(pinning->nr, nr);
	/* With the lock held, so that whoever waits for @pinning waits for a worker. */
	vum_work_queue_pin(&pinning->work);
	return -EINPROGRESS;
}

/*
 * Find out why VFIO cannot pin a page that is mapped. Returns -ESRCH if the process with
 * the memory is gone; -ENOENT if a device's page is there, not memory, since QEMU maps
 * BARs for DMA as it does memory; else -EFAULT, also if it is unknown where the process
 * has the page.
 */
static int vum_dma_unpinnable(struct vum_device *dev, unsigned long index)
{
	struct mm_struct *mm = dev->dma.evict.mm;
	u64 vaddr = vum_container_vaddr(dev, index);
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	if (!mm)
		return ret;
	if (!mmget_not_zero(mm))
		return -ESRCH;
	if (vaddr) {
		mmap_read_lock(mm);
		vma = vma_lookup(mm, vaddr);
		if (vma && vma->vm_flags & (VM_PFNMAP | VM_IO))
			ret = -ENOENT;
		mmap_read_unlock(mm);
	}
	mmput(mm);
	return ret;
}

/* Translate VFIO's error into one of vum_dma_pin()'s. */
static int vum_dma_pin_error(struct vum_device *dev, unsigned long index, int error)
{
	switch (error) {
	case -EINVAL:
		/* So says type1 where nothing is mapped, iommufd in rare cases. */
		return -ENOENT;
	case -ENODEV:
		return -ESRCH;
	case -EFAULT:
		return vum_dma_unpinnable(dev, index);
	default:
		return error < 0 ? error : -ENOENT;
	}
}

/*
 * Have VFIO pin one page, with all permissions that the mapping has, so that no page
 * is pinned twice. Returns the permissions, which may be others than @need, or an error.
 */
static int vum_dma_pin_one(struct vum_device *dev, unsigned long index, int need,
			   struct page **pages)
{
	const int all = IOMMU_READ | IOMMU_WRITE;
	dma_addr_t iova = (dma_addr_t)index << PAGE_SHIFT;
	unsigned int tries = 0;
	int prot, ret;

	do {
		prot = all;
		ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
		if (ret == -EPERM) {
			prot = need == all ? IOMMU_READ : need;
			ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
		}
	} while (ret == -ENOMEM && !READ_ONCE(dev->dma.pinning.stale) &&
		 tries < VUM_LIMIT_TRIES && vum_evict_at_limit(dev, tries++));
	if (tries)
		vum_evict_tried(dev, ret == 1);
	return ret == 1 ? prot : vum_dma_pin_error(dev, index, ret);
}

/*
 * Pin the chosen range or, if that fails, the page that was asked for alone. Returns
 * the permissions, and *@nr pages from *@first on are in dma->batch; or an error.
 */
static int vum_dma_pin_pages(struct vum_device *dev, unsigned long *first,
			     unsigned long *nr)
{
	const struct vum_pinning *pinning = &dev->dma.pinning;
	int prot = IOMMU_READ | IOMMU_WRITE;

	*first = pinning->first;
	*nr = pinning->nr;
	vum_evict_make_room(dev, *nr);
	if (*nr > 1 && vfio_pin_pages(&dev->vdev, (dma_addr_t)*first << PAGE_SHIFT, *nr,
				      prot, dev->dma.batch) > 0)
		return prot;
	*first = pinning->index;
	*nr = 1;
	return vum_dma_pin_one(dev, pinning->index, pinning->need, dev->dma.batch);
}

/* Store what has been pinned, unless it has been unmapped since, and do the copy. */
static int vum_dma_pinned(struct vum_device *dev, unsigned long first, unsigned long nr,
			  int prot, bool *kept)
{
	struct vum_dma *dma = &dev->dma;
	const struct vum_pinning *pinning = &dma->pinning;
	const struct vum_copy *copy = pinning->asker ? pinning->asker->copy : NULL;
	struct mem_cgroup *memcg;
	unsigned long pfn;
	int ret = -EAGAIN;
	bool writable;

	lockdep_assert_held(&dma->lock);
	if (!pinning->stale) {
		/* The consumer pays for the table, since it is about its memory. */
		memcg = set_active_memcg(dma->evict.memcg);
		ret = vum_pages_store(dma, first, nr, prot);
		set_active_memcg(memcg);
	}
	*kept = !ret;
	if (ret)
		return ret;
	ret = vum_pages_lookup(dev, pinning->index, pinning->need, &pfn, &writable);
	if (ret < 0)
		return ret;
	return copy ? vum_dma_copy_page(dma, pfn, copy) : 0;
}

static void vum_dma_pin_over(struct vum_dma *dma, int ret)
{
	struct vum_pinning *pinning = &dma->pinning;
	struct vum_asker *asker = pinning->asker;

	lockdep_assert_held(&dma->lock);
	if (asker) {
		asker->unmapped |= pinning->lost;
		asker->ret = ret;
		/* The asker's stack may be gone as soon as this is seen. */
		smp_store_release(&asker->done, true);
	}
	pinning->asker = NULL;
	pinning->lost = false;
	WRITE_ONCE(pinning->stale, false);
	WRITE_ONCE(pinning->nr, 0);
	wake_up_all(&dma->wait);
}

/*
 * While the worker is in VFIO, a SIGKILL ends a wait for the consumer's userfaultfd.
 * vum_pages_revoke() sends one if the page is unmapped or the device closed, and a task
 * that gives up. By type1 no such wait is possible, and an interrupted pin would be
 * accounted wrongly. Returns whether the pin is still wanted.
 */
static bool vum_dma_allow_kill(struct vum_device *dev)
{
	struct vum_pinning *pinning = &dev->dma.pinning;
	bool wanted;

	if (vum_by_iommufd(&dev->vdev))
		allow_signal(SIGKILL);
	mutex_lock(&dev->dma.lock);
	wanted = !pinning->stale;
	if (vum_by_iommufd(&dev->vdev))
		pinning->worker = current;
	mutex_unlock(&dev->dma.lock);
	return wanted;
}

static void vum_dma_disallow_kill(struct vum_device *dev)
{
	if (!dev->dma.pinning.worker)
		return;
	mutex_lock(&dev->dma.lock);
	dev->dma.pinning.worker = NULL;
	mutex_unlock(&dev->dma.lock);
	disallow_signal(SIGKILL);
	flush_signals(current);
}

/* Pin the range that vum_dma_pin_begin() has chosen. */
static void vum_dma_pin_work(struct work_struct *work)
{
	struct vum_dma *dma = container_of(work, struct vum_dma, pinning.work);
	struct vum_device *dev = container_of(dma, struct vum_device, dma);
	unsigned long first, nr;
	int ret = -EAGAIN;
	bool kept = true;

	if (vum_dma_allow_kill(dev))
		ret = vum_dma_pin_pages(dev, &first, &nr);
	vum_dma_disallow_kill(dev);

	mutex_lock(&dma->lock);
	if (ret >= 0)
		ret = vum_dma_pinned(dev, first, nr, ret, &kept);
	else if (dma->pinning.stale)
		ret = -EAGAIN;
	else if (ret == -ENOENT || ret == -EPERM)
		vum_pages_not_mapped(dma, dma->pinning.index);
	if (!kept) {
		mutex_unlock(&dma->lock);
		vfio_unpin_pages(&dev->vdev, (dma_addr_t)first << PAGE_SHIFT, nr);
		mutex_lock(&dma->lock);
	}
	vum_dma_pin_over(dma, ret);
	mutex_unlock(&dma->lock);
}

/* How long may the task still wait? In jiffies, as wait_event_timeout() takes it. */
static long vum_dma_left(const struct vum_asker *asker)
{
	if (asker->patient)
		return MAX_SCHEDULE_TIMEOUT;
	return max(0L, (long)(asker->until - jiffies));
}

/*
 * Wait until the worker has tried to pin what vum_dma_pin_begin() has chosen. Returns
 * 0 or an error, as vum_dma_pin(), or -EAGAIN if some of the range was unmapped
 * meanwhile.
 */
static int vum_dma_wait_pinned(struct vum_dma *dma, struct vum_asker *asker)
{
	/* The acquire pairs with the release in vum_dma_pin_over(). */
	long left = wait_event_killable_timeout(dma->wait,
						smp_load_acquire(&asker->done),
						vum_dma_left(asker));

	if (left <= 0) {
		mutex_lock(&dma->lock);
		if (dma->pinning.asker == asker) {
			dma->pinning.asker = NULL;
			if (dma->pinning.worker)
				send_sig(SIGKILL, dma->pinning.worker, 1);
		}
		mutex_unlock(&dma->lock);
	}
	if (!asker->done)
		return left ? -EINTR : -ETIMEDOUT;
	asker->alone |= asker->ret == -EAGAIN;
	return asker->ret;
}

/*
 * Wait until it may be possible to pin a page: nothing is being pinned, and the page
 * is neither being unpinned nor unmapped. Returns 0; -EINTR if the caller is being
 * killed; -ETIMEDOUT; -ENOENT if the page has been unmapped since the task asked first
 * and is being unmapped once more. Between the two unmaps, the access found nothing.
 * Without this answer, a consumer that maps and unmaps all the time would keep the
 * server's thread waiting.
 */
static int vum_dma_wait_turn(struct vum_device *dev, unsigned long index,
			     struct vum_asker *asker)
{
	struct vum_dma *dma = &dev->dma;
	long left = wait_event_killable_timeout(dma->wait,
						!READ_ONCE(dma->pinning.nr) &&
						!vum_pages_revoked(dma, index, index),
						vum_dma_left(asker));

	if (left <= 0)
		return left ? -EINTR : -ETIMEDOUT;
	if (vum_container_unmapping(dev, index, 1) > 0) {
		if (asker->unmapped) {
			mutex_lock(&dma->lock);
			vum_pages_not_mapped(dma, index);
			mutex_unlock(&dma->lock);
			return -ENOENT;
		}
		asker->unmapped = true;
		/* If that takes too long, the page is as good as unmapped. */
		return vum_container_wait_unmapped(dev, index, vum_dma_left(asker));
	}
	if (vum_dma_unmapping(dev, index, 1))
		usleep_range(VUM_UNMAP_US / 2, VUM_UNMAP_US);
	if (fatal_signal_pending(current))
		return -EINTR;
	return vum_dma_left(asker) ? 0 : -ETIMEDOUT;
}

/*
 * Shall a task ask again after this error? There may be memory in a moment; and a
 * process that has exited will close the device, unless another process has it as well.
 * The device is to fail only if neither is so.
 */
static bool vum_dma_try_again(struct vum_asker *asker, int error)
{
	if (error == -ENOMEM ? !asker->tries : error != -ESRCH || !vum_dma_left(asker))
		return false;
	if (error == -ENOMEM)
		asker->tries--;
	schedule_timeout_killable(VUM_NOMEM_WAIT);
	return true;
}

/**
 * vum_dma_pin - pin a page of the consumer's memory, or copy from or to it
 * @dev: device, dma->lock not held
 * @session: the attachment that wants the page
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @copy: what to copy from or to the page, or NULL
 *
 * Return: 0 if @copy is done or, without @copy, if vum_pages_lookup() will find the
 * page unless it has gone again; -ENOENT if the consumer has mapped nothing there;
 * -EPERM if what is mapped is not for @need; -ENODEV if there is no consumer; -EFAULT
 * if the memory cannot be pinned or, being a device's, not copied; -ESRCH if its process
 * is gone; -ENOMEM if the consumer may not lock enough of it, or there is none;
 * -ETIMEDOUT after dma->fault_timeout_ms; -EIO if the attachment has ended; -EINTR if
 * the caller is being killed; or another error of VFIO's.
 */
int vum_dma_pin(struct vum_device *dev, u32 session, unsigned long index, int need,
		const struct vum_copy *copy)
{
	struct vum_dma *dma = &dev->dma;
	u32 ms = READ_ONCE(dma->fault_timeout_ms);
	struct vum_asker asker = {
		.copy = copy,
		.until = jiffies + msecs_to_jiffies(ms),
		.patient = !ms,
		.tries = VUM_NOMEM_TRIES,
	};
	int ret;

	do {
		if (mutex_lock_killable(&dma->lock))
			return -EINTR;
		ret = vum_dma_pin_begin(dev, session, index, need, &asker);
		mutex_unlock(&dma->lock);
		if (ret == -EINPROGRESS)
			ret = vum_dma_wait_pinned(dma, &asker);
		if (ret != -EAGAIN && !vum_dma_try_again(&asker, ret))
			return ret;
		ret = vum_dma_wait_turn(dev, index, &asker);
	} while (!ret);
	return ret;
}

void vum_dma_pin_init(struct vum_dma *dma)
{
	init_waitqueue_head(&dma->wait);
	INIT_WORK(&dma->pinning.work, vum_dma_pin_work);
}

/* The device's last reference has gone, so nobody asks any more. */
void vum_dma_pin_exit(struct vum_dma *dma)
{
	flush_work(&dma->pinning.work);
}
