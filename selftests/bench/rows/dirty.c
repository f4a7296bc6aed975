// SPDX-License-Identifier: GPL-2.0
/*
 * The consumer tracks what the server writes to 1 GiB: what a report costs after no page
 * of that, every hundredth, or all have been written, and what the first write to a page
 * after it costs the server. On the socket the server itself keeps the log, as
 * libvfio-user does. clocks: wall icount
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/dirty.h"
#include "../../lib/dma.h"
#include "../paths.h"

#define IOVA		0x40000000ULL
#define SIZE		(1UL << 30)
#define PAGES		(SIZE / DIRTY_PAGE)
#define BITMAP		(PAGES / 8)

/* A DEVICE_FEATURE that asks for a report, or is one. */
struct report {
	struct vfio_user_device_feature head;
	struct vfio_user_device_feature_dma_logging_report report;
	uint64_t bitmap[BITMAP / 8];
};

static struct paths paths;
static struct report answer;
/* Bytes, from the first one on, of whose pages the server writes each between reports. */
static uint32_t written;

static void ask(struct path *p, uint32_t feature, void *data, size_t size,
		void *reply, size_t reply_size)
{
	struct vfio_user_device_feature *head = data;

	head->argsz = (uint32_t)(reply_size > size ? reply_size : size);
	head->flags = feature;
	direct_command(&p->direct, VFIO_USER_DEVICE_FEATURE, data, size, -1, reply,
		       head->argsz, NULL);
}

static void start(struct path *p)
{
	struct {
		struct vfio_user_device_feature head;
		struct vfio_user_device_feature_dma_logging_control control;
		struct vfio_user_device_feature_dma_logging_range range;
	} command = {
		.control = { .page_size = DIRTY_PAGE, .num_ranges = 1 },
		.range = { IOVA, SIZE },
	};

	if (p->is_direct)
		ask(p, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		    &command, sizeof(command), &answer, sizeof(command));
	else
		CHECK(!dirty_start(&p->consumer, IOVA, SIZE));
}

static void stop(struct path *p)
{
	struct vfio_user_device_feature command;

	if (p->is_direct)
		ask(p, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		    &command, sizeof(command), &answer, sizeof(command));
	else
		CHECK(!dirty_stop(&p->consumer));
}

static void report(struct path *p)
{
	struct {
		struct vfio_user_device_feature head;
		struct vfio_user_device_feature_dma_logging_report report;
	} command = { .report = { IOVA, SIZE, DIRTY_PAGE } };

	if (p->is_direct)
		ask(p, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		    &command, sizeof(command), &answer, sizeof(answer));
	else
		CHECK(!dirty_report(&p->consumer, IOVA, SIZE, answer.bitmap));
}

/* Has the server write to each page of the first bytes. Returns how long that took it, in ns. */
static double store(struct path *p, uint32_t bytes)
{
	path_dma_prepare(p, IOVA, bytes, 0);
	path_write32(p, VFIO_PCI_BAR2_REGION_INDEX, PUPPET_DMA_OP, PUPPET_DMA_TIME_STORES);
	return path_dma_wait(p);
}

/* How many pages does the report name? They are to be those that were written. */
static void check_answer(void)
{
	unsigned long nr = 0;

	for (unsigned long i = 0; i < BITMAP / 8; i++)
		nr += (unsigned long)__builtin_popcountll(answer.bitmap[i]);
	CHECK_EQ(nr, written / DIRTY_PAGE);
}

static double pass(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t begun;
	double took;

	if (written)
		store(p, written);
	memset(answer.bitmap, 0, BITMAP);
	begun = bench_now();
	report(p);
	took = (double)(bench_now() - begun);
	check_answer();
	return took / 1000;
}

static double first_store(struct arm *arm)
{
	struct path *p = arm->opaque;
	double took = store(p, written) * DIRTY_PAGE / written;

	report(p);
	return took;
}

/* No report comes between: what the store costs if nobody tracks. */
static double later_store(struct arm *arm)
{
	return store(arm->opaque, written) * DIRTY_PAGE / written;
}

static void measure(const char *name, const char *variant, const char *unit,
		    double (*run)(struct arm *))
{
	const struct plan plan = {
		.rounds = bench_rounds(8), .block = 1, .warm = 1, .seconds = 20,
	};
	struct arm arms[MAX_PATHS];

	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], name, run);
		memset(arms[i].pids, 0, sizeof(arms[i].pids));
		arms[i].samples.variant = variant;
		arms[i].samples.unit = unit;
	}
	bench_compare(arms, paths.nr, &plan);
}

/* The memory is one file, since three of that size do not fit into the VM. */
static void lend_all(int fd)
{
	void *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(mem != MAP_FAILED);
	for (size_t i = 0; i < paths.nr; i++) {
		struct path *p = &paths.path[i];

		if (p->is_direct)
			direct_dma_map(&p->direct, fd, IOVA, SIZE);
		else
			dma_map(&p->consumer, mem, IOVA, SIZE, DMA_READ | DMA_WRITE);
		store(p, SIZE);
	}
}

TEST(dirty)
{
	int fd = memfd_create("dirty", MFD_CLOEXEC);

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)SIZE));
	bench_limit(600);
	paths_up(&paths, &(struct setup){ .dma_mode = "mmap" });
	dirty_needs_log(&paths.path[1].consumer);
	lend_all(fd);
	written = SIZE / 100 / DIRTY_PAGE * DIRTY_PAGE;
	measure("dirty-store", "untracked", "ns", later_store);
	for (size_t i = 0; i < paths.nr; i++)
		start(&paths.path[i]);
	measure("dirty-store", "tracked", "ns", first_store);
	measure("dirty-pass", "1%", "us", pass);
	written = SIZE;
	measure("dirty-pass", "100%", "us", pass);
	written = 0;
	measure("dirty-pass", "0%", "us", pass);
	for (size_t i = 0; i < paths.nr; i++)
		stop(&paths.path[i]);
}
