// SPDX-License-Identifier: GPL-2.0
/* The disk's requests. Where one begins and ends is all that the layout says. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "virtio_blk.h"

/* What is moved before others get their turn. */
#define SLICE		(1U << 20)
#define SLICE_PARTS	256

static struct blk_queue *queue_of(struct virtqueue *vq)
{
	return (struct blk_queue *)vq;
}

static __u64 sum(const struct virtqueue_segment *seg, unsigned int n)
{
	__u64 bytes = 0;

	while (n--)
		bytes += seg++->size;
	return bytes;
}

/* Return: bytes in one piece from where the cursor is on; there are some. */
static __u32 in_one_piece(const struct blk_queue *q, const struct blk_cursor *at,
			  __u64 max, __u64 *addr)
{
	const struct virtqueue_segment *seg = &q->vq.chain.seg[at->seg];
	__u32 size = seg->size - at->skip;

	*addr = seg->addr + at->skip;
	return size < max ? size : (__u32)max;
}

static void move_on(const struct blk_queue *q, struct blk_cursor *at,
		    __u64 bytes)
{
	while (bytes) {
		__u32 size = q->vq.chain.seg[at->seg].size - at->skip;

		if (bytes < size) {
			at->skip += (__u32)bytes;
			return;
		}
		bytes -= size;
		at->seg++;
		at->skip = 0;
	}
}

static void status_unreachable(struct virtqueue *vq)
{
	virtqueue_break(vq, "a status is not in its memory");
}

/* The status counts only if there is no hole before it. */
static void finished(struct virtqueue *vq)
{
	const struct blk_queue *q = queue_of(vq);
	__u32 written = q->written;

	if (written == q->in_size - sizeof(q->status))
		written += sizeof(q->status);
	virtqueue_push(vq, written);
}

static void finish(struct blk_queue *q, __u8 status)
{
	const struct virtqueue_chain *chain = &q->vq.chain;
	const struct virtqueue_segment *last;

	last = &chain->seg[chain->nr_out + chain->nr_in - 1];
	q->status = status;
	if (status != VIRTIO_BLK_S_OK)
		q->blk->stats.errors++;
	virtqueue_write(&q->vq, last->addr + (last->size - 1), &q->status,
			sizeof(q->status), finished, status_unreachable);
}

static void fail(struct virtqueue *vq)
{
	finish(queue_of(vq), VIRTIO_BLK_S_IOERR);
}

static void flush(struct blk_queue *q)
{
	finish(q, fdatasync(q->blk->fd) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

static bool is_read(const struct blk_queue *q)
{
	return le32toh(q->header.type) == VIRTIO_BLK_T_IN;
}

/* To a driver that does not know of a cache there must be none. */
static void data_moved(struct blk_queue *q)
{
	if (!is_read(q) && !blk_accepted(q->blk, VIRTIO_BLK_F_FLUSH))
		flush(q);
	else
		finish(q, VIRTIO_BLK_S_OK);
}

static void move_data(struct virtqueue *vq);

static void progress(struct blk_queue *q, __u64 bytes)
{
	struct blk_stats *stats = &q->blk->stats;

	move_on(q, &q->at, bytes);
	q->offset += bytes;
	q->left -= bytes;
	if (is_read(q)) {
		q->written += (__u32)bytes;
		stats->read_bytes += bytes;
	} else {
		stats->written_bytes += bytes;
	}
	virtqueue_then(&q->vq, move_data);
}

/* Return: 0, or -1 if the file has an error or an end there. */
static int file_io(const struct blk_queue *q, bool write)
{
	__u32 done = 0;

	while (done < q->chunk) {
		__u8 *buf = q->bounce + done;
		off_t offset = (off_t)(q->offset + done);
		size_t left = q->chunk - done;
		ssize_t n;

		n = write ? pwrite(q->blk->fd, buf, left, offset) :
			    pread(q->blk->fd, buf, left, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (__u32)n;
	}
	return 0;
}

static void guest_written(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);

	progress(q, q->chunk);
}

static void guest_read(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);

	if (file_io(q, true))
		fail(vq);
	else
		progress(q, q->chunk);
}

static void move_copied(struct blk_queue *q)
{
	__u64 max = q->left < SLICE ? q->left : SLICE;
	__u64 addr;

	if (!q->bounce)
		q->bounce = vus_alloc(SLICE);
	q->chunk = in_one_piece(q, &q->at, max, &addr);
	if (!is_read(q))
		virtqueue_read(&q->vq, addr, q->bounce, q->chunk, guest_read,
			       fail);
	else if (file_io(q, false))
		fail(&q->vq);
	else
		virtqueue_write(&q->vq, addr, q->bounce, q->chunk,
				guest_written, fail);
}

/*
 * Return: how many parts of guest memory from the cursor on are mapped, or a
 * negative errno if it starts with memory that is not the guest's.
 */
static int gather(struct blk_queue *q, struct iovec *iov)
{
	const int prot = is_read(q) ? PROT_WRITE : PROT_READ;
	__u64 left = q->left < SLICE ? q->left : SLICE;
	struct blk_cursor at = q->at;
	int n, err = 0;

	for (n = 0; left && n < SLICE_PARTS; n++) {
		struct vus_piece piece;
		__u64 addr;
		__u32 size = in_one_piece(q, &at, left, &addr);

		err = vus_dma_find(q->blk->srv, addr, size, prot, &piece);
		if (err || !piece.mem)
			break;
		iov[n].iov_base = piece.mem;
		iov[n].iov_len = piece.size;
		move_on(q, &at, piece.size);
		left -= piece.size;
	}
	return n ? n : err;
}

static ssize_t move(const struct blk_queue *q, int fd, const struct iovec *iov, int n)
{
	if (is_read(q))
		return preadv(fd, iov, n, (off_t)q->offset);
	return pwritev(fd, iov, n, (off_t)q->offset);
}

/* An address that is mapped but leads nowhere is an error of this call only. */
static void move_mapped(struct blk_queue *q, const struct iovec *iov, int n)
{
	struct blk *blk = q->blk;
	bool direct = blk->direct_fd >= 0;
	ssize_t moved = move(q, direct ? blk->direct_fd : blk->fd, iov, n);

	if (direct && moved > 0)
		blk->stats.direct_bytes += (__u64)moved;
	else if (direct && moved < 0 && blk_direct_refused(blk))
		moved = move(q, blk->fd, iov, n);
	if (moved > 0) {
		blk->stats.mapped_bytes += (__u64)moved;
		progress(q, (__u64)moved);
	} else if (moved < 0 && errno == EINTR) {
		virtqueue_then(&q->vq, move_data);
	} else {
		fail(&q->vq);
	}
}

static void move_data(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);
	struct iovec iov[SLICE_PARTS];
	int n;

	if (!q->left) {
		data_moved(q);
		return;
	}
	n = gather(q, iov);
	if (n < 0)
		fail(vq);
	else if (n)
		move_mapped(q, iov, n);
	else
		move_copied(q);
}

