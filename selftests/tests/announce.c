// SPDX-License-Identifier: GPL-2.0
/* What the server is told of the consumer's memory: just what is mapped. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"

#define PAGE	4096UL
#define IOVA	0x100000000ULL
#define SLOTS	200
/* Room for a slot. */
#define SLOT	(64 * PAGE)

static struct world w;
static struct consumer c;

/* A consumer whose every mapping the server is told of. */
static void up(const char *const *args)
{
	consumer_needs_observer();
	world_up(&w, args);
	consumer_open(&c, &w);
}

/* The consumer's own list: by slot, size 0 where nothing is mapped. */
static struct puppet_announced_map mapped[SLOTS];

static int by_addr(const void *a, const void *b)
{
	const struct puppet_announced_map *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void show_list(const char *who, const struct puppet_announced_map *maps,
		      size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		test_say("%s: 0x%llx + 0x%llx, prot %llu", who,
			 (unsigned long long)maps[i].addr,
			 (unsigned long long)maps[i].size,
			 (unsigned long long)maps[i].prot);
}

/* What the server has been told, by address. */
static size_t told(const struct consumer *who, struct puppet_announced_map *maps,
		   size_t max)
{
	static union {
		struct puppet_announced list;
		unsigned char room[PUPPET_BAR3_SIZE];
	} bar3;
	const size_t size = sizeof(bar3.list) + max * sizeof(*maps);

	CHECK(size <= sizeof(bar3));
	CHECK_EQ(pread(who->device, &bar3, size,
		       region_at(VFIO_PCI_BAR3_REGION_INDEX, 0)), size);
	CHECK(bar3.list.nr <= max);
	memcpy(maps, bar3.list.maps, bar3.list.nr * sizeof(*maps));
	qsort(maps, bar3.list.nr, sizeof(*maps), by_addr);
	return bar3.list.nr;
}

static void same_list(const struct consumer *who,
		      const struct puppet_announced_map *want, size_t nr_want)
{
	struct puppet_announced_map got[SLOTS + 1];
	size_t nr = told(who, got, SLOTS + 1);

	if (nr == nr_want && (!nr || !memcmp(got, want, nr * sizeof(*want))))
		return;
	show_list("consumer", want, nr_want);
	show_list("server", got, nr);
	FAIL("server was told of %zu mappings, there are %zu", nr, nr_want);
}

static void same_as_mapped(const struct consumer *who)
{
	struct puppet_announced_map want[SLOTS];
	size_t nr = 0;

	for (size_t i = 0; i < SLOTS; i++)
		if (mapped[i].size)
			want[nr++] = mapped[i];
	same_list(who, want, nr);
}

/* Maps an empty slot, or unmaps a full one. */
static void toggle(unsigned char *mem, unsigned int slot)
{
	struct puppet_announced_map *m = &mapped[slot];

	if (m->size) {
		dma_unmap(&c, m->addr, m->size);
		m->size = 0;
		return;
	}
	m->addr = IOVA + slot * SLOT;
	m->size = (1 + (size_t)rand() % 64) * PAGE;
	m->prot = 1 + (unsigned int)rand() % 3;
	dma_map(&c, mem + slot * SLOT, m->addr, m->size,
		(uint32_t)m->prot);
}

TEST(five_hundred_maps_and_unmaps)
{
	unsigned char *mem = dma_memory(SLOTS * SLOT);
	unsigned int seed = (unsigned int)getpid();

	up(NULL);
	test_say("seed %u", seed);
	srand(seed);
	same_as_mapped(&c);
	for (int i = 0; i < 500; i++) {
		toggle(mem, (unsigned int)rand() % SLOTS);
		same_as_mapped(&c);
	}
	CHECK_EQ(dma_show(&w, "pinned"), 0);
	CHECK_EQ(dma_show(&w, "dma_faults"), 0);
}

/* Several at once between two looks, and all of them in one go at the end. */
TEST(many_between_two_looks)
{
	struct vfio_iommu_type1_dma_unmap all = {
		.argsz = sizeof(all), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};
	unsigned char *mem = dma_memory(SLOTS * SLOT);

	up(NULL);
	srand(1);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 100; j++)
			toggle(mem, (unsigned int)rand() % SLOTS);
		same_as_mapped(&c);
	}
	CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &all));
	same_list(&c, NULL, 0);
}

