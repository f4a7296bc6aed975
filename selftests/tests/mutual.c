// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes, each of which serves a device that the other one uses: their
 * faults wait for each other's memory. They must not wait for each other.
 */

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

/* What stays mapped for DMA, and what comes and goes. */
#define NR_PAGES	16U
#define SIZE		(NR_PAGES * PAGE)
#define STABLE		0x100000000ULL
#define VOLATILE	0x200000000ULL

#define RUN_MS		3000

/* Process i serves device i and is the consumer of the other one. */
static struct world w[2];
static int window[2];

enum { LOADS, STORES, COPIES, REMAPS, CHURNS, NR_COUNTS };

/**
 * struct shared - what both processes and we see
 * @ready: how many have come so far
 * @stop: let that be all
 * @counts: what each of them has done
 */
struct shared {
	int ready;
	bool stop;
	unsigned long counts[2][NR_COUNTS];
};

static struct shared *shared;

/* In either process. */
static int me;
static struct consumer c;
static uint32_t *stable, *transient;
static uint32_t *their_stable, *their_transient;

static bool go_on(int what)
{
	__atomic_fetch_add(&shared->counts[me][what], 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static void meet(int n)
{
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < n)
		test_sleep_ms(1);
}

static void *loads(void *arg)
{
	while (go_on(LOADS))
		for (unsigned int i = 0; i < NR_PAGES; i++)
			CHECK_LOAD(their_stable + i * WORDS, 100U * !me + i);
	return arg;
}

static void *stores(void *arg)
{
	while (go_on(STORES))
		for (unsigned int i = 0; i < NR_PAGES; i++)
			window_store(their_transient + i * WORDS, 0xbad);
	return arg;
}

/* By file I/O, from one of their pages to another. */
static void *copies(void *arg)
{
	while (go_on(COPIES)) {
		pread(window[me], their_transient, PAGE, VOLATILE + PAGE);
		pwrite(window[me], their_stable + 2 * WORDS, PAGE, VOLATILE);
	}
	return arg;
}

static void *remaps(void *arg)
{
	while (go_on(REMAPS)) {
		consumer_map(&c, transient, VOLATILE, SIZE, READ | WRITE);
		consumer_unmap(&c, VOLATILE, SIZE);
	}
	return arg;
}

/* To change the address space one has to have it for oneself. */
static void *churns(void *arg)
{
	const int prot = PROT_READ | PROT_WRITE;
	void *p;

	while (go_on(CHURNS)) {
		p = mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS |
			 MAP_POPULATE, -1, 0);
		CHECK(p != MAP_FAILED && !munmap(p, PAGE));
		CHECK(mmap(their_stable, SIZE, prot, MAP_SHARED | MAP_FIXED,
			   window[me], STABLE) == their_stable);
	}
	return arg;
}

static uint32_t *own_memory(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void serve_and_consume(void)
{
	void *(*const all[])(void *) = {
		loads, stores, copies, remaps, churns, churns,
	};
	pthread_t threads[sizeof(all) / sizeof(*all)];

	consumer_open(&c, &w[!me]);
	stable = own_memory();
	transient = own_memory();
	for (unsigned int i = 0; i < NR_PAGES; i++)
		stable[i * WORDS] = 100U * me + i;
	consumer_map(&c, stable, STABLE, SIZE, READ | WRITE);
	their_stable = window_map(window[me], STABLE, SIZE);
	their_transient = window_map(window[me], VOLATILE, SIZE);
	meet(2);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK(!pthread_create(&threads[i], NULL, all[i], NULL));
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK(!pthread_join(threads[i], NULL));
	/* The other one may still look at our memory. */
	meet(4);
	_exit(EXIT_SUCCESS);
}

static void up(void)
{
	for (int i = 0; i < 2; i++) {
		window_world(&w[i], "sigbus");
		window[i] = window_take(&w[i]);
	}
}

static pid_t start(int i)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		me = i;
		serve_and_consume();
	}
	return pid;
}

