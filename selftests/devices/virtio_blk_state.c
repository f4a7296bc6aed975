// SPDX-License-Identifier: GPL-2.0
/*
 * The disk's state, as it goes to another process with the same image.
 *
 * A request that has not been given back when the device stops is taken again by
 * whoever goes on: see virtqueue_rewind().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_pci.h>

#include "virtio_blk.h"

#define STATE_KIND	0x6b6c6276	/* "vblk" */
#define STATE_VERSION	1

/**
 * struct state_queue - a saved queue; the fields are those of struct virtqueue and blk_queue
 */
struct state_queue {
	__u64 desc_addr;
	__u64 avail_addr;
	__u64 used_addr;
	__u16 size;
	__u16 vector;
	__u16 last_avail;
	__u16 used_idx;
	__u8 enabled;
	__u8 reserved[7];
};

/**
 * struct state - a saved disk; the fields are those of struct blk
 * @kind: STATE_KIND
 * @version: STATE_VERSION
 * @nr_queues: entries in @queues
 */
struct state {
	__u32 kind;
	__u32 version;
	__u64 capacity;
	__u64 offered;
	__u64 accepted;
	__u32 nr_queues;
	__u32 offered_select;
	__u32 accepted_select;
	__u16 config_vector;
	__u16 queue_select;
	__u8 status;
	__u8 isr;
	__u8 reserved[6];
	__u8 conf[PCI_CFG_SPACE_SIZE];
	__u8 bar1[BLK_BAR1_SIZE];
	struct state_queue queues[];
};

static int stop(void *opaque)
{
	struct blk *blk = opaque;
	__u32 i;

	blk->stopped = true;
	for (i = 0; i < blk->opt.nr_queues; i++)
		virtqueue_rewind(&blk->queues[i].vq);
	/* What the client has been asked for it may still do: blk_stopped_work() waits. */
	blk->stopping = vus_dma_in_flight(blk->srv);
	return blk->stopping ? -EINPROGRESS : 0;
}

/**
 * blk_stopped_work() - what a stopped disk does: wait for what it had begun
 * @blk: the disk
 */
void blk_stopped_work(struct blk *blk)
{
	if (!blk->stopping || vus_dma_in_flight(blk->srv))
		return;
	blk->stopping = false;
	vus_mig_stopped(blk->srv);
}

static int run(void *opaque)
{
	struct blk *blk = opaque;
	__u32 i;

	blk->stopped = false;
	blk->stopping = false;
	/* As if the client had come back: an interrupt may be owing, see unpark(). */
	blk->parked = true;
	for (i = 0; i < blk->opt.nr_queues; i++)
		virtqueue_rewind(&blk->queues[i].vq);
	blk_update_intx(blk);
	return 0;
}

static int save(void *opaque, void **to, size_t *size)
{
	const struct blk *blk = opaque;
	struct state *state;
	__u32 i;

	*size = sizeof(*state) + blk->opt.nr_queues * sizeof(*state->queues);
	state = calloc(1, *size);
	if (!state)
		return -ENOMEM;
	*state = (struct state){
		.kind = STATE_KIND, .version = STATE_VERSION,
		.capacity = blk->capacity,
		.offered = blk->offered, .accepted = blk->accepted,
		.nr_queues = blk->opt.nr_queues,
		.offered_select = blk->offered_select,
		.accepted_select = blk->accepted_select,
		.config_vector = blk->config_vector, .queue_select = blk->queue_select,
		.status = blk->status, .isr = blk->isr,
	};
	memcpy(state->conf, blk->conf.data, sizeof(state->conf));
	memcpy(state->bar1, blk->bar1, sizeof(state->bar1));
	for (i = 0; i < blk->opt.nr_queues; i++) {
		const struct blk_queue *q = &blk->queues[i];

		state->queues[i] = (struct state_queue){
			.desc_addr = q->vq.desc_addr, .avail_addr = q->vq.avail_addr,
			.used_addr = q->vq.used_addr, .size = q->vq.size,
			.vector = q->vector, .last_avail = q->vq.last_avail,
			.used_idx = q->vq.used_idx, .enabled = q->vq.enabled,
		};
	}
	*to = state;
	return 0;
}

static bool vector_exists(const struct blk *blk, __u16 vector)
{
	return vector <= blk->opt.nr_queues || vector == VIRTIO_MSI_NO_VECTOR;
}

static void load_queue(struct blk *blk, __u32 i, const struct state_queue *from)
{
	struct blk_queue *q = &blk->queues[i];

	virtqueue_reset(&q->vq);
	q->vector = from->vector;
	q->vq.desc_addr = from->desc_addr;
	q->vq.avail_addr = from->avail_addr;
	q->vq.used_addr = from->used_addr;
	q->vq.size = from->size;
	q->vq.last_avail = from->last_avail;
	q->vq.used_idx = from->used_idx;
	q->vq.enabled = from->enabled;
	q->vq.indirect = blk_accepted(blk, VIRTIO_RING_F_INDIRECT_DESC);
	q->vq.event_idx = blk_accepted(blk, VIRTIO_RING_F_EVENT_IDX);
}

static const char *flaw_of_queue(const struct blk *blk, const struct state_queue *from)
{
	const struct virtqueue vq = {
		.size = from->size, .desc_addr = from->desc_addr,
		.avail_addr = from->avail_addr, .used_addr = from->used_addr,
	};

	if (from->enabled > 1 || (from->enabled && !virtqueue_valid(&vq)) ||
	    !vector_exists(blk, from->vector))
		return "garbled";
	return NULL;
}

static const char *flaw_of(const struct blk *blk, const struct state *state, size_t size)
{
	const char *flaw = NULL;
	__u32 i;

	if (size < sizeof(*state) || state->kind != STATE_KIND)
		return "of another kind of device";
	if (state->version != STATE_VERSION)
		return "of another version";
	if (state->capacity != blk->capacity || state->offered != blk->offered ||
	    state->nr_queues != blk->opt.nr_queues)
		return "of another disk, or one with other options";
	if (size != sizeof(*state) + state->nr_queues * sizeof(*state->queues))
		return "cut short";
	if (state->accepted & ~state->offered || !vector_exists(blk, state->config_vector))
		return "garbled";
	for (i = 0; i < state->nr_queues && !flaw; i++)
		flaw = flaw_of_queue(blk, &state->queues[i]);
	return flaw;
}

static int load(void *opaque, const void *from, size_t size)
{
	const struct state *state = from;
	struct blk *blk = opaque;
	const char *flaw = flaw_of(blk, state, size);
	__u32 i;

	if (flaw) {
		fprintf(stderr, "%s: the state to be loaded is %s\n", blk->name, flaw);
		return -EINVAL;
	}
	blk->accepted = state->accepted;
	blk->offered_select = state->offered_select;
	blk->accepted_select = state->accepted_select;
	blk->config_vector = state->config_vector;
	blk->queue_select = state->queue_select;
	blk->status = state->status;
	blk->isr = state->isr;
	pciconf_load(&blk->conf, state->conf);
	memcpy(blk->bar1, state->bar1, sizeof(blk->bar1));
	for (i = 0; i < state->nr_queues; i++)
		load_queue(blk, i, &state->queues[i]);
	return 0;
}

const struct vus_migration blk_migration = {
	.flags = VFIO_USER_MIGRATION_STOP_COPY | VFIO_USER_MIGRATION_PRE_COPY,
	.stop = stop,
	.run = run,
	.save = save,
	.load = load,
};
