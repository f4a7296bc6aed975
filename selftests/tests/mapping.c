// SPDX-License-Identifier: GPL-2.0
/* Regions that the consumer maps: the server's memory, and for how long. */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../lib/bar0.h"
#include "../lib/dma.h"

#define WORDS	(PAGE / sizeof(uint32_t))
#define PAGES	(BAR0_SIZE / PAGE)
#define RW	(PROT_READ | PROT_WRITE)

static struct world w;
static struct consumer c;

static const char *const mmap_bar0[] = { "--mmap-bar0", NULL };

static void up(int fd)
{
	bar0_up(&w, &c, fd, mmap_bar0);
}

static volatile uint32_t *map_all(void)
{
	return region_mapped(&c, BAR0, 0, BAR0_SIZE);
}

static void unmap(volatile uint32_t *mem, size_t size)
{
	CHECK(!munmap((void *)mem, size));
}

/* What waitpid() says of a child that does this and no more. */
static int status_of_child(void (*fn)(volatile uint32_t *mem),
			   volatile uint32_t *mem)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		/* Not what the sanitizer makes of them. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		fn(mem);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static void load(volatile uint32_t *mem)
{
	(void)*mem;
}

static void store(volatile uint32_t *mem)
{
	*mem = 1;
}

static void child_dies_of(int sig, void (*fn)(volatile uint32_t *mem),
			  volatile uint32_t *mem)
{
	int status = status_of_child(fn, mem);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), sig);
}

/* A page that the consumer has not touched, and may not be touched by now. */
static bool shows(volatile uint32_t *mem, size_t page, uint32_t value)
{
	return mem[page * WORDS] == value;
}

static void restart_server(int fd)
{
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	bar0_server(&w, fd, mmap_bar0);
	world_wait_state(&w, "attached");
}

TEST(what_is_said_of_it)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = BAR0 };

	up(-1);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info));
	CHECK_EQ(info.flags, VFIO_REGION_INFO_FLAG_READ |
		 VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP);
	CHECK_EQ(info.size, BAR0_SIZE);
	CHECK_EQ(info.argsz, sizeof(info));
	CHECK_EQ(info.cap_offset, 0);
}

TEST(all_of_it)
{
	volatile uint32_t *mem;
	uint32_t writes;

	up(-1);
	mem = map_all();
	for (size_t i = 0; i < PAGES; i++)
		region_same(&c, mem + i * WORDS, BAR0, i * PAGE);
	region_same(&c, mem + PAGES * WORDS - 1, BAR0, BAR0_SIZE - 4);
	/* Without a message. */
	writes = puppet_get(&c, PUPPET_NR_WRITES);
	for (size_t i = 0; i < PAGES * WORDS; i++)
		mem[i] = (uint32_t)i;
	CHECK_EQ(puppet_get(&c, PUPPET_NR_WRITES), writes);
	CHECK_EQ(region_read32(&c, BAR0, 0x5678), 0x5678 / 4);
}

TEST(a_part_of_it)
{
	volatile uint32_t *mem;

	up(-1);
	mem = region_mapped(&c, BAR0, 3 * PAGE, 2 * PAGE);
	region_same(&c, mem, BAR0, 3 * PAGE);
	region_same(&c, mem + WORDS, BAR0, 4 * PAGE);
}

TEST(several_times)
{
	volatile uint32_t *one, *two, *last;

	up(-1);
	one = map_all();
	two = map_all();
	last = region_mapped(&c, BAR0, BAR0_SIZE - PAGE, PAGE);
	region_same(&c, one, BAR0, 0);
	CHECK_EQ(two[0], one[0]);
	region_same(&c, last, BAR0, BAR0_SIZE - PAGE);
	CHECK_EQ(one[(PAGES - 1) * WORDS], last[0]);
	unmap(one, BAR0_SIZE);
	region_same(&c, two, BAR0, 0);
	region_same(&c, last, BAR0, BAR0_SIZE - PAGE);
}

TEST(for_reading)
{
	volatile uint32_t *mem;

	up(-1);
	mem = region_map(&c, BAR0, 0, BAR0_SIZE, PROT_READ);
	CHECK(mem != MAP_FAILED);
	region_write32(&c, BAR0, 0, 0x1234);
	CHECK_EQ(mem[0], 0x1234);
	child_dies_of(SIGSEGV, store, mem);
	CHECK_EQ(region_read32(&c, BAR0, 0), 0x1234);
	CHECK(!mprotect((void *)mem, BAR0_SIZE, RW));
	region_same(&c, mem, BAR0, 0);
	region_same(&c, mem + WORDS, BAR0, PAGE);
}

