/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the consumer's memory, as the server reaches it.
 */
#ifndef VUM_DMA_H
#define VUM_DMA_H

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct vfio_device;
struct vum_device;

/* Values of vfio_user/dma_mode: how a server reaches the consumer's memory. */
enum vum_dma_mode {
	VUM_DMA_AUTO,
	VUM_DMA_MMAP,
	VUM_DMA_FILE,
	VUM_DMA_MESSAGE,
	VUM_DMA_NONE,
	VUM_DMA_MODES,
};

/* Size of a window, whose offset is the IOVA: a file's offset ends at 2^63. */
#define VUM_WINDOW_SIZE		((u64)LLONG_MAX & PAGE_MASK)

/* Values of vfio_user/dma_aperture; libvfio-user takes regions of up to 2^43 bytes. */
#define VUM_DMA_APERTURE	43
#define VUM_DMA_APERTURE_MIN	20
#define VUM_DMA_APERTURE_MAX	46

/**
 * struct vum_copy - bytes to be copied from or to a page
 * @buf: the bytes in the kernel
 * @offset: where they begin in the page
 * @size: number of bytes, all of which are in one page
 * @write: copy to the page, not from it
 */
struct vum_copy {
	void *buf;
	unsigned int offset;
	unsigned int size;
	bool write;
};

/**
 * struct vum_pinning - the range that a task is pinning
 * @index: the page that the task wants, IOVA >> PAGE_SHIFT
 * @first: first page of the range
 * @nr: number of pages; 0 if no task is pinning
 * @stale: some of the range has been unmapped meanwhile
 * @lost: the page at @index has been unmapped meanwhile
 */
struct vum_pinning {
	unsigned long index;
	unsigned long first;
	unsigned long nr;
	bool stale;
	bool lost;
};

/**
 * struct vum_dma - what a device's server reaches of the consumer's memory
 * @lock: guards everything from @open to @scratch, but @unmaps, @unmapped_at and
 *	@slow_unmaps. Never held while VFIO pins or unpins
 * @open: a consumer has the device open
 * @pages: the pages that have been touched, by IOVA >> PAGE_SHIFT; see dma_pin.c
 * @pinned: number of pages that are pinned
 * @faults: number of accesses that found nothing
 * @batch: room for pages, which belongs to the task that pins
 * @pinning: the range that this task is pinning
 * @unpin: work item that unpins what has been revoked
 * @wait: tasks wait here for the end of @pinning, and for @unpin
 * @unmaps: number of vum_dma_unmap() calls under way
 * @unmapped_at: when the last of them ended
 * @slow_unmaps: number of unmaps in a row that returned before all was unpinned
 * @window: the window's file, while a server is attached
 * @session: the attachment that @window is for
 * @unabsorb: work item that takes the scratch page away from the server
 * @scratch: the page that absorbs accesses that found nothing, once there are any
 * @mode: how memory is announced to the next server
 * @announced: how memory was announced to the present server
 * @sigbus: an access that finds nothing is not absorbed
 * @aperture: number of bits of the IOVAs in the aperture
 */
struct vum_dma {
	struct mutex lock; /* see above */
	bool open;
	struct xarray pages;
	unsigned long pinned;
	u64 faults;
	struct page **batch;
	struct vum_pinning pinning;
	struct work_struct unpin;
	wait_queue_head_t wait;
	atomic_t unmaps;
	ktime_t unmapped_at;
	unsigned int slow_unmaps;
	struct file *window;
	u32 session;
	struct delayed_work unabsorb;
	struct page *scratch;
	enum vum_dma_mode mode;
	enum vum_dma_mode announced;
	bool sigbus;
	u8 aperture;
};

extern const char *const vum_dma_mode_names[];

/* dma.c: the window of an attachment, and DMA by messages */
void vum_dma_init(struct vum_device *dev);
void vum_dma_exit(struct vum_device *dev);
void vum_dma_attach(struct vum_device *dev, u32 session, struct file *window);
struct file *vum_dma_window(struct vum_device *dev, u32 *session);
void vum_dma_drop(struct vum_device *dev);
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write);

/* dma_pin.c: the pages */
void vum_dma_pin_init(struct vum_dma *dma);
void vum_dma_pin_exit(struct vum_dma *dma);
void vum_dma_open(struct vum_device *dev);
void vum_dma_close(struct vum_device *dev);
int vum_dma_lookup(struct vum_device *dev, unsigned long index, int need,
		   unsigned long *pfn, bool *writable);
int vum_dma_pin(struct vum_device *dev, u32 session, unsigned long index, int need,
		const struct vum_copy *copy);
void vum_dma_revoke(struct vum_device *dev, unsigned long first, unsigned long last);
void vum_dma_absorb(struct vum_device *dev, unsigned long index);
void vum_dma_count_fault(struct vum_device *dev, unsigned long index, int error);
int vum_dma_absent(struct vum_device *dev, unsigned long index, int error);
void vum_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length);

#endif /* VUM_DMA_H */
