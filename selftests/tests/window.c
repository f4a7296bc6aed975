// SPDX-License-Identifier: GPL-2.0
/* What a server can do with its DMA window, and what comes of it. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define IOVA	0x100000000ULL
#define APERTURE (1ULL << 43)
/* Of the file: as far as an offset goes. */
#define END (INT64_MAX & ~(PAGE - 1))
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

static struct world w;
static struct remote r;
static int window;

/* The consumer's memory: NR_PAGES pages, each filled with its own number. */
#define NR_PAGES	8UL
static uint32_t *mem;

static uint32_t *page_of(uint32_t *p, unsigned int i)
{
	return p + i * WORDS;
}

static void fill(void)
{
	for (unsigned int i = 0; i < NR_PAGES * WORDS; i++)
		mem[i] = 1000 + i / WORDS;
}

static void map_all(uint32_t flags)
{
	remote_map(&r, mem, IOVA, NR_PAGES * PAGE, flags);
}

static void unmap_all(void)
{
	remote_unmap(&r, IOVA, NR_PAGES * PAGE);
}

static void up(const char *fault)
{
	mem = remote_memory(NR_PAGES * PAGE);
	fill();
	window_world(&w, fault);
	remote_open(&r, &w);
	window = window_take(&w);
}

/* Each page is where it should be, and what is written there arrives. */
static void check_pages(uint32_t *p)
{
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		CHECK_LOAD(page_of(p, i) + 7, 1000 + i);
		CHECK_EQ(window_store(page_of(p, i) + 9, 2000 + i), 0);
		CHECK_EQ(page_of(mem, i)[9], 2000 + i);
		page_of(mem, i)[9] = 1000 + i;
	}
}

static void check_gone(uint32_t *p, unsigned int pages)
{
	uint32_t value;

	for (unsigned int i = 0; i < pages; i++) {
		CHECK_EQ(window_load(page_of(p, i), &value), EFAULT);
		CHECK_EQ(window_store(page_of(p, i), 0xbad), EFAULT);
	}
}

/* Nobody has written to it. */
static void check_memory(void)
{
	for (unsigned int i = 0; i < NR_PAGES * WORDS; i++)
		CHECK_EQ(mem[i], 1000 + i / WORDS);
}

TEST(mapped_twice)
{
	uint32_t *a, *b;

	up("sigbus");
	map_all(READ | WRITE);
	a = window_map(window, IOVA, NR_PAGES * PAGE);
	b = window_map(window, IOVA, NR_PAGES * PAGE);
	check_pages(a);
	check_pages(b);
	CHECK_EQ(window_store(a + 3, 77), 0);
	CHECK_LOAD(b + 3, 77);
	mem[3] = 1000;
	unmap_all();
	check_gone(a, NR_PAGES);
	check_gone(b, NR_PAGES);
	check_memory();
	/* The other way round, this is the same place again. */
	remote_map(&r, page_of(mem, 4), IOVA, 4 * PAGE, READ | WRITE);
	CHECK_LOAD(a, 1004);
	CHECK_LOAD(page_of(b, 3), 1007);
	check_gone(page_of(b, 4), 4);
}

/* Mapped before there is anything, and at an odd place. */
TEST(mapped_before)
{
	uint32_t *room, *p;

	up("sigbus");
	room = mmap(NULL, 2 * NR_PAGES * PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED);
	p = mmap(page_of(room, 1), NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_POPULATE | MAP_LOCKED, window,
		 IOVA);
	CHECK(p == page_of(room, 1));
	check_gone(p, NR_PAGES);
	map_all(READ | WRITE);
	check_pages(p);
}

static int mmap_error(size_t size, int prot, int flags, uint64_t offset)
{
	return mmap(NULL, size, prot, flags, window, (off_t)offset) ==
	       MAP_FAILED ? errno : 0;
}

