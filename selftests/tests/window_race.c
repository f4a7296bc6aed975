// SPDX-License-Identifier: GPL-2.0
/*
 * A server's mapping of its DMA window in motion: forked, moved, protected,
 * while the consumer unmaps; held on to when everything else has gone.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define IOVA	0x100000000ULL
#define MARK	0xbadbadU
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

#define NR_PAGES	4U
#define SIZE		(NR_PAGES * PAGE)

static struct world w;
static struct remote r;
static int window;
static uint32_t *mem;

static void fill(uint32_t value)
{
	for (unsigned int i = 0; i < NR_PAGES * WORDS; i++)
		mem[i] = value;
}

static bool is_filled(uint32_t value)
{
	for (unsigned int i = 0; i < NR_PAGES * WORDS; i++)
		if (__atomic_load_n(&mem[i], __ATOMIC_RELAXED) != value)
			return false;
	return true;
}

static bool is_marked(void)
{
	return __atomic_load_n(mem, __ATOMIC_RELAXED) == MARK;
}

static void map_all(void)
{
	remote_map(&r, mem, IOVA, SIZE, READ | WRITE);
}

static void unmap_all(void)
{
	remote_unmap(&r, IOVA, SIZE);
}

static void up(void)
{
	mem = remote_memory(SIZE);
	window_world(&w, "sigbus");
	remote_open(&r, &w);
	window = window_take(&w);
}

static void exits_well(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* What was there at the fork and what was not, in both processes. */
TEST(forked)
{
	uint32_t *p, value;
	int go[2];
	pid_t pid;

	up();
	fill(5);
	map_all();
	CHECK(!pipe(go));
	p = window_map(window, IOVA, SIZE);
	CHECK_LOAD(p, 5);
	pid = fork();
	if (!pid) {
		CHECK_LOAD(p, 5);
		CHECK_LOAD(p + WORDS, 5);
		CHECK_EQ(window_store(p + 2 * WORDS, 6), 0);
		CHECK_EQ(read(go[0], &value, 1), 1);
		for (unsigned int i = 0; i < NR_PAGES; i++) {
			CHECK_EQ(window_load(p + i * WORDS, &value), EFAULT);
			CHECK_EQ(window_store(p + i * WORDS, MARK), EFAULT);
		}
		_exit(0);
	}
	CHECK_SOON(__atomic_load_n(mem + 2 * WORDS, __ATOMIC_RELAXED) == 6);
	CHECK_LOAD(p + 2 * WORDS, 6);
	unmap_all();
	fill(7);
	CHECK_EQ(write(go[1], "", 1), 1);
	exits_well(pid);
	CHECK(is_filled(7));
	CHECK_EQ(window_load(p, &value), EFAULT);
}

/* As the server says: the child shall have none of it. */
TEST(not_forked)
{
	uint32_t *p, value;
	pid_t pid;

	up();
	map_all();
	p = window_map(window, IOVA, SIZE);
	CHECK_LOAD(p, 0);
	CHECK(!madvise(p, SIZE, MADV_DONTFORK));
	pid = fork();
	if (!pid) {
		CHECK_EQ(window_load(p, &value), EACCES);
		_exit(0);
	}
	exits_well(pid);
	CHECK_LOAD(p, 0);
}

/* Where the hammering server may have its mapping. */
static uint32_t *places[2];
static bool storing;

static void *store_everywhere(void *arg)
{
	(void)arg;
	__atomic_store_n(&storing, true, __ATOMIC_SEQ_CST);
	for (;;)
		for (unsigned int i = 0; i < 2 * NR_PAGES; i++)
			window_store(places[i % 2] + i / 2 * WORDS, MARK);
	return NULL;
}

