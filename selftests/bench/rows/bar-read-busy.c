// SPDX-License-Identifier: GPL-2.0
/*
 * Reads of a trapped BAR while each CPU has something else to do: with polling, by task
 * and by helper, and without. What counts is how many reads there are in a while, since
 * polling may cost a task its next turn. clocks: wall
 */
#include <stdio.h>
#include <unistd.h>

#include "../paths.h"

#define READS	64U
#define NR_WAYS	4

/**
 * struct way - how messages get to the server
 * @path: data path
 * @variant: who polls, or ""
 * @poll_us: of the mdev
 * @helper_poll_us: of its helper
 */
static const struct way {
	const char *path, *variant, *poll_us, *helper_poll_us;
} ways[NR_WAYS] = {
	{ "kernel", "", "0", "--poll-us=0" },
	{ "kernel", "poll_us=1000", "1000", "--poll-us=0" },
	{ "relay", "", "0", "--poll-us=0" },
	{ "relay", "--poll-us=1000", "0", "--poll-us=1000" },
};

static struct path path[NR_WAYS];

static void up(struct path *p, const struct way *way)
{
	char only[64];
	const char *const args[] = { only, way->helper_poll_us, NULL };

	CHECK(paths_bridge(p, way->path, ""));
	p->variant = way->variant;
	world_attr_set(&p->world, "poll_us", way->poll_us);
	world_server(&p->world, NULL);
	snprintf(only, sizeof(only), "--only=%s", p->world.uuid);
	world_helper(&p->world, args);
	world_wait_state(&p->world, "attached");
	consumer_open(&p->consumer, &p->world);
}

static double read_some(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t start = bench_now();

	for (unsigned int i = 0; i < READS; i++)
		CHECK_EQ(path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40),
			 PUPPET_PATTERN ^ 0x40);
	return (double)(bench_now() - start) / READS;
}

TEST(bar_read_busy)
{
	const struct plan plan = {
		.rounds = bench_rounds(60), .block = 5, .warm = 5, .seconds = 120,
	};
	struct arm arms[NR_WAYS];

	bench_limit(300);
	for (size_t i = 0; i < NR_WAYS; i++) {
		up(&path[i], &ways[i]);
		arms[i] = (struct arm){
			.run = read_some, .opaque = &path[i],
			.pids = { path[i].world.server, path[i].world.helper },
		};
		samples_init(&arms[i].samples, "bar-read-busy", path[i].name,
			     path[i].variant, "ns", false);
	}
	for (int cpu = 0; cpu < (int)sysconf(_SC_NPROCESSORS_ONLN); cpu++)
		test_keep_busy(cpu);
	bench_measure(arms, NR_WAYS, &plan);
	for (size_t i = 0; i < NR_WAYS; i++)
		samples_emit(&arms[i].samples);
}
