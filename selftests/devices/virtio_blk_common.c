// SPDX-License-Identifier: GPL-2.0
/* virtio's common configuration: features, status, and how queues are set up. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_pci.h>

#include "virtio_blk.h"

#define BIT(n)	((__u64)1 << (n))

static struct blk_queue *selected(const struct blk *blk)
{
	if (blk->queue_select >= blk->opt.nr_queues)
		return NULL;
	return &blk->queues[blk->queue_select];
}

/* Nothing of a queue changes while it is in use. */
static struct blk_queue *changeable(const struct blk *blk)
{
	struct blk_queue *q = selected(blk);

	return q && !q->vq.enabled ? q : NULL;
}

static void broken(struct virtqueue *vq, const char *why)
{
	struct blk *blk = ((struct blk_queue *)vq)->blk;

	if (blk->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	fprintf(stderr, "%s: queue %td: %s\n", blk->name,
		(struct blk_queue *)vq - blk->queues, why);
	blk->stats.breaks++;
	blk->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (blk->status & VIRTIO_CONFIG_S_DRIVER_OK)
		blk_config_interrupt(blk);
}

/**
 * blk_common_reset() - a reset by the driver
 * @blk: the disk
 */
void blk_common_reset(struct blk *blk)
{
	__u32 i;

	if (blk->status)
		blk->old_status = blk->status;
	blk->status = 0;
	blk->accepted = 0;
	blk->offered_select = 0;
	blk->accepted_select = 0;
	blk->config_vector = VIRTIO_MSI_NO_VECTOR;
	blk->queue_select = 0;
	blk->parked = false;
	blk_lower_intx(blk);
	for (i = 0; i < blk->opt.nr_queues; i++) {
		virtqueue_reset(&blk->queues[i].vq);
		blk->queues[i].vector = VIRTIO_MSI_NO_VECTOR;
	}
}

static __u64 offered_features(const struct blk *blk)
{
	return BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) |
	       BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
	       BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) |
	       BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
	       (blk->opt.read_only ? BIT(VIRTIO_BLK_F_RO) : 0);
}

/**
 * blk_common_init() - as it is after power-on
 * @blk: the disk
 */
void blk_common_init(struct blk *blk)
{
	static const struct virtqueue_ops ops = {
		.request = blk_request,
		.interrupt = blk_queue_interrupt,
		.broken = broken,
	};
	__u32 i;

	blk->offered = offered_features(blk);
	blk->queues = vus_alloc(blk->opt.nr_queues * sizeof(*blk->queues));
	for (i = 0; i < blk->opt.nr_queues; i++) {
		blk->queues[i].blk = blk;
		blk->queues[i].vq.srv = blk->srv;
		blk->queues[i].vq.ops = &ops;
		blk->queues[i].vq.poll = blk->opt.poll;
	}
	blk_common_reset(blk);
}

static void set_offered_select(struct blk *blk, __u64 value)
{
	blk->offered_select = (__u32)value;
}

static void set_accepted_select(struct blk *blk, __u64 value)
{
	blk->accepted_select = (__u32)value;
}

static __u32 half(__u64 features, __u32 select)
{
	return select < 2 ? (__u32)(features >> 32 * select) : 0;
}

