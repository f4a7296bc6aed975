// SPDX-License-Identifier: GPL-2.0
/* See bar0.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "bar0.h"

static struct vfio_info_cap_header *header_at(struct chain *ch, size_t at)
{
	return (void *)(ch->data + at);
}

struct vfio_info_cap_header *chain_add(struct chain *ch, unsigned int id,
				       size_t size)
{
	CHECK(ch->size + size <= sizeof(ch->data));
	if (ch->size)
		header_at(ch, ch->last)->next = (uint32_t)(CHAIN_AT + ch->size);
	ch->last = ch->size;
	ch->size += size;
	header_at(ch, ch->last)->id = (uint16_t)id;
	header_at(ch, ch->last)->version = 1;
	return header_at(ch, ch->last);
}

void chain_add_areas(struct chain *ch, const bar0_area *areas, uint32_t nr)
{
	struct vfio_region_info_cap_sparse_mmap *cap;

	cap = (void *)chain_add(ch, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
				sizeof(*cap) + nr * sizeof(*areas));
	cap->nr_areas = nr;
	if (nr)
		memcpy(cap->areas, areas, nr * sizeof(*areas));
}

void chain_add_type(struct chain *ch, uint32_t type, uint32_t subtype)
{
	struct vfio_region_info_cap_type *cap;

	cap = (void *)chain_add(ch, VFIO_REGION_INFO_CAP_TYPE, sizeof(*cap));
	cap->type = type;
	cap->subtype = subtype;
}

const char *chain_hex(const struct chain *ch)
{
	static const char digits[] = "0123456789abcdef";
	static char hex[2 * sizeof(ch->data) + 1];
	char *to = hex;

	for (size_t i = 0; i < ch->size; i++) {
		*to++ = digits[ch->data[i] >> 4];
		*to++ = digits[ch->data[i] & 15];
	}
	*to = '\0';
	return hex;
}

int bar0_file(size_t size)
{
	int fd = memfd_create("bar0", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, (off_t)size));
	return fd;
}

int bar0_reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	CHECK(again >= 0);
	return again;
}

/* Only then a lease is given. What memfd_create() opened does not count. */
bool bar0_file_is_free(int memfd)
{
	int fd = bar0_reopen(memfd, O_RDWR);
	bool is_free = !fcntl(fd, F_SETLEASE, F_WRLCK);

	CHECK(is_free || errno == EAGAIN);
	close(fd);
	return is_free;
}

void bar0_server(struct world *w, int fd, const char *const *args)
{
	char number[16];
	const char *argv[16] = { "--bar0-fd", number };
	int n = fd < 0 ? 0 : 2;

	snprintf(number, sizeof(number), "%d", fd);
	while (args && *args && n < 15)
		argv[n++] = *args++;
	argv[n] = NULL;
	if (fd >= 0)
		CHECK(!fcntl(fd, F_SETFD, 0));
	world_server(w, argv);
	if (fd >= 0)
		CHECK(!fcntl(fd, F_SETFD, FD_CLOEXEC));
}

void bar0_up(struct world *w, struct consumer *c, int fd,
	     const char *const *args)
{
	if (!w->uuid[0]) {
		world_mdev(w);
		/* What is written by message shall be in the memory at once. */
		world_attr_set(w, "posted_writes", "0");
	}
	bar0_server(w, fd, args);
	if (!w->helper)
		world_helper(w, NULL);
	world_wait_state(w, "attached");
	consumer_open(c, w);
}

void *region_map(const struct consumer *c, unsigned int index, uint64_t offset,
		 size_t size, int prot)
{
	return mmap(NULL, size, prot, MAP_SHARED, c->device,
		    region_at(index, offset));
}

volatile uint32_t *region_mapped(const struct consumer *c, unsigned int index,
				 uint64_t offset, size_t size)
{
	void *mem = region_map(c, index, offset, size, PROT_READ | PROT_WRITE);

	CHECK(mem != MAP_FAILED);
	return mem;
}

void region_same(const struct consumer *c, volatile uint32_t *mem,
		 unsigned int index, uint64_t offset)
{
	static uint32_t value = 0xabcd0000;

	*mem = ++value;
	CHECK_EQ(region_read32(c, index, offset), value);
	region_write32(c, index, offset, ++value);
	CHECK_EQ(*mem, value);
}
