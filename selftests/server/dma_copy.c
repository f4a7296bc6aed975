// SPDX-License-Identifier: GPL-2.0
/* Copies from and to client memory, whichever way it is reached. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"

/**
 * struct vus_dma_message - a DMA_READ or DMA_WRITE without an answer yet
 * @srv: the server
 * @dma: what it is for, or NULL if that was cancelled
 * @count: bytes asked for
 */
struct vus_dma_message {
	struct vus_server *srv;
	struct vus_dma *dma;
	size_t count;
};

/* Where to go on if the access to client memory that is being made fails. */
static sigjmp_buf * volatile guard;

static void bus_error(int sig)
{
	if (guard)
		siglongjmp(*guard, 1);
	/* A bug of ours: the instruction that did it is about to do it again. */
	signal(sig, SIG_DFL);
}

/**
 * vus_dma_init() - be prepared for client memory that is not there
 *
 * Return: 0, or -1 with errno.
 */
int vus_dma_init(void)
{
	/* Not deferred: the handler does not return, so nobody would unblock. */
	struct sigaction sa = {
		.sa_handler = bus_error,
		.sa_flags = SA_NODEFER,
	};

	return sigaction(SIGBUS, &sa, NULL);
}

/* The indexes of a ring must not be torn, which memcpy() does not promise. */
static void move(void *to, const void *from, size_t size)
{
	const size_t word = sizeof(__u16);

	if (size == word && !(((uintptr_t)to | (uintptr_t)from) % word))
		__atomic_store_n((__u16 *)to,
				 __atomic_load_n((const __u16 *)from,
						 __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
	else
		memcpy(to, from, size);
}

static int move_guarded(void *to, const void *from, size_t size)
{
	sigjmp_buf env;

	if (sigsetjmp(env, 0)) {
		guard = NULL;
		return -EFAULT;
	}
	guard = &env;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	move(to, from, size);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	guard = NULL;
	return 0;
}

static int move_file(const struct vus_dma *dma, const struct vus_piece *piece)
{
	__u64 done = 0;

	while (done < piece->size) {
		__u8 *buf = (__u8 *)dma->buf + done;
		off_t offset = (off_t)(piece->offset + done);
		size_t left = piece->size - done;
		ssize_t n;

		n = dma->write ? pwrite(piece->fd, buf, left, offset) :
				 pread(piece->fd, buf, left, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EFAULT;
		done += (__u64)n;
	}
	return 0;
}

static int move_piece(const struct vus_dma *dma, const struct vus_piece *piece)
{
	if (!piece->mem)
		return move_file(dma, piece);
	if (dma->write)
		return move_guarded(piece->mem, dma->buf, piece->size);
	return move_guarded(dma->buf, piece->mem, piece->size);
}

static void moved(struct vus_dma *dma, size_t size)
{
	dma->addr += size;
	dma->buf = (__u8 *)dma->buf + size;
	dma->size -= size;
}

static void answered(void *opaque, int err, const void *payload, size_t size);

static int send_message(struct vus_server *srv, struct vus_dma *dma,
			size_t size)
{
	struct vfio_user_dma_access *access;
	struct vus_dma_message *message;
	size_t full = sizeof(*access);

	/* A read's answer has to be one that we have said we would take. */
	if (size > srv->client_max_xfer)
		size = srv->client_max_xfer;
	if (size > srv->opt.max_data_xfer_size)
		size = srv->opt.max_data_xfer_size;
	if (srv->conn < 0 || !size)
		return -ECONNRESET;
	message = vus_alloc(sizeof(*message));
	message->srv = srv;
	message->dma = dma;
	message->count = size;
	dma->message = message;
	srv->dma_messages++;

	access = vus_alloc(sizeof(*access) + size);
	access->addr = dma->addr;
	access->count = size;
	if (dma->write) {
		memcpy(access->data, dma->buf, size);
		full += size;
		vus_dirty_wrote(srv, dma->addr, size);
	}
	vus_command(srv, dma->write ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ,
		    access, full, answered, message);
	free(access);
	return -EINPROGRESS;
}

/* Go as far as possible without waiting. */
static int advance(struct vus_server *srv, struct vus_dma *dma)
{
	const int prot = dma->write ? PROT_WRITE : PROT_READ;
	struct vus_piece piece;
	int err;

	while (dma->size) {
		err = vus_dma_find(srv, dma->addr, dma->size, prot, &piece);
		if (err)
			return err;
		if (!piece.mem && piece.fd < 0)
			return send_message(srv, dma, piece.size);
		err = move_piece(dma, &piece);
		if (err)
			return err;
		if (dma->write)
			vus_dirty_wrote(srv, dma->addr, piece.size);
		moved(dma, piece.size);
	}
	return 0;
}

static int take_answer(const struct vus_dma_message *message,
		       const void *payload, size_t size)
{
	const struct vus_dma *dma = message->dma;
	const struct vfio_user_dma_access *access = payload;
	const size_t data = dma->write ? 0 : message->count;

	if (size != sizeof(*access) + data || access->addr != dma->addr ||
	    access->count != message->count)
		return -EPROTO;
	memcpy(dma->buf, access->data, data);
	return 0;
}

static void answered(void *opaque, int err, const void *payload, size_t size)
{
	struct vus_dma_message *message = opaque;
	struct vus_server *srv = message->srv;
	struct vus_dma *dma = message->dma;

	srv->dma_messages--;
	if (dma) {
		dma->message = NULL;
		err = err ? -err : take_answer(message, payload, size);
		if (!err) {
			moved(dma, message->count);
			err = advance(srv, dma);
		}
		if (err != -EINPROGRESS)
			dma->done(dma->opaque, err);
	}
	free(message);
}

/**
 * vus_dma_start() - copy from or to client memory
 * @srv: the server
 * @dma: what to copy; has to stay until the end, as has its buffer
 *
 * Return: 0 or a negative errno if that is already the end of it, -EINPROGRESS
 * if @dma->done will be called; then the client has been sent a message.
 */
int vus_dma_start(struct vus_server *srv, struct vus_dma *dma)
{
	dma->message = NULL;
	return advance(srv, dma);
}

/**
 * vus_dma_cancel() - have nothing more to do with a copy
 * @dma: the copy; in flight or not
 *
 * What the client has been asked to do it does nonetheless.
 */
void vus_dma_cancel(struct vus_dma *dma)
{
	if (dma->message)
		dma->message->dma = NULL;
	dma->message = NULL;
}

/**
 * vus_dma_in_flight() - how many messages does the client have to answer?
 * @srv: the server
 *
 * Return: that number, including those of cancelled copies.
 */
unsigned int vus_dma_in_flight(const struct vus_server *srv)
{
	return srv->dma_messages;
}
