/* SPDX-License-Identifier: GPL-2.0 */
/* Having the puppet declare BAR0 in any way, and mapping what it declares. */
#ifndef VUM_LIB_BAR0_H
#define VUM_LIB_BAR0_H

#include "puppet.h"

#define PAGE		4096UL
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX
#define BAR0_SIZE	((size_t)PUPPET_BAR0_SIZE)

typedef struct vfio_region_sparse_mmap_area bar0_area;

/**
 * struct chain - a region's capabilities as the server sends them
 * @size: bytes in @data
 * @last: offset of the last header in @data
 * @data: follows the 32 bytes of the region's info
 */
struct chain {
	size_t size;
	size_t last;
	unsigned char data[8192] __attribute__((aligned(8)));
};

#define CHAIN_AT	sizeof(struct vfio_user_region_info)

/* One more capability: @size bytes, all 0 after its header, which is returned. */
struct vfio_info_cap_header *chain_add(struct chain *ch, unsigned int id,
				       size_t size);
void chain_add_areas(struct chain *ch, const bar0_area *areas, uint32_t nr);
void chain_add_type(struct chain *ch, uint32_t type, uint32_t subtype);
/* As --bar0-caps and --region9-caps want it; until the next call. */
const char *chain_hex(const struct chain *ch);

/* A memfd; and another open file on the same memory. Both fail the case. */
int bar0_file(size_t size);
int bar0_reopen(int fd, int flags);
/* Has nobody opened it any more but for the memfd itself? */
bool bar0_file_is_free(int memfd);
/* The puppet with --bar0-fd, if that is not -1, which nobody else inherits. */
void bar0_server(struct world *w, int fd, const char *const *args);
/* All of it and a consumer, but for the mdev and the helper if they are there. */
void bar0_up(struct world *w, struct consumer *c, int fd,
	     const char *const *args);

/* mmap() of the device, shared. */
void *region_map(const struct consumer *c, unsigned int index, uint64_t offset,
		 size_t size, int prot);
/* The same for reading and writing; fails the case. */
volatile uint32_t *region_mapped(const struct consumer *c, unsigned int index,
				 uint64_t offset, size_t size);
/* Is this the memory at that offset of the region? Fails the case if not. */
void region_same(const struct consumer *c, volatile uint32_t *mem,
		 unsigned int index, uint64_t offset);

#endif /* VUM_LIB_BAR0_H */
