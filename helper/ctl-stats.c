// SPDX-License-Identifier: GPL-2.0
/* stats: print the figures of one mdev or of all, once or again and again. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl.h"

/* Dumps to try, since mdevs may come and go while one is under way. */
#define TRIES		10
/* Lines from one heading to the next, so that one is always on the screen. */
#define HEAD_EVERY	20

/**
 * struct sample - the figures of the mdevs that were asked for, at one time
 * @at_ns: that time, of CLOCK_MONOTONIC
 * @nr: number of mdevs
 * @figures: figures of each
 * @err: 0, or -ENOMEM if @figures lacks some
 */
struct sample {
	uint64_t at_ns;
	size_t nr;
	struct vum_figures *figures;
	int err;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void on_figures(const struct vum_figures *figures, void *arg)
{
	struct sample *s = arg;
	struct vum_figures *more;

	more = reallocarray(s->figures, s->nr + 1, sizeof(*more));
	if (!more) {
		s->err = -ENOMEM;
		return;
	}
	s->figures = more;
	s->figures[s->nr++] = *figures;
}

static void drop(struct sample *s)
{
	free(s->figures);
	*s = (struct sample) { 0 };
}

/* Retry a disturbed dump: an mdev that it lacks would be all news the next time. */
static int take(struct vum_nl *nl, const char *uuid, struct sample *s)
{
	int err = -EINTR;

	*s = (struct sample) { 0 };
	for (int i = 0; i < TRIES && err == -EINTR; i++) {
		drop(s);
		err = vum_nl_figures(nl, uuid, on_figures, s);
		s->at_ns = now_ns();
	}
	err = err == -EINTR ? 0 : err;
	err = err ? err : s->err;
	if (!err && uuid && !s->nr)
		err = -ENODEV;
	if (err)
		drop(s);
	return err;
}

static const struct vum_figures *find(const struct sample *s, const char *uuid)
{
	for (size_t i = 0; i < s->nr; i++)
		if (!strcmp(s->figures[i].uuid, uuid))
			return &s->figures[i];
	return NULL;
}

static uint64_t minus(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* Subtract @old. An mdev that has done less than before is another with its uuid. */
static struct vum_figures since(const struct sample *old, const struct vum_figures *now)
{
	const struct vum_figures *then = find(old, now->uuid);
	struct vum_figures news = *now;

	if (!then || now->requests < then->requests || now->attaches < then->attaches)
		return news;
	news.requests -= then->requests;
	news.attaches -= then->attaches;
	news.evicted = minus(now->evicted, then->evicted);
	news.aborted = minus(now->aborted, then->aborted);
	news.errors = minus(now->errors, then->errors);
	for (uint32_t cmd = 0; cmd < VUM_LATENCY_CMDS; cmd++)
		for (unsigned int i = 0; i < VUM_LATENCY_BUCKETS; i++)
			news.latency[cmd][i] = minus(now->latency[cmd][i], then->latency[cmd][i]);
	return news;
}

static void print_news(const struct ctl_args *args, const struct sample *old,
		       const struct sample *now, unsigned int *lines)
{
	double seconds = (double)(now->at_ns - old->at_ns) / 1e9;

	for (size_t i = 0; i < now->nr; i++) {
		const struct vum_figures news = since(old, &now->figures[i]);

		if (args->json) {
			ctl_json_print(ctl_json_figures(&news, seconds), false);
			continue;
		}
		if ((*lines)++ % HEAD_EVERY == 0)
			ctl_print_rates_head(!args->uuid);
		ctl_print_rates(&news, seconds, !args->uuid);
	}
}

/* Returns 0 at time @until, 1 on a signal or if stdout's reader goes, or -errno. */
static int sleep_until(uint64_t until, int signals)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		/* Without .events, poll() still tells that stdout's reader has gone. */
		{ .fd = STDOUT_FILENO, .events = 0 },
	};
	int n;

	do {
		uint64_t now = now_ns();
		uint64_t ms = now < until ? (until - now + 999999) / 1000000 : 0;

		n = poll(fds, 2, (int)ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n > 0;
}

/* Ticks keep to the clock, however long printing takes; missed ones are left out. */
static uint64_t next_tick(uint64_t tick, unsigned int ms)
{
	uint64_t step = (uint64_t)ms * 1000000;
	uint64_t now = now_ns();

	return tick + step > now ? tick + step : now + step;
}

static int watch(struct vum_nl *nl, const struct ctl_args *args, struct sample *old, int signals)
{
	uint64_t tick = next_tick(old->at_ns, args->watch_ms);
	unsigned int lines = 0;
	struct sample now;
	int ret;

	while (!(ret = sleep_until(tick, signals))) {
		ret = take(nl, args->uuid, &now);
		if (ret)
			break;
		print_news(args, old, &now, &lines);
		drop(old);
		*old = now;
		if (fflush(stdout))
			return ctl_fail("stats: stdout", -EIO);
		tick = next_tick(tick, args->watch_ms);
	}
	return ret < 0 ? ctl_fail(args->uuid ? args->uuid : "stats", ret) : EXIT_SUCCESS;
}

static int start_watch(struct vum_nl *nl, const struct ctl_args *args, struct sample *first)
{
	int signals = ctl_open_signals();
	int code;

	if (signals < 0)
		return ctl_fail("stats: signalfd", signals);
	code = watch(nl, args, first, signals);
	close(signals);
	return code;
}

static void print_json(const struct sample *s, bool one)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < s->nr; i++)
		json_object_array_add(array, ctl_json_figures(&s->figures[i], 0));
	if (one)
		ctl_json_print(json_object_get(json_object_array_get_idx(array, 0)), true);
	else
		ctl_json_print(json_object_get(array), true);
	json_object_put(array);
}

static void print_all(const struct ctl_args *args, const struct sample *s)
{
	if (args->json) {
		print_json(s, args->uuid);
		return;
	}
	for (size_t i = 0; i < s->nr; i++) {
		if (i)
			putchar('\n');
		ctl_print_figures(&s->figures[i]);
	}
}

static void on_info(const struct vum_info *info, void *arg)
{
	bool *bad = arg;

	if (!*bad && !ctl_check_version(info))
		*bad = true;
}

int ctl_stats(struct vum_nl *nl, const struct ctl_args *args)
{
	struct sample sample = { 0 };
	bool bad = false;
	int err, code = EXIT_SUCCESS;

	if (args->prometheus)
		return ctl_prometheus(nl, args);
	/* Figures do not have the module's version, which vum_nl_get() tells. */
	err = vum_nl_get(nl, args->uuid, on_info, &bad);
	if (bad)
		return EXIT_FAILURE;
	if (!err || err == -EINTR)
		err = take(nl, args->uuid, &sample);
	if (err)
		return ctl_fail(args->uuid ? args->uuid : "stats", err);
	if (args->watch_ms)
		code = start_watch(nl, args, &sample);
	else
		print_all(args, &sample);
	drop(&sample);
	return code;
}
