// SPDX-License-Identifier: GPL-2.0
/* Tenants with more threads that map than anybody needs: only their own devices suffer. */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"

#define PAGE	4096UL
#define IOVA	0x100000000ULL

/* Together more than the probes have room for. */
#define NR_TENANTS	9
#define NR_THREADS	120

static struct world w;
static struct consumer c;

static void *map_for_ever(void *arg)
{
	ioctl(c.container, VFIO_IOMMU_MAP_DMA, arg);
	return NULL;
}

static void start_threads(int nr, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setstacksize(&attr, 64UL * 1024));
	for (int i = 0; i < nr; i++)
		CHECK(!pthread_create(&thread, &attr, fn, arg));
}

static void be_tenant(const struct world *of, int ready)
{
	consumer_open(&c, of);
	/* The kernel waits for the ioctl's argument. */
	start_threads(NR_THREADS, map_for_ever, dma_missing_page());
	test_sleep_ms(500);
	CHECK_EQ(write(ready, "", 1), 1);
	pause();
	_exit(EXIT_FAILURE);
}

static void is_exact(void)
{
	char text[64];

	dma_show_text(&w, "dma_announce", text, sizeof(text));
	if (strcmp(text, "exact") != 0)
		FAIL("memory is announced \"%s\"", text);
}

static void check_map(unsigned char *mem, uint32_t value)
{
	dma_map(&c, mem, IOVA, PAGE, DMA_READ | DMA_WRITE);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, value), 0);
	CHECK_EQ(mem[0], value & 0xff);
	is_exact();
	dma_unmap(&c, IOVA, PAGE);
}

TEST(ioctls_that_never_end)
{
	static struct world others[NR_TENANTS];
	unsigned char *mem = dma_memory(PAGE);
	pid_t tenants[NR_TENANTS];
	int ready[2];
	char done;

	consumer_needs_observer();
	world_up(&w, NULL);
	consumer_open(&c, &w);
	check_map(mem, 1);
	CHECK(!pipe(ready));
	for (int i = 0; i < NR_TENANTS; i++) {
		world_up_beside(&others[i], NULL);
		tenants[i] = fork();
		if (!tenants[i])
			be_tenant(&others[i], ready[1]);
		CHECK_EQ(read(ready[0], &done, 1), 1);
	}
	for (uint32_t i = 0; i < 10; i++)
		check_map(mem, i);
	for (int i = 0; i < NR_TENANTS; i++)
		world_kill(&tenants[i], SIGKILL);
	check_map(mem, 2);
	/* A consumer that comes now is as well served. */
	consumer_close(&c);
	consumer_open(&c, &w);
	check_map(mem, 3);
}

static void *map_once(void *arg)
{
	static unsigned int next;
	uint64_t iova = IOVA + 2 * PAGE * __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);

	dma_map(&c, arg, iova, PAGE, DMA_READ | DMA_WRITE);
	return NULL;
}

static void wait_for_the_server(void)
{
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_DMA_MAP, PUPPET_FAULT_SILENT, 1000);
	start_threads(140, map_once, dma_memory(PAGE));
	pause();
	_exit(EXIT_FAILURE);
}

static bool is_given_up(void)
{
	char text[256];

	dma_show_text(&w, "dma_inexact", text, sizeof(text));
	return strstr(text, "threads wait for its server");
}

/* More than are made to wait for the server: then nobody is any more. */
TEST(threads_that_wait_for_their_server)
{
	pid_t tenant;

	consumer_needs_observer();
	world_up(&w, NULL);
	tenant = fork();
	if (!tenant)
		wait_for_the_server();
	CHECK_SOON(is_given_up());
	world_kill(&tenant, SIGKILL);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	/* The next container is observed. */
	consumer_open(&c, &w);
	check_map(dma_memory(PAGE), 4);
}
