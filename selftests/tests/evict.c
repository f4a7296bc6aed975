// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of the consumer's are pinned, and unpinned to make room for others: because
 * the consumer may not lock more, because the operator says so, or for want of memory.
 * No access must be lost.
 */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/dma.h"
#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define IOVA	0x100000000ULL
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

#define NR_PAGES	64U
#define NR_THREADS	4U
#define ROUNDS		20U

static struct world w;
static struct consumer c;
static struct remote r;
static uint32_t *mem, *p;

/* A consumer of another process, with NR_PAGES mapped, of which it may lock some. */
static void up_limited(const char *fault, unsigned int pages)
{
	mem = remote_memory(NR_PAGES * PAGE);
	window_world(&w, fault);
	remote_open(&r, &w);
	remote_limit_memory(&r, pages * PAGE);
	remote_map(&r, mem, IOVA, NR_PAGES * PAGE, READ | WRITE);
	p = window_map(window_take(&w), IOVA, NR_PAGES * PAGE);
}

/* A thread's pages are every fourth. Stores, then loads, in turn. */
static void *fill_and_sum(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = me; i < NR_PAGES; i += NR_THREADS)
			CHECK_EQ(window_store(p + i * WORDS + round, round * i), 0);
		for (unsigned int i = me; i < NR_PAGES; i += NR_THREADS)
			CHECK_LOAD(p + i * WORDS + round, round * i);
	}
	return NULL;
}

static void check_filled(void)
{
	for (unsigned int i = 0; i < NR_PAGES; i++)
		for (unsigned int round = 0; round < ROUNDS; round++)
			CHECK_EQ(mem[i * WORDS + round], round * i);
}

/* All went well, and the log says once what would make it faster. */
static void check_evicted(long pages, unsigned int told)
{
	struct json_object *stats = ctl_run_json("stats --json %s", w.uuid);
	long evicted = dma_show(&w, "evicted");

	test_say("%ld pages evicted", evicted);
	CHECK(evicted >= (long)NR_PAGES - pages);
	CHECK(json_get_number(stats, "evicted") >= (long)NR_PAGES - pages);
	json_object_put(stats);
	CHECK(dma_show(&w, "pinned") <= pages);
	CHECK_EQ(dma_show(&w, "dma_faults"), 0);
	CHECK_EQ(kernel_log_count(w.uuid, "ulimit -l"), told);
	CHECK(world_state_is(&w, "attached"));
}

/* As a guest's memory goes by a user who may lock 512 KiB. */
TEST(much_memory_and_a_small_limit)
{
	const unsigned int limit = 128, nr = (64U << 20) / PAGE / (unsigned int)test_slow();

	mem = remote_memory(nr * PAGE);
	window_world(&w, "absorb");
	remote_open(&r, &w);
	remote_limit_memory(&r, limit * PAGE);
	remote_map(&r, mem, IOVA, nr * PAGE, READ | WRITE);
	p = window_map(window_take(&w), IOVA, nr * PAGE);
	for (unsigned int i = 0; i < nr; i++)
		CHECK_EQ(window_store(p + i * WORDS, ~i), 0);
	CHECK(dma_show(&w, "evicted") >= (long)(nr - limit));
	CHECK(dma_show(&w, "pinned") <= (long)limit);
	for (unsigned int i = 0; i < nr; i++)
		CHECK_EQ(mem[i * WORDS], ~i);
	CHECK_EQ(dma_show(&w, "dma_faults"), 0);
	remote_close(&r);
}

TEST(four_threads_and_a_quarter_of_the_memory)
{
	up_limited("absorb", NR_PAGES / 4);
	test_in_threads(NR_THREADS, fill_and_sum);
	check_filled();
	check_evicted(NR_PAGES / 4, 1);
	remote_unmap(&r, IOVA, NR_PAGES * PAGE);
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	CHECK_SOON(dma_pins_balance());
}

/* Each instruction of the copy needs two pages at a time. */
TEST(copies_between_very_few_pages)
{
	up_limited("absorb", 4);
	for (unsigned int i = 0; i < WORDS; i++)
		mem[i] = i;
	for (unsigned int i = 1; i < NR_PAGES; i++)
		memcpy(p + i * WORDS, p + (i - 1) * WORDS, PAGE);
	for (unsigned int i = 1; i < NR_PAGES; i++)
		CHECK(!memcmp(mem + i * WORDS, mem, PAGE));
	check_evicted(4, 1);
}

/* The kernel's copies, to and from the window, and DMA as file I/O. */
TEST(file_io)
{
	static uint32_t buf[4 * WORDS];
	int window;

	up_limited("absorb", 8);
	window = window_take(&w);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < NR_PAGES; i += 4) {
			memset(buf, (int)(round + i), sizeof(buf));
			CHECK_EQ(pwrite(window, buf, sizeof(buf), (off_t)(IOVA + i * PAGE)),
				 sizeof(buf));
		}
		for (unsigned int i = 0; i < NR_PAGES; i += 4) {
			memset(buf, 0, sizeof(buf));
			CHECK_EQ(pread(window, buf, PAGE, (off_t)(IOVA + i * PAGE)), PAGE);
			CHECK_EQ(buf[7] & 0xff, round + i);
			CHECK_EQ(mem[(i + 3) * WORDS] & 0xff, round + i);
		}
	}
	check_evicted(8, 1);
}

