// SPDX-License-Identifier: GPL-2.0
/* The server reaches the consumer's memory: all of what is mapped, and no more. */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/cdev.h"
#include "../lib/dma.h"
#include "../lib/test.h"

#define PAGE	4096UL
#define TRACING	"/sys/kernel/tracing/"
#define IOVA	0x100000000ULL
#define READ	DMA_READ
#define WRITE	DMA_WRITE

static struct world w;
static struct consumer c;

/* With an aperture, so that it is not the server who refuses an address. */
static void up(const char *way)
{
	const char *const args[] = { "--dma", way, NULL };

	dma_up_aperture(&w, &c, args);
}

static void map(void *vaddr, uint64_t iova, size_t size, uint32_t flags)
{
	dma_map(&c, vaddr, iova, size, flags);
}

static void unmap(uint64_t iova, size_t size)
{
	dma_unmap(&c, iova, size);
}

static int dma(enum puppet_dma_op op, uint64_t iova, uint32_t size,
	       uint32_t value)
{
	return dma_run(&c, op, iova, size, value);
}

static uint32_t sum(const unsigned char *p, size_t size)
{
	uint32_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += p[i];
	return n;
}

static bool all(const unsigned char *p, size_t size, unsigned char value)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != value)
			return false;
	return true;
}

static long show(const char *key)
{
	return dma_show(&w, key);
}

/* Both ways, across page and mapping boundaries, at odd addresses. */
static void both_ways(const char *way)
{
	size_t size = 1 << 20;
	unsigned char *a, *b;

	up(way);
	a = dma_memory(size);
	b = dma_memory(size);
	for (size_t i = 0; i < size; i++)
		a[i] = (unsigned char)(i * 7 + (i >> 8));
	map(a, IOVA, size, READ | WRITE);
	map(b, IOVA + size, size, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, size, 0), 0);
	CHECK_EQ(puppet_get(&c, PUPPET_DMA_SUM_RESULT), sum(a, size));
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + size - 5, 10, 0x5a5a5a5a), 0);
	CHECK(all(a + size - 5, 5, 0x5a) && all(b, 5, 0x5a));
	CHECK_EQ(b[5], 0);
	puppet_set(&c, PUPPET_DMA_IOVA2, (uint32_t)(IOVA + size + 3));
	puppet_set(&c, PUPPET_DMA_IOVA2 + 4, (uint32_t)((IOVA + size) >> 32));
	CHECK_EQ(dma(PUPPET_DMA_COPY, IOVA + 1, 300000, 0), 0);
	CHECK(!memcmp(b + 3, a + 1, 300000));
	CHECK_EQ(b[3 + 300000], 0);
}

TEST(by_mmap)
{
	both_ways("mmap");
}

TEST(by_file_io)
{
	both_ways("file");
}

TEST(by_messages)
{
	both_ways("message");
}

/* What is pinned is answered at once, but not before what came first and is not. */
TEST(messages_in_turn)
{
	const size_t nr = 64;
	unsigned char *mem;

	up("message");
	mem = dma_memory((nr + 1) * PAGE);
	map(mem, IOVA, (nr + 1) * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, PAGE, 0), 0);
	puppet_set(&c, PUPPET_DMA_IOVA2, (uint32_t)IOVA);
	puppet_set(&c, PUPPET_DMA_IOVA2 + 4, (uint32_t)(IOVA >> 32));
	for (size_t i = 1; i <= nr; i++)
		CHECK_EQ(dma(PUPPET_DMA_IN_TURN, IOVA + i * PAGE, 0, 0), 0);
}

TEST(only_what_is_touched_is_pinned)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(64 << 20);
	map(p, IOVA, 64 << 20, READ | WRITE);
	CHECK_EQ(show("pinned"), 0);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + 10 * PAGE, 3 * PAGE, 1), 0);
	CHECK_EQ(show("pinned"), 3);
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA + 11 * PAGE, 4 * PAGE, 1), 0);
	CHECK_EQ(show("pinned"), 5);
	unmap(IOVA, 64 << 20);
	CHECK_EQ(show("pinned"), 0);
}

