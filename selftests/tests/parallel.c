// SPDX-License-Identifier: GPL-2.0
/* Many requests in flight: nobody queues behind anybody. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

#define THREADS 8
#define SLOW_MS 4000

static struct world w;
static struct consumer c;
static atomic_bool done;
static pthread_barrier_t barrier;

static void *read_a_lot(void *arg)
{
	uint32_t base = (uint32_t)(uintptr_t)arg * 0x1000;

	for (uint32_t i = 0; i < 200; i++)
		puppet_check(&c, base + 4 * i);
	return NULL;
}

static void *read_in_step(void *arg)
{
	uint32_t base = (uint32_t)(uintptr_t)arg * 0x1000;

	for (uint32_t i = 0; i < 50; i++) {
		pthread_barrier_wait(&barrier);
		puppet_check(&c, base + 4 * i);
	}
	return NULL;
}

TEST(eight_threads_get_their_own_answers)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
	test_in_threads(THREADS, read_a_lot);
	CHECK(puppet_get(&c, PUPPET_MAX_OVERLAP) >= 1);
}

/* Answered in reverse order, and only once all eight are there. */
TEST(eight_requests_overlap)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
	CHECK(!pthread_barrier_init(&barrier, NULL, THREADS));
	puppet_set(&c, PUPPET_MAX_OVERLAP, 0);
	puppet_set(&c, PUPPET_GATHER, THREADS);
	test_in_threads(THREADS, read_in_step);
	puppet_set(&c, PUPPET_GATHER, 0);
	CHECK_EQ(puppet_get(&c, PUPPET_MAX_OVERLAP), THREADS);
}

static void *be_slow(void *arg)
{
	uint32_t value;

	(void)arg;
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	done = true;
	return NULL;
}

TEST(a_slow_request_holds_nobody_up)
{
	pthread_t slow;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, SLOW_MS);
	CHECK(!pthread_create(&slow, NULL, be_slow, NULL));
	puppet_wait_struck(&c);
	for (uint32_t i = 0; i < 50; i++)
		puppet_check(&c, 4 * i);
	CHECK(!done);
	CHECK(!pthread_join(slow, NULL));
	CHECK(done);
}

static void *write_and_read_back(void *arg)
{
	uint32_t offset = (uint32_t)(uintptr_t)arg * 0x1000;

	for (uint32_t i = 0; i < 200; i++) {
		region_write32(&c, 0, offset, i);
		CHECK_EQ(region_read32(&c, 0, offset), i);
	}
	return NULL;
}

TEST(order_within_a_thread)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
	test_in_threads(THREADS, write_and_read_back);
}

/* Each with a memory of its own. */
TEST(four_devices_at_once)
{
	struct world worlds[4];
	struct consumer consumers[4];

	for (int i = 0; i < 4; i++) {
		world_mdev(&worlds[i]);
		world_server(&worlds[i], NULL);
	}
	world_helper(&worlds[0], NULL);
	for (int i = 0; i < 4; i++) {
		world_wait_state(&worlds[i], "attached");
		consumer_open(&consumers[i], &worlds[i]);
		region_write32(&consumers[i], 0, 0, 1000 + i);
	}
	for (int i = 0; i < 4; i++)
		CHECK_EQ(region_read32(&consumers[i], 0, 0), 1000 + i);
}
