// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: DMA, as hardware does it: the server touches an IOVA, and it
 * is translated or faults.
 *
 * A page of the consumer's is pinned when it is first touched and stays so
 * until the consumer unmaps it, the server goes, or the device is closed.
 * Everything here is under dma->lock. VFIO calls dma_unmap() with a lock of its
 * own held, which it takes inside those that vfio_pin_pages() takes; that order
 * is VFIO's. What may be waited for under dma->lock is the consumer's memory,
 * never the helper or the server, except that these can be the consumer too:
 * hence every wait for the lock on their behalf can be killed.
 */

#include <linux/delay.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vum.h"

/* What was absorbed is gone again after this, so that a new mapping is seen. */
#define VUM_ABSORB_MS	2

/*
 * A page in dma->pages, by the number of its IOVA: where it is and what may be
 * done to it. Without permissions it stands for an access that found nothing,
 * and is marked VUM_ABSENT.
 */
#define VUM_ABSENT	XA_MARK_0

/* Pages that are pinned at once, if more than one is. */
#define VUM_BATCH_MIN	8UL
#define VUM_BATCH_MAX	512UL

/*
 * Where it is not observed what the consumer unmaps: for so long after VFIO
 * told any device of an unmap nothing is pinned, since VFIO looks again.
 */
#define VUM_UNMAP_US	1000
static atomic_t vum_unmaps = ATOMIC_INIT(0);
static ktime_t vum_unmapped_at;

static void *vum_page_entry(unsigned long pfn, int prot)
{
	return xa_mk_value(pfn << 2 | prot);
}

static unsigned long vum_page_pfn(const void *entry)
{
	return xa_to_value(entry) >> 2;
}

static int vum_page_prot(const void *entry)
{
	return xa_to_value(entry) & (IOMMU_READ | IOMMU_WRITE);
}

/**
 * vum_dma_lookup - is the page there?
 * @dev: device, dma lock held
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @pfn: where it is
 * @writable: may be written, whether or not that is needed
 *
 * Returns 1 if it is; 0 if it has yet to be pinned; -EFAULT if that has just
 * been tried in vain, -EPERM if it is there for other access.
 */
int vum_dma_lookup(struct vum_device *dev, unsigned long index, int need,
		   unsigned long *pfn, bool *writable)
{
	void *entry = xa_load(&dev->dma.pages, index);

	if (!entry)
		return 0;
	if (!vum_page_prot(entry))
		return -EFAULT;
	if ((vum_page_prot(entry) & need) != need)
		return -EPERM;
	*pfn = vum_page_pfn(entry);
	*writable = vum_page_prot(entry) & IOMMU_WRITE;
	return 1;
}

static bool vum_dma_all_there(struct vum_dma *dma, unsigned long first,
			      unsigned long last)
{
	unsigned long index, nr = 0;
	void *entry;

	/* Most often it is not, and this is seen at its ends. */
	if (!xa_load(&dma->pages, first) || !xa_load(&dma->pages, last))
		return false;
	xa_for_each_range(&dma->pages, index, entry, first, last)
		nr += !!vum_page_prot(entry);
	return nr == last - first + 1;
}

/*
 * Which pages to pin for a touch of this one? It alone, unless memory is being
 * touched piece by piece: if all of a block is there, then all of the next, so
 * that no more is pinned ahead than has been touched. Blocks, not runs: within
 * a piece, memcpy() may well go backwards.
 */
static unsigned long vum_dma_batch(struct vum_dma *dma, unsigned long index,
				   unsigned long *first)
{
	unsigned long block = VUM_BATCH_MAX, start, last = index;

	*first = index;
	for (; block >= VUM_BATCH_MIN; block >>= 1) {
		start = round_down(index, block);
		if (start && vum_dma_all_there(dma, start - block, start - 1))
			break;
	}
	if (block < VUM_BATCH_MIN)
		return 1;
	while (*first > start && !xa_load(&dma->pages, *first - 1))
		--*first;
	while (last < start + block - 1 && !xa_load(&dma->pages, last + 1))
		last++;
	return last - *first + 1;
}