/* A run is pinned in batches, but no more ahead of it than it is long. */
TEST(batches)
{
	unsigned char *p;
	long pinned;

	up("mmap");
	p = dma_memory(64 << 20);
	map(p, IOVA, 64 << 20, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 100 * PAGE, 0x13131313), 0);
	pinned = show("pinned");
	test_say("100 pages touched, %ld pinned", pinned);
	CHECK(pinned > 100 && pinned <= 200);
	CHECK(all(p, 100 * PAGE, 0x13) && all(p + 100 * PAGE, 900 * PAGE, 0));
	/* Backwards and here and there: page by page. */
	for (int i = 20; i; i--)
		CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + (8000 + i) * PAGE, 8, 1), 0);
	CHECK_EQ(show("pinned"), pinned + 20);
	unmap(IOVA, 64 << 20);
	CHECK_EQ(show("pinned"), 0);
}

/* Where the run ends, the batch does not fail. */
TEST(batch_at_the_end_of_a_mapping)
{
	unsigned char *p;

	up("file");
	p = dma_memory(100 * PAGE);
	map(p, IOVA, 50 * PAGE, READ | WRITE);
	map(p + 50 * PAGE, IOVA + 50 * PAGE, 50 * PAGE, READ);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 50 * PAGE, 0x14141414), 0);
	CHECK(all(p, 50 * PAGE, 0x14) && all(p + 50 * PAGE, 50 * PAGE, 0));
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, 100 * PAGE, 0), 0);
	CHECK_EQ(show("pinned"), 100);
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, 101 * PAGE, 0), EFAULT);
}

/* What it costs: told, and compared with itself only. */
TEST(first_touch_and_later)
{
	unsigned char *p;
	long long t[4];

	up("mmap");
	p = dma_memory(32 << 20);
	memset(p, 1, 32 << 20);
	map(p, IOVA, 32 << 20, READ | WRITE);
	t[0] = test_now_ms();
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, 32 << 20, 0), 0);
	t[1] = test_now_ms();
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, 32 << 20, 0), 0);
	t[2] = test_now_ms();
	unmap(IOVA, 32 << 20);
	t[3] = test_now_ms();
	test_say("32 MiB summed up: %lld ms, again: %lld ms; unmapped: %lld ms",
		 t[1] - t[0], t[2] - t[1], t[3] - t[2]);
	CHECK_EQ(show("dma_faults"), 0);
}

/* After the unmap has returned, the server's writes go anywhere but there. */
static void unmapped_is_gone(const char *way, int want)
{
	unsigned char *p;

	up(way);
	p = dma_memory(16 * PAGE);
	map(p, IOVA, 16 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 16 * PAGE, 0x11111111), 0);
	unmap(IOVA, 16 * PAGE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 16 * PAGE, 0x22222222), want);
	CHECK(all(p, 16 * PAGE, 0x11));
}

TEST(unmapped_is_gone_by_mmap)
{
	unmapped_is_gone("mmap", 0);
	CHECK_EQ(show("dma_faults") > 0, 1);
	CHECK_EQ(kernel_log_count(w.uuid, "touched IOVA"), 1);
	CHECK_EQ(kill(w.server, 0), 0);
}

TEST(unmapped_is_gone_by_file_io)
{
	unmapped_is_gone("file", EFAULT);
}

TEST(unmapped_is_gone_by_messages)
{
	unmapped_is_gone("message", EFAULT);
}

TEST(unmapped_is_a_sigbus_if_so_wished)
{
	unsigned char *p;

	up("mmap");
	world_attr_set(&w, "dma_fault", "sigbus");
	p = dma_memory(PAGE);
	map(p, IOVA, PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 1), 0);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + PAGE, PAGE, 1), EFAULT);
	unmap(IOVA, PAGE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 1), EFAULT);
	map(p, IOVA, PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0x33333333), 0);
	CHECK(all(p, PAGE, 0x33));
}

static bool fills(unsigned char *p, uint64_t iova)
{
	memset(p, 0, PAGE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, iova, PAGE, 0x55555555), 0);
	return all(p, PAGE, 0x55);
}

/* What was absorbed hides nothing for long. */
TEST(mapped_right_after_a_fault)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(PAGE);
	for (int i = 0; i < 50; i++) {
		uint64_t iova = IOVA + 16 * PAGE * i;

		CHECK_EQ(dma(PUPPET_DMA_FILL, iova, PAGE, 0x44444444), 0);
		map(p, iova, PAGE, READ | WRITE);
		CHECK_SOON(fills(p, iova));
		unmap(iova, PAGE);
	}
}

