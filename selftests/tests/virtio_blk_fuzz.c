// SPDX-License-Identifier: GPL-2.0
/*
 * A disk in a process, and descriptors at random. Deterministic: VUM_SEED
 * repeats what a failure says, VUM_ROUNDS goes on for longer.
 */

#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../lib/random.h"
#include "../lib/test.h"
#include "../lib/virtio_blk.h"

#define NR_DESC		16U
#define NR_CHOICES(a)	(sizeof(a) / sizeof((a)[0]))

/* What the device must not write: it is not even in its memory to be written. */
#define RO_DESC		VBLK_RO_IOVA
#define RO_AVAIL	(VBLK_RO_IOVA + 0x1000)
#define RO_TABLE	(VBLK_RO_IOVA + 0x2000)

static struct vblk v;
static struct vblk_queue *const q = &v.queue[0];
static char doing[64];

static uint64_t some_address(void)
{
	const uint64_t choices[] = {
		VBLK_DATA, VBLK_DATA + random_below(0x80000), VBLK_DATA + random_below(0x80000),
		VBLK_IOVA + random_below(VBLK_SIZE), VBLK_HEADER(0), VBLK_STATUS(0),
		VBLK_RO_IOVA + random_below(VBLK_RO_SIZE),
		VBLK_RO_IOVA - random_below(600), VBLK_END - random_below(600),
		VBLK_IOVA - random_below(600), RO_TABLE, RO_TABLE + 16ULL * random_below(NR_DESC),
		random_below(0x10000), -(uint64_t)random_below(0x1000), random_64(),
	};

	return choices[random_below(NR_CHOICES(choices))];
}

static uint32_t some_length(void)
{
	const uint32_t choices[] = {
		1, 16, 16, 512, 512, 1024, 4096, random_below(70000), 0, 32, 48,
		16 * random_below(20), random_below(20), 0xffffffff, 0xfffffe00,
		(uint32_t)random_64(),
	};

	return choices[random_below(NR_CHOICES(choices))];
}

static uint16_t some_flags(void)
{
	static const uint16_t likely[] = { 1, 1, 1, 3, 3, 2, 2, 0, 4, 4, 5, 6 };

	return random_below(16) ? likely[random_below(NR_CHOICES(likely))] : (uint16_t)random_64();
}

static uint16_t some_index(unsigned int i)
{
	return random_below(4) ? (uint16_t)(i + 1) :
	       random_below(4) ? (uint16_t)random_below(NR_DESC) : (uint16_t)random_64();
}

static void random_descriptors(uint64_t table)
{
	for (unsigned int i = 0; i < NR_DESC; i++)
		vblk_desc(&v, table, i, some_address(), some_length(),
			  some_flags(), some_index(i));
}

static void random_header(void)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, 77,
	};

	vblk_header(&v, q, types[random_below(NR_CHOICES(types))],
		    random_below(8) ? random_below(VBLK_SECTORS + 2) : random_64());
}

/* A request that makes sense, but for one of its descriptors perhaps. */
static void nearly_a_request(uint64_t table)
{
	const uint16_t dir = random_below(2) ? VRING_DESC_F_WRITE : 0;
	unsigned int bad = random_below(12);

	vblk_desc(&v, table, 0, VBLK_HEADER(0), 16, VRING_DESC_F_NEXT, 1);
	for (uint16_t i = 1; i < 4; i++)
		vblk_desc(&v, table, i, VBLK_DATA + random_below(0x8000),
			  VBLK_SECTOR * random_below(5), VRING_DESC_F_NEXT | dir,
			  (uint16_t)(i + 1));
	vblk_desc(&v, table, 4, VBLK_STATUS(0), 1, VRING_DESC_F_WRITE, 0);
	if (bad < 5)
		vblk_desc(&v, table, bad, some_address(), some_length(),
			  some_flags(), some_index(bad));
}

/* All that a descriptor said may be written. */
static void allow_described(uint64_t table)
{
	const struct vring_desc *desc = vblk_at(&v, table);

	for (unsigned int i = 0; i < NR_DESC; i++)
		if (le16toh(desc[i].flags) & VRING_DESC_F_WRITE)
			vblk_allow(&v, le64toh(desc[i].addr),
				   le32toh(desc[i].len));
}

