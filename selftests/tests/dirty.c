// SPDX-License-Identifier: GPL-2.0
/* The consumer tracks which of its pages the server writes. */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dirty.h"
#include "../lib/dma.h"
#include "../lib/window.h"

#define PAGE		DIRTY_PAGE
#define WORDS		(PAGE / 4)
#define IOVA		0x100000000ULL
#define NR_PAGES	512UL
#define SIZE		(NR_PAGES * PAGE)
#define READ		VFIO_DMA_MAP_FLAG_READ
#define WRITE		VFIO_DMA_MAP_FLAG_WRITE

static struct world w;
static struct consumer c;
static int window;
/* The consumer's memory, and the same as its server maps it. */
static uint32_t *mem, *seen;

static void up(void)
{
	window_world(&w, "sigbus");
	consumer_open(&c, &w);
	dirty_needs_log(&c);
	window = window_take(&w);
	mem = (uint32_t *)dma_memory(SIZE);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	seen = window_map(window, IOVA, SIZE);
}

static void start(void)
{
	CHECK(!dirty_start(&c, IOVA, SIZE));
}

static void store(unsigned long page)
{
	CHECK_EQ(window_store(seen + page * WORDS, 1), 0);
}

/* Fails unless the report has these pages and no others; the list ends with a -1. */
static void reported(const long *pages)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };

	CHECK(!dirty_report(&c, IOVA, SIZE, bits));
	for (long page = 0; page < (long)NR_PAGES; page++) {
		bool want = page == *pages;

		if (dirty_test(bits, (unsigned long)page) != want)
			FAIL("page %ld is %sreported", page, want ? "not " : "");
		pages += want;
	}
	CHECK_EQ(*pages, -1);
}

#define REPORTED(...) reported((const long[]){ __VA_ARGS__ __VA_OPT__(,) -1 })

/* Before tracking begins, and where the server only reads, there is nothing to report. */
TEST(what_is_written)
{
	uint32_t value;

	up();
	store(1);
	start();
	REPORTED();
	store(2);
	store(3);
	CHECK_EQ(window_load(seen + 4 * WORDS, &value), 0);
	store(300);
	REPORTED(2, 3, 300);
	REPORTED();
	CHECK_EQ(window_load(seen + 3 * WORDS, &value), 0);
	store(1);
	store(3);
	CHECK_EQ(mem[3 * WORDS], 1);
	REPORTED(1, 3);
}

TEST(read_before_it_is_written)
{
	uint32_t value;

	up();
	start();
	for (unsigned long page = 0; page < 64; page++)
		CHECK_EQ(window_load(seen + page * WORDS, &value), 0);
	REPORTED();
	store(9);
	store(63);
	REPORTED(9, 63);
}

TEST(written_by_system_calls)
{
	char byte = 1;

	up();
	start();
	/* The first finds a page that has yet to be pinned. */
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pwrite(window, &byte, 1, IOVA + 7 * PAGE + 1), 1);
		CHECK_EQ(pread(window, &byte, 1, IOVA + 8 * PAGE), 1);
		CHECK_EQ(pwrite(window, mem, 2 * PAGE, IOVA + 9 * PAGE + 8), 2 * PAGE);
		REPORTED(7, 9, 10, 11);
	}
}

/* By DMA_WRITE, short and long. */
TEST(written_by_messages)
{
	const char *const args[] = { "--dma", "message", NULL };

	world_up(&w, args);
	consumer_open(&c, &w);
	dirty_needs_log(&c);
	mem = (uint32_t *)dma_memory(SIZE);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	start();
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA + 5 * PAGE, 4, 7), 0);
		CHECK_EQ(dma_run(&c, PUPPET_DMA_SUM, IOVA + 20 * PAGE, 4, 0), 0);
		REPORTED(5);
		CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA + 100 * PAGE, 3 * PAGE, 7), 0);
		REPORTED(100, 101, 102);
	}
}

