// SPDX-License-Identifier: GPL-2.0
/* Whoever maps memory goes on when the servers know of it. */

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"

#define PAGE	4096UL
#define IOVA	0x100000000ULL

/* How long a server takes that is slow on purpose. */
#define SLOW_MS	1500

static struct world w;
static struct consumer c;

/* How many milliseconds VFIO_IOMMU_MAP_DMA takes. */
static long long map_takes(uint64_t iova)
{
	unsigned char *mem = dma_memory(PAGE);
	long long start = test_now_ms();

	dma_map(&c, mem, iova, PAGE, 3);
	return test_now_ms() - start;
}

static void up(void)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
}

/* With a server that is told of each mapping, for which whoever maps waits. */
static void up_exact(void)
{
	consumer_needs_observer();
	up();
}

TEST(map_waits_for_the_answer)
{
	up_exact();
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_DELAY, SLOW_MS);
	CHECK(map_takes(IOVA) >= SLOW_MS);
	CHECK_EQ(dma_show(&w, "dma_mappings"), 1);
}

/* Whichever of them is slow. */
TEST(map_waits_for_every_server)
{
	struct consumer c2;
	struct world w2;

	up_exact();
	world_up_beside(&w2, NULL);
	consumer_join(&c2, &w2, &c);
	puppet_check(&c2, 0);
	puppet_fault(&c2, VFIO_USER_DMA_MAP, PUPPET_FAULT_DELAY, SLOW_MS);
	CHECK(map_takes(IOVA) >= SLOW_MS);
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_DELAY, SLOW_MS);
	CHECK(map_takes(IOVA + PAGE) >= SLOW_MS);
	CHECK_EQ(dma_show(&w, "dma_mappings"), 2);
	CHECK_EQ(dma_show(&w2, "dma_mappings"), 2);
}

/* Maps and unmaps in a container of its own until it is killed, and counts. */
static pid_t neighbour(const struct world *world, unsigned long *count)
{
	struct consumer other;
	unsigned char *mem;
	pid_t pid = fork();

	if (pid)
		return pid;
	consumer_open(&other, world);
	mem = dma_memory(PAGE);
	for (;;) {
		dma_map(&other, mem, IOVA, PAGE, 3);
		dma_unmap(&other, IOVA, PAGE);
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	}
}

/* What others map is not what this consumer waits for. */
TEST(neighbours_do_not_hold_up_a_map)
{
	unsigned long *count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char *mem;
	struct world w2;
	pid_t pid;

	CHECK(count != MAP_FAILED);
	up_exact();
	world_up_beside(&w2, NULL);
	/* It waits for no server, and so never stops. */
	world_attr_set(&w2, "dma_announce", "aperture");
	pid = neighbour(&w2, count);
	CHECK_SOON(__atomic_load_n(count, __ATOMIC_RELAXED) > 10);
	mem = dma_memory(PAGE);
	/* Long enough for both to have met, however the machine shares its time out. */
	for (int i = 0; i < 200 || __atomic_load_n(count, __ATOMIC_RELAXED) <= 100; i++) {
		long long start = test_now_ms();

		dma_map(&c, mem, IOVA, PAGE, 3);
		dma_unmap(&c, IOVA, PAGE);
		CHECK(test_now_ms() - start < TEST_SOON_MS);
	}
	world_kill(&pid, SIGKILL);
}

/* The memory has been taken away by then; the server may hear of it later. */
TEST(unmap_does_not_wait)
{
	up_exact();
	map_takes(IOVA);
	puppet_fault(&c, VFIO_USER_DMA_UNMAP, PUPPET_FAULT_SILENT, 0);
	dma_unmap(&c, IOVA, PAGE);
}

/* The one that is told an aperture hears of no mapping, or this never ended. */
TEST(an_aperture_is_not_waited_for)
{
	dma_up_aperture(&w, &c, NULL);
	puppet_fault(&c, VFIO_USER_REGION_WRITE, PUPPET_FAULT_STOP, 0);
	region_write32(&c, VFIO_PCI_BAR1_REGION_INDEX, 0, 0);
	map_takes(IOVA);
}