/* With what the device reads out of its own reach. */
static void random_start(void)
{
	static const uint16_t sizes[] = { 256, 256, 64, 16, 4 };
	uint64_t features = VBLK_FEATURES;

	if (!random_below(4))
		features &= ~VBLK_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (!random_below(4))
		features &= ~VBLK_BIT(VIRTIO_BLK_F_FLUSH);
	v.nr_queues = 0;
	vblk_reset(&v);
	CHECK(vblk_negotiate(&v, features));
	vblk_queue_init(&v, q);
	memset(v.ro, 0, VBLK_RO_SIZE);
	q->size = sizes[random_below(NR_CHOICES(sizes))];
	q->desc = RO_DESC;
	q->avail = RO_AVAIL;
	vblk_queue_enable(&v, q);
	vblk_driver_ok(&v);
}

static void random_round(void)
{
	random_descriptors(q->desc);
	random_descriptors(RO_TABLE);
	if (random_below(4))
		nearly_a_request(q->desc);
	if (random_below(2))
		nearly_a_request(RO_TABLE);
	random_header();
	for (uint32_t n = random_below(3) ? 1 : 3; n; n--)
		vblk_offer(&v, q, random_below(6) ? 0 : (uint16_t)random_below(NR_DESC + 1));
	vblk_snapshot(&v);
	vblk_notify(&v, q);
	CHECK(vblk_settle(&v, q, TEST_SOON_MS));
	allow_described(q->desc);
	allow_described(RO_TABLE);
	vblk_allow_used(&v, q);
	CHECK_EQ(vblk_changed(&v), -1);
}

static void begin(const struct vblk_way *way, unsigned long *seed)
{
	vblk_up(&v, way, NULL);
	vblk_start(&v, VBLK_FEATURES);
	*seed = test_number("VUM_SEED", 1);
	random_seed(*seed * 0x9e3779b97f4a7c15ULL | 1);
	test_doing = doing;
}

static void fuzz(const struct vblk_way *way, unsigned long rounds)
{
	unsigned long seed, broken = 0;

	begin(way, &seed);
	rounds = test_number("VUM_ROUNDS", rounds);
	random_start();
	for (unsigned long i = 0; i < rounds; i++) {
		snprintf(doing, sizeof(doing), "VUM_SEED=%lu, round %lu", seed, i);
		random_round();
		if (vblk_is_broken(&v)) {
			broken++;
			random_start();
		}
		if (!random_below(4)) {
			random_start();
			vblk_check(&v, q);
		}
	}
	test_say("%lu rounds, %lu of them broke the device", rounds, broken);
	CHECK(broken > rounds / 10 && broken < rounds);
}

TEST(descriptors_by_mmap)
{
	fuzz(&vblk_by_mmap, 100);
}

TEST(descriptors_by_exact_mmap)
{
	fuzz(&vblk_by_exact_mmap, 30);
}

TEST(descriptors_by_messages)
{
	fuzz(&vblk_by_messages, 30);
}

static bool enough;

/* In the rings, the indirect table and the header, while they are in use. */
static void *meddle(void *arg)
{
	const struct timespec pause = { 0, 20000 };
	volatile unsigned char *mem = v.mem;
	uint64_t mine = *(const uint64_t *)arg;

	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		mine = mine * 6364136223846793005ULL + 1442695040888963407ULL;
		mem[(mine >> 33) % 0x4200] = (unsigned char)(mine >> 56);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void meddled_round(void)
{
	vblk_start(&v, VBLK_FEATURES);
	for (int i = 0; i < 8 && !vblk_is_broken(&v); i++) {
		random_descriptors(VBLK_TABLE(0));
		nearly_a_request(q->desc);
		random_header();
		for (int n = 0; n < 8; n++)
			vblk_offer(&v, q, 0);
		vblk_notify(&v, q);
		vblk_settle(&v, q, 10);
	}
}

/* Nobody knows what comes of it; but not what nobody has mapped for that. */
TEST(descriptors_that_change_as_they_are_read)
{
	unsigned long seed;
	pthread_t thread;
	uint64_t meddler;

	begin(&vblk_by_mmap, &seed);
	meddler = random_64();
	v.nr_queues = 1;
	vblk_snapshot(&v);
	CHECK(!pthread_create(&thread, NULL, meddle, &meddler));
	for (int i = 0; i < 20; i++) {
		snprintf(doing, sizeof(doing), "VUM_SEED=%lu, round %d", seed, i);
		meddled_round();
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	CHECK(!pthread_join(thread, NULL));
	vblk_allow(&v, VBLK_IOVA, VBLK_SIZE);
	vblk_recovers(&v, q);
}
