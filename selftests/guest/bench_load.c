// SPDX-License-Identifier: GPL-2.0
/*
 * Loads on the disks of one of several guests, one after the other, each of which begins
 * when whoever is outside says so: to a line "MOVE" the answer is a line "MOVED". All of
 * them in one process, because starting another costs an emulated guest seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static int gate(void)
{
	char line[64];

	printf("MOVE\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		if (!strcmp(line, "MOVED\n"))
			return 0;
	fprintf(stderr, "nobody answers\n");
	return -1;
}

static const struct bench_row *find_row(const char *name)
{
	const struct bench_row *row;

	for (row = bench_disk_rows; row->name; row++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

static int run_for(struct bench_path *path, const struct bench_row *row, double seconds)
{
	uint64_t start = bench_now(), now = start;

	path->nr_ns = 0;
	while (now < start + (uint64_t)(seconds * 1e9) &&
	       path->nr_ns + row->count <= BENCH_MAX_SAMPLES) {
		if (row->block(path, row, path->ns + path->nr_ns))
			return -1;
		path->nr_ns += row->count;
		now = bench_now();
	}
	bench_result_load(path, now - start);
	return 0;
}

/* Runs "ROW:SECONDS:PATH", or does nothing: "idle". */
static int run_phase(char *phase, struct bench_path *paths, unsigned int nr)
{
	const char *name = strtok(phase, ":"), *seconds, *path;
	const struct bench_row *row;
	unsigned int i;

	if (name && !strcmp(name, "idle"))
		return 0;
	seconds = strtok(NULL, ":");
	path = strtok(NULL, ":");
	row = name && path ? find_row(name) : NULL;
	for (i = 0; row && i < nr; i++)
		if (!strcmp(paths[i].name, path))
			return run_for(&paths[i], row, strtod(seconds, NULL));
	fprintf(stderr, "no such load: %s\n", phase);
	return -1;
}

/**
 * bench_load() - put loads on disks, and print what came of each
 * @phases: of them; gets changed
 * @nr_phases: how many
 * @paths: the disks, open
 * @nr_paths: how many
 *
 * Return: 0, or -1 after having said why not.
 */
int bench_load(char **phases, int nr_phases, struct bench_path *paths,
	       unsigned int nr_paths)
{
	int i;

	for (i = 0; i < nr_phases; i++)
		if (gate() || run_phase(phases[i], paths, nr_paths))
			return -1;
	return gate();
}
