// SPDX-License-Identifier: GPL-2.0
/* dma_mode=share: the server is sent the file that the consumer's memory is in. */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/dma.h"
#include "../lib/window.h"

#define PAGE	4096UL
#define IOVA	0x100000000ULL
#define HUGE	0x200000UL
/* How long a server takes that is slow on purpose. */
#define SLOW_MS	1500

static struct world w;
static struct consumer c;

static void up_by(const char *mode, const char *const *args)
{
	world_mdev(&w);
	world_attr_set(&w, "dma_mode", mode);
	world_start(&w, args);
}

static void up(const char *const *args)
{
	consumer_needs_observer();
	up_by("share", args);
	consumer_open(&c, &w);
}

/* All of a file's memory, shared; fails the case. */
static unsigned char *map_file(int fd, size_t size, int prot)
{
	unsigned char *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static int new_memfd(size_t size, unsigned int flags)
{
	int fd = memfd_create("share", flags | MFD_CLOEXEC);

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

static unsigned char *shared_memory(size_t size)
{
	return map_file(new_memfd(size, 0), size, PROT_READ | PROT_WRITE);
}

/* Is the device said to go without this? */
static bool goes_without(const char *what)
{
	struct json_object *show = ctl_run_json("show --json %s", w.uuid);
	struct json_object *notes = json_get(show, "without");
	bool found = false;

	for (size_t i = 0; i < json_object_array_length(notes); i++)
		if (strstr(json_get_text(json_object_array_get_idx(notes, i), "text"), what))
			found = true;
	json_object_put(show);
	return found;
}

/* The server's writes arrive in memory, be it by the file or by the window. */
static void check_fill(const unsigned char *mem, uint64_t iova, size_t size)
{
	static uint32_t value = 0x01010101;

	value += 0x01010101;
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, iova, (uint32_t)size, value), 0);
	CHECK_EQ(mem[0], value & 0xff);
	CHECK_EQ(mem[size - 1], value & 0xff);
}

/* Can the server have the kernel take hold of a page? */
static bool can_pin(uint64_t iova)
{
	int err = dma_run(&c, PUPPET_DMA_PIN, iova, PAGE, 0);

	CHECK(!err || err == EFAULT);
	return !err;
}

/* One mapping, of which the server is told by this many DMA_MAPs, with so many files. */
static void check_told(long mappings, long files)
{
	CHECK_SOON(dma_show(&w, "dma_mappings") == mappings);
	CHECK_EQ(dma_show(&w, "dma_shared"), files);
}

/* Memory that goes by the window, for this reason, and is reached there. */
static void check_window_of(unsigned char *mem, size_t size, const char *why)
{
	dma_map(&c, mem, IOVA, size, 3);
	check_told(1, 0);
	CHECK(goes_without(why));
	CHECK_EQ(kernel_log_count(w.uuid, why), 1);
	CHECK(!can_pin(IOVA));
	check_fill(mem, IOVA, PAGE);
}

static void check_window(unsigned char *mem, size_t size, const char *why)
{
	up(NULL);
	check_window_of(mem, size, why);
}

TEST(memfd)
{
	unsigned char *early = shared_memory(16 * PAGE), *late = shared_memory(16 * PAGE);

	consumer_needs_observer();
	up_by("share", NULL);
	consumer_prepare(&c, &w);
	dma_map(&c, early, IOVA, 16 * PAGE, 3);
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	puppet_check(&c, 0);
	dma_map(&c, late, 2 * IOVA, 16 * PAGE, 3);
	check_told(2, 2);
	check_fill(early, IOVA, 16 * PAGE);
	check_fill(late, 2 * IOVA, 16 * PAGE);
	CHECK(can_pin(IOVA) && can_pin(2 * IOVA));
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	dma_unmap(&c, IOVA, 16 * PAGE);
	check_told(1, 1);
	CHECK(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 1));
	check_fill(late, 2 * IOVA, 16 * PAGE);
	consumer_close(&c);
	dma_check_nothing_left(&w);
}

