/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The DMA window as a server has it, and a consumer in another process whose
 * memory is behind it. Everything fails the case by itself if it does not work.
 */
#ifndef VUM_LIB_WINDOW_H
#define VUM_LIB_WINDOW_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "consumer.h"
#include "world.h"

#define WINDOW_PAGE	4096UL

/*
 * The puppet is attached, and has a window for all of the aperture. The helper
 * is started by whoever is first.
 */
void window_world(struct world *w, const char *dma_fault);
/* The window of the server that is attached now: a descriptor of our own. */
int window_take(const struct world *w);
/* All that is mapped, as the server would, unless at a certain place. */
void *window_map(int window, uint64_t iova, size_t size);
/*
 * One access to memory that may not be there: 0, EFAULT (SIGBUS), or EACCES
 * (SIGSEGV). For threads, too.
 */
int window_load(const volatile uint32_t *p, uint32_t *value);
int window_store(volatile uint32_t *p, uint32_t value);
/* Does a load find this? */
bool window_loads(const volatile uint32_t *p, uint32_t want);
/* What a load has to find. */
#define CHECK_LOAD(p, want)						\
	do {								\
		uint32_t value_ = 0;					\
									\
		CHECK_EQ(window_load((p), &value_), 0);			\
		CHECK_EQ(value_, (want));				\
	} while (0)

/* VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA, of all that was mapped. */
void consumer_map(const struct consumer *c, void *vaddr, uint64_t iova,
		  size_t size, uint32_t flags);
void consumer_unmap(const struct consumer *c, uint64_t iova, size_t size);

/**
 * struct remote - a consumer in a process of its own
 * @pid: of that
 * @orders: socket to it
 */
struct remote {
	pid_t pid;
	int orders;
};

/* Memory that a remote consumer can map, and we can look at. */
uint32_t *remote_memory(size_t size);
/* After the memory, so that it has it, too. */
void remote_open(struct remote *r, const struct world *w);
void remote_map(const struct remote *r, void *vaddr, uint64_t iova,
		size_t size, uint32_t flags);
void remote_unmap(const struct remote *r, uint64_t iova, size_t size);
/*
 * Locks no more memory than this from now on: RLIMIT_MEMLOCK, for somebody who is not
 * root. The first does that to the calling process.
 */
void window_limit_memory(size_t size);
void remote_limit_memory(const struct remote *r, size_t size);
/* Has its ERR interrupt signal an eventfd that there was before it was opened. */
void remote_want_errors(const struct remote *r, int eventfd);
void remote_close(struct remote *r);

#endif /* VUM_LIB_WINDOW_H */
