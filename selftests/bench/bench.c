// SPDX-License-Identifier: GPL-2.0
/* Measuring in turn. See bench.h. */

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "../lib/world.h"

/* Buckets of a histogram to a factor of two: 4 % wide. */
#define PER_OCTAVE	16

void samples_init(struct samples *s, const char *name, const char *path,
		  const char *variant, const char *unit, bool higher)
{
	*s = (struct samples){
		.name = name,
		.path = path,
		.variant = variant,
		.unit = unit,
		.higher = higher,
		.ctxsw = -1,
	};
}

void samples_add(struct samples *s, double value)
{
	if (s->nr == s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		s->value = realloc(s->value, s->room * sizeof(*s->value));
		CHECK(s->value);
	}
	s->value[s->nr++] = value;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of what is sorted: the smallest that so many are not above. */
static double percentile(const struct samples *s, double p)
{
	size_t rank = (size_t)ceil(p * (double)s->nr);

	return s->value[rank ? rank - 1 : 0];
}

/* The worst are the smallest, where more is better. */
static double worst(const struct samples *s, double p)
{
	return percentile(s, s->higher ? 1 - p : p);
}

static double mean(const struct samples *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->nr; i++)
		sum += s->value[i];
	return sum / (double)s->nr;
}

static int bucket_of(double ns)
{
	return ns <= 1 ? 0 : (int)ceil(PER_OCTAVE * log2(ns));
}

/* Of what is sorted. */
static void print_histogram(const struct samples *s)
{
	const char *comma = "";
	size_t i = 0;

	while (i < s->nr) {
		int bucket = bucket_of(s->value[i]);
		size_t first = i;

		while (i < s->nr && bucket_of(s->value[i]) == bucket)
			i++;
		printf("%s[%.5g,%zu]", comma, exp2((double)bucket / PER_OCTAVE),
		       i - first);
		comma = ",";
	}
}

void samples_emit(struct samples *s)
{
	CHECK(s->nr);
	qsort(s->value, s->nr, sizeof(*s->value), by_value);
	printf("{\"name\":\"%s\",\"clock\":\"%s\",\"path\":\"%s\","
	       "\"variant\":\"%s\",\"unit\":\"%s\",\"better\":\"%s\",\"n\":%zu,"
	       "\"p50\":%.6g,\"p99\":%.6g,\"p999\":%.6g,\"mean\":%.6g,\"ctxsw\":",
	       s->name, bench_clock(), s->path, s->variant, s->unit,
	       s->higher ? "higher" : "lower", s->nr, percentile(s, 0.5),
	       worst(s, 0.99), worst(s, 0.999), mean(s));
	if (s->ctxsw < 0)
		printf("null");
	else
		printf("%.3f", s->ctxsw);
	printf(",\"hist\":[");
	if (!strcmp(s->unit, "ns") && s->nr > 1)
		print_histogram(s);
	printf("]}\n");
	fflush(stdout);
	free(s->value);
	s->value = NULL;
	s->nr = 0;
	s->room = 0;
}

void bench_emit(const char *name, const char *path, const char *variant,
		const char *unit, bool higher, double value)
{
	struct samples s;

	samples_init(&s, name, path, variant, unit, higher);
	samples_add(&s, value);
	samples_emit(&s);
}

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

const char *bench_clock(void)
{
	const char *clock = getenv("VUM_BENCH_CLOCK");

	return clock && *clock ? clock : "wall";
}

unsigned int bench_rounds(unsigned int full)
{
	const char *quick = getenv("VUM_BENCH_QUICK");

	/* Instructions repeat themselves, so that fewer samples say as much. */
	if (!strcmp(bench_clock(), "icount"))
		full = full / 8;
	else if (quick && *quick)
		full = full / 5;
	return full > 3 ? full : 3;
}

void bench_limit(unsigned int seconds)
{
	alarm(strcmp(bench_clock(), "icount") != 0 ? seconds : 0);
}

void bench_realtime(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	CHECK(!sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param));
}

static uint64_t switches_of_task(pid_t pid, const char *task)
{
	char path[PATH_MAX], buf[4096], *p;
	uint64_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, task);
	if (read_file(path, buf, sizeof(buf)))
		return 0;	/* a thread that has ended meanwhile */
	p = strstr(buf, "\nvoluntary_ctxt_switches:");
	CHECK(p);
	n += strtoull(strchr(p, ':') + 1, NULL, 10);
	p = strstr(p, "\nnonvoluntary_ctxt_switches:");
	CHECK(p);
	return n + strtoull(strchr(p, ':') + 1, NULL, 10);
}

static uint64_t switches_of(pid_t pid)
{
	char path[64];
	struct dirent *e;
	uint64_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	CHECK(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.')
			n += switches_of_task(pid, e->d_name);
	}
	closedir(dir);
	return n;
}

static uint64_t switches(const struct arm *arm)
{
	uint64_t n = switches_of(getpid());

	for (int i = 0; i < BENCH_PIDS; i++)
		n += arm->pids[i] ? switches_of(arm->pids[i]) : 0;
	return n;
}

static void run_block(struct arm *arm, const struct plan *plan, bool keep)
{
	uint64_t before = switches(arm);

	for (unsigned int i = 0; i < plan->warm; i++)
		arm->run(arm);
	for (unsigned int i = 0; i < plan->block; i++) {
		double value = arm->run(arm);

		if (keep)
			samples_add(&arm->samples, value);
	}
	if (!keep)
		return;
	arm->switches += switches(arm) - before;
	arm->accesses += plan->warm + plan->block;
}

void bench_measure(struct arm *arms, size_t nr, const struct plan *plan)
{
	uint64_t end = bench_now() + bench_rounds(plan->seconds) * 1000000000ULL;

	for (unsigned int round = 0; round <= plan->rounds; round++) {
		if (round > 3 && bench_now() > end)
			break;
		/* Nobody is always the one who comes after the slowest. */
		for (size_t i = 0; i < nr; i++)
			run_block(&arms[(round + i) % nr], plan, round > 0);
	}
	for (size_t i = 0; i < nr; i++) {
		struct arm *arm = &arms[i];

		if (arm->pids[0])
			arm->samples.ctxsw = (double)arm->switches /
					     (double)arm->accesses;
	}
}

void bench_compare(struct arm *arms, size_t nr, const struct plan *plan)
{
	bench_measure(arms, nr, plan);
	for (size_t i = 0; i < nr; i++)
		samples_emit(&arms[i].samples);
}