TEST(remapped_to_other_memory)
{
	unsigned char *a, *b;

	up("mmap");
	a = dma_memory(PAGE);
	b = dma_memory(PAGE);
	for (int i = 0; i < 200; i++) {
		unsigned char *p = i & 1 ? a : b, *other = i & 1 ? b : a;

		memset(p, i, PAGE);
		memset(other, 0xee, PAGE);
		map(p, IOVA, PAGE, READ | WRITE);
		CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, PAGE, 0), 0);
		CHECK_EQ(puppet_get(&c, PUPPET_DMA_SUM_RESULT), sum(p, PAGE));
		CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0x77777777), 0);
		CHECK(all(p, PAGE, 0x77) && all(other, PAGE, 0xee));
		unmap(IOVA, PAGE);
	}
}

TEST(unmap_of_what_was_touched_in_part)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(1024 * PAGE);
	map(p, IOVA, 512 * PAGE, READ | WRITE);
	map(p + 512 * PAGE, IOVA + 512 * PAGE, 512 * PAGE, READ | WRITE);
	for (int i = 0; i < 1024; i += 100)
		CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + i * PAGE, 8, 1), 0);
	CHECK_EQ(show("pinned"), 11);
	unmap(IOVA, 512 * PAGE);
	CHECK_EQ(show("pinned"), 5);
	unmap(IOVA + 512 * PAGE, 512 * PAGE);
	CHECK_EQ(show("pinned"), 0);
}

TEST(unmap_all)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	unsigned char *p;

	up("mmap");
	p = dma_memory(64 * PAGE);
	map(p, IOVA, 64 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 64 * PAGE, 1), 0);
	CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u));
	CHECK_EQ(show("pinned"), 0);
}

/* A server that writes in a tight loop, and an unmap in the middle of it. */
TEST(unmap_races_a_writer)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(4 * PAGE);
	CHECK_EQ(dma(PUPPET_DMA_HAMMER, IOVA, 4 * PAGE, 0x99999999), 0);
	for (int i = 0; i < 2000; i++) {
		map(p, IOVA, 4 * PAGE, READ | WRITE);
		/* Now and then, until the writer is seen to be in the page. */
		for (int spin = 0; i % 4 == 0 && spin < 100000; spin++)
			if (*(volatile unsigned char *)p == 0x99)
				break;
		unmap(IOVA, 4 * PAGE);
		memset(p, i, 4 * PAGE);
		if (i % 100 == 0)
			test_sleep_ms(5);
		CHECK(all(p, 4 * PAGE, (unsigned char)i));
	}
	CHECK_EQ(dma(PUPPET_DMA_STOP, 0, 0, 0), 0);
	CHECK(show("dma_faults") > 0);
	CHECK_EQ(show("pinned"), 0);
}

/* Each with pages of its own, and what is unmapped is taken from both. */
TEST(two_devices_and_the_same_memory)
{
	struct consumer c2;
	struct world w2;
	unsigned char *p;

	up("mmap");
	world_up_beside(&w2, NULL);
	consumer_join(&c2, &w2, &c);
	p = dma_memory(64 * PAGE);
	map(p, IOVA, 64 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 8 * PAGE, 0x11111111), 0);
	CHECK_EQ(dma_run(&c2, PUPPET_DMA_SUM, IOVA, 8 * PAGE, 0), 0);
	CHECK_EQ(puppet_get(&c2, PUPPET_DMA_SUM_RESULT), 0x11UL * 8 * PAGE);
	CHECK_EQ(dma_run(&c2, PUPPET_DMA_FILL, IOVA + 4 * PAGE, 8 * PAGE,
			 0x22222222), 0);
	CHECK(all(p, 4 * PAGE, 0x11) && all(p + 4 * PAGE, 8 * PAGE, 0x22));
	unmap(IOVA, 64 * PAGE);
	CHECK_EQ(show("pinned"), 0);
	CHECK_EQ(dma_show(&w2, "pinned"), 0);
	/* One that goes leaves the other its memory. */
	map(p, IOVA, 64 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 8 * PAGE, 0x33333333), 0);
	CHECK_EQ(dma_run(&c2, PUPPET_DMA_FILL, IOVA, PAGE, 0x44444444), 0);
	close(c2.device);
	CHECK_SOON(!dma_show(&w2, "pinned"));
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 16 * PAGE, 0x55555555), 0);
	CHECK(all(p, 16 * PAGE, 0x55));
	unmap(IOVA, 64 * PAGE);
	CHECK_SOON(dma_pins_balance());
}