static void start_io(struct blk_queue *q)
{
	const struct blk *blk = q->blk;
	__u64 sector = le64toh(q->header.sector);

	q->left = is_read(q) ? q->in_size - sizeof(q->status) :
			       q->out_size - sizeof(q->header);
	if (q->left % BLK_SECTOR || sector > blk->capacity ||
	    q->left / BLK_SECTOR > blk->capacity - sector ||
	    q->left > UINT32_MAX || (!is_read(q) && blk->opt.read_only)) {
		fail(&q->vq);
		return;
	}
	q->offset = sector * BLK_SECTOR;
	/* Reads go to where the part to be written starts. */
	if (is_read(q))
		q->at = (struct blk_cursor){ .seg = q->vq.chain.nr_out };
	move_data(&q->vq);
}

static void write_id(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);
	__u64 addr, max = q->in_size - sizeof(q->status);

	move_on(q, &q->at, q->chunk);
	q->written += q->chunk;
	if (max > sizeof(q->id))
		max = sizeof(q->id);
	if (q->written == max) {
		finish(q, VIRTIO_BLK_S_OK);
		return;
	}
	q->chunk = in_one_piece(q, &q->at, max - q->written, &addr);
	virtqueue_write(vq, addr, q->id + q->written, q->chunk, write_id, fail);
}

static void start_id(struct blk_queue *q)
{
	memset(q->id, 0, sizeof(q->id));
	memcpy(q->id, BLK_ID, sizeof(BLK_ID));
	q->at = (struct blk_cursor){ .seg = q->vq.chain.nr_out };
	q->chunk = 0;
	write_id(&q->vq);
}

static void start(struct blk_queue *q)
{
	struct blk_stats *stats = &q->blk->stats;

	switch (le32toh(q->header.type)) {
	case VIRTIO_BLK_T_IN:
		stats->reads++;
		start_io(q);
		break;
	case VIRTIO_BLK_T_OUT:
		stats->writes++;
		start_io(q);
		break;
	case VIRTIO_BLK_T_FLUSH:
		stats->flushes++;
		flush(q);
		break;
	case VIRTIO_BLK_T_GET_ID:
		stats->others++;
		start_id(q);
		break;
	default:
		stats->others++;
		finish(q, VIRTIO_BLK_S_UNSUPP);
		break;
	}
}

static void note_lowest(struct blk_stats *stats,
			const struct virtqueue_chain *chain)
{
	unsigned int i;

	for (i = 0; i < chain->nr_out + chain->nr_in; i++) {
		if (chain->seg[i].addr < stats->lowest)
			stats->lowest = chain->seg[i].addr;
	}
}

static void read_header(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);
	__u64 addr;

	move_on(q, &q->at, q->chunk);
	q->got += q->chunk;
	if (q->got == sizeof(q->header)) {
		start(q);
		return;
	}
	q->chunk = in_one_piece(q, &q->at, sizeof(q->header) - q->got, &addr);
	virtqueue_read(vq, addr, (__u8 *)&q->header + q->got, q->chunk,
		       read_header, fail);
}

/**
 * blk_request() - the driver wants something
 * @vq: its queue
 */
void blk_request(struct virtqueue *vq)
{
	struct blk_queue *q = queue_of(vq);
	const struct virtqueue_chain *chain = &vq->chain;

	q->out_size = sum(chain->seg, chain->nr_out);
	q->in_size = sum(chain->seg + chain->nr_out, chain->nr_in);
	if (q->out_size < sizeof(q->header) || q->in_size < sizeof(q->status)) {
		virtqueue_break(vq, "a request lacks its header or its status");
		return;
	}
	note_lowest(&q->blk->stats, chain);
	q->at = (struct blk_cursor){ 0 };
	q->got = 0;
	q->chunk = 0;
	q->written = 0;
	read_header(vq);
}
