/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the table of the pages that a server has touched.
 */
#ifndef VUM_DMA_PAGES_H
#define VUM_DMA_PAGES_H

#include "dma.h"

struct vum_device;

/**
 * struct vum_run - some pages in a row
 * @first: the first one, IOVA >> PAGE_SHIFT
 * @nr: number of pages
 */
struct vum_run {
	unsigned long first;
	unsigned long nr;
};

void vum_pages_init(struct vum_dma *dma);
void vum_pages_exit(struct vum_dma *dma);

/* What is there. */
int vum_pages_lookup(struct vum_device *dev, unsigned long index, int need,
		     unsigned long *pfn, bool *writable);
bool vum_pages_none(struct vum_dma *dma, unsigned long index);
unsigned long vum_pages_last_none(struct vum_dma *dma, unsigned long index,
				  unsigned long max);
bool vum_pages_all_pinned(struct vum_dma *dma, unsigned long first, unsigned long last);
bool vum_pages_evicted(struct vum_dma *dma, unsigned long index);

/* What has been written. */
void vum_pages_track(struct vum_dma *dma);
unsigned int vum_pages_take_dirty(struct vum_dma *dma, unsigned long *first,
				  unsigned long last, struct vum_run *runs,
				  unsigned int max);

/* What comes. */
int vum_pages_store(struct vum_dma *dma, unsigned long first, unsigned long nr,
		    int prot);

/* What goes, and what is to be unpinned. */
void vum_pages_revoke(struct vum_device *dev, unsigned long first, unsigned long last);
unsigned long vum_pages_evict(struct vum_device *dev, unsigned long want);
void vum_pages_evict_one(struct vum_device *dev, unsigned long index);
void vum_pages_not_mapped(struct vum_dma *dma, unsigned long index);
bool vum_pages_revoked(struct vum_dma *dma, unsigned long first, unsigned long last);
unsigned long vum_pages_next_revoked(struct vum_device *dev, unsigned long *first);
void vum_pages_unpinned(struct vum_dma *dma, unsigned long first, unsigned long nr);

/* Accesses that find nothing. */
void vum_pages_absorb(struct vum_device *dev, unsigned long index);
void vum_pages_count_fault(struct vum_device *dev, unsigned long index, int error);
int vum_pages_absent(struct vum_device *dev, unsigned long index, int error);
const char *vum_pages_why(int error);

/* Reserved pages may be a device's memory, which the kernel cannot copy like RAM. */
static inline bool vum_pfn_reserved(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	return PageReserved(page) && page != ZERO_PAGE(0);
}

#endif /* VUM_DMA_PAGES_H */