/* Is the consumer unmapping any of this? See container.c for what it is about. */
static bool vum_dma_unmapping(struct vum_device *dev, unsigned long index,
			      unsigned long nr)
{
	int seen = vum_container_unmapping(dev, index, nr);

	if (seen >= 0)
		return seen;
	return atomic_read(&vum_unmaps) ||
	       ktime_us_delta(ktime_get(), READ_ONCE(vum_unmapped_at)) < VUM_UNMAP_US;
}

/*
 * With all the permissions that there are, so that once is enough. Returns
 * them; @nr pages from @first on are in dma->batch.
 */
static int vum_dma_pin_pages(struct vum_device *dev, unsigned long index,
			     int need, unsigned long *first, unsigned long *nr)
{
	dma_addr_t iova = (dma_addr_t)index << PAGE_SHIFT;
	struct page **pages = dev->dma.batch;
	int prot = IOMMU_READ | IOMMU_WRITE;
	int ret = 0;

	*nr = vum_dma_batch(&dev->dma, index, first);
	if (*nr > 1 && !vum_dma_unmapping(dev, *first, *nr))
		ret = vfio_pin_pages(&dev->vdev, (dma_addr_t)*first << PAGE_SHIFT,
				     *nr, prot, pages);
	if (ret > 0)
		return prot;
	/* Not all of it is mapped, or may be written, or locked. */
	*first = index;
	*nr = 1;
	ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
	if (ret == -EPERM && need != prot) {
		prot = need;
		ret = vfio_pin_pages(&dev->vdev, iova, 1, prot, pages);
	}
	if (ret == 1)
		return prot;
	/* -EINVAL is VFIO's word for: nobody has mapped this. */
	return ret == -EINVAL || ret >= 0 ? -EFAULT : ret;
}

/* Remember what has been pinned. Returns how many; the rest is unpinned. */
static unsigned long vum_dma_store(struct vum_device *dev, unsigned long index,
				   unsigned long nr, int prot)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		void *entry = vum_page_entry(page_to_pfn(dma->batch[i]), prot);

		if (xa_is_err(xa_store(&dma->pages, index + i, entry,
				       GFP_KERNEL_ACCOUNT)))
			break;
	}
	if (i < nr)
		vfio_unpin_pages(&dev->vdev, (dma_addr_t)(index + i) << PAGE_SHIFT,
				 nr - i);
	dma->pinned += i;
	return i;
}

/**
 * vum_dma_wait_unmapped - wait until a page is no longer being unmapped
 * @dev: device, dma lock not held
 * @index: IOVA >> PAGE_SHIFT
 *
 * Returns 0, or -EINTR if the caller is being killed.
 */
int vum_dma_wait_unmapped(struct vum_device *dev, unsigned long index)
{
	if (vum_container_unmapping(dev, index, 1) > 0)
		return vum_container_wait_unmapped(dev, index);
	usleep_range(VUM_UNMAP_US / 2, VUM_UNMAP_US);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * vum_dma_pin - have a page at hand
 * @dev: device, dma lock held
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 * @pfn: where it is
 *
 * Returns 0; -EFAULT if the consumer has mapped nothing there, or -EPERM if
 * not for this; -ENOMEM if it may not lock more memory; -ENODEV if there is no
 * consumer; -EAGAIN if it is being unmapped: vum_dma_wait_unmapped().
 */
int vum_dma_pin(struct vum_device *dev, unsigned long index, int need,
		unsigned long *pfn)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long first, nr;
	bool writable;
	int found, prot;

	if (!dma->open)
		return -ENODEV;
	found = vum_dma_lookup(dev, index, need, pfn, &writable);
	/* What is there was pinned for all that the mapping permits. */
	if (found > 0 || found == -EPERM)
		return min(found, 0);
	if (vum_dma_unmapping(dev, index, 1))
		return -EAGAIN;
	prot = vum_dma_pin_pages(dev, index, need, &first, &nr);
	if (prot < 0)
		return prot;
	*pfn = page_to_pfn(dma->batch[index - first]);
	return vum_dma_store(dev, first, nr, prot) > index - first ? 0 : -ENOMEM;
}

