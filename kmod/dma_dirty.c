// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: telling the consumer which of its pages the server has written, so
 * that a guest can be moved while its devices work.
 *
 * That takes no help from the server: it can write a page only after dma_pages.c has
 * marked the page. The processor's dirty bits would save the server a fault for each
 * page and report, but are lost without being seen when the server unmaps its window.
 */

#include <linux/iova_bitmap.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/vfio.h>

#include "compat.h"
#include "device.h"
#include "dma_dirty.h"
#include "dma_pages.h"

/* Some kernels export iova_bitmap_set() in iommufd's symbol namespace. */
VUM_IMPORT_NS(IOMMUFD);

/* So many runs of pages are reported at a time; they are on the stack. */
#define VUM_DIRTY_RUNS	32

/* If every page counts as written, so many are reported between two looks for a signal. */
#define VUM_DIRTY_PAGES	(1UL << 18)

/* Take the marks off all pages, unless another task of the consumer's tracks anew. */
static void vum_dirty_forget(struct vum_dma *dma)
{
	struct vum_run runs[VUM_DIRTY_RUNS];
	unsigned long next = 0, last = ULONG_MAX >> PAGE_SHIFT;

	do {
		mutex_lock(&dma->lock);
		if (dma->tracked)
			next = last + 1;
		else
			vum_pages_take_dirty(dma, &next, last, runs, VUM_DIRTY_RUNS);
		mutex_unlock(&dma->lock);
		cond_resched();
	} while (next <= last);
}

static void vum_dirty_note(struct vum_device *dev, u32 session)
{
	vum_conn_note(dev, session,
		      "no log of writes: server has files, so all pages count as written");
}

/*
 * The ranges that the consumer names do not matter, since pages are marked only where
 * it has mapped memory; nor does the size of a page that it wishes for.
 */
static int vum_dirty_start(struct vfio_device *vdev, struct rb_root_cached *ranges,
			   u32 nr_ranges, u64 *page_size)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	struct vum_dma *dma = &dev->dma;
	int ret = 0;

	mutex_lock(&dma->lock);
	if (dma->tracked) {
		ret = -EINVAL;
	} else {
		vum_pages_track(dma);
		if (dma->lent)
			vum_dirty_note(dev, dma->session);
		*page_size = PAGE_SIZE;
	}
	mutex_unlock(&dma->lock);
	return ret;
}

static int vum_dirty_stop(struct vfio_device *vdev)
{
	struct vum_dma *dma = &vum_from_vfio(vdev)->dma;
	bool tracked;

	mutex_lock(&dma->lock);
	tracked = dma->tracked;
	dma->tracked = false;
	mutex_unlock(&dma->lock);
	if (tracked)
		vum_dirty_forget(dma);
	return 0;
}

/* Report some of the pages from *@next on. Returns 0 or an error. */
static int vum_dirty_report(struct vum_dma *dma, unsigned long *next, unsigned long last,
			    struct iova_bitmap *dirty)
{
	struct vum_run runs[VUM_DIRTY_RUNS];
	unsigned int nr, i;

	if (mutex_lock_killable(&dma->lock))
		return -EINTR;
	if (!dma->tracked) {
		mutex_unlock(&dma->lock);
		return -EINVAL;
	}
	if (dma->lent) {
		runs[0] = (struct vum_run) {
			.first = *next,
			.nr = min(last - *next + 1, VUM_DIRTY_PAGES),
		};
		*next += runs[0].nr;
		nr = 1;
	} else {
		nr = vum_pages_take_dirty(dma, next, last, runs, VUM_DIRTY_RUNS);
	}
	mutex_unlock(&dma->lock);
	/* Without the lock, since the bitmap is in the consumer's memory. */
	for (i = 0; i < nr; i++)
		iova_bitmap_set(dirty, runs[i].first << PAGE_SHIFT, runs[i].nr << PAGE_SHIFT);
	return 0;
}

static int vum_dirty_read(struct vfio_device *vdev, unsigned long iova,
			  unsigned long length, struct iova_bitmap *dirty)
{
	struct vum_dma *dma = &vum_from_vfio(vdev)->dma;
	unsigned long last = (iova + (length - 1)) >> PAGE_SHIFT, next = iova >> PAGE_SHIFT;
	int ret;

	/* VFIO does not check that, and not every iova_bitmap_set() keeps to the bitmap. */
	if (!length || !PAGE_ALIGNED(iova | length))
		return -EINVAL;
	do {
		ret = vum_dirty_report(dma, &next, last, dirty);
		cond_resched();
		if (fatal_signal_pending(current))
			ret = -EINTR;
	} while (!ret && next <= last);
	return ret;
}

static const struct vfio_log_ops vum_log_ops = {
	.log_start		= vum_dirty_start,
	.log_stop		= vum_dirty_stop,
	.log_read_and_clear	= vum_dirty_read,
};

/**
 * vum_dirty_end - end the tracking of what the server writes, if it has begun
 * @dev: device that is being closed, whose server reaches no memory any more
 *
 * VFIO does not do so by itself.
 */
void vum_dirty_end(struct vum_device *dev)
{
	vum_dirty_stop(&dev->vdev);
}

/**
 * vum_dirty_share - note that a server is about to get the consumer's files
 * @dev: device
 * @session: the attachment
 *
 * From now on, every page counts as written, until the consumer closes the device: a server
 * that has gone may still write.
 */
void vum_dirty_share(struct vum_device *dev, u32 session)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	WRITE_ONCE(dma->announced, VUM_DMA_SHARE);
	dma->lent = true;
	if (dma->tracked)
		vum_dirty_note(dev, session);
	mutex_unlock(&dma->lock);
}

/**
 * vum_dirty_init - prepare a device that is being allocated
 * @dev: device
 */
void vum_dirty_init(struct vum_device *dev)
{
	dev->vdev.log_ops = VUM_LOG_OPS(&vum_log_ops);
}
