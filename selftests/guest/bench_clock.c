// SPDX-License-Identifier: GPL-2.0
/*
 * The time as the emulated CPU counts it, in the nanoseconds of whoever emulates
 * it.
 *
 * The guest's kernel comes from a snapshot, with what it once found out about
 * its CPU's counter; in a VM that counts instructions the same counter runs at
 * another speed. The ACPI timer always runs at that of QEMU's own clock, but
 * reading it is a trapped access like those that are to be measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SOURCE	"/sys/devices/system/clocksource/clocksource0/current_clocksource"
#define TRIES	10

static double ns_per_tick = 1;
static uint64_t first_tick;

/**
 * bench_now() - what time is it?
 *
 * Return: nanoseconds.
 */
uint64_t bench_now(void)
{
	uint64_t ticks = __builtin_ia32_rdtsc() - first_tick;

	return (uint64_t)((double)ticks * ns_per_tick);
}

/* Of several readings of both clocks, the one where they were closest. */
static void read_both(uint64_t *ticks, uint64_t *ns)
{
	uint64_t least = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t before = __builtin_ia32_rdtsc(), after;
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __builtin_ia32_rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		*ticks = before + least / 2;
		*ns = (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
	}
}

static int choose(const char *source)
{
	int fd = open(SOURCE, O_WRONLY | O_CLOEXEC);
	int ret = -1;

	if (fd >= 0 && write(fd, source, strlen(source)) > 0)
		ret = 0;
	else
		fprintf(stderr, "clock source %s: %s\n", source,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

/**
 * bench_clock_init() - find out how fast the counter is
 *
 * Return: 0, or -1 after having said why not.
 */
int bench_clock_init(void)
{
	uint64_t ticks[2] = { 0 }, ns[2] = { 0 };

	if (choose("acpi_pm"))
		return -1;
	read_both(&ticks[0], &ns[0]);
	sleep(1);
	read_both(&ticks[1], &ns[1]);
	/* What the guest's kernel does all the time must not be trapped. */
	if (choose("tsc"))
		return -1;
	first_tick = ticks[1];
	ns_per_tick = (double)(ns[1] - ns[0]) / (double)(ticks[1] - ticks[0]);
	fprintf(stderr, "the CPU's counter: %.3f MHz\n", 1e3 / ns_per_tick);
	return 0;
}