/**
 * vum_dma_absorb - the scratch page stands where another one would
 * @dev: device, dma lock held
 * @index: IOVA >> PAGE_SHIFT; vum_dma_lookup() finds something there
 *
 * For a moment. However the page comes to be there meanwhile, it stays marked:
 * only vum_dma_present() takes the scratch page away.
 */
void vum_dma_absorb(struct vum_device *dev, unsigned long index)
{
	xa_set_mark(&dev->dma.pages, index, VUM_ABSENT);
	schedule_delayed_work(&dev->dma.present, msecs_to_jiffies(VUM_ABSORB_MS));
}

/**
 * vum_dma_absent - remember for a moment that an access has found nothing
 * @dev: device, dma lock held
 * @index: IOVA >> PAGE_SHIFT
 * @error: what vum_dma_pin() said
 */
void vum_dma_absent(struct vum_device *dev, unsigned long index, int error)
{
	struct vum_dma *dma = &dev->dma;

	/* A page that is there is refused to this access, not to others. */
	if (!xa_load(&dma->pages, index) &&
	    xa_is_err(xa_store(&dma->pages, index, vum_page_entry(0, 0),
			       GFP_KERNEL_ACCOUNT)))
		return;
	vum_dma_absorb(dev, index);
	/* What it is asked whether it takes, it may look at: attach.c. */
	if (dma->session == READ_ONCE(dev->announce.session) && !dma->faults++)
		vum_warn(dev, "server touched IOVA 0x%llx: %s; more of this is counted, not told\n",
			 (u64)index << PAGE_SHIFT,
			 error == -ENOMEM ? "the consumer may not lock more memory (ulimit -l)" :
			 error == -EPERM ? "the consumer has mapped it for other access" :
			 error == -ENODEV ? "no consumer has the device open" :
			 "the consumer has mapped nothing there");
}

/* Take pages away from the server. Under the dma lock. */
static void vum_dma_zap(struct vum_dma *dma, unsigned long index,
			unsigned long nr)
{
	if (dma->window)
		unmap_mapping_pages(dma->window->f_mapping, index, nr, true);
}

/* What was absorbed may be there by now: let the server fault again. */
static void vum_dma_present(struct work_struct *work)
{
	struct vum_dma *dma = container_of(to_delayed_work(work), struct vum_dma,
					   present);
	unsigned long index;
	void *entry;

	mutex_lock(&dma->lock);
	xa_for_each_marked(&dma->pages, index, entry, VUM_ABSENT) {
		vum_dma_zap(dma, index, 1);
		if (vum_page_prot(entry))
			xa_clear_mark(&dma->pages, index, VUM_ABSENT);
		else
			xa_erase(&dma->pages, index);
	}
	mutex_unlock(&dma->lock);
}

/* Nothing in this range is the server's any longer. Under the dma lock. */
static void vum_dma_forget(struct vum_device *dev, unsigned long first,
			   unsigned long last)
{
	struct vum_dma *dma = &dev->dma;
	unsigned long index;
	void *entry;

	vum_dma_zap(dma, first, last - first + 1);
	xa_for_each_range(&dma->pages, index, entry, first, last) {
		xa_erase(&dma->pages, index);
		if (!vum_page_prot(entry))
			continue;
		vfio_unpin_pages(&dev->vdev, (dma_addr_t)index << PAGE_SHIFT, 1);
		dma->pinned--;
		cond_resched();
	}
}

/**
 * vum_dma_unmap - the consumer unmaps; VFIO tells if something there is pinned
 * @vdev: device
 * @iova: first byte
 * @length: bytes
 *
 * When this returns, no server can reach the range.
 */
void vum_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	struct vum_dma *dma = &dev->dma;

	vum_container_told(dev, iova, iova + (length - 1));
	atomic_inc(&vum_unmaps);
	mutex_lock(&dma->lock);
	vum_dma_forget(dev, iova >> PAGE_SHIFT,
		       (iova + (length - 1)) >> PAGE_SHIFT);
	mutex_unlock(&dma->lock);
	WRITE_ONCE(vum_unmapped_at, ktime_get());
	atomic_dec(&vum_unmaps);
}

