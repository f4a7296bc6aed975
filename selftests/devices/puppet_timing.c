// SPDX-License-Identifier: GPL-2.0
/* The puppet's clock: interrupts that come later, operations that are timed. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "puppet_priv.h"

#define MAX_COPY	0x100000
#define PAGE		4096

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000U + (__u64)ts.tv_nsec;
}

static void timer_fired(void *opaque, int fd, short revents __maybe_unused)
{
	struct puppet *puppet = opaque;
	struct puppet_timing *timing = &puppet->timing;
	__u64 times;

	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return;
	timing->fired = now();
	puppet_trigger(puppet, timing->interrupt);
}

/**
 * puppet_timing_init() - have the timer ready, so that nobody waits for that
 * @puppet: the puppet; it has its server
 */
void puppet_timing_init(struct puppet *puppet)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	puppet->timing.timer = fd;
	if (fd >= 0)
		vus_watch_fd(puppet->srv, fd, POLLIN, timer_fired, puppet);
}

/**
 * puppet_trigger_later() - fire an interrupt when PUPPET_TRIGGER_DELAY is over
 * @puppet: the puppet
 * @value: as written to PUPPET_TRIGGER; replaces one that has not fired
 */
void puppet_trigger_later(struct puppet *puppet, __u32 value)
{
	struct puppet_timing *timing = &puppet->timing;
	const struct itimerspec when = {
		.it_value = {
			.tv_sec = timing->delay / 1000000,
			.tv_nsec = timing->delay % 1000000 * 1000L,
		},
	};

	timing->interrupt = value;
	timerfd_settime(timing->timer, 0, &when, NULL);
}

static __u64 iova_of(const struct puppet_dma *dma)
{
	return dma->iova[0] | (__u64)dma->iova[1] << 32;
}

static void time_finish(struct puppet *puppet, int err)
{
	puppet->timing.took = now() - puppet->timing.started;
	puppet->dma.status = (__u32)-err;
}

/* Until it is done, or has to wait for the client's answer. */
static void time_advance(struct puppet *puppet, int err)
{
	struct puppet_timing *timing = &puppet->timing;

	while (!err && timing->left) {
		timing->left--;
		timing->copy.addr = iova_of(&puppet->dma);
		timing->copy.buf = timing->buf;
		timing->copy.size = puppet->dma.size;
		timing->copy.write = false;
		err = vus_dma_start(puppet->srv, &timing->copy);
		if (err == -EINPROGRESS)
			return;
	}
	time_finish(puppet, err);
}

static void time_answered(void *opaque, int err)
{
	time_advance(opaque, err);
}

static void time_read(struct puppet *puppet)
{
	struct puppet_timing *timing = &puppet->timing;

	if (puppet->dma.size > MAX_COPY) {
		time_finish(puppet, -EINVAL);
		return;
	}
	if (!timing->buf)
		timing->buf = vus_alloc(MAX_COPY);
	timing->left = puppet->dma.value;
	timing->copy.done = time_answered;
	timing->copy.opaque = puppet;
	time_advance(puppet, 0);
}

/* Not guarded: whoever measures has mapped what is touched. */
static void time_touch(struct puppet *puppet, bool store)
{
	const struct puppet_dma *dma = &puppet->dma;
	volatile __u8 *p = vus_dma_ptr(puppet->srv, iova_of(dma), dma->size,
				       PROT_READ | PROT_WRITE);

	for (__u32 at = 0; p && at < dma->size; at += PAGE) {
		volatile __u32 *word = (volatile __u32 *)(p + at);

		if (store) {
			*word = at;
			vus_dirty_wrote(puppet->srv, iova_of(dma) + at, sizeof(*word));
		} else {
			(void)*word;
		}
	}
	time_finish(puppet, p ? 0 : -EFAULT);
}

/**
 * puppet_time() - do something, and remember how long it took
 * @puppet: the puppet
 * @op: one of the timed operations
 */
void puppet_time(struct puppet *puppet, enum puppet_dma_op op)
{
	if (puppet->dma.status == EINPROGRESS)
		return;
	puppet->dma.status = EINPROGRESS;
	puppet->timing.started = now();
	if (op == PUPPET_DMA_TIME_READ)
		time_read(puppet);
	else
		time_touch(puppet, op == PUPPET_DMA_TIME_STORES);
}

/**
 * puppet_timing_reset() - the client is gone
 * @puppet: the puppet
 */
void puppet_timing_reset(struct puppet *puppet)
{
	puppet->timing.delay = 0;
	puppet->timing.left = 0;
	vus_dma_cancel(&puppet->timing.copy);
}
