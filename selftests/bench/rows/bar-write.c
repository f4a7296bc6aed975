// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer's view of a 4-byte write to a trapped BAR: acknowledged, and
 * posted.
 * clocks: wall icount
 */
#include <unistd.h>

#include "../paths.h"

#define BURST	16

static struct paths paths;

/* All that has been posted is done when this has been answered. */
static void drain(struct path *p)
{
	CHECK_EQ(path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40),
		 PUPPET_PATTERN ^ 0x40);
}

static double write_bar(struct arm *arm)
{
	uint64_t start = bench_now();

	path_write32(arm->opaque, VFIO_PCI_BAR1_REGION_INDEX, 0x40, 1);
	return (double)(bench_now() - start);
}

static void post(struct path *p)
{
	if (p->is_direct)
		direct_post32(&p->direct, VFIO_PCI_BAR1_REGION_INDEX, 0x40, 1);
	else
		path_write32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40, 1);
}

/* Nothing else is on its way: the wake-up of whoever takes it is included. */
static double post_one(struct arm *arm)
{
	uint64_t start = bench_now(), end;

	post(arm->opaque);
	end = bench_now();
	drain(arm->opaque);
	return (double)(end - start);
}

/* All of what a write costs, as the last of them has been done. */
static double post_many(struct arm *arm)
{
	uint64_t start = bench_now();

	for (int i = 0; i < BURST; i++)
		post(arm->opaque);
	drain(arm->opaque);
	return (double)(bench_now() - start) / BURST;
}

static void measure(const char *name, const char *variant,
		    double (*run)(struct arm *), double (*direct)(struct arm *))
{
	const struct plan plan = {
		.rounds = bench_rounds(100), .block = 50, .warm = 5,
		.seconds = 15,
	};
	struct arm arms[MAX_PATHS];

	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], name, run);
		if (paths.path[i].is_direct)
			arms[i].run = direct;
		if (run != write_bar)
			arms[i].pids[0] = 0;
		arms[i].samples.variant = variant;
	}
	bench_compare(arms, paths.nr, &plan);
}

TEST(bar_write)
{
	bench_limit(300);
	paths_up(&paths, &(struct setup){ 0 });
	measure("bar-write", "", write_bar, write_bar);
	for (size_t i = 1; i < paths.nr; i++)
		world_attr_set(&paths.path[i].world, "posted_writes", "1");
	/* Against what a direct client does that has to know; and if not. */
	measure("bar-write-posted", "", post_one, write_bar);
	measure("bar-write-posted", "no-reply", post_one, post_one);
	measure("bar-write-posted", "burst=16", post_many, post_many);
}