/* Not all memory of devices can be had in the kernel, as RAM can. */
static bool vum_pfn_reserved(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	return PageReserved(page) && page != ZERO_PAGE(0);
}

/**
 * vum_dma_copy - move bytes between the kernel and the consumer's memory
 * @dev: device
 * @session: the attachment that wants it; no other than the present one may
 * @iova: first byte
 * @buf: in the kernel
 * @len: bytes
 * @write: to the consumer's memory
 *
 * Returns 0, an error of vum_dma_pin(), -EIO if the attachment has ended, or
 * -EINTR if the caller is being killed. What precedes the page that failed has been moved.
 */
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write)
{
	struct vum_dma *dma = &dev->dma;
	int ret = 0;

	while (len && !ret) {
		size_t offset = offset_in_page(iova);
		size_t n = min_t(size_t, len, PAGE_SIZE - offset);
		unsigned long index = iova >> PAGE_SHIFT, pfn;
		void *page;

		if (mutex_lock_killable(&dma->lock))
			return -EINTR;
		if (dma->window && vum_session_current(&dev->ch, session) &&
		    dma->session == session)
			ret = vum_dma_pin(dev, index, write ? IOMMU_WRITE :
					  IOMMU_READ, &pfn);
		else
			ret = -EIO;
		if (!ret && vum_pfn_reserved(pfn))
			ret = -EFAULT;
		if (!ret) {
			page = kmap_local_pfn(pfn);
			if (write)
				memcpy(page + offset, buf, n);
			else
				memcpy(buf, page + offset, n);
			kunmap_local(page);
		}
		mutex_unlock(&dma->lock);
		if (ret == -EAGAIN) {
			ret = vum_dma_wait_unmapped(dev, index);
			continue;
		}
		iova += n;
		buf += n;
		len -= n;
		cond_resched();
	}
	return ret;
}

/* The answer is filled in, unless this is an error. */
static int vum_dma_execute_one(struct vum_device *dev, struct vum_msg *msg,
			       struct vum_req *answer)
{
	struct vfio_user_dma_access *dma = (void *)msg->payload;
	struct vfio_user_dma_access *reply = (void *)answer->msg.payload;
	bool write = msg->hdr.cmd == VFIO_USER_DMA_WRITE;
	int ret;

	if (READ_ONCE(dev->dma.announced) == VUM_DMA_NONE)
		return -EFAULT;
	*reply = *dma;
	ret = vum_dma_copy(dev, msg->session, dma->addr,
			   write ? dma->data : reply->data, dma->count, write);
	/* Without a consumer, nothing is mapped. */
	return ret == -ENODEV ? -EFAULT : ret;
}

static struct vum_msg *vum_dma_next_command(struct vum_device *dev)
{
	struct vum_channel *ch = &dev->ch;
	struct vum_msg *msg;

	vum_lock(ch);
	msg = list_first_entry_or_null(&dev->dma.commands, struct vum_msg, node);
	if (msg)
		list_del(&msg->node);
	vum_unlock(ch);
	return msg;
}

/*
 * DMA_READ and DMA_WRITE. Not in the helper's context, which serves others as
 * well: the consumer's memory may take its time.
 */
static void vum_dma_execute(struct work_struct *work)
{
	struct vum_dma *dma = container_of(work, struct vum_dma, execute);
	struct vum_device *dev = container_of(dma, struct vum_device, dma);
	struct vfio_user_dma_access *access;
	struct vum_req *answer;
	struct vum_msg *msg;
	size_t size;
	int error;

	while ((msg = vum_dma_next_command(dev))) {
		access = (void *)msg->payload;
		size = msg->hdr.cmd == VFIO_USER_DMA_READ ? access->count : 0;
		answer = vum_req_alloc(VUM_REQ_ANSWER, msg->hdr.cmd,
				       sizeof(*access) + size);
		if (answer) {
			error = vum_dma_execute_one(dev, msg, answer);
		} else {
			error = -ENOMEM;
			answer = vum_req_alloc(VUM_REQ_ANSWER, msg->hdr.cmd, 0);
		}
		if (answer)
			vum_req_answer(dev, msg->session, &msg->hdr, error, answer);
		else
			vum_session_break(dev, msg->session,
					  "out of memory for a reply to it");
		vum_msg_free(msg);
	}
}

