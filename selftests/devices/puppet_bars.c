// SPDX-License-Identifier: GPL-2.0
/* The puppet's memory that clients can map: BAR0 and region 9. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "puppet_priv.h"

static int bar0_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct puppet *puppet = opaque;

	puppet->nr_reads++;
	puppet->last_count = count;
	memcpy(buf, puppet->bar0 + offset, count);
	return 0;
}

static int bar0_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct puppet *puppet = opaque;

	puppet->nr_writes++;
	puppet->last_count = count;
	memcpy(puppet->bar0 + offset, buf, count);
	return 0;
}

static int region9_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	const struct puppet *puppet = opaque;

	memcpy(buf, puppet->region9 + offset, count);
	return 0;
}

static int region9_write(void *opaque, __u64 offset, const void *buf,
			 __u32 count)
{
	struct puppet *puppet = opaque;

	memcpy(puppet->region9 + offset, buf, count);
	return 0;
}

/* Return: a file that a client can map, or -1. */
static int new_file(const char *name, __u32 size)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 || ftruncate(fd, size) ? -1 : fd;
}

/* What cannot be mapped for writing, or at all, is still to be handed out. */
static __u8 *map_file(int fd, __u64 offset, __u32 size)
{
	const int prot = PROT_READ | PROT_WRITE;
	void *mem = mmap(NULL, size, prot, MAP_SHARED, fd, (off_t)offset);

	if (mem == MAP_FAILED)
		mem = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (mem == MAP_FAILED)
		mem = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

/**
 * puppet_bars_init() - have the memory ready
 * @puppet: the device; its command line is there
 *
 * Return: 0, or -1 and errno
 */
int puppet_bars_init(struct puppet *puppet)
{
	const struct puppet_options *opt = &puppet->opt;

	puppet->bar0_fd = opt->bar0_fd >= 0 ? opt->bar0_fd :
			  new_file("puppet-bar0", opt->bar0_size);
	puppet->region9_fd = new_file("puppet-region9", PUPPET_REGION9_SIZE);
	if (puppet->bar0_fd < 0 || puppet->region9_fd < 0)
		return -1;
	puppet->bar0 = map_file(puppet->bar0_fd, opt->bar0_offset,
				opt->bar0_size);
	puppet->region9 = map_file(puppet->region9_fd, 0, PUPPET_REGION9_SIZE);
	return puppet->bar0 && puppet->region9 ? 0 : -1;
}

/* What can be mapped is the second half, in whole pages. */
static void only_second_half(struct vus_region *bar0)
{
	static union {
		struct vfio_region_info_cap_sparse_mmap cap;
		__u8 room[sizeof(struct vfio_region_info_cap_sparse_mmap) +
			  sizeof(struct vfio_region_sparse_mmap_area)];
	} sparse = {
		.cap.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		.cap.header.version = 1,
		.cap.nr_areas = 1,
	};
	const __u64 half = bar0->size / 2 & ~0xfffULL;

	sparse.cap.areas[0].offset = half;
	sparse.cap.areas[0].size = half;
	bar0->caps = &sparse;
	bar0->caps_size = sizeof(sparse);
}

/**
 * puppet_bars_describe() - say what they are
 * @puppet: the device
 * @regions: all of its regions
 */
void puppet_bars_describe(struct puppet *puppet, struct vus_region *regions)
{
	const struct puppet_options *opt = &puppet->opt;
	struct vus_region *bar0 = &regions[VFIO_PCI_BAR0_REGION_INDEX];

	*bar0 = (struct vus_region){
		.size = opt->bar0_size,
		.flags = opt->bar0_flags,
		.fd = opt->keep_bar0_fd ? -1 : puppet->bar0_fd,
		.offset = opt->bar0_offset,
		.cap_offset = opt->bar0_cap_offset,
		.read = bar0_read,
		.write = bar0_write,
	};
	if (opt->sparse)
		only_second_half(bar0);
	if (opt->bar0_caps) {
		bar0->caps = opt->bar0_caps->data;
		bar0->caps_size = opt->bar0_caps->size;
	}
	if (!opt->region9_caps)
		return;
	regions[PUPPET_REGION9] = (struct vus_region){
		.size = PUPPET_REGION9_SIZE,
		.flags = VFIO_REGION_INFO_FLAG_READ |
			 VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP,
		.fd = puppet->region9_fd,
		.caps = opt->region9_caps->data,
		.caps_size = opt->region9_caps->size,
		.read = region9_read,
		.write = region9_write,
	};
}