TEST(mmap_refused)
{
	const int prot = PROT_READ | PROT_WRITE;

	up("sigbus");
	/* A copy would not be DMA. */
	CHECK_EQ(mmap_error(PAGE, prot, MAP_PRIVATE, IOVA), EINVAL);
	CHECK_EQ(mmap_error(PAGE, PROT_READ, MAP_PRIVATE, IOVA), EINVAL);
	CHECK_EQ(mmap_error(PAGE, prot, MAP_SHARED, END - PAGE), 0);
	CHECK_EQ(mmap_error(2 * PAGE, prot, MAP_SHARED, END - PAGE), EINVAL);
	CHECK_EQ(mmap_error(PAGE, prot, MAP_SHARED, END), EINVAL);
	CHECK(mmap_error(PAGE, prot, MAP_SHARED, -PAGE));
	CHECK_EQ(mmap_error(APERTURE, prot, MAP_SHARED, 0), 0);
}

TEST(moved)
{
	uint32_t *p, *to, *away;

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	/* Half of it touched before, the other half after. */
	CHECK_LOAD(p, 1000);
	CHECK_LOAD(page_of(p, 3), 1003);
	to = mmap(NULL, NR_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		  -1, 0);
	CHECK(to != MAP_FAILED);
	CHECK(mremap(p, NR_PAGES * PAGE, NR_PAGES * PAGE,
		     MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	check_pages(to);
	CHECK_EQ(window_store(p, 0), EACCES);
	/* One page out of the middle. */
	away = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(away != MAP_FAILED);
	CHECK(mremap(page_of(to, 2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     away) == away);
	CHECK_LOAD(away, 1002);
	CHECK_EQ(window_store(page_of(to, 2), 0), EACCES);
	unmap_all();
	check_gone(away, 1);
	check_gone(to, 2);
	check_gone(page_of(to, 3), NR_PAGES - 3);
	check_memory();
	map_all(READ | WRITE);
	CHECK_LOAD(away, 1002);
	CHECK_LOAD(page_of(to, 7), 1007);
}

TEST(resized)
{
	uint32_t *p;

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, 4 * PAGE);
	CHECK_LOAD(p, 1000);
	/* What has been checked by mmap() must not grow without it. */
	CHECK_ERRNO((long)mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO((long)mremap(p, 4 * PAGE, 5 * PAGE, 0), EFAULT);
	CHECK_ERRNO((long)mremap(p, 0, 4 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO((long)mremap(p, 4 * PAGE, 4 * PAGE,
				 MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL),
		    EINVAL);
	CHECK(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
	CHECK_LOAD(page_of(p, 1), 1001);
	CHECK_EQ(window_store(page_of(p, 2), 0), EACCES);
	check_memory();
}

TEST(protected)
{
	const int all = PROT_READ | PROT_WRITE;
	uint32_t *p, value;

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	check_pages(p);
	CHECK(!mprotect(p, 4 * PAGE, PROT_READ));
	CHECK_LOAD(p, 1000);
	CHECK_EQ(window_store(p, 0xbad), EACCES);
	CHECK_LOAD(page_of(p, 4), 1004);
	CHECK(!mprotect(p, 4 * PAGE, all));
	check_pages(p);
	CHECK(!mprotect(page_of(p, 2), 2 * PAGE, PROT_NONE));
	CHECK_EQ(window_load(page_of(p, 2), &value), EACCES);
	/* Meanwhile it becomes something else. */
	unmap_all();
	remote_map(&r, page_of(mem, 4), IOVA, 4 * PAGE, READ | WRITE);
	CHECK(!mprotect(page_of(p, 2), 2 * PAGE, all));
	CHECK_LOAD(page_of(p, 2), 1006);
	check_gone(page_of(p, 4), 4);
	check_memory();
	/* A mapping that begins read-only can be more later. */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, window, IOVA);
	CHECK(p != MAP_FAILED);
	CHECK_EQ(window_store(p, 0xbad), EACCES);
	CHECK_LOAD(p, 1004);
	CHECK(!mprotect(p, PAGE, all));
	CHECK_EQ(window_store(p, 44), 0);
	CHECK_EQ(page_of(mem, 4)[0], 44);
}

/* Whatever the server does to its mapping, the consumer's word counts. */
static void read_only(const char *fault, int want)
{
	uint32_t *p, *again;

	up(fault);
	map_all(READ);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	for (int i = 0; i < 3; i++) {
		CHECK_LOAD(p, 1000);
		CHECK_EQ(window_store(p, 0xbad), want);
		CHECK(!mprotect(p, PAGE, PROT_READ));
		CHECK_EQ(window_store(p, 0xbad), EACCES);
		/* What has been absorbed is seen for a moment. */
		CHECK_SOON(window_loads(p, 1000));
		CHECK(!mprotect(p, PAGE, PROT_READ | PROT_WRITE));
		CHECK_EQ(window_store(p, 0xbad), want);
		CHECK_EQ(window_store(page_of(p, 1), 0xbad), want);
		CHECK_SOON(window_loads(p, 1000));
	}
	again = window_map(window, IOVA, PAGE);
	CHECK_EQ(window_store(again, 0xbad), want);
	check_memory();
}

TEST(protected_by_the_consumer)
{
	read_only("sigbus", EFAULT);
}

TEST(protected_by_the_consumer_and_absorbed)
{
	read_only("absorb", 0);
}

TEST(unmapped_in_part)
{
	uint32_t *p, *hole, value;

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	check_pages(p);
	hole = page_of(p, 3);
	CHECK(!munmap(hole, 2 * PAGE));
	CHECK_EQ(window_load(hole, &value), EACCES);
	CHECK_LOAD(page_of(p, 2), 1002);
	CHECK_LOAD(page_of(p, 5), 1005);
	/* Other pages in the hole. */
	CHECK(mmap(hole, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   window, IOVA + 7 * PAGE) == hole);
	CHECK_LOAD(hole, 1007);
	unmap_all();
	check_gone(p, 4);
	check_gone(page_of(p, 5), 3);
	check_memory();
}

/* Not through this mapping: not by others, and not past the fault handler. */
TEST(other_ways_to_memory)
{
	struct iovec local = { &(uint32_t){ 0 }, 4 }, remote = { NULL, 4 };
	int pipes[2], file, proc;
	uint32_t *p, value;

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	CHECK_LOAD(p, 1000);
	remote.iov_base = p;
	CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
	proc = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	CHECK(proc >= 0);
	CHECK_ERRNO(pread(proc, &value, 4, (off_t)(uintptr_t)p), EIO);
	CHECK_ERRNO(pwrite(proc, &value, 4, (off_t)(uintptr_t)p), EIO);
	CHECK(!pipe(pipes));
	CHECK(vmsplice(pipes[1], &remote, 1, SPLICE_F_GIFT) < 0);
	file = open("/run", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	CHECK(file >= 0);
	CHECK_EQ(write(file, page_of(p, 1), 2 * PAGE), 2 * PAGE);
	CHECK_EQ(pread(file, page_of(p, 5), PAGE, PAGE), PAGE);
	CHECK_EQ(page_of(mem, 5)[0], 1002);
	CHECK(madvise(p, PAGE, MADV_POPULATE_WRITE));
	CHECK(madvise(p, PAGE, MADV_DONTNEED));
	CHECK(madvise(p, PAGE, MADV_REMOVE));
	mlock(p, NR_PAGES * PAGE);
	msync(p, NR_PAGES * PAGE, MS_SYNC);
	CHECK_LOAD(page_of(p, 7), 1007);
}

/* There is nothing to it but mappings, and reading and writing at a place. */
TEST(as_a_file)
{
	uint32_t buf[2 * WORDS], *p;
	char path[64];

	up("sigbus");
	map_all(READ | WRITE);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	CHECK_EQ(pread(window, buf, 2 * PAGE, IOVA + PAGE / 2), 2 * PAGE);
	CHECK(buf[0] == 1000 && buf[WORDS] == 1001 && buf[2 * WORDS - 1] == 1002);
	CHECK_EQ(pwrite(window, buf, 6, IOVA + 4 * PAGE - 3), 6);
	CHECK(!memcmp((char *)page_of(mem, 4) - 3, buf, 6));
	/* As far as it goes. */
	CHECK_EQ(pread(window, buf, 2 * PAGE, IOVA + 7 * PAGE), PAGE);
	CHECK_ERRNO(pread(window, buf, 1, IOVA + 8 * PAGE), EFAULT);
	CHECK_ERRNO(pwrite(window, buf, 1, IOVA - 1), EFAULT);
	CHECK_ERRNO(pread(window, buf, 1, APERTURE), EFAULT);
	CHECK_ERRNO(pread(window, buf, 1, -1), EINVAL);
	CHECK_ERRNO(pread(window, test_bad_address(), 4, IOVA), EFAULT);
	CHECK_ERRNO(pwrite(window, test_bad_address(), 4, IOVA), EFAULT);
	/* From itself to itself. */
	fill();
	CHECK_EQ(pread(window, page_of(p, 2), PAGE, IOVA + 6 * PAGE), PAGE);
	CHECK_EQ(pwrite(window, page_of(p, 7), PAGE, IOVA + 3 * PAGE), PAGE);
	CHECK(page_of(mem, 2)[0] == 1006 && page_of(mem, 3)[0] == 1007);
	CHECK_ERRNO(ftruncate(window, 0), EINVAL);
	CHECK(fallocate(window, 0, 0, PAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", window);
	CHECK_ERRNO(open(path, O_RDWR | O_CLOEXEC), ENXIO);
}

/* The one that is both is told apart by nobody. */
TEST(server_is_its_own_consumer)
{
	struct consumer c;
	uint32_t *p;

	mem = remote_memory(NR_PAGES * PAGE);
	fill();
	window_world(&w, "sigbus");
	window = window_take(&w);
	consumer_open(&c, &w);
	p = window_map(window, IOVA, NR_PAGES * PAGE);
	for (int i = 0; i < 20; i++) {
		consumer_map(&c, mem, IOVA, NR_PAGES * PAGE, READ | WRITE);
		check_pages(p);
		consumer_unmap(&c, IOVA, NR_PAGES * PAGE);
		check_gone(p, NR_PAGES);
	}
	check_memory();
}

/* All that its mappings still show: a page of its own. */
static void check_absorbed(uint32_t *p, unsigned int pages)
{
	for (unsigned int i = 0; i < pages; i++)
		CHECK_EQ(window_store(page_of(p, i), 0xbad), 0);
	CHECK_LOAD(p + 1, 0);
}

/* An attachment has ended, but its server lives on, with its mappings. */
static void helper_comes_back(const char *fault, void (*check)(uint32_t *p, unsigned int pages))
{
	uint32_t *old, *new, value;
	int old_window;

	up(fault);
	map_all(READ | WRITE);
	old_window = window;
	old = window_map(window, IOVA, NR_PAGES * PAGE);
	check_pages(old);
	world_cut(&w);
	world_wait_state(&w, "detached");
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	window = window_take(&w);
	new = window_map(window, IOVA, NR_PAGES * PAGE);
	check_pages(new);
	check(old, NR_PAGES);
	check(window_map(old_window, IOVA, PAGE), 1);
	CHECK_ERRNO(pread(old_window, &value, 4, IOVA), EIO);
	check_pages(new);
	check_memory();
}

TEST(helper_comes_back_sigbus)
{
	helper_comes_back("sigbus", check_gone);
}

TEST(helper_comes_back_absorb)
{
	helper_comes_back("absorb", check_absorbed);
}
