/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Measuring the same access over several paths, in turn, and saying in one
 * line of JSON for each what came out: see bench.sh for what is made of them.
 * Everything fails the row by itself if it does not work.
 */
#ifndef VUM_BENCH_H
#define VUM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/test.h"

/**
 * struct samples - what was measured of one thing
 * @name: the row of the report, with a suffix if it is one of several
 * @path: direct, relay, kernel, or floor
 * @variant: what else there is to say of how, or ""
 * @unit: of @value
 * @higher: whether more is better
 * @value: @nr of them
 * @nr: entries in @value
 * @room: entries that there is memory for
 * @ctxsw: context switches per access, negative if nobody counted
 */
struct samples {
	const char *name;
	const char *path;
	const char *variant;
	const char *unit;
	bool higher;
	double *value;
	size_t nr;
	size_t room;
	double ctxsw;
};

void samples_init(struct samples *s, const char *name, const char *path,
		  const char *variant, const char *unit, bool higher);
void samples_add(struct samples *s, double value);
/* One line of JSON on stdout; the memory is given back. */
void samples_emit(struct samples *s);
/* A single figure. */
void bench_emit(const char *name, const char *path, const char *variant,
		const char *unit, bool higher, double value);

/* CLOCK_MONOTONIC; under -icount, thousands of these are instructions. */
uint64_t bench_now(void);
/* "wall" or "icount": how the VM has been started. */
const char *bench_clock(void);
/* So many, or few if the run shall be a short one. */
unsigned int bench_rounds(unsigned int full);

/* The row fails after so long; not under -icount, where time leaps. */
void bench_limit(unsigned int seconds);

/* From now on we run at once when we are woken up, whatever else there is. */
void bench_realtime(void);

#define BENCH_PIDS 3

/**
 * struct arm - one of the ways that are compared
 * @run: makes one access, and returns what it cost
 * @opaque: for @run
 * @pids: whose context switches count beside our own, 0 if nobody's
 * @switches: how many there were so far
 * @accesses: during so many accesses
 * @samples: what was measured
 */
struct arm {
	double (*run)(struct arm *arm);
	void *opaque;
	pid_t pids[BENCH_PIDS];
	uint64_t switches;
	uint64_t accesses;
	struct samples samples;
};

/**
 * struct plan - how often, and how
 * @rounds: in each, every arm has its turn; the first one is thrown away
 * @block: accesses of a turn
 * @warm: accesses before those, which are thrown away
 * @seconds: no more rounds after so long, by the clock on the wall
 */
struct plan {
	unsigned int rounds;
	unsigned int block;
	unsigned int warm;
	unsigned int seconds;
};

/* All of it, and says what came out. */
void bench_compare(struct arm *arms, size_t nr, const struct plan *plan);
/* Without saying so. */
void bench_measure(struct arm *arms, size_t nr, const struct plan *plan);

#endif /* VUM_BENCH_H */
