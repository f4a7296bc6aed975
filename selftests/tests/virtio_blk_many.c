// SPDX-License-Identifier: GPL-2.0
/*
 * Disks of several consumers in one process, which polls them all by one thread: none of
 * the consumers is worse off for what another does.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/test.h"
#include "../lib/virtio_blk.h"
#include "../lib/window.h"

#define NR	4U

/* What a request of somebody's who floods reads. */
#define LARGE	0x10000U
#define SMALL	4096U

static struct vblk v[NR];
static const char *const poll_args[] = { "--poll", NULL };

static void up(unsigned int nr)
{
	vblk_up_many(v, nr, poll_args);
}

static void start(struct vblk *disk)
{
	vblk_open(disk);
	vblk_start(disk, VBLK_FEATURES);
}

static void read_sectors(struct vblk *disk, uint64_t sector, uint32_t size)
{
	const struct vblk_segment seg = { VBLK_DATA, size, true };
	unsigned char *want = malloc(size);

	CHECK(want);
	CHECK_EQ(vblk_request(disk, &disk->queue[0], VIRTIO_BLK_T_IN, sector, &seg, 1),
		 VIRTIO_BLK_S_OK);
	vblk_pattern(want, (uint64_t)(disk - v) * VBLK_SECTORS + sector, size);
	CHECK(!memcmp(vblk_at(disk, VBLK_DATA), want, size));
	free(want);
}

TEST(each_consumer_has_its_disk)
{
	up(NR);
	for (unsigned int i = 0; i < NR; i++)
		start(&v[i]);
	for (unsigned int round = 0; round < 20; round++)
		for (unsigned int i = 0; i < NR; i++)
			read_sectors(&v[i], (round * 8U + i) % 1024, SMALL);
}

/* All that there is room for in the queue; the same request over and over. */
static void flood(struct vblk *disk, struct vblk_queue *q)
{
	while ((uint16_t)(q->offered - vblk_used(disk, q)) < q->size)
		vblk_offer(disk, q, 0);
}

static void start_flood(struct vblk *disk)
{
	const struct vblk_segment seg = { VBLK_DATA, LARGE, true };

	start(disk);
	for (unsigned int i = 0; i < VBLK_QUEUES; i++) {
		vblk_chain(disk, &disk->queue[i], VIRTIO_BLK_T_IN, 0, &seg, 1);
		flood(disk, &disk->queue[i]);
	}
}

static int compare(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * While one request of a consumer's is under way, of another's full queue a few are done,
 * and not all. It is counted, because time is not the server's alone; and the median
 * counts, because this process may have lost its CPU meanwhile.
 */
TEST(full_queue_delays_nobody)
{
	struct vblk_queue *q = &v[1].queue[0];
	uint16_t others[201];
	const size_t nr = sizeof(others) / sizeof(*others);

	up(2);
	start(&v[0]);
	start_flood(&v[1]);
	for (size_t i = 0; i < nr; i++) {
		uint16_t before = vblk_used(&v[1], q);

		read_sectors(&v[0], i, VBLK_SECTOR);
		others[i] = (uint16_t)(vblk_used(&v[1], q) - before);
		for (unsigned int n = 0; n < VBLK_QUEUES; n++)
			flood(&v[1], &v[1].queue[n]);
	}
	qsort(others, nr, sizeof(*others), compare);
	test_say("another's requests meanwhile: median %u, most %u", others[nr / 2],
		 others[nr - 1]);
	CHECK(others[nr - 1] > 0 && others[nr / 2] <= 8);
}

static void go_on(void)
{
	for (unsigned int i = 0; i < 50; i++)
		read_sectors(&v[0], i, SMALL);
}

TEST(consumer_is_killed)
{
	pid_t pid;

	up(2);
	start(&v[0]);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		start_flood(&v[1]);
		for (;;)
			for (unsigned int n = 0; n < VBLK_QUEUES; n++)
				flood(&v[1], &v[1].queue[n]);
	}
	/* It is certainly at work when the device has its memory. */
	test_sleep_ms(500);
	go_on();
	world_kill(&pid, SIGKILL);
	go_on();
	start(&v[1]);
	read_sectors(&v[1], 0, SMALL);
	go_on();
}

/* It asks for what the device cannot read, and then waits for its end. */
static pid_t without_memory(void)
{
	int ready[2];
	pid_t pid;
	char go;

	CHECK(!pipe(ready));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		vblk_open(&v[1]);
		window_limit_memory(0);
		vblk_start(&v[1], VBLK_FEATURES);
		vblk_kick(&v[1], &v[1].queue[0], 0);
		vblk_wait_broken(&v[1]);
		CHECK_EQ(write(ready[1], "!", 1), 1);
		pause();
	}
	CHECK_EQ(read(ready[0], &go, 1), 1);
	return pid;
}

TEST(memory_cannot_be_had)
{
	pid_t pid;

	up(2);
	start(&v[0]);
	pid = without_memory();
	go_on();
	world_kill(&pid, SIGKILL);
	start(&v[1]);
	read_sectors(&v[1], 0, SMALL);
	go_on();
}
