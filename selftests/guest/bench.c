// SPDX-License-Identifier: GPL-2.0
/*
 * guest-bench: runs inside a guest that has the same device by several paths.
 *
 * The paths take turns, a block of accesses each, and begin in a different
 * order each time: whatever else the machine does, it does it to all of them.
 * For "load", see bench_load.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static struct bench_path paths[BENCH_MAX_PATHS];
static unsigned int nr_paths;
static const char *clock_name;

/* For whoever has another clock to compare ours with. */
static void tell_time(void)
{
	fprintf(stderr, "clock: %" PRIu64 "\n", bench_now());
}

static int run_block(struct bench_path *path, const struct bench_row *row)
{
	uint64_t start = bench_now();

	if (row->block(path, row, path->ns + path->nr_ns))
		return -1;
	path->block_ns[path->nr_blocks++] = bench_now() - start;
	path->nr_ns += row->count;
	return 0;
}

static int run_round(const struct bench_row *row, unsigned int first)
{
	unsigned int i;

	for (i = 0; i < nr_paths; i++) {
		if (run_block(&paths[(first + i) % nr_paths], row))
			return -1;
	}
	return 0;
}

static void forget(void)
{
	unsigned int i;

	for (i = 0; i < nr_paths; i++) {
		paths[i].nr_ns = 0;
		paths[i].nr_blocks = 0;
	}
}

/* Return: 0, or -1. The first rounds are there to warm up. */
static int run_row(const struct bench_row *row, double seconds)
{
	unsigned int round;
	uint64_t end;

	forget();
	for (round = 0; round < 2; round++) {
		if (run_round(row, round))
			return -1;
	}
	forget();
	end = bench_now() + (uint64_t)(seconds * 1e9);
	for (round = 0; bench_now() < end && round < BENCH_MAX_BLOCKS &&
	     paths[0].nr_ns + row->count <= BENCH_MAX_SAMPLES; round++) {
		if (run_round(row, round))
			return -1;
	}
	for (round = 0; round < nr_paths; round++)
		bench_result(&paths[round], row, clock_name);
	return 0;
}

static int add_path(char *arg, int (*open)(struct bench_path *path))
{
	struct bench_path *path = &paths[nr_paths];
	char *equals = strchr(arg, '=');

	if (!equals || nr_paths == BENCH_MAX_PATHS) {
		fprintf(stderr, "bad path: %s\n", arg);
		return -1;
	}
	*equals = '\0';
	path->name = arg;
	path->where = equals + 1;
	path->ns = calloc(BENCH_MAX_SAMPLES, sizeof(*path->ns));
	path->block_ns = calloc(BENCH_MAX_BLOCKS, sizeof(*path->block_ns));
	if (!path->ns || !path->block_ns || open(path))
		return -1;
	nr_paths++;
	return 0;
}

static int measure(const struct bench_row *row, double seconds)
{
	tell_time();
	for (; row->name; row++) {
		if (run_row(row, seconds))
			return -1;
		fflush(stdout);
	}
	tell_time();
	return 0;
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s read|disk CLOCK SECONDS-PER-ROW PATH=DEVICE...\n"
		"       %s load PATH=DEVICE... -- ROW:SECONDS:PATH|idle...\n",
		name, name);
	return EXIT_FAILURE;
}

static int load(int argc, char **argv)
{
	int i;

	for (i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (add_path(argv[i], bench_disk_open))
			return EXIT_FAILURE;
	}
	if (i++ >= argc)
		return usage(argv[0]);
	return bench_load(argv + i, argc - i, paths, nr_paths) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct bench_row *rows = NULL;
	int (*open)(struct bench_path *path) = NULL;
	int i;

	if (argc > 4 && !strcmp(argv[1], "read")) {
		rows = bench_read_rows;
		open = bench_read_open;
	} else if (argc > 4 && !strcmp(argv[1], "disk")) {
		rows = bench_disk_rows;
		open = bench_disk_open;
	}
	if (!rows && (argc < 2 || strcmp(argv[1], "load") != 0))
		return usage(argv[0]);
	setvbuf(stdout, NULL, _IOFBF, 1U << 16);
	if (bench_clock_init())
		return EXIT_FAILURE;
	if (!rows)
		return load(argc, argv);
	clock_name = argv[2];
	for (i = 4; i < argc; i++) {
		if (add_path(argv[i], open))
			return EXIT_FAILURE;
	}
	return measure(rows, strtod(argv[3], NULL)) ? EXIT_FAILURE :
						     EXIT_SUCCESS;
}