/* Unmapping a larger range takes all that is in it. */
TEST(unmap_of_several)
{
	struct puppet_announced_map left = { IOVA + (1 << 20), PAGE, 3 };
	unsigned char *mem = dma_memory(16 * PAGE);

	up(NULL);
	for (unsigned int i = 0; i < 8; i++)
		dma_map(&c, mem + i * PAGE, IOVA + i * (2 * PAGE), PAGE, 3);
	dma_map(&c, mem, left.addr, PAGE, 3);
	{
		struct vfio_iommu_type1_dma_unmap u = {
			.argsz = sizeof(u), .iova = IOVA, .size = 256 * PAGE,
		};

		CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u));
		CHECK_EQ(u.size, 8 * PAGE);
	}
	same_list(&c, &left, 1);
}

/* What fails changes nothing. */
TEST(failed_ioctls)
{
	struct puppet_announced_map one = { IOVA, 4 * PAGE, 3 };
	unsigned char *mem = dma_memory(4 * PAGE);
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = 3, .vaddr = (uintptr_t)mem,
		.iova = IOVA + PAGE, .size = PAGE,
	};
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = IOVA + PAGE, .size = PAGE,
	};

	up(NULL);
	dma_map(&c, mem, one.addr, one.size, 3);
	CHECK_ERRNO(ioctl(c.container, VFIO_IOMMU_MAP_DMA, &m), EEXIST);
	CHECK_ERRNO(ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u), EINVAL);
	CHECK_ERRNO(ioctl(c.container, VFIO_IOMMU_MAP_DMA, test_bad_address()),
		    EFAULT);
	same_list(&c, &one, 1);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, 4 * PAGE, 1), 0);
}

TEST(mapped_before_the_device_was_opened)
{
	struct puppet_announced_map want[2] = {
		{ IOVA, PAGE, 1 }, { IOVA + 16 * PAGE, 2 * PAGE, 3 },
	};
	unsigned char *mem = dma_memory(4 * PAGE);

	world_up(&w, NULL);
	consumer_prepare(&c, &w);
	dma_map(&c, mem + 2 * PAGE, want[1].addr, want[1].size, 3);
	dma_map(&c, mem, want[0].addr, want[0].size, DMA_READ);
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	/* Else it is told an aperture, in which that memory is. */
	if (!consumer_by_cdev() && consumer_kernel_has_ftrace())
		same_list(&c, want, 2);
	memset(mem, 7, PAGE);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_SUM, IOVA, PAGE, 0), 0);
	CHECK_EQ(puppet_get(&c, PUPPET_DMA_SUM_RESULT), 7 * PAGE);
}

/* A server that polls shall learn of memory without being asked anything. */
TEST(told_without_an_access)
{
	unsigned char *mem = dma_memory(PAGE);

	up(NULL);
	puppet_check(&c, 0);
	dma_map(&c, mem, IOVA, PAGE, 3);
	CHECK_SOON(dma_show(&w, "dma_mappings") == 1);
	dma_unmap(&c, IOVA, PAGE);
	CHECK_SOON(dma_show(&w, "dma_mappings") == 0);
}

TEST(two_devices_in_one_container)
{
	unsigned char *mem = dma_memory(SLOTS * SLOT);
	struct consumer c2;
	struct world w2;

	up(NULL);
	srand(2);
	for (int i = 0; i < 50; i++)
		toggle(mem, (unsigned int)rand() % SLOTS);
	world_up_beside(&w2, NULL);
	consumer_join(&c2, &w2, &c);
	for (int i = 0; i < 50; i++) {
		toggle(mem, (unsigned int)rand() % SLOTS);
		same_as_mapped(i & 1 ? &c : &c2);
		same_as_mapped(i & 1 ? &c2 : &c);
	}
	close(c2.device);
	toggle(mem, 0);
	same_as_mapped(&c);
}

/* A new server is told all of it before it sees an access. */
TEST(told_again)
{
	unsigned char *mem = dma_memory(SLOTS * SLOT);

	up(NULL);
	srand(3);
	for (int i = 0; i < 50; i++)
		toggle(mem, (unsigned int)rand() % SLOTS);
	same_as_mapped(&c);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	for (int i = 0; i < 50; i++)
		toggle(mem, (unsigned int)rand() % SLOTS);
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	same_as_mapped(&c);
	world_cut(&w);
	world_wait_state(&w, "detached");
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	same_as_mapped(&c);
}