TEST(what_is_refused)
{
	up(-1);
	CHECK_ERRNO(region_map(&c, BAR0, 0, BAR0_SIZE + PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, PAGE, BAR0_SIZE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, BAR0_SIZE, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, (1ULL << 40) - PAGE, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, (1ULL << 40) - PAGE, 2 * PAGE, RW),
		    EINVAL);
	/* Regions that cannot be mapped, that are empty, that are none. */
	CHECK_ERRNO(region_map(&c, VFIO_PCI_BAR1_REGION_INDEX, 0, PAGE, RW),
		    EINVAL);
	CHECK_ERRNO(region_map(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0, PAGE,
			       PROT_READ), EINVAL);
	CHECK_ERRNO(region_map(&c, VFIO_PCI_BAR5_REGION_INDEX, 0, PAGE, RW),
		    EINVAL);
	CHECK_ERRNO(region_map(&c, 9, 0, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, 0x7fffff, 0, PAGE, RW), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_SHARED, c.device,
			 -2 * (off_t)PAGE), EINVAL);
	/* A copy of device memory makes no sense. */
	CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_PRIVATE, c.device,
			 region_at(BAR0, 0)), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, c.device,
			 region_at(BAR0, 0)), EINVAL);
	map_all();
}

/* FLAG_MMAP without a descriptor is no more than a wish. */
TEST(a_server_that_keeps_its_file)
{
	const char *const args[] = { "--mmap-bar0", "--keep-bar0-fd", NULL };
	struct vfio_region_info info = { .argsz = sizeof(info), .index = BAR0 };

	bar0_up(&w, &c, -1, args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info));
	CHECK_EQ(info.flags, VFIO_REGION_INFO_FLAG_READ |
		 VFIO_REGION_INFO_FLAG_WRITE);
	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE, RW), EINVAL);
	region_write32(&c, BAR0, 0, 7);
	CHECK_EQ(region_read32(&c, BAR0, 0), 7);
}

TEST(a_region_that_can_only_be_read)
{
	const char *const args[] = { "--bar0-flags", "5", NULL };
	int memfd = bar0_file(BAR0_SIZE);
	uint32_t value = 0x600d;
	volatile uint32_t *mem;

	/* Then it may be in a file that can only be read. */
	bar0_up(&w, &c, bar0_reopen(memfd, O_RDONLY), args);
	CHECK_ERRNO(region_map(&c, BAR0, 0, BAR0_SIZE, RW), EACCES);
	CHECK_ERRNO(region_map(&c, BAR0, 0, BAR0_SIZE, PROT_WRITE), EACCES);
	mem = region_map(&c, BAR0, 0, BAR0_SIZE, PROT_READ);
	CHECK(mem != MAP_FAILED);
	CHECK_ERRNO(mprotect((void *)mem, BAR0_SIZE, RW), EACCES);
	CHECK_EQ(pwrite(memfd, &value, 4, 0), 4);
	CHECK_EQ(mem[0], value);
	child_dies_of(SIGSEGV, store, mem);
	CHECK_EQ(region_read32(&c, BAR0, 0), value);
}

TEST(somewhere_in_a_file)
{
	const char *const args[] = { "--mmap-bar0", "--bar0-offset", "12288",
				     NULL };
	int memfd = bar0_file(3 * PAGE + BAR0_SIZE);
	volatile uint32_t *mem;
	uint32_t value;

	bar0_up(&w, &c, memfd, args);
	mem = map_all();
	for (size_t i = 0; i < PAGES; i++)
		region_same(&c, mem + i * WORDS, BAR0, i * PAGE);
	CHECK_EQ(pread(memfd, &value, 4, 3 * PAGE), 4);
	CHECK_EQ(value, mem[0]);
	CHECK_EQ(pread(memfd, &value, 4, 0), 4);
	CHECK_EQ(value, 0);
}