/* A server that stores in one thread, and disturbs its mapping in another. */
static pid_t hammer(void (*disturb)(void))
{
	pthread_t thread;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	close(r.orders);
	for (int i = 0; i < 2; i++) {
		places[i] = mmap(NULL, SIZE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(places[i] != MAP_FAILED);
	}
	CHECK(mmap(places[0], SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, window, IOVA) == places[0]);
	CHECK(!pthread_create(&thread, NULL, store_everywhere, NULL));
	/* A thread that starts maps memory: not where a place has just been. */
	CHECK_SOON(__atomic_load_n(&storing, __ATOMIC_SEQ_CST));
	for (;;)
		disturb();
}

/* Stores are seen while there is a mapping, and none after it. */
static void race(void (*disturb)(void))
{
	pid_t pid;

	up();
	pid = hammer(disturb);
	for (uint32_t i = 0; i < 400; i++) {
		map_all();
		if (i % 8 == 0)
			CHECK_SOON(is_marked());
		unmap_all();
		fill(i);
		if (i % 50 == 0)
			test_sleep_ms(5);
		CHECK(is_filled(i));
	}
	world_kill(&pid, SIGKILL);
}

static void be_quiet(void)
{
	pause();
}

TEST(unmap_races_stores)
{
	race(be_quiet);
}

static void fork_and_store(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (unsigned int i = 0; i < 100 * NR_PAGES; i++)
			window_store(places[0] + i % NR_PAGES * WORDS, MARK);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

TEST(unmap_races_fork)
{
	race(fork_and_store);
}

static void move_and_back(void)
{
	for (int i = 0; i < 2; i++)
		CHECK(mremap(places[i], SIZE, SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED,
			     places[!i]) == places[!i]);
}

TEST(unmap_races_mremap)
{
	race(move_and_back);
}

static void protect_and_back(void)
{
	CHECK(!mprotect(places[0], SIZE, PROT_READ));
	CHECK(!mprotect(places[0], SIZE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(places[0] + WORDS, PAGE, PROT_NONE));
	CHECK(!mprotect(places[0], SIZE, PROT_READ | PROT_WRITE));
}

TEST(unmap_races_mprotect)
{
	race(protect_and_back);
}

static void map_anew(void)
{
	CHECK(mmap(places[0], SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, window, IOVA) == places[0]);
}

TEST(unmap_races_mmap)
{
	race(map_anew);
}

/* The consumer lets go of the device, not of its memory. */
TEST(close_races_stores)
{
	pid_t pid;

	up();
	map_all();
	pid = hammer(be_quiet);
	CHECK_SOON(is_marked());
	remote_close(&r);
	fill(9);
	test_sleep_ms(20);
	CHECK(is_filled(9));
	world_kill(&pid, SIGKILL);
}

/* Its server's child has only what there is. */
TEST(child_outlives_the_server)
{
	pid_t parent, child;
	int status;

	up();
	map_all();
	/* Orphans become ours. */
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	parent = fork();
	if (!parent) {
		uint32_t *p = window_map(window, IOVA, SIZE);

		CHECK_LOAD(p, 0);
		signal(SIGBUS, SIG_DFL);
		if (!fork())
			for (;;)
				__atomic_store_n(p, MARK, __ATOMIC_RELAXED);
		pause();
	}
	CHECK_SOON(is_marked());
	world_kill(&parent, SIGKILL);
	fill(0);
	CHECK_SOON(is_marked());
	world_kill(&w.server, SIGKILL);
	child = wait(&status);
	CHECK(child > 0 && child != r.pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGBUS);
	fill(3);
	test_sleep_ms(20);
	CHECK(is_filled(3));
}

static void *fault_everywhere(void *arg)
{
	uint32_t *p = arg;

	for (;;)
		for (unsigned int i = 0; i < NR_PAGES; i++)
			window_store(p + i * WORDS, MARK);
	return NULL;
}

/* At any time, with threads in the middle of a fault: at once. */
TEST(killed_while_faulting)
{
	pid_t churn;

	up();
	churn = fork();
	if (!churn)
		for (;;) {
			map_all();
			unmap_all();
		}
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			pthread_t thread;
			uint32_t *p = window_map(window, IOVA, SIZE);

			for (int n = 0; n < 6; n++)
				CHECK(!pthread_create(&thread, NULL,
						      fault_everywhere, p));
			pause();
		}
		test_sleep_ms(20 + i);
		world_kill(&pid, SIGKILL);
	}
	world_kill(&churn, SIGKILL);
}

/*
 * What was absorbed is seen no longer, even if the page was pinned for somebody
 * else before it would have been looked for again.
 */
TEST(absorbed_and_then_pinned_by_another)
{
	uint32_t *p;

	mem = remote_memory(SIZE);
	window_world(&w, "absorb");
	remote_open(&r, &w);
	window = window_take(&w);
	p = window_map(window, IOVA, SIZE);
	for (uint32_t i = 0; i < 50; i++) {
		CHECK_EQ(window_store(p, MARK), 0);
		map_all();
		CHECK_EQ(pwrite(window, &i, sizeof(i), (off_t)IOVA), sizeof(i));
		CHECK_SOON(window_loads(p, i));
		unmap_all();
	}
}

/* What is left of a device: a window into nothing, which keeps the module. */
TEST(window_outlives_the_device)
{
	uint32_t *p, *untouched, *third, value;

	module_need();
	up();
	map_all();
	p = window_map(window, IOVA, SIZE);
	untouched = window_map(window, IOVA, SIZE);
	CHECK_LOAD(p, 0);
	remote_close(&r);
	world_remove(&w);
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		CHECK_EQ(window_load(p + i * WORDS, &value), EFAULT);
		CHECK_EQ(window_store(untouched + i * WORDS, MARK), EFAULT);
	}
	CHECK_ERRNO(pread(window, &value, 4, IOVA), EIO);
	CHECK_ERRNO(pwrite(window, &value, 4, IOVA), EIO);
	third = window_map(window, IOVA, SIZE);
	CHECK_EQ(window_load(third, &value), EFAULT);
	world_kill(&w.helper, SIGKILL);
	world_kill(&w.server, SIGKILL);
	CHECK_ERRNO(module_unload(), EAGAIN);
	close(window);
	/* A mapping is as good as a descriptor. */
	CHECK_ERRNO(module_unload(), EAGAIN);
	CHECK_EQ(window_load(p, &value), EFAULT);
	CHECK(!munmap(p, SIZE) && !munmap(untouched, SIZE));
	CHECK_ERRNO(module_unload(), EAGAIN);
	CHECK(!munmap(third, SIZE));
	CHECK(is_filled(0));
	CHECK_SOON(!module_unload());
	module_load();
}