/**
 * vum_dma_window - the present attachment's window
 * @dev: device
 * @session: the attachment
 *
 * Returns the window, with a reference for the caller; NULL if there is none;
 * -EINTR if the caller is being killed.
 */
struct file *vum_dma_window(struct vum_device *dev, u32 *session)
{
	struct vum_dma *dma = &dev->dma;
	struct file *window = NULL;

	if (mutex_lock_killable(&dma->lock))
		return ERR_PTR(-EINTR);
	if (dma->window)
		window = get_file(dma->window);
	*session = dma->session;
	mutex_unlock(&dma->lock);
	return window;
}

/**
 * vum_dma_open - a consumer is there, whose memory can be had
 * @dev: device
 */
void vum_dma_open(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	/* Not before: most devices may never be opened. */
	if (!dma->batch)
		dma->batch = kcalloc(VUM_BATCH_MAX, sizeof(*dma->batch),
				     GFP_KERNEL | __GFP_NOFAIL);
	dma->open = true;
	mutex_unlock(&dma->lock);
}

/**
 * vum_dma_close - the consumer goes, and its memory with it
 * @dev: device, still registered with its container
 */
void vum_dma_close(struct vum_device *dev)
{
	mutex_lock(&dev->dma.lock);
	dev->dma.open = false;
	vum_dma_forget(dev, 0, ULONG_MAX);
	mutex_unlock(&dev->dma.lock);
}

/* Under the dma lock. */
static struct file *vum_dma_take_window(struct vum_device *dev)
{
	struct file *window = dev->dma.window;

	vum_dma_forget(dev, 0, ULONG_MAX);
	WRITE_ONCE(dev->dma.window, NULL);
	return window;
}

/**
 * vum_dma_attach - a window for a new server
 * @dev: device
 * @session: the attachment to that server
 *
 * Returns the window, with a reference for the caller.
 */
struct file *vum_dma_attach(struct vum_device *dev, u32 session)
{
	struct file *window = vum_window_new(dev), *old;

	if (IS_ERR(window))
		return window;
	mutex_lock(&dev->dma.lock);
	old = vum_dma_take_window(dev);
	/* Whatever the last server left there. */
	if (dev->dma.scratch)
		clear_highpage(dev->dma.scratch);
	dev->dma.session = session;
	WRITE_ONCE(dev->dma.window, get_file(window));
	mutex_unlock(&dev->dma.lock);
	if (old)
		fput(old);
	return window;
}

/**
 * vum_dma_drop - no memory is the server's any longer, if it is not attached
 * @dev: device
 */
void vum_dma_drop(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;
	struct file *window = NULL;

	mutex_lock(&dma->lock);
	if (!vum_session_current(&dev->ch, dma->session))
		window = vum_dma_take_window(dev);
	mutex_unlock(&dma->lock);
	if (window)
		fput(window);
}

void vum_dma_init(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_init(&dma->lock);
	xa_init(&dma->pages);
	INIT_DELAYED_WORK(&dma->present, vum_dma_present);
	INIT_LIST_HEAD(&dma->commands);
	INIT_WORK(&dma->execute, vum_dma_execute);
	dma->announced = VUM_DMA_NONE;
	dma->aperture = VUM_DMA_APERTURE;
}

/* The last reference to the device goes: nobody is left who could fault. */
void vum_dma_exit(struct vum_device *dev)
{
	cancel_delayed_work_sync(&dev->dma.present);
	cancel_work_sync(&dev->dma.execute);
	xa_destroy(&dev->dma.pages);
	mutex_destroy(&dev->dma.lock);
	if (dev->dma.scratch)
		__free_page(dev->dma.scratch);
	kfree(dev->dma.batch);
}