/* The next consumer's memory is not the last one's. */
TEST(one_consumer_after_the_other)
{
	struct puppet_announced_map one = { IOVA, PAGE, 3 };
	unsigned char *mem = dma_memory(2 * PAGE);

	up(NULL);
	dma_map(&c, mem, IOVA, PAGE, 3);
	dma_map(&c, mem + PAGE, IOVA + (1 << 20), PAGE, 3);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 1), 0);
	consumer_close(&c);
	CHECK_SOON(dma_show(&w, "dma_mappings") == 0);
	consumer_open(&c, &w);
	same_list(&c, NULL, 0);
	dma_map(&c, mem, IOVA, PAGE, 3);
	same_list(&c, &one, 1);
}

/* As storage targets do: a byte in every 2 MiB, when it is mapped. */
TEST(touched_when_mapped)
{
	const char *const args[] = { "--touch", NULL };
	unsigned char *mem = dma_memory(1UL << 30);
	long long start;

	/* To clear huge pages takes seconds where it is emulated. */
	CHECK(!madvise(mem, 1UL << 30, MADV_NOHUGEPAGE));
	up(args);
	start = test_now_ms();
	/* 2 GiB, as a guest has it: with a hole. */
	dma_map(&c, mem, 0, 1UL << 30, 3);
	dma_map(&c, mem, 1ULL << 32, 1UL << 30, 3);
	puppet_check(&c, 0);
	test_say("ready after %lld ms", test_now_ms() - start);
	CHECK_EQ(dma_show(&w, "pinned"), 1024);
	CHECK_EQ(dma_show(&w, "dma_faults"), 0);
}

static void is_aperture(const char *why)
{
	struct puppet_announced_map want = { 0, 1ULL << 43, 3 };
	unsigned char *mem = dma_memory(PAGE);
	char text[256];

	dma_map(&c, mem, IOVA, PAGE, 3);
	same_list(&c, &want, 1);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 0x11111111), 0);
	CHECK_EQ(mem[PAGE - 1], 0x11);
	dma_show_text(&w, "dma_announce", text, sizeof(text));
	CHECK(!strcmp(text, "aperture"));
	dma_show_text(&w, "dma_inexact", text, sizeof(text));
	if (!strstr(text, why))
		FAIL("it says \"%s\", not \"%s\"", text, why);
	dma_unmap(&c, IOVA, PAGE);
}

TEST(aperture_on_demand)
{
	consumer_needs_observer();
	dma_up_aperture(&w, &c, NULL);
	is_aperture("");
	/* There and back while it runs. */
	world_attr_set(&w, "dma_announce", "exact");
	CHECK_SOON(dma_show(&w, "dma_mappings") == 0);
	same_list(&c, NULL, 0);
	world_attr_set(&w, "dma_announce", "aperture");
	CHECK_SOON(dma_show(&w, "dma_mappings") == 1);
	is_aperture("");
}

/* Whatever is asked for. A new server is told the same. */
TEST(aperture_for_want_of_a_container)
{
	consumer_needs_iommufd("memory that is in no container");
	world_up(&w, NULL);
	consumer_open(&c, &w);
	is_aperture("not in a type1 container");
	CHECK_EQ(kernel_log_count(w.uuid, "told an aperture"), 1);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	is_aperture("not in a type1 container");
	world_attr_set(&w, "dma_announce", "aperture");
	is_aperture("");
	world_attr_set(&w, "dma_announce", "exact");
	is_aperture("not in a type1 container");
}

TEST(bad_value_of_dma_announce)
{
	char path[PATH_MAX];

	world_mdev(&w);
	world_attr_path(&w, "dma_announce", path, sizeof(path));
	CHECK_EQ(write_file(path, "sometimes"), -EINVAL);
	CHECK_EQ(write_file(path, "\n"), -EINVAL);
}

