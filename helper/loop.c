// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/param.h>

#include "log.h"
#include "loop.h"

#define EVENTS_PER_ROUND 64

/* Polling for less than this is not worth while. */
#define POLL_MIN_NS 10000

/*
 * When sched_yield() takes this long, a task has had the CPU that does not answer and
 * sleep, as a server does, but goes on until its turn is over.
 */
#define YIELD_MAX_NS 1000000

/* For how many waits, at most, there is no polling after that. */
#define PAUSE_MAX 4096

static struct {
	int epfd;
	int code;
	bool stop;
	unsigned int round;
	uint64_t poll_max_ns;
	uint64_t poll_ns;	/* for how long polling has paid lately */
	unsigned int pause;	/* so many waits are yet to come without polling */
	unsigned int last_pause;
	TAILQ_HEAD(, timer) timers;	/* the next one first */
} loop = { .epfd = -1 };

static bool one_cpu(void)
{
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
}

int loop_init(unsigned int poll_us)
{
	TAILQ_INIT(&loop.timers);
	/* On one CPU nothing that the loop polls for can happen meanwhile. */
	loop.poll_max_ns = one_cpu() ? 0 : poll_us * 1000ULL;
	loop.round = 1;
	loop.epfd = epoll_create1(EPOLL_CLOEXEC);
	return loop.epfd < 0 ? -errno : 0;
}

void loop_stop(int code)
{
	loop.stop = true;
	loop.code = code;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

int watch_add(struct watch *w, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop.epfd, EPOLL_CTL_ADD, fd, &ev))
		return -errno;
	w->fd = fd;
	w->events = events;
	w->round = loop.round;
	return 0;
}

void watch_set(struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->fd < 0 || w->events == events)
		return;
	if (epoll_ctl(loop.epfd, EPOLL_CTL_MOD, w->fd, &ev)) {
		/* This fails only if memory has been overwritten. */
		log_msg(LOG_LEVEL_ERROR, "epoll_ctl: %s: this is a bug; stopping", strerror(errno));
		loop_stop(1);
		return;
	}
	w->events = events;
}

void watch_remove(struct watch *w)
{
	if (w->fd < 0)
		return;
	epoll_ctl(loop.epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	w->events = 0;
	w->round = loop.round;
}

void watch_close(struct watch *w)
{
	int fd = w->fd;

	/* close() ends the watch only if no other descriptor of the file is open. */
	watch_remove(w);
	if (fd >= 0)
		close(fd);
}

void timer_stop(struct timer *t)
{
	if (t->armed)
		TAILQ_REMOVE(&loop.timers, t, link);
	t->armed = false;
}

void timer_start(struct timer *t, unsigned int ms)
{
	struct timer *other;

	timer_stop(t);
	t->at = now_ms() + ms;
	t->armed = true;
	TAILQ_FOREACH(other, &loop.timers, link) {
		if (other->at > t->at) {
			TAILQ_INSERT_BEFORE(other, t, link);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&loop.timers, t, link);
}

/* Reads the clock only if a timer is armed, so that most rounds pay nothing. */
static int next_timeout(void)
{
	struct timer *t = TAILQ_FIRST(&loop.timers);
	uint64_t now;

	if (!t)
		return -1;
	now = now_ms();
	if (t->at <= now)
		return 0;
	return t->at - now > INT_MAX ? INT_MAX : (int)(t->at - now);
}

static void run_timers(void)
{
	struct timer *t = TAILQ_FIRST(&loop.timers);
	uint64_t now;

	if (!t)
		return;
	now = now_ms();
	while ((t = TAILQ_FIRST(&loop.timers)) && t->at <= now && !loop.stop) {
		timer_stop(t);
		t->fn(t);
	}
}

/*
 * Poll no more for a while, since another task wants the CPU: whoever yields gives it away
 * for a whole turn, which is far more than polling can save. The while grows until polling
 * has paid again.
 */
static void poll_pause(void)
{
	loop.last_pause = MIN(MAX(2 * loop.last_pause, 16U), PAUSE_MAX);
	loop.pause = loop.last_pause;
}

/* Poll until @end. Between polls others may have the CPU, above all the server. */
static int poll_events(struct epoll_event *ev, uint64_t end)
{
	uint64_t before, now = 0;
	int n;

	while (!(n = epoll_wait(loop.epfd, ev, EVENTS_PER_ROUND, 0))) {
		before = now_ns();
		if (before >= end)
			return 0;
		sched_yield();
		now = now_ns();
		if (now - before > YIELD_MAX_NS) {
			poll_pause();
			return 0;
		}
	}
	if (now)
		loop.last_pause /= 2;
	return n;
}

/*
 * Adapt the time of polling as the module does for poll_us: poll longer after a wait
 * that was short but outlasted the polling, and less after a long one.
 */
static void poll_adapt(uint64_t waited)
{
	uint64_t ns = loop.poll_ns;

	if (waited > loop.poll_max_ns)
		ns /= 2;
	else if (waited > ns)
		ns = MAX(2 * ns, POLL_MIN_NS);
	loop.poll_ns = ns < POLL_MIN_NS ? 0 : MIN(ns, loop.poll_max_ns);
}

static int sleep_events(struct epoll_event *ev)
{
	return epoll_wait(loop.epfd, ev, EVENTS_PER_ROUND, next_timeout());
}

static int wait_events(struct epoll_event *ev)
{
	uint64_t start;
	int n = 0;

	if (!loop.poll_max_ns)
		return sleep_events(ev);
	if (loop.pause) {
		loop.pause--;
		return sleep_events(ev);
	}
	start = now_ns();
	if (loop.poll_ns)
		n = poll_events(ev, start + loop.poll_ns);
	if (!n)
		n = sleep_events(ev);
	poll_adapt(now_ns() - start);
	return n;
}

int loop_run(void (*after_round)(void))
{
	struct epoll_event ev[EVENTS_PER_ROUND];

	while (!loop.stop) {
		int n = wait_events(ev);

		if (n < 0 && errno != EINTR) {
			log_msg(LOG_LEVEL_ERROR, "epoll_wait: %s; stopping", strerror(errno));
			return 1;
		}
		loop.round++;
		for (int i = 0; i < n && !loop.stop; i++) {
			struct watch *w = ev[i].data.ptr;

			if (w->fd >= 0 && w->round != loop.round)
				w->fn(w, ev[i].events);
		}
		run_timers();
		after_round();
	}
	return loop.code;
}
