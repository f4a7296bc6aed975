// SPDX-License-Identifier: GPL-2.0
/* The device's side of a split virtqueue. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "virtqueue.h"

/* Layout of the rings: flags, index, entries, and the index for an event. */
#define RING_FLAGS	0
#define RING_IDX	2
#define RING_ENTRIES	4

static __u64 avail_entry(const struct virtqueue *vq, __u16 idx)
{
	return vq->avail_addr + RING_ENTRIES +
	       sizeof(__u16) * (__u64)(idx % vq->size);
}

static __u64 used_entry(const struct virtqueue *vq, __u16 idx)
{
	return vq->used_addr + RING_ENTRIES +
	       sizeof(struct vring_used_elem) * (__u64)(idx % vq->size);
}

/* The driver's event index follows its ring, ours follows ours. */
static __u64 used_event(const struct virtqueue *vq)
{
	return vq->avail_addr + RING_ENTRIES + sizeof(__u16) * (__u64)vq->size;
}

static __u64 avail_event(const struct virtqueue *vq)
{
	return vq->used_addr + RING_ENTRIES +
	       sizeof(struct vring_used_elem) * (__u64)vq->size;
}

/**
 * virtqueue_break() - do nothing more before a reset
 * @vq: the queue
 * @why: what the driver did
 */
void virtqueue_break(struct virtqueue *vq, const char *why)
{
	vq->next = NULL;
	vq->kicked = false;
	vq->ops->broken(vq, why);
}

static void ring_unreachable(struct virtqueue *vq)
{
	virtqueue_break(vq, "its rings are not in its memory");
}

static void do_nothing(struct virtqueue *vq __maybe_unused)
{
}

static void dma_done(void *opaque, int err)
{
	struct virtqueue *vq = opaque;

	vq->waiting = false;
	if (err)
		vq->next = vq->failed;
}

static void transfer(struct virtqueue *vq, const struct vus_dma *dma,
		     virtqueue_step next, virtqueue_step failed)
{
	int err;

	vq->dma = *dma;
	vq->dma.done = dma_done;
	vq->dma.opaque = vq;
	vq->next = next;
	vq->failed = failed;
	err = vus_dma_start(vq->srv, &vq->dma);
	if (err == -EINPROGRESS)
		vq->waiting = true;
	else
		dma_done(vq, err);
}

/**
 * virtqueue_read() - read guest memory
 * @vq: the queue
 * @addr: IOVA
 * @buf: where to; has to stay
 * @size: bytes
 * @next: the step to take then
 * @failed: the step to take if that is not possible
 */
void virtqueue_read(struct virtqueue *vq, __u64 addr, void *buf, size_t size,
		    virtqueue_step next, virtqueue_step failed)
{
	const struct vus_dma dma = { .addr = addr, .buf = buf, .size = size };

	transfer(vq, &dma, next, failed);
}

/**
 * virtqueue_write() - write guest memory
 * @vq: the queue
 * @addr: IOVA
 * @buf: where from; has to stay
 * @size: bytes
 * @next: the step to take then
 * @failed: the step to take if that is not possible
 */
void virtqueue_write(struct virtqueue *vq, __u64 addr, void *buf, size_t size,
		     virtqueue_step next, virtqueue_step failed)
{
	const struct vus_dma dma = {
		.addr = addr, .buf = buf, .size = size, .write = true,
	};

	transfer(vq, &dma, next, failed);
}

/**
 * virtqueue_then() - go on later, when others have had their turn
 * @vq: the queue
 * @next: the step to take then
 */
void virtqueue_then(struct virtqueue *vq, virtqueue_step next)
{
	vq->next = next;
}

/* An index is valid before what it stands for is, and not the other way. */
static void barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void look_for_work(struct virtqueue *vq);

/* Whether the used ring's new entry is one that the driver waits for. */
static void tell_driver(struct virtqueue *vq)
{
	__u16 word = le16toh(vq->word);
	bool wanted;

	if (vq->event_idx)
		wanted = word == (__u16)(vq->used_idx - 1);
	else
		wanted = !(word & VRING_AVAIL_F_NO_INTERRUPT);
	virtqueue_then(vq, look_for_work);
	if (wanted)
		vq->ops->interrupt(vq);
}

static void pushed(struct virtqueue *vq)
{
	__u64 where = vq->avail_addr + RING_FLAGS;

	vq->used_idx++;
	vq->last_avail++;
	barrier();
	if (vq->event_idx)
		where = used_event(vq);
	virtqueue_read(vq, where, &vq->word, sizeof(vq->word), tell_driver,
		       ring_unreachable);
}

