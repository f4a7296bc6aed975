/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's one thread: file descriptors and timers that call back. */
#ifndef HELPER_LOOP_H
#define HELPER_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/**
 * struct watch - a file descriptor and whom to call when it is ready
 * @fd: -1 while there is none
 * @events: EPOLL*; EPOLLHUP and EPOLLERR are always reported
 * @round: when @fd last changed; earlier events are not about this @fd
 * @fn: level-triggered: must read, write, close or stop watching
 */
struct watch {
	int fd;
	uint32_t events;
	unsigned int round;
	void (*fn)(struct watch *w, uint32_t events);
};

/* One shot. Embed it; it must be stopped before its memory goes. */
struct timer {
	TAILQ_ENTRY(timer) link;
	uint64_t at;
	bool armed;
	void (*fn)(struct timer *t);
};

/*
 * A wake-up takes longer than most events are away: the loop looks for the next
 * one for up to @poll_us microseconds before it sleeps, less where that does not
 * pay. 0 or -errno.
 */
int loop_init(unsigned int poll_us);

/*
 * Runs until loop_stop() and returns its code. @after_round is called when no
 * event is left that could refer to a struct watch: the time to free them.
 */
int loop_run(void (*after_round)(void));
void loop_stop(int code);

/* 0 or -errno. */
int watch_add(struct watch *w, int fd, uint32_t events);
void watch_set(struct watch *w, uint32_t events);
/* The descriptor stays open. */
void watch_remove(struct watch *w);
/* Closes the descriptor too. */
void watch_close(struct watch *w);

void timer_start(struct timer *t, unsigned int ms);
void timer_stop(struct timer *t);

/* Monotonic. */
uint64_t now_ms(void);

#endif /* HELPER_LOOP_H */