/* Without it, nothing is shared, and no direct I/O works. */
TEST(not_unless_wished)
{
	consumer_needs_observer();
	up_by("auto", NULL);
	consumer_open(&c, &w);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	check_told(1, 0);
	CHECK(!can_pin(IOVA));
	CHECK(!goes_without("memory"));
}

/* The server writes to where the mapping is in the file, and nowhere else. */
TEST(from_the_middle_of_a_file)
{
	unsigned char *mem = shared_memory(64 * PAGE);

	up(NULL);
	dma_map(&c, mem + 5 * PAGE, IOVA, 3 * PAGE, 3);
	check_told(1, 1);
	check_fill(mem + 5 * PAGE, IOVA, 3 * PAGE);
	CHECK_EQ(mem[5 * PAGE - 1], 0);
	CHECK_EQ(mem[8 * PAGE], 0);
}

/* It is in a file, but in one that the consumer itself has no descriptor of. */
TEST(anonymous_shared_memory)
{
	unsigned char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(mem != MAP_FAILED);
	check_window(mem, PAGE, "its file is the kernel's own");
}

/* Who may write to a segment is not for the modes of its file to say. */
TEST(system_v_shared_memory)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	unsigned char *mem = shmat(id, NULL, 0);

	CHECK(id >= 0 && mem != (void *)-1 && !shmctl(id, IPC_RMID, NULL));
	check_window(mem, PAGE, "its file is the kernel's own");
}

TEST(private_memory)
{
	check_window(dma_memory(PAGE), PAGE, "it is private memory");
}

/* A private mapping of a memfd has pages that are not in the file. */
TEST(private_memory_of_a_memfd)
{
	unsigned char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				  new_memfd(PAGE, 0), 0);

	CHECK(mem != MAP_FAILED);
	check_window(mem, PAGE, "it is private memory");
}

TEST(file_of_another_kind)
{
	unsigned char *mem;
	int fd;

	CHECK(!mkdir("/run/share-ramfs", 0700) || errno == EEXIST);
	CHECK(!mount("ramfs", "/run/share-ramfs", "ramfs", 0, NULL));
	fd = open("/run/share-ramfs/memory", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	mem = map_file(fd, PAGE, PROT_READ | PROT_WRITE);
	CHECK(!umount2("/run/share-ramfs", MNT_DETACH));
	up(NULL);
	dma_map(&c, mem, IOVA, PAGE, 3);
	check_told(1, 0);
	CHECK(goes_without("neither shmem nor hugetlbfs"));
}

/* A server that is to write cannot do with it. */
TEST(read_only_file)
{
	int fd = new_memfd(PAGE, 0), ro;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY);
	CHECK(ro >= 0);
	up(NULL);
	dma_map(&c, map_file(ro, PAGE, PROT_READ), IOVA, PAGE, 3);
	check_told(1, 0);
	CHECK(goes_without("allows less than the mapping"));
	dma_map(&c, map_file(ro, PAGE, PROT_READ), 2 * IOVA, PAGE, DMA_READ);
	check_told(2, 1);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_SUM, 2 * IOVA, PAGE, 0), 0);
	CHECK(can_pin(2 * IOVA));
}

TEST(beyond_the_end_of_its_file)
{
	int fd = new_memfd(PAGE, 0);

	up(NULL);
	dma_map(&c, map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE), IOVA, 2 * PAGE, 3);
	check_told(1, 0);
	CHECK(goes_without("beyond the end of its file"));
}