/* Huge pages, of which ours are parts; and nothing keeps it from unmounting. */
TEST(a_file_on_tmpfs)
{
	const char *const args[] = { "--mmap-bar0", "--bar0-size", "4194304",
				     NULL };
	const char *dir = "/run/vum-test-tmpfs";
	volatile uint32_t *mem;
	int fd;

	mkdir(dir, 0700);
	CHECK(!mount("none", dir, "tmpfs", 0, "huge=always"));
	fd = open("/run/vum-test-tmpfs/bar0", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, 4 << 20));
	bar0_up(&w, &c, fd, args);
	close(fd);
	mem = region_mapped(&c, BAR0, 0, 4 << 20);
	for (size_t at = 0; at < 4 << 20; at += 37 * PAGE)
		region_same(&c, mem + at / 4, BAR0, at);
	unmap(mem, 4 << 20);
	consumer_close(&c);
	world_kill(&w.server, SIGKILL);
	world_remove(&w);
	CHECK_SOON(!umount(dir));
}

static void use_in_child(volatile uint32_t *mem)
{
	CHECK_EQ(mem[0], 0xaaaa);
	mem[1] = 0xbbbb;
	/* Not touched before the fork. */
	region_same(&c, mem + 5 * WORDS, BAR0, 5 * PAGE);
	mem[6 * WORDS] = 0xcccc;
}

TEST(in_a_child)
{
	volatile uint32_t *mem;

	up(-1);
	mem = map_all();
	mem[0] = 0xaaaa;
	CHECK_EQ(status_of_child(use_in_child, mem), 0);
	CHECK_EQ(mem[1], 0xbbbb);
	CHECK_EQ(region_read32(&c, BAR0, 4), 0xbbbb);
	CHECK_EQ(mem[6 * WORDS], 0xcccc);
	region_same(&c, mem, BAR0, 0);
}

TEST(moved)
{
	volatile uint32_t *mem;
	void *there;

	up(-1);
	mem = map_all();
	mem[WORDS] = 0x1111;
	there = mmap(NULL, BAR0_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	CHECK(there != MAP_FAILED);
	mem = mremap((void *)mem, BAR0_SIZE, BAR0_SIZE,
		     MREMAP_MAYMOVE | MREMAP_FIXED, there);
	CHECK(mem == there);
	CHECK_EQ(mem[WORDS], 0x1111);
	region_same(&c, mem + WORDS, BAR0, PAGE);
	region_same(&c, mem + 7 * WORDS, BAR0, 7 * PAGE);
	/* The rest of it, somewhere else: at the right pages still. */
	mem = mremap((void *)(mem + 8 * WORDS), 8 * PAGE, 8 * PAGE,
		     MREMAP_MAYMOVE | MREMAP_FIXED, there);
	CHECK(mem == there);
	region_same(&c, mem + 7 * WORDS, BAR0, 15 * PAGE);
}

TEST(not_grown)
{
	volatile uint32_t *mem;

	up(-1);
	mem = region_mapped(&c, BAR0, 0, 2 * PAGE);
	mem[0] = 0x1111;
	CHECK_ERRNO(mremap((void *)mem, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE),
		    EFAULT);
	CHECK_ERRNO(mremap((void *)mem, 0, PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO(remap_file_pages((void *)mem, PAGE, 0, 15, 0), ENODEV);
	CHECK_EQ(mem[0], 0x1111);
	region_same(&c, mem, BAR0, 0);
	CHECK(mremap((void *)mem, 2 * PAGE, PAGE, 0) == (void *)mem);
	region_same(&c, mem, BAR0, 0);
	child_dies_of(SIGSEGV, load, mem + WORDS);
}

TEST(unmapped_in_part)
{
	volatile uint32_t *mem;

	up(-1);
	mem = map_all();
	mem[5 * WORDS] = 1;
	unmap(mem + 4 * WORDS, 2 * PAGE);
	child_dies_of(SIGSEGV, load, mem + 4 * WORDS);
	child_dies_of(SIGSEGV, load, mem + 5 * WORDS);
	region_same(&c, mem + 3 * WORDS, BAR0, 3 * PAGE);
	region_same(&c, mem + 6 * WORDS, BAR0, 6 * PAGE);
	unmap(mem, 4 * PAGE);
	region_same(&c, mem + 15 * WORDS, BAR0, 15 * PAGE);
}

/* The kernel reads and writes it as it does any memory. */
TEST(a_buffer_for_system_calls)
{
	volatile uint32_t *mem;
	uint32_t value;

	up(-1);
	mem = map_all();
	CHECK_EQ(pread(c.device, (void *)mem, 2 * PAGE,
		       region_at(VFIO_PCI_BAR1_REGION_INDEX, 0)), 2 * PAGE);
	CHECK_EQ(mem[WORDS], PUPPET_PATTERN ^ PAGE);
	CHECK_EQ(pwrite(c.device, (void *)(mem + WORDS), PAGE,
			region_at(VFIO_PCI_BAR4_REGION_INDEX, 0)), PAGE);
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR4_REGION_INDEX, 0),
		 PUPPET_PATTERN ^ PAGE);
	/* From one mapping to another page of itself, neither touched before. */
	region_write32(&c, BAR0, 9 * PAGE, 0x9999);
	CHECK_EQ(pread(c.device, (void *)(mem + 8 * WORDS), 4,
		       region_at(BAR0, 9 * PAGE)), 4);
	value = mem[8 * WORDS];
	CHECK_EQ(value, 0x9999);
}

/*
 * QEMU maps BARs for DMA as it does memory: no server reaches them that way. Where it is
 * not known that the consumer has a BAR there, the device fails.
 */
TEST(mapped_for_dma)
{
	volatile uint32_t *mem;

	up(-1);
	mem = map_all();
	mem[0] = 0x1111;
	dma_map(&c, (void *)mem, 1 << 20, BAR0_SIZE, DMA_READ | DMA_WRITE);
	if (consumer_by_cdev() || !consumer_kernel_has_ftrace()) {
		dma_start(&c, PUPPET_DMA_FILL, 1 << 20, PAGE, 0x2222);
		world_wait_state(&w, "broken");
		CHECK_EQ(mem[0], 0x1111);
		return;
	}
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 1 << 20, PAGE, 0x2222), 0);
	CHECK_EQ(mem[0], 0x1111);
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	region_same(&c, mem, BAR0, 0);
	dma_unmap(&c, 1 << 20, BAR0_SIZE);
	region_same(&c, mem, BAR0, 0);
}

