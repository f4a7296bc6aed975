/* SPDX-License-Identifier: GPL-2.0 */
/* The event loop of the helper's one thread: descriptors and timers call back. */
#ifndef HELPER_LOOP_H
#define HELPER_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/**
 * struct watch - a file descriptor and a function to call when it is ready
 * @fd: descriptor, -1 while there is none
 * @events: EPOLL*; EPOLLHUP and EPOLLERR are always reported
 * @round: the loop's round in which @fd changed, whose events may be about the
 *	descriptor before
 * @fn: called again and again until it has read, written, closed or stopped watching
 */
struct watch {
	int fd;
	uint32_t events;
	unsigned int round;
	void (*fn)(struct watch *w, uint32_t events);
};

/* A one-shot timer, to be embedded. Stop it before its memory is freed. */
struct timer {
	TAILQ_ENTRY(timer) link;
	uint64_t at;
	bool armed;
	void (*fn)(struct timer *t);
};

/*
 * Set up the loop. It polls for up to @poll_us microseconds before it sleeps, less
 * where that does not pay: most events come sooner than a sleeper wakes up. Returns 0
 * or -errno.
 */
int loop_init(unsigned int poll_us);

/*
 * Run until loop_stop() and return its code. @after_round is called after each round,
 * when no event refers to a struct watch any more, so that it can be freed.
 */
int loop_run(void (*after_round)(void));
void loop_stop(int code);

/* Returns 0 or -errno. */
int watch_add(struct watch *w, int fd, uint32_t events);
void watch_set(struct watch *w, uint32_t events);
/* Stop watching; the descriptor stays open. */
void watch_remove(struct watch *w);
/* Stop watching and close the descriptor. */
void watch_close(struct watch *w);

void timer_start(struct timer *t, unsigned int ms);
void timer_stop(struct timer *t);

/* Returns the monotonic clock's time. */
uint64_t now_ms(void);

#endif /* HELPER_LOOP_H */