/* Files a and b, and private memory between them; b's mapping is cut in two in vain. */
TEST(several_parts)
{
	unsigned char *mem = dma_memory(12 * PAGE);
	int a = new_memfd(4 * PAGE, 0), b = new_memfd(4 * PAGE, 0);

	CHECK(mmap(mem, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a, 0) == mem);
	CHECK(mmap(mem + 8 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b,
		   0) == mem + 8 * PAGE);
	CHECK(!madvise(mem + 10 * PAGE, 2 * PAGE, MADV_DONTFORK));
	up(NULL);
	dma_map(&c, mem, IOVA, 12 * PAGE, 3);
	check_told(3, 2);
	CHECK(can_pin(IOVA) && !can_pin(IOVA + 4 * PAGE) && can_pin(IOVA + 11 * PAGE));
	for (size_t i = 0; i < 12 * PAGE; i += 4 * PAGE)
		check_fill(mem + i, IOVA + i, 4 * PAGE);
	dma_unmap(&c, IOVA, 12 * PAGE);
	check_told(0, 0);
}

/* Nobody has that many; what is too much goes by the window, and works. */
TEST(too_many_parts)
{
	const size_t parts = 100, size = 2 * parts * PAGE;
	int fd = new_memfd(size, 0);
	unsigned char *mem = dma_memory(size);

	for (size_t i = 0; i < parts; i++)
		CHECK(mmap(mem + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	up(NULL);
	dma_map(&c, mem, IOVA, size, 3);
	check_told(64, 32);
	CHECK(goes_without("more than 64 parts"));
	check_fill(mem, IOVA, PAGE);
	check_fill(mem + size - PAGE, IOVA + size - PAGE, PAGE);
}

static void set_huge_pages(const char *nr)
{
	if (write_file("/proc/sys/vm/nr_hugepages", nr))
		test_skip("the kernel has no huge pages");
}

TEST(huge_pages)
{
	unsigned char *mem;

	consumer_needs_observer();
	set_huge_pages("4");
	mem = map_file(new_memfd(2 * HUGE, MFD_HUGETLB), 2 * HUGE, PROT_READ | PROT_WRITE);
	up(NULL);
	dma_map(&c, mem + HUGE, IOVA, HUGE, 3);
	check_told(1, 1);
	check_fill(mem + HUGE, IOVA, HUGE);
	CHECK(can_pin(IOVA));
	dma_map(&c, mem + PAGE, 2 * IOVA, HUGE, 3);
	check_told(2, 1);
	CHECK(goes_without("inside a huge page"));
	check_fill(mem + PAGE, 2 * IOVA, HUGE);
	set_huge_pages("0");
}

/* Where the consumer moves its memory to afterwards is its own business. */
TEST(moved_by_the_consumer)
{
	unsigned char *mem = shared_memory(4 * PAGE), *moved;

	up(NULL);
	dma_map(&c, mem, IOVA, 4 * PAGE, 3);
	moved = mremap(mem, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       dma_memory(4 * PAGE));
	CHECK(moved != MAP_FAILED);
	check_fill(moved, IOVA, 4 * PAGE);
}

/* How long it takes until the server cannot have the memory any more. */
static long long unmap_takes(void)
{
	long long start = test_now_ms();

	dma_unmap(&c, IOVA, PAGE);
	return test_now_ms() - start;
}

/* By the window it does not: hold.c's unmap_does_not_wait. */
TEST(unmap_waits_for_the_server)
{
	up(NULL);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_DELAY, SLOW_MS);
	CHECK(unmap_takes() >= SLOW_MS);
	check_told(0, 0);
}

/* What goes by the window is taken away by the kernel also from a server that shares. */
TEST(unmap_of_the_rest_does_not_wait)
{
	up(NULL);
	dma_map(&c, dma_memory(PAGE), IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_SILENT, 0);
	CHECK(unmap_takes() < TEST_SOON_MS);
}

TEST(unmap_of_all_waits)
{
	struct vfio_iommu_type1_dma_unmap all = {
		.argsz = sizeof(all), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	long long start;

	up(NULL);
	dma_map(&c, dma_memory(PAGE), IOVA, PAGE, 3);
	dma_map(&c, shared_memory(PAGE), 2 * IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_DELAY, SLOW_MS);
	start = test_now_ms();
	CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &all));
	CHECK(test_now_ms() - start >= SLOW_MS);
	check_told(0, 0);
}

