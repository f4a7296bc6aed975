// SPDX-License-Identifier: GPL-2.0
/*
 * How long a consumer's VFIO_IOMMU_MAP_DMA of 1 GiB takes, until the server has answered:
 * against a client that says DMA_MAP. By the window, and by the file itself.
 * clocks: wall icount
 */
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/dma.h"
#include "../paths.h"

#define IOVA	0x100000000ULL
#define SIZE	(1UL << 30)

static struct paths paths;
static void *mem;
static int fd;

static double map(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t start = bench_now(), end;

	if (p->is_direct)
		direct_dma_map(&p->direct, fd, IOVA, SIZE);
	else
		dma_map(&p->consumer, mem, IOVA, SIZE, DMA_READ | DMA_WRITE);
	end = bench_now();
	if (p->is_direct)
		direct_dma_unmap(&p->direct, IOVA, SIZE);
	else
		dma_unmap(&p->consumer, IOVA, SIZE);
	/* What an unmap has left to do is done before the next map. */
	path_read32(p, VFIO_PCI_BAR1_REGION_INDEX, 0x40);
	return (double)(end - start);
}

static void maps_by(const char *mode)
{
	const struct plan plan = {
		.rounds = bench_rounds(30), .block = 5, .warm = 2, .seconds = 15,
	};
	struct arm arms[MAX_PATHS];

	bench_limit(300);
	fd = memfd_create("map", MFD_CLOEXEC);
	CHECK(fd >= 0 && !ftruncate(fd, (off_t)SIZE));
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mem != MAP_FAILED);
	paths_up(&paths, &(struct setup){ .dma_mode = mode });
	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], "map", map);
		arms[i].pids[0] = 0;
		arms[i].samples.variant = mode;
	}
	bench_compare(arms, paths.nr, &plan);
}

TEST(map_by_mmap)
{
	maps_by("mmap");
}

TEST(map_by_share)
{
	maps_by("share");
}