TEST(keeps_the_device_open)
{
	volatile uint32_t *mem;

	up(-1);
	mem = map_all();
	mem[0] = 0x1111;
	close(c.device);
	c.device = -1;
	CHECK_EQ(dma_show(&w, "open"), 1);
	CHECK_EQ(mem[0], 0x1111);
	unmap(mem, BAR0_SIZE - PAGE);
	CHECK_EQ(dma_show(&w, "open"), 1);
	/* By cdev, what is open cannot be opened again. */
	if (consumer_by_cdev())
		CHECK_EQ(consumer_get_device(&c, &w), -EINVAL);
	unmap(mem + (PAGES - 1) * WORDS, PAGE);
	CHECK_SOON(!dma_show(&w, "open"));
	consumer_close(&c);

	consumer_open(&c, &w);
	mem = map_all();
	region_same(&c, mem, BAR0, 0);
}

/* Another descriptor of the same device, which stays open meanwhile. */
TEST(keeps_the_device_open_for_another)
{
	volatile uint32_t *mem, *other;

	if (consumer_by_cdev())
		test_skip("by cdev: what is open cannot be opened again");
	up(-1);
	mem = map_all();
	close(c.device);
	mem[WORDS] = 0x2222;
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	region_same(&c, mem, BAR0, 0);
	CHECK_EQ(region_read32(&c, BAR0, PAGE), 0x2222);
	other = map_all();
	consumer_close(&c);
	unmap(mem, BAR0_SIZE);
	unmap(other, BAR0_SIZE - PAGE);
	CHECK_EQ(dma_show(&w, "open"), 1);
	CHECK_EQ(other[(PAGES - 1) * WORDS], 0);
	unmap(other + (PAGES - 1) * WORDS, PAGE);
	CHECK_SOON(!dma_show(&w, "open"));
}

/* As with a descriptor: the mdev goes when the consumer has let go of it. */
TEST(keeps_the_mdev)
{
	volatile uint32_t *mem;
	pid_t pid;
	int status;

	up(-1);
	mem = map_all();
	consumer_close(&c);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		/* A mapping of its own, which would do as well. */
		unmap(mem, BAR0_SIZE);
		world_remove(&w);
		_exit(0);
	}
	test_sleep_ms(300);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	mem[0] = 0x1111;
	CHECK(shows(mem, 0, 0x1111));
	unmap(mem, BAR0_SIZE);
	CHECK_SOON(waitpid(pid, &status, WNOHANG) == pid);
	CHECK_EQ(status, 0);
}