/* The server keeps the memory for as long as it lives; the attachment ends. */
TEST(server_does_not_answer_an_unmap)
{
	up(NULL);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_SILENT, 0);
	world_attr_set(&w, "timeout_ms", "500");
	CHECK(unmap_takes() >= 500);
	CHECK_EQ(kernel_log_count(w.uuid, "told of memory within timeout_ms"), 1);
}

TEST(consumer_is_killed_in_an_unmap)
{
	pid_t pid;

	up(NULL);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_SILENT, 0);
	pid = fork();
	if (!pid) {
		unmap_takes();
		_exit(0);
	}
	test_sleep_ms(300);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK_EQ(WTERMSIG(world_kill(&pid, SIGKILL)), SIGKILL);
	puppet_check(&c, 0);
}

TEST(server_refuses_a_file)
{
	unsigned char *mem = shared_memory(PAGE), *more = shared_memory(PAGE);

	up(NULL);
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_ERROR, EPERM);
	dma_map(&c, mem, IOVA, PAGE, 3);
	/* It does not return before the server reaches the memory in another way. */
	check_fill(mem, IOVA, PAGE);
	check_told(1, 0);
	CHECK(goes_without("the server refuses its file"));
	dma_map(&c, more, 2 * IOVA, PAGE, 3);
	check_told(2, 1);
	CHECK(!can_pin(IOVA) && can_pin(2 * IOVA));
	check_fill(more, 2 * IOVA, PAGE);
	CHECK_EQ(kernel_log_count(w.uuid, "the server refuses its file"), 1);
}

/* Another device's server keeps what it has. */
TEST(refused_by_one_of_two)
{
	unsigned char *mem = shared_memory(PAGE);
	struct consumer c2;
	struct world w2;

	up(NULL);
	world_mdev(&w2);
	world_attr_set(&w2, "dma_mode", "share");
	world_server(&w2, NULL);
	world_wait_state(&w2, "attached");
	consumer_join(&c2, &w2, &c);
	puppet_check(&c2, 0);
	puppet_fault(&c2, VFIO_USER_DMA_MAP, PUPPET_FAULT_ERROR, EPERM);
	dma_map(&c, mem, IOVA, PAGE, 3);
	check_told(1, 1);
	CHECK_EQ(dma_show(&w2, "dma_mappings"), 1);
	CHECK_EQ(dma_show(&w2, "dma_shared"), 0);
	CHECK(can_pin(IOVA));
	check_fill(mem, IOVA, PAGE);
	CHECK_EQ(dma_run(&c2, PUPPET_DMA_FILL, IOVA, PAGE, 0x77777777), 0);
	CHECK_EQ(mem[0], 0x77);
}

/* More than are remembered one by one: then no file is announced any more. */
TEST(refuses_one_after_the_other)
{
	unsigned char *mem = shared_memory(40 * PAGE);

	up(NULL);
	for (size_t i = 0; i < 20; i++) {
		if (i < 17)
			puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_ERROR, EPERM);
		dma_map(&c, mem + 2 * i * PAGE, IOVA + 2 * i * PAGE, PAGE, 3);
		check_fill(mem + 2 * i * PAGE, IOVA + 2 * i * PAGE, PAGE);
		check_told((long)i + 1, 0);
	}
}

/* The consumer has its memory mapped already; no server could map it to write. */
TEST(sealed)
{
	int fd = new_memfd(PAGE, MFD_ALLOW_SEALING);
	unsigned char *mem = map_file(fd, PAGE, PROT_READ | PROT_WRITE);

	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	up(NULL);
	dma_map(&c, mem, IOVA, PAGE, 3);
	check_fill(mem, IOVA, PAGE);
	check_told(1, 0);
	CHECK(goes_without("the server refuses its file"));
}

