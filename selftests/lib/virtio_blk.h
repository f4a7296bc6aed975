/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver for vum-virtio-blk, through VFIO: as good or as bad as a case wants
 * it to be. Everything fails the case by itself if it does not work.
 */
#ifndef VUM_LIB_VIRTIO_BLK_H
#define VUM_LIB_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "consumer.h"
#include "world.h"

/*
 * What the device may read and write, and right after it what it may only read.
 * In our address space there is memory around both that is none of its business.
 */
#define VBLK_IOVA	0x100000000ULL
#define VBLK_SIZE	0x100000ULL
#define VBLK_RO_IOVA	(VBLK_IOVA + VBLK_SIZE)
#define VBLK_RO_SIZE	0x10000ULL
#define VBLK_END	(VBLK_RO_IOVA + VBLK_RO_SIZE)

/* Each queue has the same structures, and there is room for data after them. */
#define VBLK_QUEUES	2
#define VBLK_QUEUE_SIZE	256
#define VBLK_DESC(q)	(VBLK_IOVA + 0x8000ULL * (q))
#define VBLK_AVAIL(q)	(VBLK_DESC(q) + 0x1000)
#define VBLK_USED(q)	(VBLK_DESC(q) + 0x2000)
#define VBLK_TABLE(q)	(VBLK_DESC(q) + 0x3000)
#define VBLK_HEADER(q)	(VBLK_DESC(q) + 0x4000)
#define VBLK_STATUS(q)	(VBLK_DESC(q) + 0x4100)
#define VBLK_DATA	(VBLK_IOVA + 0x40000)

#define VBLK_SECTOR	512U
#define VBLK_SECTORS	2048U

#define VBLK_MAX_DISKS	16U

#define VBLK_BIT(n)	(1ULL << (n))
#define VBLK_FEATURES	(VBLK_BIT(VIRTIO_F_VERSION_1) | \
			 VBLK_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
			 VBLK_BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 VBLK_BIT(VIRTIO_BLK_F_FLUSH) | \
			 VBLK_BIT(VIRTIO_BLK_F_MQ))

/**
 * struct vblk_queue - a queue
 * @index: its number
 * @size: descriptors
 * @desc: where the descriptor table is, as the device is told
 * @avail: likewise, available ring
 * @used: likewise, used ring
 * @offered: what the available index is to be
 * @irq: eventfd of its vector
 * @last: what the device gave back last
 */
struct vblk_queue {
	uint16_t index;
	uint16_t size;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t offered;
	int irq;
	struct vring_used_elem last;
};

/**
 * struct vblk_where - where one of virtio's structures is
 * @cap: in configuration space: its capability; 0 if there is none
 * @bar: in which BAR
 * @offset: where in it
 * @length: bytes
 */
struct vblk_where {
	unsigned int cap;
	unsigned int bar;
	uint32_t offset;
	uint32_t length;
};

/* Offsets into the memory. */
struct vblk_range {
	size_t at;
	size_t size;
};

/**
 * struct vblk_way - how the memory is reached; NULL for the module's default
 * @mode: dma_mode
 * @fault: dma_fault
 * @announce: dma_announce, if the module has that
 */
struct vblk_way {
	const char *mode;
	const char *fault;
	const char *announce;
};

extern const struct vblk_way vblk_by_mmap;
extern const struct vblk_way vblk_by_exact_mmap;
extern const struct vblk_way vblk_by_file_io;
extern const struct vblk_way vblk_by_messages;
/* What is not mapped can be accessed nonetheless, but nothing comes of it. */
extern const struct vblk_way vblk_absorbed;

/**
 * struct vblk - the driver
 * @w: the world around it
 * @c: the device
 * @all: all the memory
 * @all_size: bytes of it
 * @mem: VBLK_IOVA
 * @ro: VBLK_RO_IOVA
 * @snapshot: what @all was
 * @now: what it is
 * @allowed: where it may have changed
 * @nr_allowed: entries in @allowed
 * @where: virtio's structures, by VIRTIO_PCI_CAP_*
 * @notify_step: notify_off_multiplier
 * @msix_cap: in configuration space
 * @intx: use that instead of MSI-X
 * @config_irq: eventfd of the vector for changes of the configuration; that of
 *	all interrupts with @intx
 * @nr_queues: how many of @queue to set up
 * @features: negotiated
 * @queue: the queues
 */
struct vblk {
	struct world w;
	struct consumer c;
	unsigned char *all;
	size_t all_size;
	unsigned char *mem;
	unsigned char *ro;
	unsigned char *snapshot;
	unsigned char *now;
	struct vblk_range allowed[64];
	unsigned int nr_allowed;
	struct vblk_where where[VIRTIO_PCI_CAP_PCI_CFG + 1];
	uint32_t notify_step;
	unsigned int msix_cap;
	bool intx;
	int config_irq;
	unsigned int nr_queues;
	uint64_t features;
	struct vblk_queue queue[VBLK_QUEUES];
};

