// SPDX-License-Identifier: GPL-2.0
/* A line of JSON for what was measured of a row on a path. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

/* A bucket's width is at most this many bits less than its values have. */
#define BUCKET_BITS	4

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Return: the index, of @n values in order, below which a share of them is. */
static size_t rank(size_t n, double share)
{
	size_t at = (size_t)((double)n * share);

	return at < n ? at : n - 1;
}

/* Return: the least value that is too large for the bucket of @ns. */
static uint64_t upper_bound(uint32_t ns)
{
	unsigned int shift = 0;

	while (ns >> shift >> (BUCKET_BITS + 1))
		shift++;
	return ((uint64_t)(ns >> shift) + 1) << shift;
}

static void print_histogram(const struct bench_path *path)
{
	uint64_t bound, current = 0;
	size_t i, count = 0;
	const char *comma = "";

	printf(",\"hist\":[");
	for (i = 0; i <= path->nr_ns; i++) {
		bound = i < path->nr_ns ? upper_bound(path->ns[i]) : 0;
		if (count && bound != current) {
			printf("%s[%" PRIu64 ",%zu]", comma, current, count);
			comma = ",";
			count = 0;
		}
		current = bound;
		count++;
	}
	printf("]}\n");
}

static void print_durations(const struct bench_path *path)
{
	size_t n = path->nr_ns, i;
	double sum = 0;

	for (i = 0; i < n; i++)
		sum += path->ns[i];
	printf("\"unit\":\"ns\",\"better\":\"lower\",\"n\":%zu,\"p50\":%" PRIu32
	       ",\"p99\":%" PRIu32 ",\"p999\":%" PRIu32 ",\"mean\":%.0f",
	       n, path->ns[rank(n, 0.5)], path->ns[rank(n, 0.99)],
	       path->ns[rank(n, 0.999)], sum / (double)n);
}

/* Of blocks: p99 is the rate that 99 % of them reach; the mean is of all time. */
static void print_rates(const struct bench_path *path, unsigned int count)
{
	static double rates[BENCH_MAX_BLOCKS];
	size_t n = path->nr_blocks, i;
	double sum = 0;

	for (i = 0; i < n; i++) {
		rates[i] = (double)count * 1e9 / (double)path->block_ns[i];
		sum += (double)path->block_ns[i];
	}
	qsort(rates, n, sizeof(*rates), compare_double);
	printf("\"unit\":\"iops\",\"better\":\"higher\",\"n\":%zu,"
	       "\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"mean\":%.2f", n,
	       rates[rank(n, 0.5)], rates[rank(n, 0.01)],
	       rates[rank(n, 0.001)], (double)(n * count) * 1e9 / sum);
}

/**
 * bench_result() - print what was measured
 * @path: on which path; its samples get sorted
 * @row: of which row
 * @clock: by which clock
 */
void bench_result(struct bench_path *path, const struct bench_row *row,
		  const char *clock)
{
	if (!path->nr_ns || !path->nr_blocks)
		return;
	qsort(path->ns, path->nr_ns, sizeof(*path->ns), compare);
	printf("{\"name\":\"%s\",\"clock\":\"%s\",\"path\":\"%s\","
	       "\"variant\":\"\",", row->name, clock, path->name);
	if (row->rate)
		print_rates(path, row->count);
	else
		print_durations(path);
	printf(",\"ctxsw\":null");
	print_histogram(path);
}

/**
 * bench_result_load() - print what one load on one disk was
 * @path: the disk; its samples get sorted
 * @ns: how long it took
 */
void bench_result_load(struct bench_path *path, uint64_t ns)
{
	size_t n = path->nr_ns;

	if (!n)
		return;
	qsort(path->ns, n, sizeof(*path->ns), compare);
	printf("load: %zu requests, %.2f a second, p50 %" PRIu32 " ns, p99 %" PRIu32 " ns\n",
	       n, (double)n * 1e9 / (double)ns, path->ns[rank(n, 0.5)],
	       path->ns[rank(n, 0.99)]);
}