/* The server gets a SIGBUS, as with a client on its socket; this one is used to that. */
TEST(file_cut_off_under_the_server)
{
	int fd = new_memfd(2 * PAGE, 0);
	unsigned char *mem = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE);

	up(NULL);
	dma_map(&c, mem, IOVA, 2 * PAGE, 3);
	check_fill(mem, IOVA, 2 * PAGE);
	CHECK(!ftruncate(fd, 0));
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, 2 * PAGE, 1), EFAULT);
	CHECK(!ftruncate(fd, 2 * PAGE));
	check_told(1, 1);
	check_fill(mem, IOVA, 2 * PAGE);
}

TEST(hole_punched)
{
	int fd = new_memfd(2 * PAGE, 0);
	unsigned char *mem = map_file(fd, 2 * PAGE, PROT_READ | PROT_WRITE);

	up(NULL);
	dma_map(&c, mem, IOVA, 2 * PAGE, 3);
	check_fill(mem, IOVA, 2 * PAGE);
	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	CHECK_EQ(mem[0], 0);
	check_fill(mem, IOVA, 2 * PAGE);
}

/* The next server is sent the same files. */
TEST(server_is_restarted)
{
	unsigned char *mem = shared_memory(PAGE);

	up(NULL);
	dma_map(&c, mem, IOVA, PAGE, 3);
	world_kill(&w.server, SIGKILL);
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
	check_told(1, 1);
	check_fill(mem, IOVA, PAGE);
	CHECK(can_pin(IOVA));
}

/* Nothing is pinned, so no limit stands in the way. */
TEST(at_the_limit_of_locked_memory)
{
	const size_t size = 4UL << 20;
	unsigned char *mem = shared_memory(size);

	up(NULL);
	window_limit_memory(64 << 10);
	dma_map(&c, mem, IOVA, size, 3);
	check_told(1, 1);
	check_fill(mem, IOVA, size);
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	dma_unmap(&c, IOVA, size);
}

/* QEMU closes a device before it unmaps its memory. */
TEST(close_waits_for_the_server)
{
	long long start;

	up(NULL);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_DELAY, SLOW_MS);
	start = test_now_ms();
	consumer_close(&c);
	CHECK(test_now_ms() - start >= SLOW_MS);
}

TEST(server_does_not_answer_a_close)
{
	long long start;

	up(NULL);
	dma_map(&c, shared_memory(PAGE), IOVA, PAGE, 3);
	world_attr_set(&w, "attach_timeout_ms", "500");
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_SILENT, 0);
	start = test_now_ms();
	consumer_close(&c);
	CHECK(test_now_ms() - start >= 500);
	CHECK_EQ(kernel_log_count(w.uuid, "told of memory within timeout_ms"), 1);
}

/* A server that has gone needs no files, and nobody else has this one. */
TEST(no_file_outlives_its_users)
{
	const size_t size = 64UL << 20;
	int fd = new_memfd(size, 0);
	unsigned char *mem = map_file(fd, size, PROT_READ | PROT_WRITE);
	long full;

	up(NULL);
	memset(mem, 1, size);
	dma_map(&c, mem, IOVA, size, 3);
	check_told(1, 1);
	full = meminfo_kib("Shmem:");
	world_kill(&w.server, SIGKILL);
	CHECK(!world_state_is(&w, "attached"));
	consumer_close(&c);
	CHECK(!munmap(mem, size) && !close(fd));
	CHECK_SOON(meminfo_kib("Shmem:") < full - (long)(size >> 11));
}

/* VFIO itself does not look at the memory of an mdev when it is mapped. */
TEST(address_at_the_end_of_all)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = 3, .vaddr = -PAGE, .iova = IOVA, .size = PAGE,
	};

	up(NULL);
	if (ioctl(c.container, VFIO_IOMMU_MAP_DMA, &m))
		return;
	check_told(1, 0);
	CHECK(goes_without("the consumer has no memory there"));
	dma_unmap(&c, IOVA, PAGE);
}

