// SPDX-License-Identifier: GPL-2.0
/*
 * The server reaches for the consumer's memory, which is a memfd: how fast,
 * once it has been there, and what the first touch of a page costs. Measured
 * by the server itself. clocks: wall icount
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/dma.h"
#include "../paths.h"

#define IOVA		0x10000000ULL
#define WARM_SIZE	0x400000UL
#define TOUCH_PAGES	0x4000UL
#define TOUCH_SIZE	(TOUCH_PAGES * 4096)
#define LARGE_SIZE	(1UL << 30)

/* As many times as make a duration that the clock can tell. */
static const struct size {
	const char *name;
	uint32_t bytes;
	uint32_t times;
	uint32_t messages;
} sizes[] = {
	{ "dma-4k", 0x1000, 500, 20 },
	{ "dma-64k", 0x10000, 64, 10 },
	{ "dma-1m", 0x100000, 8, 2 },
};

#define NR_SIZES (sizeof(sizes) / sizeof(*sizes))

/**
 * struct memory - what one of the paths lends its server
 * @mem: where we have it
 * @fd: the memfd
 */
static struct memory {
	uint8_t *mem;
	int fd;
} memories[MAX_PATHS];

static struct paths paths;
static const struct size *size;
static bool by_message;
static unsigned int memfd_flags;
static enum puppet_dma_op touch;

static struct memory *memory_of(const struct path *p)
{
	return &memories[p - paths.path];
}

/* There is a page everywhere, in the file and in our page tables. */
static void new_memory(const struct path *p, size_t bytes)
{
	struct memory *m = memory_of(p);

	m->fd = memfd_create("dma", MFD_CLOEXEC | memfd_flags);
	CHECK(m->fd >= 0);
	CHECK(!ftruncate(m->fd, (off_t)bytes));
	m->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	CHECK(m->mem != MAP_FAILED);
	memset(m->mem, 0x5a, bytes);
}

static void lend(struct path *p, size_t bytes)
{
	const struct memory *m = memory_of(p);

	if (!p->is_direct)
		dma_map(&p->consumer, m->mem, IOVA, bytes, DMA_READ | DMA_WRITE);
	else
		direct_dma_map(&p->direct, by_message ? -1 : m->fd, IOVA, bytes);
}

static void take_back(struct path *p, size_t bytes)
{
	if (p->is_direct)
		direct_dma_unmap(&p->direct, IOVA, bytes);
	else
		dma_unmap(&p->consumer, IOVA, bytes);
}

/* Has the server do it. Returns how long that took, in ns. */
static double time_it(struct path *p, enum puppet_dma_op op, uint32_t bytes,
		      uint32_t times)
{
	path_dma_prepare(p, IOVA, bytes, times);
	if (p->is_direct && by_message) {
		/* What we are asked comes before an answer would. */
		direct_post32(&p->direct, VFIO_PCI_BAR2_REGION_INDEX,
			      PUPPET_DMA_OP, op);
		direct_serve_dma(&p->direct, memory_of(p)->mem, IOVA,
				 (uint64_t)bytes * times);
	} else {
		path_write32(p, VFIO_PCI_BAR2_REGION_INDEX, PUPPET_DMA_OP, op);
	}
	return path_dma_wait(p);
}

static double bandwidth(struct arm *arm)
{
	uint32_t times = by_message ? size->messages : size->times;
	double ns = time_it(arm->opaque, PUPPET_DMA_TIME_READ, size->bytes,
			    times);

	return (double)size->bytes * times / 1048576 * 1e9 / ns;
}

/* Nobody is always the one who gets what lies together best. */
static void memories_up(size_t first)
{
	for (size_t i = 0; i < paths.nr; i++) {
		struct path *p = &paths.path[(first + i) % paths.nr];

		new_memory(p, WARM_SIZE);
		lend(p, WARM_SIZE);
	}
}

static void memories_down(void)
{
	for (size_t i = 0; i < paths.nr; i++) {
		munmap(memories[i].mem, WARM_SIZE);
		close(memories[i].fd);
	}
}

static void arm_size(struct arm *arms, const char *way)
{
	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], size->name, bandwidth);
		memset(arms[i].pids, 0, sizeof(arms[i].pids));
		arms[i].samples.variant = way;
		arms[i].samples.unit = "MiB/s";
		arms[i].samples.higher = true;
	}
}

/*
 * Where things happen to lie in memory makes a difference of some per cent, and
 * that for as long as they lie there: so all of it is set up several times.
 */