/* Nothing of a page that was evicted and then unmapped is left. */
TEST(unmapped_after_eviction)
{
	uint32_t value;

	up_limited("sigbus", 8);
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(window_store(p + i * WORDS, i), 0);
		remote_unmap(&r, IOVA, NR_PAGES * PAGE);
		for (unsigned int i = 0; i < NR_PAGES; i++) {
			CHECK_EQ(window_load(p + i * WORDS, &value), EFAULT);
			CHECK_EQ(window_store(p + i * WORDS, 0xbad), EFAULT);
			CHECK_EQ(mem[i * WORDS], i);
		}
		CHECK_EQ(dma_show(&w, "pinned"), 0);
		remote_map(&r, mem, IOVA, NR_PAGES * PAGE, READ | WRITE);
	}
}

/* It fails at once then, and as if it had never been there. */
TEST(memory_that_goes_after_eviction)
{
	uint32_t value;

	window_world(&w, "sigbus");
	world_attr_set(&w, "dma_max_pinned", "65536");
	p = window_map(window_take(&w), IOVA, NR_PAGES * PAGE);
	consumer_open(&c, &w);
	mem = (uint32_t *)dma_memory(NR_PAGES * PAGE);
	consumer_map(&c, mem, IOVA, NR_PAGES * PAGE, READ | WRITE);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		CHECK_EQ(window_store(p + i * WORDS, i), 0);
	CHECK(!munmap(mem, NR_PAGES * PAGE));
	CHECK_EQ(window_load(p, &value), EFAULT);
	CHECK_EQ(window_store(p + WORDS, 0xbad), EFAULT);
	CHECK(world_state_is(&w, "attached"));
}

static uint64_t sum(unsigned int bytes, uint32_t value)
{
	return (uint64_t)bytes / 4 * ((value & 0xff) + (value >> 8 & 0xff) +
				      (value >> 16 & 0xff) + (value >> 24));
}

static void fill(uint32_t size, uint32_t value)
{
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, size, value), 0);
}

static void check_sum(uint32_t size, uint32_t value)
{
	CHECK_EQ(dma_run(&c, PUPPET_DMA_SUM, IOVA, size, 0), 0);
	CHECK_EQ(puppet_get(&c, PUPPET_DMA_SUM_RESULT), (uint32_t)sum(size, value));
}

/* This process is the consumer of a puppet's, and has that much mapped. */
static void up(const char *way, size_t size)
{
	const char *const args[] = { "--dma", way, NULL };

	dma_up_aperture(&w, &c, args);
	dma_map(&c, dma_memory(size), IOVA, size, READ | WRITE);
}

static int set_max(const char *value)
{
	char path[256];

	world_attr_path(&w, "dma_max_pinned", path, sizeof(path));
	return write_file(path, value);
}

static void bounded(const char *way)
{
	const uint32_t size = 1 << 20;

	up(way, size);
	CHECK_EQ(set_max("4096"), -ERANGE);
	CHECK_EQ(set_max("lots"), -EINVAL);
	CHECK_EQ(set_max("131072"), 0);
	for (uint32_t value = 1; value < 4; value++) {
		fill(size, value);
		check_sum(size, value);
		CHECK(dma_show(&w, "pinned") <= 32);
	}
	check_evicted(32, 0);
	/* The bound is gone, then back, below what is pinned. */
	CHECK_EQ(set_max("0"), 0);
	fill(size, 7);
	CHECK_EQ(dma_show(&w, "pinned"), size / PAGE);
	CHECK_EQ(set_max("65536"), 0);
	CHECK_SOON(dma_show(&w, "pinned") <= 16);
	check_sum(size, 7);
	dma_unmap(&c, IOVA, size);
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	CHECK_SOON(dma_pins_balance());
}

TEST(bounded_by_the_operator)
{
	bounded("mmap");
}

TEST(bounded_by_the_operator_file_io)
{
	bounded("file");
}

TEST(bounded_by_the_operator_messages)
{
	bounded("message");
}

/* Reclaim gets pages back, all of them if it tries hard enough. */
TEST(memory_pressure)
{
	const uint32_t size = 2 << 20;

	up("mmap", size);
	fill(size, 0x01020304);
	CHECK_EQ(dma_show(&w, "pinned"), size / PAGE);
	for (int i = 0; i < 100 && dma_show(&w, "pinned"); i++) {
		CHECK_EQ(write_file("/proc/sys/vm/drop_caches", "2"), 0);
		test_sleep_ms(20);
	}
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	CHECK_SOON(dma_pins_balance());
	check_sum(size, 0x01020304);
	check_evicted(size / PAGE, 0);
}

/* Memory that is pinned for one device is not there for the consumer's other one. */
TEST(two_devices_and_one_limit)
{
	struct consumer c2;
	struct world w2;
	uint32_t *p2;

	window_world(&w, "absorb");
	window_world(&w2, "absorb");
	p = window_map(window_take(&w), IOVA, NR_PAGES * PAGE);
	p2 = window_map(window_take(&w2), IOVA, NR_PAGES * PAGE);
	consumer_open(&c, &w);
	consumer_join(&c2, &w2, &c);
	window_limit_memory(16 * PAGE);
	mem = (uint32_t *)dma_memory(NR_PAGES * PAGE);
	consumer_map(&c, mem, IOVA, NR_PAGES * PAGE, READ | WRITE);
	for (unsigned int round = 1; round < 10; round++) {
		for (unsigned int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(window_store(p + i * WORDS, round + i), 0);
		for (unsigned int i = 0; i < NR_PAGES; i++) {
			CHECK_LOAD(p2 + i * WORDS, round + i);
			CHECK_EQ(window_store(p2 + i * WORDS + 1, round - i), 0);
		}
		for (unsigned int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(mem[i * WORDS + 1], round - i);
	}
	CHECK(world_state_is(&w, "attached") && world_state_is(&w2, "attached"));
}