/* The walk over them can be killed, and lets others have the CPU. */
TEST(thousands_of_vmas)
{
	const size_t nr = 30000U / (unsigned int)test_slow();
	int fd = new_memfd(PAGE, 0);
	unsigned char *mem = dma_memory(2 * nr * PAGE);

	/* First, since each process forked off later has them all. */
	up(NULL);
	for (size_t i = 0; i < nr; i++)
		CHECK(mmap(mem + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED);
	check_window_of(mem, 2 * nr * PAGE, "it is private memory");
}

/* What the server says of itself in VERSION counts; whole mappings it does hold. */
TEST(more_parts_than_the_server_holds)
{
	const char *const args[] = {
		"--version-json", "{\"capabilities\": {\"max_dma_maps\": 4}}", NULL,
	};
	int fd = new_memfd(16 * PAGE, 0);
	unsigned char *mem = dma_memory(16 * PAGE);

	for (size_t i = 0; i < 16; i += 2)
		CHECK(mmap(mem + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	up(args);
	dma_map(&c, mem, IOVA, 16 * PAGE, 3);
	check_told(1, 0);
	CHECK(goes_without("the server holds too few mappings"));
	check_fill(mem, IOVA, 16 * PAGE);
}

/* Told of an aperture, a server can be sent no file; it is said. */
TEST(with_an_aperture)
{
	unsigned char *mem = shared_memory(PAGE);

	world_mdev(&w);
	world_attr_set(&w, "dma_mode", "share");
	world_attr_set(&w, "dma_announce", "aperture");
	world_start(&w, NULL);
	consumer_open(&c, &w);
	dma_map(&c, mem, IOVA, PAGE, 3);
	check_fill(mem, IOVA, PAGE);
	check_told(1, 0);
	CHECK(goes_without("dma_announce is aperture"));
}

/* There is no container that could be observed. */
TEST(by_iommufd)
{
	unsigned char *mem = shared_memory(PAGE);

	consumer_needs_iommufd("memory in no container");
	up_by("share", NULL);
	consumer_open(&c, &w);
	dma_map(&c, mem, IOVA, PAGE, 3);
	check_fill(mem, IOVA, PAGE);
	CHECK(goes_without("no memory is shared by its file"));
}

static unsigned char *changing;
static int changing_file;
static bool changed_enough;

/* What is behind an address changes all the time. */
static void *change(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; !__atomic_load_n(&changed_enough, __ATOMIC_RELAXED); i++) {
		unsigned char *at = changing + i % 64 * PAGE;
		int shared = i % 3 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

		if (i % 7)
			CHECK(mmap(at, PAGE, PROT_READ | PROT_WRITE, shared | MAP_FIXED,
				   i % 3 ? changing_file : -1,
				   i % 3 ? (off_t)(i % 64 * PAGE) : 0) == at);
		else
			CHECK(!munmap(at, PAGE));
	}
	return NULL;
}

TEST(changed_while_it_is_mapped)
{
	long long end = test_now_ms() + 5000;
	unsigned int rounds = 0;
	pthread_t thread;

	changing = dma_memory(64 * PAGE);
	changing_file = new_memfd(64 * PAGE, 0);
	up(NULL);
	CHECK(!pthread_create(&thread, NULL, change, NULL));
	for (; test_now_ms() < end; rounds++) {
		dma_map(&c, changing, IOVA, 64 * PAGE, 3);
		dma_unmap(&c, IOVA, 64 * PAGE);
	}
	test_say("%u rounds", rounds);
	check_told(0, 0);
	__atomic_store_n(&changed_enough, true, __ATOMIC_RELAXED);
	CHECK(!pthread_join(thread, NULL));
	consumer_close(&c);
	dma_check_nothing_left(&w);
}