static void publish(struct virtqueue *vq)
{
	barrier();
	vq->word = htole16((__u16)(vq->used_idx + 1));
	virtqueue_write(vq, vq->used_addr + RING_IDX, &vq->word,
			sizeof(vq->word), pushed, ring_unreachable);
}

/**
 * virtqueue_push() - give the request back to the driver
 * @vq: the queue
 * @written: bytes that were written to it, from its first byte on
 */
void virtqueue_push(struct virtqueue *vq, __u32 written)
{
	vq->used.id = htole32(vq->chain.head);
	vq->used.len = htole32(written);
	virtqueue_write(vq, used_entry(vq, vq->used_idx), &vq->used,
			sizeof(vq->used), publish, ring_unreachable);
}

/* Return: NULL, or what is wrong with the segment. */
static const char *add_segment(struct virtqueue_chain *chain, __u64 addr,
			       __u32 size, bool writable)
{
	if (chain->nr_in && !writable)
		return "a part to be read follows one to be written";
	if (!size)
		return NULL;
	chain->seg[chain->nr_out + chain->nr_in] =
		(struct virtqueue_segment){ addr, size };
	if (writable)
		chain->nr_in++;
	else
		chain->nr_out++;
	return NULL;
}

static void walk_table(struct virtqueue *vq);

static void table_unreachable(struct virtqueue *vq)
{
	virtqueue_break(vq, "an indirect table is not in its memory");
}

/* All of it at once, so that it can be neither changed nor far away. */
static void enter_table(struct virtqueue *vq, __u64 addr, __u32 size,
			__u16 flags)
{
	const char *why = NULL;

	if (!vq->indirect)
		why = "an indirect table was not negotiated";
	else if (flags & VRING_DESC_F_NEXT)
		why = "an indirect table is followed by more";
	else if (!size || size % sizeof(vq->desc) || size > sizeof(vq->table))
		why = "an indirect table has a bad size";
	if (why) {
		virtqueue_break(vq, why);
		return;
	}
	vq->table_size = size / sizeof(vq->desc);
	virtqueue_read(vq, addr, vq->table, size, walk_table,
		       table_unreachable);
}

static void got_desc(struct virtqueue *vq);

static void read_desc(struct virtqueue *vq, __u16 i)
{
	if (i >= vq->size) {
		virtqueue_break(vq, "there is no such descriptor");
		return;
	}
	virtqueue_read(vq, vq->desc_addr + sizeof(vq->desc) * (__u64)i,
		       &vq->desc, sizeof(vq->desc), got_desc, ring_unreachable);
}

/* Return: true if there is more of the chain; ends or breaks it otherwise. */
static bool take_desc(struct virtqueue *vq, const struct vring_desc *desc)
{
	__u16 flags = le16toh(desc->flags);
	const char *why;

	/* Loops end here too. */
	if (++vq->nr_desc > vq->size) {
		virtqueue_break(vq, "a chain is longer than its queue");
		return false;
	}
	why = add_segment(&vq->chain, le64toh(desc->addr), le32toh(desc->len),
			  flags & VRING_DESC_F_WRITE);
	if (why) {
		virtqueue_break(vq, why);
		return false;
	}
	if (flags & VRING_DESC_F_NEXT)
		return true;
	vq->ops->request(vq);
	return false;
}

static void walk_table(struct virtqueue *vq)
{
	const struct vring_desc *desc = vq->table;

	for (;;) {
		__u16 next;

		if (le16toh(desc->flags) & VRING_DESC_F_INDIRECT) {
			virtqueue_break(vq, "an indirect table is nested");
			return;
		}
		if (!take_desc(vq, desc))
			return;
		next = le16toh(desc->next);
		if (next >= vq->table_size) {
			virtqueue_break(vq, "an indirect table is left");
			return;
		}
		desc = &vq->table[next];
	}
}

static void got_desc(struct virtqueue *vq)
{
	const struct vring_desc *desc = &vq->desc;
	__u16 flags = le16toh(desc->flags);

	if (flags & VRING_DESC_F_INDIRECT)
		enter_table(vq, le64toh(desc->addr), le32toh(desc->len), flags);
	else if (take_desc(vq, desc))
		read_desc(vq, le16toh(desc->next));
}

static void got_head(struct virtqueue *vq)
{
	vq->chain.head = le16toh(vq->word);
	vq->chain.nr_out = 0;
	vq->chain.nr_in = 0;
	vq->nr_desc = 0;
	read_desc(vq, vq->chain.head);
}