/* All of it goes at once, while the server writes to it, and comes back. */
TEST(memory_is_detached)
{
	const size_t size = 8 << 20;
	unsigned char *p;

	consumer_needs_iommufd("memory that is taken from a device");
	up("mmap");
	p = dma_memory(size);
	map(p, IOVA, size, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, size, 0x11111111), 0);
	CHECK_EQ(show("pinned"), size / PAGE);
	CHECK_EQ(dma(PUPPET_DMA_HAMMER, IOVA, size, 0x99999999), 0);
	for (int i = 0; i < 10; i++) {
		CHECK_SOON(*(volatile unsigned char *)p == 0x99);
		cdev_detach(c.device);
		CHECK_EQ(show("pinned"), 0);
		memset(p, i, size);
		test_sleep_ms(20);
		CHECK(all(p, size, (unsigned char)i));
		cdev_attach(c.device, c.container);
	}
	CHECK_EQ(dma(PUPPET_DMA_STOP, 0, 0, 0), 0);
	unmap(IOVA, size);
	CHECK_SOON(dma_pins_balance());
}

/* Other memory in its place, at the same addresses. */
TEST(memory_is_exchanged)
{
	const size_t size = 8 << 20;
	unsigned char *p, *other;

	consumer_needs_iommufd("memory that is exchanged for other");
	up("mmap");
	p = dma_memory(size);
	other = dma_memory(size);
	map(p, IOVA, size, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, size, 0x11111111), 0);
	cdev_new_ioas(c.container);
	map(other, IOVA, size, READ | WRITE);
	CHECK_EQ(show("pinned"), size / PAGE);
	cdev_attach(c.device, c.container);
	CHECK_EQ(show("pinned"), 0);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, size, 0x22222222), 0);
	CHECK(all(p, size, 0x11) && all(other, size, 0x22));
}

/* The server's window, as if by SCM_RIGHTS. */
static int window_fd(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, w.server, 0);
	char path[64], target[PATH_MAX];
	ssize_t n;

	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", w.server, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strstr(target, "vfio-user-dma"))
			return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	}
	FAIL("the server has no window");
}

static void hammer(int window, size_t size, bool by_file)
{
	volatile unsigned char *p;
	unsigned char byte = 0x99;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, window, IOVA);
	for (size_t i = 0;; i = (i + PAGE) % size) {
		if (!by_file)
			p[i] = byte;
		else if (pwrite(window, &byte, 1, (off_t)(IOVA + i)) < 0 &&
			 errno != EFAULT)
			_exit(errno);
	}
}

/* How often has VFIO called this function of ours? From now on, or so far. */
static long calls(const char *function, bool begin)
{
	char line[128], profile[4096], *p;

	if (begin) {
		snprintf(line, sizeof(line), "p:vum_calls %s", function);
		CHECK_EQ(write_file(TRACING "kprobe_events", line), 0);
		CHECK_EQ(write_file(TRACING "events/kprobes/vum_calls/enable", "1"), 0);
		return 0;
	}
	CHECK_EQ(read_file(TRACING "kprobe_profile", profile, sizeof(profile)), 0);
	p = strstr(profile, "vum_calls");
	CHECK(p);
	CHECK_EQ(write_file(TRACING "events/kprobes/vum_calls/enable", "0"), 0);
	CHECK_EQ(write_file(TRACING "kprobe_events", "-:vum_calls"), 0);
	return strtol(p + strlen("vum_calls"), NULL, 10);
}

/*
 * VFIO takes it for a bug if pages are pinned again and again while it unmaps:
 * four writers, which do nothing else.
 */
