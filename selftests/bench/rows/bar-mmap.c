// SPDX-License-Identifier: GPL-2.0
/* A load and a store to a BAR that is mapped. */
#include <unistd.h>

#include "../../lib/bar0.h"
#include "../paths.h"

#define WORDS	(PUPPET_BAR0_SIZE >> 2)

static struct paths paths;

/*
 * An emulated TLB has conflicts, for which it matters at what address a mapping
 * happens to be: all have many, and take them in turn.
 */
#define PLACES	16

static volatile uint32_t *memory[MAX_PATHS][PLACES];
static unsigned int place[MAX_PATHS];

static double load_and_store(struct arm *arm)
{
	const struct path *p = arm->opaque;
	size_t n = (size_t)(p - paths.path);
	volatile uint32_t *mem = memory[n][place[n]++ % PLACES];
	uint64_t start = bench_now();

	for (size_t i = 0; i < WORDS; i++)
		mem[i] = mem[i] + 1;
	return (double)(bench_now() - start) / (double)WORDS;
}

/* Is it the server's memory indeed? */
static void map(struct path *p, volatile uint32_t **mem)
{
	*mem = p->is_direct ? direct_map(&p->direct, BAR0, BAR0_SIZE) :
			      region_mapped(&p->consumer, BAR0, 0, BAR0_SIZE);
	path_write32(p, BAR0, 0, 0x1234);
	CHECK_EQ((*mem)[0], 0x1234);
}

TEST(bar_mmap)
{
	static const char *const args[] = { "--mmap-bar0", NULL };
	const struct plan plan = {
		.rounds = bench_rounds(200), .block = PLACES, .warm = PLACES,
		.seconds = 15,
	};
	struct arm arms[MAX_PATHS];

	bench_limit(300);
	paths_up(&paths, &(struct setup){ .args = args });
	for (int n = 0; n < PLACES; n++)
		for (size_t i = 0; i < paths.nr; i++)
			map(&paths.path[i], &memory[i][n]);
	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], "bar-mmap",
			 load_and_store);
	}
	bench_compare(arms, paths.nr, &plan);
}
