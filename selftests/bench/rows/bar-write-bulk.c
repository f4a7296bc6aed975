// SPDX-License-Identifier: GPL-2.0
/*
 * What a posted write costs in a burst, to a server that takes several in one message, and
 * to the same that does not: until the last of them has been done. On a single CPU, as when
 * instructions are counted, the server often runs after each write, so that none gathers.
 * clocks: wall icount
 */
#include <unistd.h>

#include "../paths.h"

static const char *const single[] = { "--single-writes", NULL };

/* Servers that take one write in a message, and several, on each data path. */
static const struct way {
	const char *name, *path;
	const char *const *args;
} ways[] = {
	{ "bar-write-bulk-single", "kernel", single },
	{ "bar-write-bulk", "kernel", NULL },
	{ "bar-write-bulk-single", "relay", single },
	{ "bar-write-bulk", "relay", NULL },
};

#define NR_WAYS	(sizeof(ways) / sizeof(ways[0]))

static struct path path[NR_WAYS];
static int burst;

static double post_many(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t start = bench_now();

	for (int i = 0; i < burst; i++)
		path_write32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40, 1);
	CHECK_EQ(path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40), PUPPET_PATTERN ^ 0x40);
	return (double)(bench_now() - start) / burst;
}

static void measure(const char *variant, int nr)
{
	const struct plan plan = {
		.rounds = bench_rounds(100), .block = 20, .warm = 5, .seconds = 15,
	};
	struct arm arms[NR_WAYS];

	burst = nr;
	for (size_t i = 0; i < NR_WAYS; i++) {
		arms[i] = (struct arm){
			.run = post_many, .opaque = &path[i],
			.pids = { path[i].world.server, path[0].world.helper },
		};
		samples_init(&arms[i].samples, ways[i].name, path[i].name, variant, "ns",
			     false);
	}
	bench_measure(arms, NR_WAYS, &plan);
	for (size_t i = 0; i < NR_WAYS; i++)
		samples_emit(&arms[i].samples);
}

TEST(bar_write_bulk)
{
	bench_limit(300);
	for (size_t i = 0; i < NR_WAYS; i++) {
		CHECK(paths_bridge(&path[i], ways[i].path, ""));
		world_server(&path[i].world, ways[i].args);
	}
	world_helper(&path[0].world, NULL);
	for (size_t i = 0; i < NR_WAYS; i++) {
		world_wait_state(&path[i].world, "attached");
		consumer_open(&path[i].consumer, &path[i].world);
	}
	measure("burst=16", 16);
	measure("burst=64", 64);
}
