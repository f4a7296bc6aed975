/* SPDX-License-Identifier: GPL-2.0 */
/* Memory for the server, and what the puppet's DMA engine does to it. */
#ifndef VUM_LIB_DMA_H
#define VUM_LIB_DMA_H

#include "puppet.h"

#define DMA_READ	VFIO_DMA_MAP_FLAG_READ
#define DMA_WRITE	VFIO_DMA_MAP_FLAG_WRITE

/* All of a world and a consumer in it, whose server is told an aperture. */
void dma_up_aperture(struct world *w, struct consumer *c, const char *const *args);
/* Private, anonymous; fails the case. */
unsigned char *dma_memory(size_t size);
/*
 * A page that never comes: whoever touches it, this process or the kernel, waits for a
 * userfaultfd that is not served.
 */
void *dma_missing_page(void);
/* VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA of all of a mapping; fail the case. */
void dma_map(const struct consumer *c, void *vaddr, uint64_t iova, size_t size,
	     uint32_t flags);
void dma_unmap(const struct consumer *c, uint64_t iova, size_t size);
/* Has the engine do it. */
void dma_start(const struct consumer *c, enum puppet_dma_op op, uint64_t iova,
	       uint32_t size, uint32_t value);
/* The same, and waits. What it says: 0 or an errno. */
int dma_run(const struct consumer *c, enum puppet_dma_op op, uint64_t iova,
	    uint32_t size, uint32_t value);
/* A number in what vfio-user-mdevctl shows. */
long dma_show(const struct world *w, const char *key);
/* A string there, "" if it is null. */
void dma_show_text(const struct world *w, const char *key, char *buf,
		   size_t size);
/* Has every page that VFIO has taken for us been given back? */
bool dma_pins_balance(void);
/* Nothing is held for a consumer any more, and the server has seen it all. */
void dma_check_nothing_left(const struct world *w);

#endif /* VUM_LIB_DMA_H */
