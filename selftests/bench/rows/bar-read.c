// SPDX-License-Identifier: GPL-2.0
/* The consumer's view of a 4-byte read of a trapped BAR. clocks: wall icount */
#include <unistd.h>

#include "../paths.h"

static struct paths paths;

static double read_bar(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t start = bench_now();
	uint32_t value = path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40);
	uint64_t end = bench_now();

	CHECK_EQ(value, PUPPET_PATTERN ^ 0x40);
	return (double)(end - start);
}

static void measure(const struct plan *plan, const char *variant)
{
	struct arm arms[MAX_PATHS];
	size_t nr = 0;

	for (size_t i = 0; i < paths.nr; i++) {
		struct path *p = &paths.path[i];

		if (*variant && *p->variant)
			continue;
		path_arm(&paths, p, &arms[nr], "bar-read", read_bar);
		if (*variant)
			arms[nr].samples.variant = variant;
		nr++;
	}
	bench_measure(arms, nr, plan);
	for (size_t i = 0; i < nr; i++) {
		path_check_arm(&arms[i]);
		samples_emit(&arms[i].samples);
	}
}

TEST(bar_read)
{
	const struct plan plan = {
		.rounds = bench_rounds(200), .block = 100, .warm = 10,
		.seconds = 40,
	};

	bench_limit(300);
	paths_up(&paths, &(struct setup){ .poll = true });
	measure(&plan, "");
	/*
	 * On one CPU it matters whom the scheduler lets preempt whom, which
	 * depends on what they did before: an answer may be there before
	 * anybody waits for it, or the server go on before it is looked at.
	 * Here who is woken up by the answer always has the CPU.
	 */
	if (!strcmp(bench_clock(), "icount")) {
		bench_realtime();
		measure(&plan, "fifo");
	}
}
