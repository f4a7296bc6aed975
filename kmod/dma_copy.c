// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: copying from and to the consumer's memory, for a server that has no
 * mapping of it.
 */

#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/uaccess.h>

#include "device.h"
#include "dma_copy.h"
#include "dma_pages.h"
#include "dma_pin.h"

/* The most bytes that are copied with the lock held. */
#define VUM_COPY_RUN	SZ_256K

/**
 * vum_dma_reachable - find out whether an attachment may reach memory at present
 * @dev: device, dma->lock held
 * @session: the attachment
 *
 * Return: true if it is the present one and a consumer has the device open.
 */
bool vum_dma_reachable(struct vum_device *dev, u32 session)
{
	const struct vum_dma *dma = &dev->dma;

	lockdep_assert_held(&dma->lock);
	return dma->window && dma->session == session && dma->open &&
	       vum_conn_current(&dev->conn, session);
}

/**
 * vum_dma_at_hand - look up a page that can be copied from or to at once
 * @dev: device, dma->lock held
 * @iova: a byte of the page
 * @need: IOMMU_READ or IOMMU_WRITE
 * @pfn: set to the page's number
 *
 * Return: true if the page is pinned for that, and is memory.
 */
bool vum_dma_at_hand(struct vum_device *dev, u64 iova, int need, unsigned long *pfn)
{
	bool writable;

	return vum_pages_lookup(dev, iova >> PAGE_SHIFT, need, pfn, &writable) > 0 &&
	       !vum_pfn_reserved(*pfn);
}

/* Copy within one page. Returns false if the server's memory would have to be waited for. */
static bool vum_dma_copy_user(unsigned long pfn, unsigned int offset, char __user *to,
			      const char __user *from, size_t len)
{
	void *page = kmap_local_pfn(pfn);
	long ret;

	if (to)
		ret = copy_to_user_nofault(to, page + offset, len);
	else
		ret = copy_from_user_nofault(page + offset, from, len);
	kunmap_local(page);
	return !ret;
}

/**
 * vum_dma_copy_pinned - copy bytes between the server's memory and pinned pages
 * @dev: device
 * @session: the attachment that asks; only the present one may
 * @iova: first byte of the consumer's memory
 * @to: where the current process wants the bytes; or NULL
 * @from: where it has them, if @to is NULL
 * @len: number of bytes
 *
 * Copies once, and looks up a run of pages with the lock taken once. Where a page is not
 * pinned, or the process's own memory would have to be waited for, this ends, and
 * vum_dma_copy() can do the rest of that page.
 *
 * Return: number of bytes that have been copied.
 */
size_t vum_dma_copy_pinned(struct vum_device *dev, u32 session, u64 iova,
			   char __user *to, const char __user *from, size_t len)
{
	int need = to ? IOMMU_READ : IOMMU_WRITE;
	struct vum_dma *dma = &dev->dma;
	size_t done = 0, n;
	unsigned long pfn;

	/* A consumer that unmaps waits for the lock. */
	len = min_t(size_t, len, VUM_COPY_RUN);
	mutex_lock(&dma->lock);
	if (!vum_dma_reachable(dev, session))
		len = 0;
	for (; done < len; done += n, iova += n) {
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(iova));
		if (!vum_dma_at_hand(dev, iova, need, &pfn) ||
		    !vum_dma_copy_user(pfn, offset_in_page(iova), to ? to + done : NULL,
				       from ? from + done : NULL, n))
			break;
	}
	mutex_unlock(&dma->lock);
	return done;
}

/* Copy between a buffer and pinned pages, with the lock held. Returns the number of bytes. */
static size_t vum_dma_copy_run(struct vum_device *dev, u64 iova, void *buf, size_t len,
			       bool write)
{
	int need = write ? IOMMU_WRITE : IOMMU_READ;
	size_t done = 0, n;
	unsigned long pfn;

	for (; done < len; done += n, iova += n) {
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(iova));
		if (!vum_dma_at_hand(dev, iova, need, &pfn))
			break;
		if (write)
			memcpy_to_page(pfn_to_page(pfn), offset_in_page(iova), buf + done, n);
		else
			memcpy_from_page(buf + done, pfn_to_page(pfn), offset_in_page(iova), n);
	}
	return done;
}

/* Are all pages of a range pinned? The lock is held. */
static bool vum_dma_all_pinned(struct vum_device *dev, u64 iova, size_t len, bool write)
{
	unsigned long index = iova >> PAGE_SHIFT, last = (iova + len - 1) >> PAGE_SHIFT, pfn;
	int need = write ? IOMMU_WRITE : IOMMU_READ;

	for (; index <= last; index++)
		if (!vum_dma_at_hand(dev, (u64)index << PAGE_SHIFT, need, &pfn))
			return false;
	return true;
}

/**
 * vum_dma_copy_at_hand - copy between a buffer and pages, if that needs no waiting
 * @dev: device
 * @session: the attachment that asks; only the present one may
 * @iova: first byte of the consumer's memory
 * @buf: buffer in the kernel
 * @len: number of bytes
 * @write: copy to the consumer's memory, not from it
 *
 * Context: takes the lock only if it is free, for VUM_COPY_RUN bytes at a time.
 * Return: number of bytes that have been copied: all, or none unless @write is false and
 * some of the pages have gone, or others have the lock, after the first run.
 */
size_t vum_dma_copy_at_hand(struct vum_device *dev, u32 session, u64 iova, void *buf,
			    size_t len, bool write)
{
	struct vum_dma *dma = &dev->dma;
	size_t done = 0, n, want;

	/* What has been written in part must not be written once more. */
	if (write && len > VUM_COPY_RUN)
		return 0;
	do {
		if (!mutex_trylock(&dma->lock))
			break;
		want = min_t(size_t, len - done, VUM_COPY_RUN);
		n = 0;
		if (vum_dma_reachable(dev, session) &&
		    (done || vum_dma_all_pinned(dev, iova, len, write)))
			n = vum_dma_copy_run(dev, iova + done, buf + done, want, write);
		mutex_unlock(&dma->lock);
		done += n;
	} while (n == want && done < len);
	return done;
}

/**
 * vum_dma_copy - copy bytes between a buffer and the consumer's memory
 * @dev: device
 * @session: the attachment that asks; only the present one may
 * @iova: first byte of the consumer's memory
 * @buf: buffer in the kernel
 * @len: number of bytes
 * @write: copy to the consumer's memory, not from it
 *
 * Return: 0; -EFAULT if the consumer has mapped nothing there; or another error of
 * vum_dma_pin(). The bytes before the page that failed have been copied.
 */
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write)
{
	int need = write ? IOMMU_WRITE : IOMMU_READ;
	int ret = 0;

	if (len && iova + (len - 1) < iova)
		return -EFAULT;
	while (len && !ret) {
		struct vum_copy copy = {
			.buf = buf,
			.offset = offset_in_page(iova),
			.size = min_t(size_t, len, PAGE_SIZE - offset_in_page(iova)),
			.write = write,
		};

		ret = vum_dma_pin(dev, session, iova >> PAGE_SHIFT, need, &copy);
		iova += copy.size;
		buf += copy.size;
		len -= copy.size;
		cond_resched();
	}
	return ret == -ENOENT ? -EFAULT : ret;
}