/* A server with a disk of VBLK_SECTORS sectors, and arguments of its own. */
void vblk_up(struct vblk *v, const struct vblk_way *way,
	     const char *const *args);
/*
 * mdevs, and one server for them, with so many of these disks, of which the first is number
 * @first. The pattern goes on from each disk to the next.
 */
void vblk_serve(struct vblk *v, unsigned int nr, unsigned int first,
		const char *const *args);
/* So many disks of one server's, the first number 0; attached, and not opened yet. */
void vblk_up_many(struct vblk *v, unsigned int nr, const char *const *args);
/* The device, its memory and interrupts. */
void vblk_open(struct vblk *v);
/* What is on the disk to begin with. */
void vblk_pattern(unsigned char *buf, uint64_t sector, size_t size);
/* What is on it now. */
void vblk_disk(unsigned char *buf, uint64_t sector, size_t size);
/* Our pointer to what the device may reach, NULL if there is nothing. */
void *vblk_at(const struct vblk *v, uint64_t iova);

/* Fields of virtio's structures: VIRTIO_PCI_CAP_*, offset, bytes. */
uint64_t vblk_get(const struct vblk *v, unsigned int cap, uint32_t offset,
		  size_t size);
void vblk_put(const struct vblk *v, unsigned int cap, uint32_t offset,
	      size_t size, uint64_t value);
uint64_t vblk_get_common(const struct vblk *v, uint32_t offset, size_t size);
void vblk_put_common(const struct vblk *v, uint32_t offset, size_t size,
		     uint64_t value);
uint8_t vblk_status(const struct vblk *v);
/* Configuration space. */
uint32_t vblk_config_get(const struct vblk *v, unsigned int offset, size_t size);
void vblk_config_put(const struct vblk *v, unsigned int offset, size_t size,
		     uint32_t value);

void vblk_reset(struct vblk *v);
uint64_t vblk_offered_features(const struct vblk *v);
/* Up to FEATURES_OK; returns whether the device agrees. */
bool vblk_negotiate(struct vblk *v, uint64_t features);
/* The queue as it is by default, its structures zeroed. */
void vblk_queue_init(struct vblk *v, struct vblk_queue *q);
/* The device is told of it and enables it. */
void vblk_queue_enable(const struct vblk *v, const struct vblk_queue *q);
void vblk_driver_ok(const struct vblk *v);
/* All of this, from reset to DRIVER_OK. */
void vblk_start(struct vblk *v, uint64_t features);

void vblk_desc(const struct vblk *v, uint64_t table, unsigned int i,
	       uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void vblk_header(const struct vblk *v, const struct vblk_queue *q,
		 uint32_t type, uint64_t sector);
/* In the available ring, without and with a notification. */
void vblk_offer(const struct vblk *v, struct vblk_queue *q, uint16_t head);
void vblk_kick(const struct vblk *v, struct vblk_queue *q, uint16_t head);
void vblk_notify(const struct vblk *v, const struct vblk_queue *q);
uint16_t vblk_used(const struct vblk *v, const struct vblk_queue *q);
/* Until all has been given back; q->last is the last of it. */
void vblk_wait(const struct vblk *v, struct vblk_queue *q);
/* Until the device asks for a reset. */
void vblk_wait_broken(const struct vblk *v);
bool vblk_is_broken(const struct vblk *v);
/* Until it is one or the other; returns whether it is. */
bool vblk_settle(const struct vblk *v, const struct vblk_queue *q, int ms);

/* A piece of a request's data. */
struct vblk_segment {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* Header, data, status in descriptors of their own, from the first on. */
void vblk_chain(const struct vblk *v, const struct vblk_queue *q, uint32_t type,
		uint64_t sector, const struct vblk_segment *seg,
		unsigned int nr);
/* And back again: VIRTIO_BLK_S_*. */
uint8_t vblk_request(const struct vblk *v, struct vblk_queue *q, uint32_t type,
		     uint64_t sector, const struct vblk_segment *seg,
		     unsigned int nr);
uint8_t vblk_done(const struct vblk *v, const struct vblk_queue *q);
/*
 * The device is through with its queues, the interrupts included: it answers to
 * this only then, unless it polls them.
 */
void vblk_settled(const struct vblk *v);
/* A read and a write are done as they should be, down to the disk. */
void vblk_check(struct vblk *v, struct vblk_queue *q);

void vblk_snapshot(struct vblk *v);
/* The device may have written there. */
void vblk_allow(struct vblk *v, uint64_t iova, uint64_t size);
/* The used ring, and the event index after it. */
void vblk_allow_used(struct vblk *v, const struct vblk_queue *q);
/* What has changed without leave: an offset into @all, or -1. */
long vblk_changed(struct vblk *v);
/* Nothing has, and after a reset the device serves. */
void vblk_recovers(struct vblk *v, struct vblk_queue *q);

#endif /* VUM_LIB_VIRTIO_BLK_H */