TEST(told_when_it_makes_sense)
{
	uint64_t bits[NR_PAGES / 64];

	up();
	CHECK_ERRNO(dirty_report(&c, IOVA, SIZE, bits), EINVAL);
	CHECK_EQ(dirty_stop(&c), 0);
	start();
	CHECK_ERRNO(dirty_start(&c, IOVA, SIZE), EINVAL);
	store(1);
	CHECK_EQ(dirty_stop(&c), 0);
	CHECK_ERRNO(dirty_report(&c, IOVA, SIZE, bits), EINVAL);
	store(2);
	start();
	REPORTED();
	store(2);
	REPORTED(2);
}

/* Bits beyond the bitmap would be in memory that is not the consumer's. */
TEST(odd_ranges)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };

	up();
	start();
	store(0);
	store(1);
	store(511);
	CHECK_ERRNO(dirty_report(&c, IOVA + 0x800, PAGE, bits), EINVAL);
	CHECK_ERRNO(dirty_report(&c, IOVA, PAGE + 1, bits), EINVAL);
	CHECK_ERRNO(dirty_report(&c, IOVA, 0, bits), EINVAL);
	CHECK_ERRNO(dirty_report(&c, UINT64_MAX - PAGE + 1, 2 * PAGE, bits), EOVERFLOW);
	CHECK_EQ(bits[0], 0);
	/* Some kernels do not say that there is no bitmap: so one page is lost here. */
	store(9);
	dirty_report(&c, IOVA + 9 * PAGE, PAGE, NULL);
	CHECK(!dirty_report(&c, IOVA + 9 * PAGE, PAGE, bits));
	bits[0] = 0;
	CHECK(!dirty_report(&c, IOVA + PAGE, PAGE, bits));
	CHECK_EQ(bits[0], 1);
	store(0);
	REPORTED(0, 511);
}

/* What the consumer has unmapped meanwhile, and mapped anew. */
TEST(unmapped)
{
	uint32_t value;

	up();
	start();
	store(20);
	store(21);
	dma_unmap(&c, IOVA, SIZE);
	CHECK_EQ(window_load(seen + 21 * WORDS, &value), EFAULT);
	REPORTED(20, 21);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	CHECK_LOAD(seen + 21 * WORDS, 1);
	REPORTED();
	store(22);
	dma_unmap(&c, IOVA, SIZE);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	CHECK_LOAD(seen + 22 * WORDS, 1);
	store(23);
	REPORTED(22, 23);
}

/* Pages come and go, and each is reported once. */
TEST(evicted)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };
	uint32_t value;

	up();
	world_attr_set(&w, "dma_max_pinned", "65536");
	start();
	for (unsigned long page = 0; page < NR_PAGES; page += 2)
		store(page);
	for (unsigned long page = 1; page < NR_PAGES; page += 2)
		CHECK_EQ(window_load(seen + page * WORDS, &value), 0);
	CHECK(!dirty_report(&c, IOVA, SIZE, bits));
	for (unsigned long i = 0; i < NR_PAGES / 64; i++)
		CHECK_EQ(bits[i], 0x5555555555555555ULL);
	REPORTED();
}