static void check_ends_soon(pid_t pid)
{
	int status = -1;

	CHECK_SOON(waitpid(pid, &status, WNOHANG) == pid);
	CHECK_EQ(status, 0);
}

static bool all_get_on(void)
{
	for (int i = 0; i < 2 * NR_COUNTS; i++)
		if (__atomic_load_n(&shared->counts[i / NR_COUNTS][i % NR_COUNTS],
				    __ATOMIC_RELAXED) <= 10)
			return false;
	return true;
}

static void say_counts(void)
{
	for (int i = 0; i < 2; i++)
		test_say("%lu loads, %lu stores, %lu copies, %lu remaps, %lu churns",
			 shared->counts[i][LOADS], shared->counts[i][STORES],
			 shared->counts[i][COPIES], shared->counts[i][REMAPS],
			 shared->counts[i][CHURNS]);
}

TEST(servers_of_each_other)
{
	long long end;
	pid_t pid[2];

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	up();
	for (int i = 0; i < 2; i++)
		pid[i] = start(i);
	CHECK_SOON(__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) >= 2);
	test_sleep_ms(RUN_MS);
	/*
	 * All want the same few locks, and some have to wait for long: longest on a
	 * kernel with KASAN and lockdep.
	 */
	end = test_now_ms() + 3LL * TEST_SOON_MS;
	while (!all_get_on() && test_now_ms() < end)
		test_sleep_ms(5);
	say_counts();
	CHECK(all_get_on());
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		check_ends_soon(pid[i]);
}

/* Reading and writing that memory by every means fails, and soon. */
static void check_no_memory(int device, uint64_t iova)
{
	pid_t pid = fork();

	if (!pid) {
		uint32_t *p = window_map(window[device], iova, SIZE), value = 0;

		CHECK_ERRNO(pread(window[device], &value, 4, (off_t)iova),
			    EFAULT);
		CHECK_ERRNO(pwrite(window[device], &value, 4,
				   (off_t)(iova + PAGE)), EFAULT);
		CHECK_EQ(window_load(p + 2 * WORDS, &value), EFAULT);
		CHECK_EQ(window_store(p + 3 * WORDS, value), EFAULT);
		_exit(0);
	}
	check_ends_soon(pid);
}

/* Page frames without anything that says whose they are cannot be pinned. */
TEST(window_as_memory_for_dma)
{
	uint32_t *mem = remote_memory(SIZE), *p;
	struct remote r;

	up();
	remote_open(&r, &w[0]);
	remote_map(&r, mem, STABLE, SIZE, READ | WRITE);
	consumer_open(&c, &w[1]);
	p = window_map(window[0], STABLE, SIZE);
	/* One page is there, the others have yet to be faulted in. */
	CHECK_LOAD(p, 0);
	consumer_map(&c, p, VOLATILE, SIZE, READ | WRITE);
	check_no_memory(1, VOLATILE);
	CHECK_LOAD(p + WORDS, 0);
}

/* A device whose memory is its own window. */
TEST(window_as_memory_of_its_own_device)
{
	uint32_t *p;

	up();
	consumer_open(&c, &w[0]);
	p = window_map(window[0], STABLE, SIZE);
	consumer_map(&c, p, STABLE, SIZE, READ | WRITE);
	check_no_memory(0, STABLE);
}

/* The memory of each is the other's window. */
TEST(windows_as_memory_of_each_other)
{
	struct consumer other;

	up();
	consumer_open(&c, &w[0]);
	consumer_open(&other, &w[1]);
	consumer_map(&c, window_map(window[1], STABLE, SIZE), STABLE, SIZE,
		     READ | WRITE);
	consumer_map(&other, window_map(window[0], STABLE, SIZE), STABLE, SIZE,
		     READ | WRITE);
	check_no_memory(0, STABLE);
	check_no_memory(1, STABLE);
}
