// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: giving the consumer's memory back, at once to a consumer that unmaps
 * it.
 *
 * vum_dma_unmap() waits for the worker that unpins, but never for long without
 * progress: another thread that unmaps may hold type1's iommu->lock and wait for its
 * device_list_lock, which VFIO holds until vum_dma_unmap() returns. VFIO then calls
 * again.
 */

#include "compat.h"
#include "device.h"
#include "dma_evict.h"
#include "dma_pages.h"
#include "dma_unpin.h"
#include "work.h"

/*
 * How long vum_dma_unmap() waits without progress before it returns to type1, which
 * calls it again ten times at most; doubled each time in a row that this was not
 * enough.
 */
#define VUM_PATIENCE_MS		5
#define VUM_PATIENCE_DOUBLINGS	8

/* How long vum_dma_unmap() polls first: another CPU often runs the worker at once. */
#define VUM_PATIENCE_SPIN_US	200

static void vum_dma_unpin(struct work_struct *work)
{
	struct vum_dma *dma = container_of(work, struct vum_dma, unpin);
	struct vum_device *dev = container_of(dma, struct vum_device, dma);
	unsigned long first, nr;
	bool more;

	do {
		mutex_lock(&dma->lock);
		more = vum_evict_give_back(dev);
		while ((nr = vum_pages_next_revoked(dev, &first))) {
			mutex_unlock(&dma->lock);
			vfio_unpin_pages(&dev->vdev, (dma_addr_t)first << PAGE_SHIFT, nr);
			mutex_lock(&dma->lock);
			vum_pages_unpinned(dma, first, nr);
			wake_up_all(&dma->wait);
		}
		mutex_unlock(&dma->lock);
		/* Others want the lock, and each piece took a walk through page tables. */
		cond_resched();
	} while (more);
	wake_up_all(&dma->wait);
}

/* Has this device pages pinned in the range, or is a stale pin yet to be undone? */
static bool vum_dma_unpin_pending(struct vum_dma *dma, unsigned long first,
				  unsigned long last)
{
	return READ_ONCE(dma->pinning.stale) || vum_pages_revoked(dma, first, last);
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
	vum_pages_revoke(dev, first, last);
	mutex_unlock(&dma->lock);
	vum_dma_wait_unpinned(dev, first, last);
	WRITE_ONCE(dma->unmapped_at, ktime_get());
	atomic_dec(&dma->unmaps);
}

void vum_dma_unpin_init(struct vum_dma *dma)
{
	INIT_WORK(&dma->unpin, vum_dma_unpin);
}

void vum_dma_unpin_exit(struct vum_dma *dma)
{
	cancel_work_sync(&dma->unpin);
}