static void set_accepted(struct blk *blk, __u64 value)
{
	unsigned int shift = 32 * blk->accepted_select;

	if (blk->accepted_select >= 2 ||
	    blk->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	blk->accepted &= ~((__u64)UINT32_MAX << shift);
	blk->accepted |= value << shift;
}

/* A vector that does not exist is refused by not sticking. */
static __u16 vector(const struct blk *blk, __u64 value)
{
	return value <= blk->opt.nr_queues ? (__u16)value :
					     VIRTIO_MSI_NO_VECTOR;
}

static void set_config_vector(struct blk *blk, __u64 value)
{
	blk->config_vector = vector(blk, value);
}

static void start_queues(struct blk *blk)
{
	__u32 i;

	for (i = 0; i < blk->opt.nr_queues; i++) {
		struct virtqueue *vq = &blk->queues[i].vq;

		vq->indirect = blk_accepted(blk, VIRTIO_RING_F_INDIRECT_DESC);
		vq->event_idx = blk_accepted(blk, VIRTIO_RING_F_EVENT_IDX);
		virtqueue_kick(vq);
	}
}

/* Bits are only ever added, and not before what has to come first. */
static void set_status(struct blk *blk, __u64 value)
{
	const __u8 known = VIRTIO_CONFIG_S_ACKNOWLEDGE |
			   VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FAILED;
	__u8 new = (__u8)(value & ~blk->status);

	if (!value) {
		blk_common_reset(blk);
		return;
	}
	blk->status |= new & known;
	if (new & VIRTIO_CONFIG_S_FEATURES_OK &&
	    !(blk->accepted & ~blk->offered) &&
	    blk_accepted(blk, VIRTIO_F_VERSION_1))
		blk->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (new & VIRTIO_CONFIG_S_DRIVER_OK &&
	    blk->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		blk->status |= VIRTIO_CONFIG_S_DRIVER_OK;
		start_queues(blk);
	}
}

static void set_queue_select(struct blk *blk, __u64 value)
{
	blk->queue_select = (__u16)value;
}

static void set_queue_size(struct blk *blk, __u64 value)
{
	struct blk_queue *q = changeable(blk);

	if (q)
		q->vq.size = (__u16)value;
}

static void set_queue_vector(struct blk *blk, __u64 value)
{
	struct blk_queue *q = selected(blk);

	if (q)
		q->vector = vector(blk, value);
}

static void set_queue_enable(struct blk *blk, __u64 value)
{
	struct blk_queue *q = changeable(blk);

	if (!q || value != 1)
		return;
	if (!virtqueue_valid(&q->vq)) {
		virtqueue_break(&q->vq, "bad size or alignment");
		return;
	}
	q->vq.enabled = true;
	virtqueue_kick(&q->vq);
}

static void set_queue_desc(struct blk *blk, __u64 value)
{
	struct blk_queue *q = changeable(blk);

	if (q)
		q->vq.desc_addr = value;
}

static void set_queue_avail(struct blk *blk, __u64 value)
{
	struct blk_queue *q = changeable(blk);

	if (q)
		q->vq.avail_addr = value;
}

static void set_queue_used(struct blk *blk, __u64 value)
{
	struct blk_queue *q = changeable(blk);

	if (q)
		q->vq.used_addr = value;
}

/* As long as the client may still write for us, the reset is not over. */
static __u8 visible_status(const struct blk *blk)
{
	if (!blk->status && vus_dma_in_flight(blk->srv))
		return blk->old_status;
	return blk->status;
}

static void show_queue(const struct blk *blk, struct virtio_pci_common_cfg *cfg)
{
	const struct blk_queue *q = selected(blk);
	const struct virtqueue *vq;

	if (!q)
		return;
	vq = &q->vq;
	cfg->queue_size = htole16(vq->size);
	cfg->queue_msix_vector = htole16(q->vector);
	cfg->queue_enable = htole16(vq->enabled);
	cfg->queue_notify_off = htole16(blk->queue_select);
	cfg->queue_desc_lo = htole32((__u32)vq->desc_addr);
	cfg->queue_desc_hi = htole32((__u32)(vq->desc_addr >> 32));
	cfg->queue_avail_lo = htole32((__u32)vq->avail_addr);
	cfg->queue_avail_hi = htole32((__u32)(vq->avail_addr >> 32));
	cfg->queue_used_lo = htole32((__u32)vq->used_addr);
	cfg->queue_used_hi = htole32((__u32)(vq->used_addr >> 32));
}

static void show(const struct blk *blk, struct virtio_pci_common_cfg *cfg)
{
	*cfg = (struct virtio_pci_common_cfg){
		.device_feature_select = htole32(blk->offered_select),
		.device_feature =
			htole32(half(blk->offered, blk->offered_select)),
		.guest_feature_select = htole32(blk->accepted_select),
		.guest_feature =
			htole32(half(blk->accepted, blk->accepted_select)),
		.msix_config = htole16(blk->config_vector),
		.num_queues = htole16((__u16)blk->opt.nr_queues),
		.device_status = visible_status(blk),
		.queue_select = htole16(blk->queue_select),
	};
	show_queue(blk, cfg);
}

/**
 * blk_common_read() - the driver reads the common configuration
 * @blk: the disk
 * @offset: where
 * @buf: where to; zeroed, in case that it is not all there
 * @count: bytes
 */
void blk_common_read(const struct blk *blk, __u64 offset, void *buf,
		     __u32 count)
{
	struct virtio_pci_common_cfg cfg;

	if (offset >= sizeof(cfg))
		return;
	show(blk, &cfg);
	if (count > sizeof(cfg) - offset)
		count = (__u32)(sizeof(cfg) - offset);
	memcpy(buf, (__u8 *)&cfg + offset, count);
}

/**
 * struct field - what can be written
 * @offset: where it is
 * @size: bytes
 * @set: what to do then
 */
struct field {
	__u32 offset;
	__u32 size;
	void (*set)(struct blk *blk, __u64 value);
};

static const struct field fields[] = {
	{ VIRTIO_PCI_COMMON_DFSELECT, 4, set_offered_select },
	{ VIRTIO_PCI_COMMON_GFSELECT, 4, set_accepted_select },
	{ VIRTIO_PCI_COMMON_GF, 4, set_accepted },
	{ VIRTIO_PCI_COMMON_MSIX, 2, set_config_vector },
	{ VIRTIO_PCI_COMMON_STATUS, 1, set_status },
	{ VIRTIO_PCI_COMMON_Q_SELECT, 2, set_queue_select },
	{ VIRTIO_PCI_COMMON_Q_SIZE, 2, set_queue_size },
	{ VIRTIO_PCI_COMMON_Q_MSIX, 2, set_queue_vector },
	{ VIRTIO_PCI_COMMON_Q_ENABLE, 2, set_queue_enable },
	{ VIRTIO_PCI_COMMON_Q_DESCLO, 8, set_queue_desc },
	{ VIRTIO_PCI_COMMON_Q_AVAILLO, 8, set_queue_avail },
	{ VIRTIO_PCI_COMMON_Q_USEDLO, 8, set_queue_used },
};

/**
 * blk_common_write() - the driver writes the common configuration
 * @blk: the disk
 * @offset: where
 * @buf: where from
 * @count: bytes
 *
 * An access of any size and place changes the bytes that it covers.
 */
void blk_common_write(struct blk *blk, __u64 offset, const void *buf,
		      __u32 count)
{
	struct virtio_pci_common_cfg cfg;
	size_t i;

	if (offset >= sizeof(cfg))
		return;
	show(blk, &cfg);
	if (count > sizeof(cfg) - offset)
		count = (__u32)(sizeof(cfg) - offset);
	memcpy((__u8 *)&cfg + offset, buf, count);
	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const struct field *field = &fields[i];
		__u64 value = 0;

		if (offset >= field->offset + field->size ||
		    field->offset >= offset + count)
			continue;
		memcpy(&value, (__u8 *)&cfg + field->offset, field->size);
		field->set(blk, le64toh(value));
	}
}