TEST(server_truncates_its_file)
{
	int memfd = bar0_file(BAR0_SIZE);
	volatile uint32_t *mem;

	up(memfd);
	mem = map_all();
	mem[0] = 0x1111;
	mem[3 * WORDS] = 0x3333;
	CHECK(!ftruncate(memfd, PAGE));
	/* What has been touched stays, what has not is not there any more. */
	CHECK(shows(mem, 0, 0x1111) && shows(mem, 3, 0x3333));
	mem[3 * WORDS] = 0x4444;
	CHECK(shows(mem, 3, 0x4444));
	child_dies_of(SIGBUS, load, mem + 8 * WORDS);
	child_dies_of(SIGBUS, store, mem + 8 * WORDS);
	/* Neither does the kernel mind. */
	CHECK_ERRNO(pread(c.device, (void *)(mem + 8 * WORDS), 4,
			  region_at(VFIO_PCI_BAR1_REGION_INDEX, 0)), EFAULT);
	puppet_check(&c, 0x40);
	region_same(&c, mem, BAR0, 0);
	CHECK(world_state_is(&w, "attached"));

	CHECK(!ftruncate(memfd, (off_t)BAR0_SIZE));
	region_same(&c, mem + 8 * WORDS, BAR0, 8 * PAGE);
}

static void punch(int memfd, size_t page, size_t nr)
{
	CHECK(!fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(page * PAGE), (off_t)(nr * PAGE)));
}

/* The cheap way to reset it: from the next trapped access on, all see the new pages. */
TEST(server_punches_a_hole)
{
	int memfd = bar0_file(BAR0_SIZE);
	volatile uint32_t *mem;

	up(memfd);
	mem = map_all();
	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t page = 0; page < 8; page++)
			mem[page * WORDS] = i + 1;
		punch(memfd, 2, 4);
		puppet_check(&c, 0x40);
		for (uint32_t page = 0; page < 8; page++) {
			uint32_t want = page >= 2 && page < 6 ? 0 : i + 1;

			CHECK_EQ(mem[page * WORDS], want);
			CHECK(shows(mem, page, want));
			mem[page * WORDS] = 0x8000 + i;
			CHECK(shows(mem, page, 0x8000 + i));
			region_same(&c, mem + page * WORDS, BAR0, page * PAGE);
		}
	}
}

/* Without any trapped access, it takes a while. */
TEST(server_punches_a_hole_unseen)
{
	int memfd = bar0_file(BAR0_SIZE);
	volatile uint32_t *mem;

	up(memfd);
	mem = map_all();
	mem[0] = 0x1111;
	punch(memfd, 0, 1);
	CHECK_SOON(mem[0] == 0);
	mem[0] = 0x2222;
	CHECK(shows(mem, 0, 0x2222));
}

/* As one does that opens its file with O_TRUNC: the same file, new pages. */
TEST(server_truncates_its_file_and_is_restarted)
{
	int memfd = bar0_file(BAR0_SIZE);
	volatile uint32_t *mem;

	up(memfd);
	mem = map_all();
	mem[0] = 0x1111;
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK(!ftruncate(memfd, 0) && !ftruncate(memfd, (off_t)BAR0_SIZE));
	bar0_server(&w, memfd, mmap_bar0);
	world_wait_state(&w, "attached");
	region_same(&c, mem, BAR0, 0);
	region_same(&c, mem + WORDS, BAR0, PAGE);
}

TEST(server_restarted)
{
	int memfd = bar0_file(BAR0_SIZE), fd = bar0_reopen(memfd, O_RDWR);
	volatile uint32_t *mem;

	up(fd);
	close(fd);
	mem = map_all();
	mem[0] = 0x1111;
	CHECK(!bar0_file_is_free(memfd));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	/* It is memory still, if nobody else's. */
	CHECK(shows(mem, 0, 0x1111) && shows(mem, 4, 0));
	mem[5 * WORDS] = 0x5555;
	CHECK(shows(mem, 5, 0x5555));
	region_mapped(&c, BAR0, 6 * PAGE, PAGE)[0] = 0x6666;
	CHECK(shows(mem, 6, 0x6666));

	world_server(&w, mmap_bar0);
	world_wait_state(&w, "attached");
	for (size_t i = 0; i < PAGES; i++) {
		CHECK(shows(mem, i, 0));
		region_same(&c, mem + i * WORDS, BAR0, i * PAGE);
	}
	/* What the old one left is not kept. */
	CHECK_SOON(bar0_file_is_free(memfd));
}