/* The server changes its own mapping: nothing that it wrote gets lost, nor goes unseen. */
TEST(server_changes_its_mapping)
{
	uint32_t value;
	pid_t pid;

	up();
	start();
	store(30);
	CHECK(!munmap(seen, SIZE));
	REPORTED(30);
	seen = window_map(window, IOVA, SIZE);
	store(31);
	REPORTED(31);
	CHECK(!mprotect(seen, SIZE, PROT_READ));
	CHECK_EQ(window_load(seen + 31 * WORDS, &value), 0);
	CHECK(!mprotect(seen, SIZE, PROT_READ | PROT_WRITE));
	store(31);
	REPORTED(31);
	store(32);
	seen = mremap(seen, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, window_map(window, 0, SIZE));
	CHECK(seen != MAP_FAILED);
	REPORTED(32);
	store(33);
	pid = fork();
	if (!pid) {
		store(33);
		store(34);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	REPORTED(33, 34);
}

/* A server that is gone has written what it has written. */
TEST(server_dies)
{
	up();
	start();
	store(40);
	munmap(seen, SIZE);
	close(window);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	REPORTED(40);
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	window = window_take(&w);
	seen = window_map(window, IOVA, SIZE);
	store(41);
	REPORTED(41);
}

/* The next consumer begins without it. */
TEST(consumer_closes)
{
	uint64_t bits[NR_PAGES / 64];

	up();
	start();
	store(50);
	dma_unmap(&c, IOVA, SIZE);
	consumer_close(&c);
	consumer_open(&c, &w);
	CHECK_ERRNO(dirty_report(&c, IOVA, SIZE, bits), EINVAL);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	start();
	REPORTED();
	store(51);
	REPORTED(51);
}

/* Nobody sees what a server writes to a file. */
TEST(server_has_the_file)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };

	consumer_needs_observer();
	world_mdev(&w);
	world_attr_set(&w, "dma_mode", "share");
	world_start(&w, NULL);
	consumer_open(&c, &w);
	dirty_needs_log(&c);
	mem = remote_memory(SIZE);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	start();
	for (int i = 0; i < 2; i++) {
		CHECK(!dirty_report(&c, IOVA, SIZE, bits));
		for (unsigned long j = 0; j < NR_PAGES / 64; j++)
			CHECK_EQ(bits[j], UINT64_MAX);
		memset(bits, 0, sizeof(bits));
	}
	CHECK_EQ(kernel_log_count(w.uuid, "no log of writes: server has files"), 1);
	/* The next consumer's files it never gets. */
	consumer_close(&c);
	world_attr_set(&w, "dma_mode", "auto");
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	start();
	REPORTED();
}

/* The same, of a server that comes when tracking has begun. */
TEST(server_gets_the_file)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };

	consumer_needs_observer();
	up();
	start();
	world_attr_set(&w, "dma_mode", "share");
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	CHECK(!dirty_report(&c, IOVA, SIZE, bits));
	for (unsigned long i = 0; i < NR_PAGES / 64; i++)
		CHECK_EQ(bits[i], UINT64_MAX);
	CHECK_EQ(kernel_log_count(w.uuid, "no log of writes: server has files"), 1);
	/* That server may still write when there is another. */
	world_attr_set(&w, "dma_mode", "auto");
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 3);
	world_wait_state(&w, "attached");
	CHECK_EQ(dirty_stop(&c), 0);
	start();
	memset(bits, 0, sizeof(bits));
	CHECK(!dirty_report(&c, IOVA, SIZE, bits));
	CHECK_EQ(bits[0], UINT64_MAX);
	consumer_close(&c);
	consumer_open(&c, &w);
	dma_map(&c, mem, IOVA, SIZE, READ | WRITE);
	start();
	REPORTED();
}

/*
 * The oracle: a server that writes at random, in four threads, and counts what it writes,
 * and a consumer that copies the pages that are reported, as one that moves a guest does.
 * Whenever the server pauses, both have to be equal.
 */

#define CHUNK		64UL
#define NR_CHUNKS	(NR_PAGES / CHUNK)
/* The longest write of the server's, which covers up to three pages. */
#define LONGEST		5000U

/**
 * struct oracle - what the server's threads and the consumer share
 * @begun: for each page, the number of writes that have begun
 * @done: of these, how many are over
 * @pause: the threads are to stop between two writes
 * @paused: number of those that have
 * @threads: number of threads
 * @writes: number of writes that have had an effect
 * @lost: number of those that found nothing, while the consumer had nothing mapped
 */
