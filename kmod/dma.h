/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the consumer's memory, as the server reaches it.
 */
#ifndef VUM_DMA_H
#define VUM_DMA_H

#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct mem_cgroup;
struct mm_struct;
struct vum_asker;
struct vum_device;

/* Values of vfio_user/dma_mode: how a server reaches the consumer's memory. */
enum vum_dma_mode {
	VUM_DMA_AUTO,
	VUM_DMA_MMAP,
	VUM_DMA_FILE,
	VUM_DMA_MESSAGE,
	VUM_DMA_NONE,
	VUM_DMA_SHARE,
	VUM_DMA_MODES,
};

/* Size of a window, whose offset is the IOVA: a file's offset ends at 2^63. */
#define VUM_WINDOW_SIZE		((u64)LLONG_MAX & PAGE_MASK)

/* Values of vfio_user/dma_aperture; libvfio-user takes regions of up to 2^43 bytes. */
#define VUM_DMA_APERTURE	43
#define VUM_DMA_APERTURE_MIN	20
#define VUM_DMA_APERTURE_MAX	46

/* Most pages that are pinned at a time. */
#define VUM_BATCH_MAX	512UL

/* Default of vfio_user/dma_fault_timeout_ms: memory may come from a slow swap. */
#define VUM_DMA_FAULT_TIMEOUT_MS	10000

/* Least bound of vfio_user/dma_max_pinned, so that one access does not evict itself. */
#define VUM_DMA_MAX_PINNED_MIN	(16 * PAGE_SIZE)

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
 * struct vum_pinning - the range that a worker is pinning
 * @work: work item that pins it
 * @index: the page that was asked for, IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE: the access that it was asked for
 * @first: first page of the range
 * @nr: number of pages; 0 if nothing is being pinned
 * @stale: some of the range has been unmapped meanwhile
 * @lost: the page at @index has been unmapped meanwhile
 * @asker: the task that asked, or NULL if it no longer waits
 * @worker: the task that is in VFIO, if a SIGKILL may end that, or NULL
 */
struct vum_pinning {
	struct work_struct work;
	unsigned long index;
	int need;
	unsigned long first;
	unsigned long nr;
	bool stale;
	bool lost;
	struct vum_asker *asker;
	struct task_struct *worker;
};

/**
 * struct vum_evict - how many pages may be pinned, and which are to go; see dma_evict.c
 * @node: in the list of all devices that a consumer has open, which has its own lock
 * @mm: of the consumer's task that made the first access, to be compared only; with a
 *	reference to the struct
 * @memcg: that task's memory cgroup, which pays for the table of pages
 * @hand: page at which the search for pages to evict goes on
 * @limit: the number of pages beyond which VFIO has refused to pin, or ULONG_MAX
 * @limit_at: when that was, in jiffies
 * @max_pinned: the operator's bound in bytes, vfio_user/dma_max_pinned; 0: none
 * @give_back: number of pages that a worker has yet to evict
 * @count: number of pages that have been evicted
 * @swept: @count when the table of pages was last cleared of traces of evicted pages
 * @forgotten: it has been cleared of them for this consumer
 * @told: the consumer's limit has been logged
 */
struct vum_evict {
	struct list_head node;
	struct mm_struct *mm;
	struct mem_cgroup *memcg;
	unsigned long hand;
	unsigned long limit;
	unsigned long limit_at;
	u64 max_pinned;
	atomic_long_t give_back;
	u64 count;
	u64 swept;
	bool forgotten;
	bool told;
};

/**
 * struct vum_dma - what a device's server reaches of the consumer's memory
 * @lock: guards everything from @open to @session, but @unmaps, @unmapped_at,
 *	@slow_unmaps and what says otherwise. Never held while VFIO pins or unpins
 * @open: a consumer has the device open
 * @opens: number of times that this has begun
 * @pages: the pages that have been touched, by IOVA >> PAGE_SHIFT; see dma_pages.c
 * @pinned: number of pages that are pinned
 * @tracked: the consumer wants to know which pages the server writes; see dma_dirty.c
 * @lent: a server gets, or has got, this consumer's files: nothing tells what it writes
 * @faults: number of accesses that found nothing
 * @batch: room for pages, which belongs to the worker that pins
 * @pinning: the range that this worker is pinning
 * @evict: which pages are to go
 * @unpin: work item that unpins what has been revoked
 * @wait: tasks wait here for the end of @pinning, and for @unpin
 * @unmaps: number of vum_dma_unmap() calls under way
 * @unmapped_at: when the last of them ended
 * @slow_unmaps: number of unmaps in a row that returned before all was unpinned
 * @window: the window's file, while a server is attached
 * @session: the attachment that @window is for
 * @unabsorb: work item that takes the scratch page away from the server
 * @mode: how memory is announced to the next server
 * @announced: how memory was announced to the present server
 * @sigbus: an access that finds nothing is not absorbed
 * @aperture: number of bits of the IOVAs in the aperture
 * @fault_timeout_ms: how long an access waits for its page; 0: for ever
 */
struct vum_dma {
	struct mutex lock; /* see above */
	bool open;
	u32 opens;
	struct xarray pages;
	unsigned long pinned;
	bool tracked;
	bool lent;
	u64 faults;
	struct page **batch;
	struct vum_pinning pinning;
	struct vum_evict evict;
	struct work_struct unpin;
	wait_queue_head_t wait;
	atomic_t unmaps;
	ktime_t unmapped_at;
	unsigned int slow_unmaps;
	struct file *window;
	u32 session;
	struct delayed_work unabsorb;
	enum vum_dma_mode mode;
	enum vum_dma_mode announced;
	bool sigbus;
	u8 aperture;
	u32 fault_timeout_ms;
};

extern const char *const vum_dma_mode_names[];

void vum_dma_init(struct vum_device *dev);
void vum_dma_exit(struct vum_device *dev);
void vum_dma_open(struct vum_device *dev);
void vum_dma_close(struct vum_device *dev);
void vum_dma_attach(struct vum_device *dev, u32 session, struct file *window);
struct file *vum_dma_window(struct vum_device *dev, u32 *session);
void vum_dma_drop(struct vum_device *dev);

#endif /* VUM_DMA_H */