/* The same memory at another place of the file is other memory. */
TEST(server_restarted_with_another_offset)
{
	const char *const args[] = { "--mmap-bar0", "--bar0-offset", "4096",
				     NULL };
	int memfd = bar0_file(BAR0_SIZE + PAGE);
	volatile uint32_t *mem;

	up(memfd);
	mem = map_all();
	mem[0] = 0x1111;
	mem[WORDS] = 0x2222;
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	bar0_server(&w, memfd, args);
	world_wait_state(&w, "attached");
	CHECK_EQ(mem[0], 0x2222);
	region_same(&c, mem, BAR0, 0);
}

TEST(helper_restarted)
{
	volatile uint32_t *mem;

	up(-1);
	mem = map_all();
	mem[0] = 0x1111;
	world_cut(&w);
	world_wait_state(&w, "detached");
	mem[1] = 0x2222;
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(mem[0], 0x1111);
	CHECK_EQ(region_read32(&c, BAR0, 4), 0x2222);
	region_same(&c, mem, BAR0, 0);
	region_same(&c, mem + WORDS, BAR0, PAGE);
}

/* Not bool: gcc 12 reads that but once when it is sanitized. */
static volatile int enough;

static void *store_all_over(void *arg)
{
	volatile uint32_t *mem = arg;

	for (uint32_t i = 0; !enough; i++)
		mem[i * 1021UL % (PAGES * WORDS)] = i;
	return NULL;
}

TEST(server_restarted_under_stores)
{
	volatile uint32_t *mem;
	pthread_t threads[3];

	up(-1);
	mem = map_all();
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, store_all_over,
				      (void *)mem));
	for (int i = 0; i < 3; i++)
		restart_server(-1);
	enough = 1;
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(threads[i], NULL));
	for (size_t i = 0; i < PAGES; i++)
		region_same(&c, mem + i * WORDS, BAR0, i * PAGE);
}

#define MIB_KIB	1024L

/*
 * Pages that anybody holds, in a file or no more. What is free would say less:
 * since 6.7 CPUs may keep as much as all of this in lists of their own.
 */
static long held_kib(void)
{
	return meminfo_kib("Active(anon):") + meminfo_kib("Inactive(anon):");
}

/* Even what the server has no file any more for. */
TEST(memory_is_given_back)
{
	const char *const args[] = { "--mmap-bar0", "--bar0-size", "67108864",
				     NULL };
	const size_t size = 64 << 20;
	int memfd = bar0_file(size);
	volatile uint32_t *mem;
	long before;

	bar0_up(&w, &c, memfd, args);
	before = held_kib();
	mem = region_mapped(&c, BAR0, 0, size);
	for (size_t i = 0; i < size / PAGE; i++)
		mem[i * WORDS] = 1;
	CHECK(!ftruncate(memfd, (off_t)size / 2));
	CHECK(held_kib() > before + 56 * MIB_KIB);
	unmap(mem, size);
	consumer_close(&c);
	CHECK_SOON(held_kib() < before + 40 * MIB_KIB);
	close(memfd);
	world_kill(&w.server, SIGKILL);
	world_remove(&w);
	CHECK_SOON(held_kib() < before + 8 * MIB_KIB);
}

/* A consumer in a child, which has touched all of it and waits to be killed. */
static pid_t consumer_in_child(void)
{
	int ready[2];
	pid_t pid;
	char byte;

	CHECK(!pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		volatile uint32_t *mem;

		consumer_open(&c, &w);
		mem = map_all();
		for (size_t i = 0; i < PAGES; i++)
			mem[i * WORDS] = 1;
		close(c.device);
		CHECK_EQ(write(ready[1], "", 1), 1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	return pid;
}

TEST(consumer_killed)
{
	int memfd = bar0_file(BAR0_SIZE), fd = bar0_reopen(memfd, O_RDWR);
	pid_t pid;

	world_mdev(&w);
	bar0_server(&w, fd, mmap_bar0);
	close(fd);
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	pid = consumer_in_child();
	CHECK_EQ(dma_show(&w, "open"), 1);
	CHECK_EQ(WTERMSIG(world_kill(&pid, SIGKILL)), SIGKILL);
	CHECK_SOON(!dma_show(&w, "open"));
	/* As long as the module has it, it is not made unwritable under it. */
	CHECK_ERRNO(fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK(!bar0_file_is_free(memfd));
	world_remove(&w);
	CHECK_SOON(bar0_file_is_free(memfd));
	CHECK(!fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
}
