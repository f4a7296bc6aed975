// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_FEATURE_DMA_LOGGING_*: the pages of client memory that were written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include "private.h"

#define PAGE		4096ULL
#define WORD		(64 * PAGE)
/* More than the memory of any client of the tests. */
#define LOG_MAX		(1ULL << 36)

/**
 * struct vus_dirty - what was written
 * @iova: first byte of the range that the client wants to know of
 * @size: bytes, a multiple of WORD
 * @bits: a bit for each page
 */
struct vus_dirty {
	__u64 iova;
	__u64 size;
	__u64 bits[];
};

/**
 * vus_dirty_wrote() - note that client memory has been written
 * @srv: the server
 * @addr: IOVA
 * @size: bytes, all of them in memory that the client has announced
 */
void vus_dirty_wrote(struct vus_server *srv, __u64 addr, __u64 size)
{
	struct vus_dirty *log = srv->dirty;

	if (!log || addr < log->iova || addr - log->iova >= log->size)
		return;
	addr -= log->iova;
	if (size > log->size - addr)
		size = log->size - addr;
	for (__u64 page = addr / PAGE; size && page <= (addr + size - 1) / PAGE; page++)
		log->bits[page / 64] |= 1ULL << page % 64;
}

/**
 * vus_dirty_stop() - forget what was written
 * @srv: the server
 */
void vus_dirty_stop(struct vus_server *srv)
{
	free(srv->dirty);
	srv->dirty = NULL;
}

static int start(struct vus_server *srv,
		 struct vfio_user_device_feature_dma_logging_control *control, size_t size)
{
	const struct vfio_user_device_feature_dma_logging_range *range = control->ranges;

	if (srv->dirty || size < sizeof(*control) + sizeof(*range) ||
	    control->num_ranges != 1 || !range->length || range->length > LOG_MAX ||
	    range->length % WORD || range->iova % PAGE)
		return -EINVAL;
	srv->dirty = vus_alloc(sizeof(*srv->dirty) + range->length / PAGE / 8);
	srv->dirty->iova = range->iova;
	srv->dirty->size = range->length;
	control->page_size = PAGE;
	return 0;
}

static int report(struct vus_server *srv,
		  struct vfio_user_device_feature_dma_logging_report *report, size_t size)
{
	struct vus_dirty *log = srv->dirty;
	size_t room = report->length / PAGE / 8;
	__u64 *bits;

	if (!log || report->page_size != PAGE || report->iova < log->iova ||
	    report->iova - log->iova > log->size || (report->iova - log->iova) % WORD ||
	    report->length > log->size - (report->iova - log->iova) ||
	    report->length % WORD || size < sizeof(*report) + room)
		return -EINVAL;
	bits = log->bits + (report->iova - log->iova) / WORD;
	memcpy(report->bitmap, bits, room);
	memset(bits, 0, room);
	return 0;
}

/**
 * vus_dirty_feature() - answer a VFIO_DEVICE_FEATURE that is about what was written
 * @srv: the server
 * @flags: of the command
 * @data: what came, and room for the reply
 * @size: bytes of room
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP if it is about something else.
 */
int vus_dirty_feature(struct vus_server *srv, __u32 flags, void *data, size_t size)
{
	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		if (size < sizeof(struct vfio_user_device_feature_dma_logging_control))
			return -EINVAL;
		return start(srv, data, size);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		vus_dirty_stop(srv);
		return 0;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		if (size < sizeof(struct vfio_user_device_feature_dma_logging_report))
			return -EINVAL;
		return report(srv, data, size);
	default:
		return -EOPNOTSUPP;
	}
}