static void unmap_races_four_writers(void)
{
	const size_t size = 256 * PAGE;
	int window = window_fd(), status;
	unsigned char *p = dma_memory(size);
	pid_t pid[4];

	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (!pid[i])
			hammer(window, size, i & 1);
	}
	for (int i = 0; i < 1000; i++) {
		map(p, IOVA, size, READ | WRITE);
		for (int spin = 0; i % 8 == 0 && spin < 100000; spin++)
			if (((volatile unsigned char *)p)[size - PAGE] == 0x99)
				break;
		unmap(IOVA, size);
		memset(p, i, size);
		CHECK(i % 50 || all(p, size, (unsigned char)i));
	}
	for (int i = 0; i < 4; i++) {
		/* None of them saw an error that it should not. */
		if (waitpid(pid[i], &status, WNOHANG))
			FAIL("writer %d has ended: status 0x%x", i, status);
		world_kill(&pid[i], SIGKILL);
	}
	CHECK_EQ(show("pinned"), 0);
	CHECK_SOON(dma_pins_balance());
}

TEST(unmap_races_many_writers)
{
	up("mmap");
	puppet_check(&c, 0);
	calls("vum_dma_unmap", true);
	unmap_races_four_writers();
	/* Once it has been told, it has not to be told again. */
	CHECK(calls("vum_dma_unmap", false) <= 1000);
}

/* What keeps VFIO from that must not depend on the observer. */
TEST(unmap_races_many_writers_unobserved)
{
	consumer_needs_observer();
	up("mmap");
	puppet_check(&c, 0);
	CHECK_EQ(write_file("/sys/kernel/debug/kprobes/enabled", "0"), 0);
	unmap_races_four_writers();
	CHECK_EQ(write_file("/sys/kernel/debug/kprobes/enabled", "1"), 0);
}

static bool sums_up(uint32_t want)
{
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, PAGE, 0), 0);
	return puppet_get(&c, PUPPET_DMA_SUM_RESULT) == want;
}

static void read_only(const char *way, int want)
{
	unsigned char *p;

	up(way);
	p = dma_memory(PAGE);
	memset(p, 0x12, PAGE);
	map(p, IOVA, PAGE, READ);
	CHECK(sums_up(0x12 * PAGE));
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0xffffffff), want);
	CHECK(all(p, PAGE, 0x12));
	/* What has been absorbed is seen for a moment. */
	CHECK_SOON(sums_up(0x12 * PAGE));
}

TEST(read_only_by_mmap)
{
	read_only("mmap", 0);
	CHECK_EQ(kernel_log_count(w.uuid, "mapped it for other access"), 1);
}

TEST(read_only_by_file_io)
{
	read_only("file", EPERM);
}

TEST(read_only_by_messages)
{
	read_only("message", EPERM);
}

TEST(write_only_by_messages)
{
	unsigned char *p;

	up("message");
	p = dma_memory(PAGE);
	map(p, IOVA, PAGE, WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0x21212121), 0);
	CHECK(all(p, PAGE, 0x21));
	/* iommufd asks drivers whether they write, not whether they read. */
	CHECK_EQ(dma(PUPPET_DMA_SUM, IOVA, PAGE, 0),
		 consumer_by_cdev() ? 0 : EPERM);
}

TEST(consumer_killed_in_the_middle)
{
	pid_t pid;

	world_up(&w, NULL);
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		map(dma_memory(8 << 20), IOVA, 8 << 20, READ | WRITE);
		CHECK_EQ(dma(PUPPET_DMA_HAMMER, IOVA, 8 << 20, 1), 0);
		pause();
	}
	CHECK_SOON(show("pinned") > 1000);
	world_kill(&pid, SIGKILL);
	CHECK_EQ(show("pinned"), 0);
	CHECK_SOON(dma_pins_balance());
	CHECK_EQ(kill(w.server, 0), 0);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
}

TEST(server_killed_in_the_middle)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(1 << 20);
	map(p, IOVA, 1 << 20, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 1 << 20, 1), 0);
	CHECK_EQ(show("pinned"), 256);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK_SOON(show("pinned") == 0);
	CHECK_SOON(dma_pins_balance());
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 1 << 20, 0x66666666), 0);
	CHECK(all(p, 1 << 20, 0x66));
}

/* A server that was detached holds on to its mapping: nothing is in it. */
TEST(detached_server_reaches_nothing)
{
	unsigned char *p;

	up("mmap");
	p = dma_memory(PAGE);
	map(p, IOVA, PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_HAMMER, IOVA, PAGE, 0x88888888), 0);
	CHECK_SOON(*(volatile unsigned char *)p == 0x88);
	world_cut(&w);
	world_wait_state(&w, "detached");
	CHECK_SOON(dma_show(&w, "pinned") == 0);
	memset(p, 0, PAGE);
	test_sleep_ms(50);
	CHECK(all(p, PAGE, 0));
}

