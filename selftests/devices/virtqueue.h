/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device's side of a split virtqueue, for one request at a time.
 *
 * Guest memory may be a message away, so nothing here waits: a queue makes its
 * way in steps. A step starts one access and names the step that comes after
 * it; virtqueue_run() takes steps until one has to wait for the client.
 *
 * The guest is not trusted: everything is read once, and checked where it then
 * is. What makes no sense breaks the queue.
 */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <linux/virtio_ring.h>

#include "../server/server.h"

#define VIRTQUEUE_MAX	256

struct virtqueue;
typedef void (*virtqueue_step)(struct virtqueue *vq);

/**
 * struct virtqueue_ops - what the queue's device does
 * @request: there is a request; ends with virtqueue_push()
 * @interrupt: the driver wants to hear of what was pushed
 * @broken: the driver does not keep to the rules, and here is why
 */
struct virtqueue_ops {
	void (*request)(struct virtqueue *vq);
	void (*interrupt)(struct virtqueue *vq);
	void (*broken)(struct virtqueue *vq, const char *why);
};

/**
 * struct virtqueue_segment - a piece of a request
 * @addr: IOVA
 * @size: bytes, not 0
 */
struct virtqueue_segment {
	__u64 addr;
	__u32 size;
};

/**
 * struct virtqueue_chain - a request
 * @head: its first descriptor
 * @nr_out: segments for the device to read
 * @nr_in: segments for the device to write
 * @seg: the former, then the latter
 */
struct virtqueue_chain {
	__u16 head;
	unsigned int nr_out;
	unsigned int nr_in;
	struct virtqueue_segment seg[VIRTQUEUE_MAX];
};

/**
 * struct virtqueue - a queue
 * @srv: the server
 * @ops: the device
 * @size: descriptors
 * @enabled: by the driver
 * @indirect: descriptors may name tables of descriptors
 * @event_idx: notifications are asked for by index
 * @poll: nobody has to notify us
 * @desc_addr: descriptor table
 * @avail_addr: available ring
 * @used_addr: used ring
 * @kicked: there may be something new
 * @next: the next step; NULL if there is nothing to do
 * @failed: to be taken instead if the access fails
 * @dma: the access
 * @waiting: for the end of the access
 * @last_avail: what we took last
 * @used_idx: what we gave back last
 * @chain: the request
 * @nr_desc: descriptors of it so far
 * @table_size: entries in @table
 * @word: to read and write an index
 * @desc: to read a descriptor
 * @used: to write an entry of the used ring
 * @table: to read an indirect table
 */
struct virtqueue {
	struct vus_server *srv;
	const struct virtqueue_ops *ops;

	__u16 size;
	bool enabled;
	bool indirect;
	bool event_idx;
	bool poll;
	__u64 desc_addr;
	__u64 avail_addr;
	__u64 used_addr;

	bool kicked;
	virtqueue_step next;
	virtqueue_step failed;
	struct vus_dma dma;
	bool waiting;

	__u16 last_avail;
	__u16 used_idx;
	struct virtqueue_chain chain;
	unsigned int nr_desc;
	unsigned int table_size;
	__u16 word;
	struct vring_desc desc;
	struct vring_used_elem used;
	struct vring_desc table[VIRTQUEUE_MAX];
};

void virtqueue_reset(struct virtqueue *vq);
bool virtqueue_valid(const struct virtqueue *vq);
void virtqueue_kick(struct virtqueue *vq);
void virtqueue_rewind(struct virtqueue *vq);
bool virtqueue_run(struct virtqueue *vq, unsigned int steps);

void virtqueue_read(struct virtqueue *vq, __u64 addr, void *buf, size_t size,
		    virtqueue_step next, virtqueue_step failed);
void virtqueue_write(struct virtqueue *vq, __u64 addr, void *buf, size_t size,
		     virtqueue_step next, virtqueue_step failed);
void virtqueue_then(struct virtqueue *vq, virtqueue_step next);
void virtqueue_push(struct virtqueue *vq, __u32 written);
void virtqueue_break(struct virtqueue *vq, const char *why);

#endif /* VIRTQUEUE_H */