/* A server with a limit of its own: an aperture is better than a part. */
TEST(server_refuses_a_mapping)
{
	unsigned char *mem = dma_memory(PAGE);

	up(NULL);
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_ERROR, ENOSPC);
	dma_map(&c, mem, 16 * PAGE, PAGE, 3);
	CHECK_SOON(kernel_log_count(w.uuid, "told an aperture") == 1);
	is_aperture("server refuses");
	/* The next consumer may have less. */
	consumer_close(&c);
	consumer_open(&c, &w);
	same_list(&c, NULL, 0);
}

TEST(more_mappings_than_are_followed)
{
	/* The server has a descriptor of each. */
	const struct rlimit files = { 8192, 8192 };
	unsigned char *mem = dma_memory(PAGE);

	consumer_needs_observer();
	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	world_up(&w, NULL);
	consumer_prepare(&c, &w);
	for (uint64_t i = 0; i < 4096; i++)
		dma_map(&c, mem, i * 2 * PAGE, PAGE, 3);
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	puppet_check(&c, 0);
	CHECK_EQ(dma_show(&w, "dma_mappings"), 4096);
	is_aperture("more than 4096");
}

/* What the server says of itself in VERSION counts. */
TEST(more_mappings_than_the_server_holds)
{
	const char *const args[] = {
		"--version-json", "{\"capabilities\": {\"max_dma_maps\": 4}}", NULL,
	};
	unsigned char *mem = dma_memory(PAGE);
	char text[64];

	up(args);
	for (uint64_t i = 1; i <= 4; i++)
		dma_map(&c, mem, i * 2 * PAGE, PAGE, 3);
	CHECK_SOON(dma_show(&w, "dma_mappings") == 4);
	dma_show_text(&w, "dma_announce", text, sizeof(text));
	CHECK(!strcmp(text, "exact"));
	dma_map(&c, mem, 10 * PAGE, PAGE, 3);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 2 * PAGE, PAGE, 0x11111111), 0);
	CHECK_EQ(mem[0], 0x11);
	is_aperture("than the server can hold");
}

/* An IOVA beyond the aperture, told exactly, stays reachable when that ends. */
TEST(fallback_takes_nothing_away)
{
	const char *const args[] = {
		"--version-json", "{\"capabilities\": {\"max_dma_maps\": 8}}", NULL,
	};
	const uint64_t far[] = { 1ULL << 45, (1ULL << 47) - PAGE };
	unsigned char *mem = dma_memory(3 * PAGE);

	consumer_needs_observer();
	world_up(&w, args);
	consumer_prepare(&c, &w);
	for (uint64_t i = 0; i < 6; i++)
		dma_map(&c, mem + 2 * PAGE, i * 2 * PAGE, PAGE, 3);
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	puppet_check(&c, 0);
	for (int i = 0; i < 2; i++) {
		dma_map(&c, mem + i * PAGE, far[i], PAGE, 3);
		CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, far[i], PAGE, 0x11111111), 0);
		CHECK_EQ(mem[i * PAGE], 0x11);
	}
	dma_map(&c, mem + 2 * PAGE, 1ULL << 40, PAGE, 3);
	CHECK_SOON(dma_show(&w, "dma_mappings") == 3);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, far[i], PAGE, 0x22222222), 0);
		CHECK_EQ(mem[i * PAGE], 0x22);
		dma_unmap(&c, far[i], PAGE);
	}
	CHECK_EQ(kernel_log_count(w.uuid, "no longer reaches"), 0);
}

static void kprobes(const char *value)
{
	CHECK_EQ(write_file("/sys/kernel/debug/kprobes/enabled", value), 0);
}

/* What is not seen is not told, and it is said why. */
TEST(container_that_is_not_observed)
{
	consumer_needs_observer();
	world_up(&w, NULL);
	kprobes("0");
	consumer_open(&c, &w);
	kprobes("1");
	is_aperture("not in a type1 container");
}

TEST(container_older_than_the_observer)
{
	consumer_needs_observer();
	world_up(&w, NULL);
	kprobes("0");
	consumer_prepare(&c, &w);
	kprobes("1");
	CHECK_EQ(consumer_get_device(&c, &w), 0);
	is_aperture("older than the module");
}