/* A mapping that has not come about is no reason to wait. */
TEST(failed_map_does_not_wait)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = 3, .iova = IOVA, .size = PAGE,
	};

	up();
	map_takes(IOVA);
	puppet_fault(&c, VFIO_USER_REGION_WRITE, PUPPET_FAULT_STOP, 0);
	region_write32(&c, VFIO_PCI_BAR1_REGION_INDEX, 0, 0);
	m.vaddr = (uintptr_t)dma_memory(PAGE);
	CHECK_ERRNO(ioctl(c.container, VFIO_IOMMU_MAP_DMA, &m), EEXIST);
}

/* Maps in a child, which tells when it is about to. */
static pid_t map_in_child(void)
{
	int ready[2];
	pid_t pid;
	char go;

	CHECK(!pipe(ready));
	pid = fork();
	if (!pid) {
		CHECK_EQ(write(ready[1], "!", 1), 1);
		map_takes(IOVA);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &go, 1), 1);
	close(ready[0]);
	close(ready[1]);
	test_sleep_ms(300);
	return pid;
}

static bool is_over(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

TEST(killed_while_it_waits)
{
	pid_t pid;

	up_exact();
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_SILENT, 0);
	pid = map_in_child();
	CHECK(!is_over(pid));
	CHECK_EQ(WTERMSIG(world_kill(&pid, SIGKILL)), SIGKILL);
	puppet_check(&c, 0);
}

/* What is mapped then reaches the server before it has answered all that it is asked. */
TEST(server_is_told_while_it_is_being_attached)
{
	const char *const stall[] = { "--verbose", "--stall", "8", NULL };	/* SET_IRQS */
	int32_t fd = new_eventfd();
	pid_t pid;

	up_exact();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd));
	puppet_check(&c, 0);
	world_kill(&w.server, SIGKILL);
	world_server(&w, stall);
	/* By then it has been told of the memory that there was before. */
	CHECK_SOON(file_count(world_server_log(), "(8) id"));
	pid = map_in_child();
	CHECK_SOON(dma_show(&w, "dma_mappings") == 1);
	CHECK(!is_over(pid));
	world_kill(&pid, SIGKILL);
}

TEST(server_dies_while_it_is_waited_for)
{
	pid_t pid;

	up_exact();
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_SILENT, 0);
	pid = map_in_child();
	CHECK(!is_over(pid));
	world_kill(&w.server, SIGKILL);
	CHECK_SOON(is_over(pid));
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
	CHECK_EQ(dma_show(&w, "dma_mappings"), 1);
}

TEST(timeout_ms_is_for_this_as_well)
{
	up_exact();
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_SILENT, 0);
	world_attr_set(&w, "timeout_ms", "500");
	CHECK(map_takes(IOVA) >= 500);
	CHECK_EQ(kernel_log_count(w.uuid, "told of memory within timeout_ms"), 1);
}

/* The mapping needs a descriptor, and that the helper. */
TEST(helper_dies_while_it_is_needed)
{
	pid_t pid;

	up_exact();
	CHECK(!kill(w.helper, SIGSTOP));
	pid = map_in_child();
	CHECK(!is_over(pid));
	world_kill(&w.helper, SIGKILL);
	world_helper(&w, NULL);
	CHECK_SOON(is_over(pid));
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
}

/* What others do meanwhile has to be told as well, but is not waited for. */
TEST(others_never_stop)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = 2 * IOVA, .size = PAGE,
	};
	pid_t pid;

	up();
	pid = fork();
	while (!pid)
		ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u);
	for (unsigned int i = 0; i < 20; i++)
		map_takes(IOVA + i * PAGE);
	world_kill(&pid, SIGKILL);
}

/* Many threads of one consumer: each is held up, and none for ever. */
TEST(many_at_once)
{
	enum { PROCESSES = 80, MAPS = 6 };
	unsigned char *mem = dma_memory(PAGE);
	pid_t pids[PROCESSES];

	up_exact();
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (unsigned int j = 0; j < MAPS; j++) {
			uint64_t iova = IOVA + (i + j * PROCESSES) * PAGE;

			dma_map(&c, mem, iova, PAGE, 3);
			dma_unmap(&c, iova, PAGE);
		}
		_exit(0);
	}
	for (unsigned int i = 0; i < PROCESSES; i++) {
		int status;

		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(status, 0);
	}
	CHECK_SOON(dma_show(&w, "dma_mappings") == 0);
	puppet_check(&c, 0);
}
