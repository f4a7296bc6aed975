// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer that unmaps in several threads what a server touches in several: VFIO's
 * own locks make that hard, see kmod/dma_unpin.c. And a server with many mappings of
 * its window, through which each unmap must go.
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"
#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define IOVA	0x100000000ULL
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

#define NR_THREADS	4U
#define NR_PAGES	4U
#define SIZE		(NR_PAGES * PAGE)

/* Of all threads together. */
#define ROUNDS		10000U

/* Nobody may sleep for so long, beside what they wait for a CPU. */
#define HELD_UP_MS	1000LL

/* Nor may many mappings of the window make an unmap take longer than this. */
#define UNMAP_MS	100LL

/* Most mappings of a window: VUM_WINDOW_MAPPINGS in kmod/dma_window.c. */
#define MAX_MAPPINGS	8192

static struct world w;
static struct consumer c;
static int window;
static uint32_t *mem;

/**
 * struct shared - what the consumer and its server tell each other
 * @rounds: maps and unmaps so far
 * @touches: accesses so far
 * @longest_unmap: in ms of sleep
 * @longest_touch: likewise
 * @stop: the server has to stop
 */
struct shared {
	unsigned long rounds;
	unsigned long touches;
	long long longest_unmap;
	long long longest_touch;
	bool stop;
};

static struct shared *shared;

static void note(long long *longest, long long start)
{
	long long took = test_asleep_ms() - start, old = __atomic_load_n(longest, __ATOMIC_RELAXED);

	while (took > old &&
	       !__atomic_compare_exchange_n(longest, &old, took, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

/* Each thread has a range of its own, and finds none of the server's marks after it. */
static void *unmap_always(void *arg)
{
	unsigned long me = (unsigned long)(uintptr_t)arg;
	uint64_t iova = IOVA + me * SIZE;
	uint32_t *own = mem + me * NR_PAGES * WORDS;
	uint32_t round = 0;
	long long start;

	while (__atomic_fetch_add(&shared->rounds, 1, __ATOMIC_RELAXED) < ROUNDS) {
		consumer_map(&c, own, iova, SIZE, READ | WRITE);
		/* Now and then, let the server get all of it. */
		if (round++ % 64 == 0)
			test_sleep_ms(1);
		start = test_asleep_ms();
		consumer_unmap(&c, iova, SIZE);
		note(&shared->longest_unmap, start);
		for (unsigned int i = 0; i < NR_PAGES; i++)
			own[i * WORDS] = round;
		for (unsigned int i = 0; i < NR_PAGES; i++)
			CHECK_EQ(own[i * WORDS], round);
	}
	return NULL;
}

static void touch_always(uint32_t *p)
{
	long long start;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED))
		for (unsigned int i = 0; i < NR_THREADS * NR_PAGES; i++) {
			start = test_asleep_ms();
			window_store(p + i * WORDS, 0xbad);
			note(&shared->longest_touch, start);
			__atomic_fetch_add(&shared->touches, 1, __ATOMIC_RELAXED);
		}
}

static void up(void)
{
	window_world(&w, "sigbus");
	window = window_take(&w);
	mem = remote_memory(NR_THREADS * SIZE);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
}

/* In each of several processes: threads of one would share its mmap lock. */
static pid_t touch_in_child(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		touch_always(window_map(window, IOVA, NR_THREADS * SIZE));
		_exit(EXIT_SUCCESS);
	}
	return pid;
}

TEST(four_unmap_while_four_touch)
{
	pid_t pid[NR_THREADS];
	int status;

	up();
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pid[i] = touch_in_child();
	consumer_open(&c, &w);
	test_in_threads(NR_THREADS, unmap_always);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		CHECK_SOON(waitpid(pid[i], &status, WNOHANG) == pid[i]);
		CHECK_EQ(status, 0);
	}
	test_say("longest unmap: %lld ms, longest of %lu touches: %lld ms",
		 shared->longest_unmap, shared->touches, shared->longest_touch);
	CHECK(shared->longest_unmap <= HELD_UP_MS * test_slow());
	CHECK(shared->longest_touch <= HELD_UP_MS * test_slow());
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	CHECK_SOON(dma_pins_balance());
}

/* Maps the window as often as it may be, and says how often that is. */
static unsigned int map_as_often_as_possible(void)
{
	unsigned int n = 0;

	while (mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, window,
		    (off_t)IOVA) != MAP_FAILED)
		n++;
	CHECK_EQ(errno, ENOMEM);
	return n;
}

static long long unmap_ms(void)
{
	long long start = test_now_ms();

	consumer_unmap(&c, IOVA, NR_THREADS * SIZE);
	return test_now_ms() - start;
}

TEST(many_mappings_of_the_window)
{
	uint32_t *p;
	long long took;

	up();
	consumer_open(&c, &w);
	p = window_map(window, IOVA, PAGE);
	CHECK_EQ(map_as_often_as_possible(), MAX_MAPPINGS - 2);
	consumer_map(&c, mem, IOVA, NR_THREADS * SIZE, READ | WRITE);
	CHECK_EQ(window_store(p, 1), 0);
	took = unmap_ms();
	test_say("unmapped in %lld ms", took);
	CHECK(took <= UNMAP_MS * test_slow());
	CHECK_EQ(window_store(p, 0xbad), EFAULT);
	CHECK(world_state_is(&w, "attached"));
	/* One that goes makes room. */
	CHECK(!munmap(p, PAGE));
	window_map(window, IOVA, PAGE);
}

/* Children that inherit them cannot be refused: that detaches the server. */
TEST(many_mappings_of_the_window_by_fork)
{
	pid_t pid;

	up();
	consumer_open(&c, &w);
	map_as_often_as_possible();
	consumer_map(&c, mem, IOVA, NR_THREADS * SIZE, READ | WRITE);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		_exit(pause());
	CHECK_SOON(kernel_log_count(w.uuid, "mappings of its DMA window") == 1);
	CHECK(unmap_ms() <= UNMAP_MS * test_slow());
	world_kill(&pid, SIGKILL);
}