/* Return: true if there is a request, and its head is on its way. */
static bool take_avail(struct virtqueue *vq)
{
	__u16 pending = (__u16)(le16toh(vq->word) - vq->last_avail);

	if (!pending)
		return false;
	if (pending > vq->size) {
		virtqueue_break(vq, "the available index has jumped");
		return true;
	}
	barrier();
	virtqueue_read(vq, avail_entry(vq, vq->last_avail), &vq->word,
		       sizeof(vq->word), got_head, ring_unreachable);
	return true;
}

static void got_avail_again(struct virtqueue *vq)
{
	take_avail(vq);
}

/* What came before our wish to be notified was seen has not been notified. */
static void look_again(struct virtqueue *vq)
{
	barrier();
	virtqueue_read(vq, vq->avail_addr + RING_IDX, &vq->word,
		       sizeof(vq->word), got_avail_again, ring_unreachable);
}

static void got_avail(struct virtqueue *vq)
{
	if (take_avail(vq) || vq->poll || !vq->event_idx)
		return;
	vq->word = htole16(vq->last_avail);
	virtqueue_write(vq, avail_event(vq), &vq->word, sizeof(vq->word),
			look_again, ring_unreachable);
}

static void look_for_work(struct virtqueue *vq)
{
	virtqueue_read(vq, vq->avail_addr + RING_IDX, &vq->word,
		       sizeof(vq->word), got_avail, ring_unreachable);
}

/*
 * Nobody has asked for it, so it is nobody's fault if it fails: VMMs take
 * memory away for a moment when they change its layout.
 */
static void poll_for_work(struct virtqueue *vq)
{
	virtqueue_read(vq, vq->avail_addr + RING_IDX, &vq->word,
		       sizeof(vq->word), got_avail, do_nothing);
}

/**
 * virtqueue_kick() - there may be something new in the queue
 * @vq: the queue
 */
void virtqueue_kick(struct virtqueue *vq)
{
	vq->kicked = true;
}

/**
 * virtqueue_run() - do what there is to do
 * @vq: the queue
 * @steps: how many steps to take at most
 *
 * Return: true if there is more to do right away.
 */
bool virtqueue_run(struct virtqueue *vq, unsigned int steps)
{
	virtqueue_step step;

	if (!vq->enabled)
		return false;
	if (!vq->next && vq->kicked)
		vq->next = look_for_work;
	else if (!vq->next && vq->poll)
		vq->next = poll_for_work;
	if (vq->next == look_for_work)
		vq->kicked = false;
	while (!vq->waiting && vq->next && steps--) {
		step = vq->next;
		vq->next = NULL;
		step(vq);
	}
	return !vq->waiting && (vq->next || vq->kicked);
}

static void got_used(struct virtqueue *vq)
{
	if (le16toh(vq->word) == (__u16)(vq->used_idx + 1)) {
		vq->used_idx++;
		vq->last_avail++;
	}
	virtqueue_then(vq, look_for_work);
}

static void look_at_used(struct virtqueue *vq)
{
	virtqueue_read(vq, vq->used_addr + RING_IDX, &vq->word,
		       sizeof(vq->word), got_used, ring_unreachable);
}

/**
 * virtqueue_rewind() - the client is gone; be ready for it to come back
 * @vq: the queue
 *
 * A request that has not been given back is there to be taken again. One that
 * has must not be, even if the answer to the message that did it got lost: its
 * descriptors may be in use for something else.
 */
void virtqueue_rewind(struct virtqueue *vq)
{
	vus_dma_cancel(&vq->dma);
	vq->waiting = false;
	vq->next = vq->enabled ? look_at_used : NULL;
}

/**
 * virtqueue_valid() - can the driver's description of the queue be true?
 * @vq: the queue
 *
 * Return: true if size and alignment are as they have to be.
 */
bool virtqueue_valid(const struct virtqueue *vq)
{
	return vq->size && vq->size <= VIRTQUEUE_MAX &&
	       !(vq->size & (vq->size - 1)) &&
	       !(vq->desc_addr % VRING_DESC_ALIGN_SIZE) &&
	       !(vq->avail_addr % VRING_AVAIL_ALIGN_SIZE) &&
	       !(vq->used_addr % VRING_USED_ALIGN_SIZE);
}

/**
 * virtqueue_reset() - back to how it was after power-on
 * @vq: the queue; @vq->srv, @vq->ops and @vq->poll stay
 */
void virtqueue_reset(struct virtqueue *vq)
{
	struct virtqueue fresh = {
		.srv = vq->srv,
		.ops = vq->ops,
		.poll = vq->poll,
		.size = VIRTQUEUE_MAX,
	};

	vus_dma_cancel(&vq->dma);
	*vq = fresh;
}