static struct oracle {
	uint64_t begun[NR_PAGES];
	uint64_t done[NR_PAGES];
	unsigned int pause;
	unsigned int paused;
	unsigned int threads;
	uint64_t writes;
	uint64_t lost;
} *o;

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)
#define ADD(x, n)	__atomic_add_fetch(&(x), n, __ATOMIC_SEQ_CST)

static void count(uint64_t *counts, size_t at, size_t size)
{
	for (size_t page = at / PAGE; page <= (at + size - 1) / PAGE; page++)
		ADD(counts[page], 1);
}

/* One write by a random number: a store, or one or more pages by pwrite(). */
static void write_somewhere(unsigned int *seed)
{
	size_t at = (size_t)rand_r(seed) % (SIZE - LONGEST), size;
	uint8_t bytes[LONGEST];
	bool written;

	if (rand_r(seed) & 0x100) {
		at &= ~3UL;
		count(o->begun, at, 4);
		written = !window_store(seen + at / 4, (uint32_t)rand_r(seed));
		count(o->done, at, 4);
	} else {
		size = 1 + (size_t)rand_r(seed) % LONGEST;
		memset(bytes, rand_r(seed) & 0xff, size);
		count(o->begun, at, size);
		written = pwrite(window, bytes, size, (off_t)(IOVA + at)) > 0;
		count(o->done, at, size);
	}
	ADD(*(written ? &o->writes : &o->lost), 1);
}

/* By a message: that is up to the puppet. */
static void write_by_message(unsigned int *seed)
{
	size_t at = (size_t)rand_r(seed) % (SIZE - LONGEST) & ~3UL;
	uint32_t size = 4U << rand_r(seed) % 11;
	int error;

	count(o->begun, at, size);
	error = dma_run(&c, PUPPET_DMA_FILL, IOVA + at, size, (uint32_t)rand_r(seed));
	count(o->done, at, size);
	ADD(*(error ? &o->lost : &o->writes), 1);
}

static void (*write_one)(unsigned int *seed) = write_somewhere;

static void *write_all_the_time(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	ADD(o->threads, 1);
	for (;;) {
		if (!LOAD(o->pause)) {
			write_one(&seed);
			continue;
		}
		ADD(o->paused, 1);
		while (LOAD(o->pause))
			usleep(100);
		ADD(o->paused, -1U);
	}
	return NULL;
}

static void be_the_server(unsigned int seed)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seen = window_map(window, IOVA, SIZE);
	for (unsigned int i = 1; i < 4; i++)
		CHECK(!pthread_create(&thread, NULL, write_all_the_time,
				      (void *)(uintptr_t)(seed + i)));
	write_all_the_time((void *)(uintptr_t)seed);
}

/**
 * struct target - where the consumer copies pages to
 * @mem: the copy
 * @done: o->done when the report before the last one began, or the tracking, and when the
 *	last one did
 * @reports: number of pages that have been reported
 * @idle: of these, how many had not been written since
 */
static struct target {
	uint32_t *mem;
	uint64_t done[2][NR_PAGES];
	uint64_t reports;
	uint64_t idle;
} target;

static void note_done(void)
{
	memcpy(target.done[0], target.done[1], sizeof(target.done[0]));
	for (unsigned long page = 0; page < NR_PAGES; page++)
		target.done[1][page] = LOAD(o->done[page]);
}

static void copy_reported(void)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };

	note_done();
	CHECK(!dirty_report(&c, IOVA, SIZE, bits));
	for (unsigned long page = 0; page < NR_PAGES; page++) {
		if (!dirty_test(bits, page))
			continue;
		target.reports++;
		if (LOAD(o->begun[page]) == target.done[0][page])
			target.idle++;
		memcpy(target.mem + page * WORDS, mem + page * WORDS, PAGE);
	}
}

static void pause_server(void)
{
	STORE(o->pause, 1);
	CHECK_SOON(LOAD(o->paused) == LOAD(o->threads));
}