static void all_sizes(const char *mode, unsigned int times, unsigned int rounds)
{
	const char *way = strcmp(mode, "share") ? mode : "mmap";
	const char *const args[] = { "--dma", way, NULL };
	const struct plan plan = {
		.rounds = bench_rounds(rounds), .block = 4, .warm = 1,
		.seconds = 2,
	};
	struct arm arms[NR_SIZES][MAX_PATHS];
	size_t nr = 0;

	bench_limit(300);
	by_message = !strcmp(way, "message");
	for (unsigned int time = 0; time < times; time++) {
		paths_up(&paths, &(struct setup){ .args = args, .dma_mode = mode });
		nr = paths.nr;
		memories_up(time);
		for (size = sizes; size < sizes + NR_SIZES; size++) {
			if (!time)
				arm_size(arms[size - sizes], mode);
			bench_measure(arms[size - sizes], nr, &plan);
		}
		paths_down(&paths);
		memories_down();
	}
	for (size_t i = 0; i < NR_SIZES; i++)
		for (size_t j = 0; j < nr; j++)
			samples_emit(&arms[i][j].samples);
}

TEST(dma_by_mmap)
{
	all_sizes("mmap", 18, 6);
}

TEST(dma_by_share)
{
	all_sizes("share", 18, 6);
}

TEST(dma_by_file)
{
	all_sizes("file", 4, 12);
}

TEST(dma_by_message)
{
	all_sizes("message", 4, 8);
}

static double first_touch(struct arm *arm)
{
	double ns;

	lend(arm->opaque, TOUCH_SIZE);
	ns = time_it(arm->opaque, touch, TOUCH_SIZE, 1);
	take_back(arm->opaque, TOUCH_SIZE);
	return ns / (double)TOUCH_PAGES;
}

static void first_touches(enum puppet_dma_op op, const char *variant)
{
	const struct plan plan = {
		.rounds = bench_rounds(10), .block = 1, .warm = 0,
		.seconds = 10,
	};
	struct arm arms[MAX_PATHS];

	touch = op;
	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], "dma-first-touch",
			 first_touch);
		arms[i].pids[0] = 0;
		arms[i].samples.variant = variant;
	}
	bench_compare(arms, paths.nr, &plan);
}

static void first_touches_by(const char *mode, const char *stores, const char *loads)
{
	bench_limit(300);
	paths_up(&paths, &(struct setup){ .dma_mode = mode });
	for (size_t i = 0; i < paths.nr; i++)
		new_memory(&paths.path[i], TOUCH_SIZE);
	/* Stores first: what a load finds may be mapped 16 pages at a time. */
	first_touches(PUPPET_DMA_TIME_STORES, stores);
	first_touches(PUPPET_DMA_TIME_LOADS, loads);
}

TEST(dma_first_touch)
{
	first_touches_by("mmap", "write", "read");
}

TEST(dma_first_touch_by_share)
{
	first_touches_by("share", "share-write", "share-read");
}

TEST(dma_first_touch_of_huge_pages)
{
	/* For three paths, of 64 MiB each. */
	if (write_file("/proc/sys/vm/nr_hugepages", "96"))
		test_skip("the kernel has no huge pages");
	memfd_flags = MFD_HUGETLB;
	first_touches_by("share", "share-huge-write", "share-huge-read");
	write_file("/proc/sys/vm/nr_hugepages", "0");
}

/*
 * A guest's whole memory, in order, in GiB/s. Of one path at a time, so that the memory
 * of a VM is enough.
 */
static double touch_large(struct arm *arm)
{
	struct path *p = arm->opaque;
	double ns;

	new_memory(p, LARGE_SIZE);
	lend(p, LARGE_SIZE);
	ns = time_it(p, PUPPET_DMA_TIME_STORES, LARGE_SIZE, 1);
	take_back(p, LARGE_SIZE);
	munmap(memory_of(p)->mem, LARGE_SIZE);
	close(memory_of(p)->fd);
	return (double)LARGE_SIZE / (1 << 30) * 1e9 / ns;
}

TEST(dma_touch_1g)
{
	const struct plan plan = {
		.rounds = bench_rounds(3), .block = 1, .warm = 0, .seconds = 10,
	};
	struct arm arms[MAX_PATHS];

	bench_limit(600);
	paths_up(&paths, &(struct setup){ .dma_mode = "mmap" });
	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], "dma-touch-1g", touch_large);
		arms[i].pids[0] = 0;
		arms[i].samples.variant = "write";
		arms[i].samples.unit = "GiB/s";
		arms[i].samples.higher = true;
	}
	bench_compare(arms, paths.nr, &plan);
}
