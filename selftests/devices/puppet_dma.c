// SPDX-License-Identifier: GPL-2.0
/* The puppet's DMA engine: fills, sums up, copies, and hammers away. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "puppet_priv.h"

static void dma_finish(struct puppet_dma *dma, int err)
{
	dma->status = (__u32)-err;
}

/* One step: a chunk to our buffer or from it. */
static int dma_step(struct puppet *puppet, bool write, __u64 addr, size_t size)
{
	struct puppet_dma *dma = &puppet->dma;

	dma->copy.addr = addr;
	dma->copy.buf = dma->buf;
	dma->copy.size = size;
	dma->copy.write = write;
	return vus_dma_start(puppet->srv, &dma->copy);
}

static void dma_fill_buf(struct puppet_dma *dma)
{
	for (size_t i = 0; i < sizeof(dma->buf); i++)
		dma->buf[i] = (__u8)(dma->value >> 8 * (i % 4));
}

static void dma_chunk_done(struct puppet_dma *dma, size_t size)
{
	for (size_t i = 0; dma->op == PUPPET_DMA_SUM && i < size; i++)
		dma->sum += dma->buf[i];
	dma->addr += size;
	dma->addr2 += size;
	dma->left -= (__u32)size;
	dma->read = false;
}

/* Until it is done, or has to wait for the client's answer. */
static void dma_advance(struct puppet *puppet, int err)
{
	struct puppet_dma *dma = &puppet->dma;

	while (!err && dma->left) {
		size_t size = dma->left < sizeof(dma->buf) ? dma->left :
							      sizeof(dma->buf);

		/* A copy is a read and then a write, the others are one of them. */
		if (dma->waited) {
			dma->waited = false;
			err = 0;
		} else if (dma->op == PUPPET_DMA_FILL || dma->read) {
			err = dma_step(puppet, true, dma->op == PUPPET_DMA_FILL ?
				       dma->addr : dma->addr2, size);
		} else {
			err = dma_step(puppet, false, dma->addr, size);
		}
		if (err == -EINPROGRESS) {
			dma->waited = true;
			return;
		}
		if (!err && dma->op == PUPPET_DMA_COPY && !dma->read)
			dma->read = true;
		else if (!err)
			dma_chunk_done(dma, size);
	}
	dma_finish(dma, err);
}

static void dma_answered(void *opaque, int err)
{
	struct puppet *puppet = opaque;

	if (err)
		puppet->dma.waited = false;
	dma_advance(puppet, err);
}

static void dma_start(struct puppet *puppet, enum puppet_dma_op op)
{
	struct puppet_dma *dma = &puppet->dma;

	dma->op = op;
	dma->status = EINPROGRESS;
	dma->addr = dma->iova[0] | (__u64)dma->iova[1] << 32;
	dma->addr2 = dma->iova2[0] | (__u64)dma->iova2[1] << 32;
	dma->left = dma->size;
	dma->sum = 0;
	dma->read = false;
	dma->waited = false;
	dma->copy.done = dma_answered;
	dma->copy.opaque = puppet;
	if (op == PUPPET_DMA_FILL)
		dma_fill_buf(dma);
	dma_advance(puppet, 0);
}

/* A process of its own, with the same memory mapped: it has forked. */
static void dma_hammer(struct puppet *puppet)
{
	struct puppet_dma *dma = &puppet->dma;
	volatile __u32 *p = vus_dma_ptr(puppet->srv, dma->iova[0] |
					(__u64)dma->iova[1] << 32,
					dma->size, PROT_READ | PROT_WRITE);
	pid_t pid;

	if (!p || dma->hammer) {
		dma_finish(dma, p ? -EBUSY : -EFAULT);
		return;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGBUS, SIG_DFL);
		for (;;)
			for (__u32 i = 0; i < dma->size / 4; i++)
				p[i] = dma->value;
	}
	dma->hammer = pid > 0 ? pid : 0;
	dma_finish(dma, pid > 0 ? 0 : -EAGAIN);
}

static void dma_stop(struct puppet_dma *dma)
{
	int status = 0;

	if (dma->hammer) {
		kill(dma->hammer, SIGKILL);
		waitpid(dma->hammer, &status, 0);
		dma->hammer = 0;
	}
	/* It should not have ended before. */
	dma_finish(dma, WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ?
		   -EFAULT : 0);
}

static void second_answered(void *opaque, int err, const void *payload __maybe_unused,
			    size_t size __maybe_unused)
{
	struct puppet_dma *dma = &((struct puppet *)opaque)->dma;

	/* Its predecessor leaves 1 behind. */
	dma_finish(dma, err ? -err : dma->sum ? 0 : -EPROTO);
}

static void first_answered(void *opaque, int err, const void *payload __maybe_unused,
			   size_t size __maybe_unused)
{
	struct puppet *puppet = opaque;

	puppet->dma.sum = !err;
}

static void dma_in_turn(struct puppet *puppet)
{
	struct puppet_dma *dma = &puppet->dma;
	struct vfio_user_dma_access first = {
		.addr = dma->iova[0] | (__u64)dma->iova[1] << 32, .count = 1,
	};
	struct vfio_user_dma_access second = {
		.addr = dma->iova2[0] | (__u64)dma->iova2[1] << 32, .count = 1,
	};

	dma->status = EINPROGRESS;
	dma->sum = 0;
	vus_command(puppet->srv, VFIO_USER_DMA_READ, &first, sizeof(first),
		    first_answered, puppet);
	vus_command(puppet->srv, VFIO_USER_DMA_READ, &second, sizeof(second),
		    second_answered, puppet);
}

/**
 * puppet_dma_write() - a register of the DMA engine is written
 * @puppet: the puppet
 * @offset: which
 * @value: what
 */
void puppet_dma_write(struct puppet *puppet, __u64 offset, __u32 value)
{
	struct puppet_dma *dma = &puppet->dma;

	switch (offset) {
	case PUPPET_DMA_OP:
		if (value == PUPPET_DMA_HAMMER)
			dma_hammer(puppet);
		else if (value == PUPPET_DMA_STOP)
			dma_stop(dma);
		else if (value == PUPPET_DMA_PIN)
			dma_finish(dma, vus_dma_take_hold(puppet->srv, dma->iova[0] |
							  (__u64)dma->iova[1] << 32));
		else if (value == PUPPET_DMA_IN_TURN)
			dma_in_turn(puppet);
		else if (value >= PUPPET_DMA_TIME_READ)
			puppet_time(puppet, value);
		else if (dma->status != EINPROGRESS)
			dma_start(puppet, value);
		break;
	case PUPPET_DMA_IOVA:
	case PUPPET_DMA_IOVA + 4:
		dma->iova[(offset - PUPPET_DMA_IOVA) / 4] = value;
		break;
	case PUPPET_DMA_IOVA2:
	case PUPPET_DMA_IOVA2 + 4:
		dma->iova2[(offset - PUPPET_DMA_IOVA2) / 4] = value;
		break;
	case PUPPET_DMA_LENGTH:
		dma->size = value;
		break;
	case PUPPET_DMA_VALUE:
		dma->value = value;
		break;
	default:
		break;
	}
}

/**
 * puppet_dma_reset() - the client is gone: so is its memory
 * @puppet: the puppet
 */
void puppet_dma_reset(struct puppet *puppet)
{
	vus_dma_cancel(&puppet->dma.copy);
	dma_stop(&puppet->dma);
}