static void resume_server(void)
{
	STORE(o->pause, 0);
	CHECK_SOON(!LOAD(o->paused));
}

static void compare(unsigned long round)
{
	pause_server();
	copy_reported();
	for (unsigned long page = 0; page < NR_PAGES; page++)
		if (memcmp(target.mem + page * WORDS, mem + page * WORDS, PAGE) != 0)
			FAIL("round %lu: a write to page %lu was not reported", round, page);
	resume_server();
}

/* Tracking ends, the server writes what nobody wants to know, and it begins anew. */
static void track_anew(void)
{
	CHECK_EQ(dirty_stop(&c), 0);
	usleep(1000);
	/* The first report is about what comes after the start. */
	note_done();
	start();
	memcpy(target.mem, mem, SIZE);
}

static void map_chunk(unsigned long chunk)
{
	dma_map(&c, mem + chunk * CHUNK * WORDS, IOVA + chunk * CHUNK * PAGE, CHUNK * PAGE,
		READ | WRITE);
}

static void remap(unsigned long chunk)
{
	dma_unmap(&c, IOVA + chunk * CHUNK * PAGE, CHUNK * PAGE);
	if (chunk & 1)
		copy_reported();
	map_chunk(chunk);
}

static void one_round(unsigned long round, unsigned int *seed)
{
	copy_reported();
	switch (rand_r(seed) % 16) {
	case 0:
		track_anew();
		break;
	case 1:
	case 2:
		remap((unsigned long)rand_r(seed) % NR_CHUNKS);
		break;
	case 3:
	case 4:
		compare(round);
		break;
	default:
		usleep((unsigned int)rand_r(seed) % 300);
	}
}

static void up_oracle(const char *const *args)
{
	world_mdev(&w);
	world_attr_set(&w, "dma_fault", "sigbus");
	world_attr_try(&w, "dma_announce", "aperture");
	world_start(&w, args);
	consumer_open(&c, &w);
	dirty_needs_log(&c);
	mem = remote_memory(SIZE);
	target.mem = remote_memory(SIZE);
	o = (struct oracle *)remote_memory(sizeof(*o));
	for (unsigned long chunk = 0; chunk < NR_CHUNKS; chunk++)
		map_chunk(chunk);
	start();
}

static void ask_the_oracle(unsigned int seed)
{
	unsigned long rounds = test_number("VUM_ROUNDS", 300);

	CHECK_SOON(LOAD(o->writes));
	for (unsigned long round = 0; round < rounds; round++) {
		alarm(60);
		one_round(round, &seed);
	}
	compare(rounds);
	test_say("dirty: %lu rounds, %lu writes (%lu found nothing), %lu pages reported, %lu of them for no write",
		 rounds, LOAD(o->writes), LOAD(o->lost), target.reports, target.idle);
	CHECK(target.idle * 100 <= target.reports);
}

static unsigned int new_seed(void)
{
	unsigned int seed = (unsigned int)test_number("VUM_SEED", (unsigned long)test_now_ms());

	test_say("dirty: VUM_SEED=%u", seed);
	return seed;
}

TEST(oracle)
{
	unsigned int seed = new_seed();
	pid_t pid;

	up_oracle(NULL);
	window = window_take(&w);
	pid = fork();
	if (!pid)
		be_the_server(seed);
	ask_the_oracle(seed);
	world_kill(&pid, SIGKILL);
}

TEST(oracle_by_messages)
{
	const char *const args[] = { "--dma", "message", NULL };
	unsigned int seed = new_seed();
	pthread_t thread;

	up_oracle(args);
	write_one = write_by_message;
	CHECK(!pthread_create(&thread, NULL, write_all_the_time, (void *)(uintptr_t)seed));
	ask_the_oracle(seed);
	STORE(o->pause, 1);
	CHECK_SOON(LOAD(o->paused) == 1);
}