/* What was mapped and unmapped meanwhile is unknown for good. */
static void disarmed(const char *file)
{
	unsigned char *mem = dma_memory(3 * PAGE);
	char text[64];
	int ret;

	up(NULL);
	dma_map(&c, mem, IOVA, PAGE, 3);
	dma_map(&c, mem + PAGE, IOVA + PAGE, PAGE, 3);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, 2 * PAGE, 0x11111111), 0);
	dma_show_text(&w, "dma_announce", text, sizeof(text));
	CHECK(!strcmp(text, "exact"));
	ret = write_file(file, "0");
	if (ret == -EOPNOTSUPP)
		test_skip("this kernel does not disarm probes by %s", file);
	CHECK_EQ(ret, 0);
	dma_unmap(&c, IOVA, PAGE);
	dma_map(&c, mem + 2 * PAGE, IOVA + 2 * PAGE, PAGE, 3);
	/* One access, of any kind. */
	puppet_check(&c, 0);
	CHECK_EQ(write_file(file, "1"), 0);
	is_aperture("switched off");
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, 3 * PAGE, 0x22222222), 0);
	CHECK(mem[0] == 0x11 && mem[PAGE] == 0x22 && mem[2 * PAGE] == 0x22);
	/* The next consumer is followed again. */
	consumer_close(&c);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
	dma_show_text(&w, "dma_announce", text, sizeof(text));
	CHECK(!strcmp(text, "exact"));
}

TEST(probes_disarmed_by_debugfs)
{
	disarmed("/sys/kernel/debug/kprobes/enabled");
}

TEST(probes_disarmed_by_sysctl)
{
	disarmed("/proc/sys/kernel/ftrace_enabled");
}

static void load_module(const char *parameter)
{
	char cmd[PATH_MAX + 64];

	snprintf(cmd, sizeof(cmd), "rmmod vfio_user_mdev && insmod %s %s",
		 getenv("VUM_MODULE"), parameter);
	CHECK_EQ(system(cmd), 0);
}

/* Where probes are breakpoints, whose handlers run as in an NMI. */
TEST(observer_needs_ftrace)
{
	if (consumer_kernel_has_ftrace())
		test_skip("this kernel has ftrace; see world race");
	/* So that the log has what it says when it is loaded. */
	load_module("");
	world_up(&w, NULL);
	consumer_open(&c, &w);
	is_aperture("run as in an NMI");
	CHECK_EQ(kernel_log_count("cannot observe", "no CONFIG_KPROBES_ON_FTRACE"), 1);
}

TEST(observer_switched_off)
{
	load_module("observe=0");
	world_up(&w, NULL);
	consumer_open(&c, &w);
	is_aperture("switched off");
}

TEST(observer_switched_on)
{
	/* In any case: the others are to find it switched on. */
	load_module("");
	up(NULL);
	same_list(&c, NULL, 0);
}

/*
 * Two threads that map and unmap the same: what is told is either right, or
 * not exact any longer.
 */
TEST(racing_with_oneself)
{
	unsigned char *mem = dma_memory(PAGE);
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = 3, .vaddr = (uintptr_t)mem,
		.iova = IOVA, .size = PAGE,
	};
	struct vfio_iommu_type1_dma_unmap u = { .argsz = sizeof(u), .iova = IOVA };
	volatile int *round = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct puppet_announced_map got[4];
	int exact = 0, i;
	pid_t pid;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	pid = fork();
	/* Each round, both begin at the same time. */
	for (int seen = 0; !pid;) {
		while (*round == seen)
			;
		seen = *round;
		ioctl(c.container, VFIO_IOMMU_MAP_DMA, &m);
		round[1] = seen;
	}
	for (i = 1; i <= 200; i++) {
		size_t nr;

		dma_map(&c, mem, IOVA, PAGE, 3);
		*round = i;
		u.size = PAGE;
		CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u));
		while (round[1] != i)
			;
		nr = told(&c, got, 4);
		if (nr == 1 && got[0].addr == 0)
			break;
		exact++;
		u.size = PAGE;
		CHECK(!ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u));
		CHECK_EQ(nr, u.size / PAGE);
	}
	world_kill(&pid, SIGKILL);
	test_say("exact for %d rounds", exact);
	u.size = PAGE;
	ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u);
	dma_map(&c, mem, IOVA, PAGE, 3);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 0x22222222), 0);
	CHECK_EQ(mem[0], 0x22);
}