TEST(memlock_limit)
{
	struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	unsigned char *p;

	up("file");
	p = dma_memory(64 * PAGE);
	/* Root may lock what it likes, so this consumer is no longer root. */
	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!setuid(65534));
	map(p, IOVA, 64 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 8 * PAGE, 0x11111111), 0);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 64 * PAGE, 0x22222222), 0);
	CHECK(all(p, 64 * PAGE, 0x22));
}

TEST(memory_of_every_kind)
{
	int fd = memfd_create("test", 0);
	unsigned char *p;

	CHECK(fd >= 0 && !ftruncate(fd, 1 << 20));
	up("mmap");
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	map(p, IOVA, 1 << 20, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, 1 << 20, 0x31313131), 0);
	CHECK(all(p, 1 << 20, 0x31));

	CHECK_EQ(write_file("/proc/sys/vm/nr_hugepages", "4"), 0);
	p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	CHECK(p != MAP_FAILED);
	map(p, IOVA + (1 << 30), 4 << 20, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA + (1 << 30), 4 << 20, 0x32323232), 0);
	CHECK(all(p, 4 << 20, 0x32));
}

static void announced_as(const char *mode, const char *how)
{
	char cmd[512], out[4096], want[64];

	world_mdev(&w);
	world_attr_set(&w, "dma_mode", mode);
	world_start(&w, NULL);
	snprintf(cmd, sizeof(cmd), "%s show --json %s",
		 world_bin("vfio-user-mdevctl"), w.uuid);
	CHECK_EQ(command_output(cmd, out, sizeof(out)), 0);
	snprintf(want, sizeof(want), "\"dma\": \"%s\"", how);
	if (!strstr(out, want))
		FAIL("no %s in %s", want, out);
}

TEST(mode_auto)
{
	announced_as("auto", "mmap");
}

TEST(mode_file)
{
	unsigned char *p;

	announced_as("file", "file");
	consumer_open(&c, &w);
	p = dma_memory(PAGE);
	map(p, IOVA, PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0x41414141), 0);
	CHECK(all(p, PAGE, 0x41));
}

TEST(mode_message)
{
	unsigned char *p;

	announced_as("message", "message");
	consumer_open(&c, &w);
	p = dma_memory(PAGE);
	map(p, IOVA, PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, IOVA, PAGE, 0x41414141), 0);
	CHECK(all(p, PAGE, 0x41));
}

TEST(mode_none)
{
	announced_as("none", "none");
	consumer_open(&c, &w);
	map(dma_memory(PAGE), IOVA, PAGE, READ | WRITE);
	CHECK(dma(PUPPET_DMA_FILL, IOVA, PAGE, 1) != 0);
}

/* A server that knows no DMA_MAP is told once, and works without. */
TEST(server_refuses_dma_map)
{
	up("mmap");
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_ERROR, EINVAL);
	world_cut(&w);
	world_wait_state(&w, "detached");
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(show("pinned"), 0);
	puppet_check(&c, 0);
}

TEST(aperture)
{
	char path[PATH_MAX];
	unsigned char *p;

	world_mdev(&w);
	world_attr_path(&w, "dma_aperture", path, sizeof(path));
	CHECK_EQ(write_file(path, "19"), -ERANGE);
	CHECK_EQ(write_file(path, "47"), -ERANGE);
	CHECK_EQ(write_file(path, "32"), 0);
	world_attr_set(&w, "dma_announce", "aperture");
	world_start(&w, NULL);
	consumer_open(&c, &w);
	p = dma_memory(2 * PAGE);
	map(p, (1ULL << 32) - PAGE, 2 * PAGE, READ | WRITE);
	CHECK_EQ(dma(PUPPET_DMA_FILL, (1ULL << 32) - PAGE, PAGE, 0x51515151), 0);
	CHECK(dma(PUPPET_DMA_FILL, 1ULL << 32, PAGE, 0x51515151) != 0);
	CHECK(all(p, PAGE, 0x51) && all(p + PAGE, PAGE, 0));
}
