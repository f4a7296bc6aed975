// SPDX-License-Identifier: GPL-2.0
/*
 * A disk in a process, and a guest that wants to break it. Whatever it does,
 * nothing changes but what it has told the device to write, and after a reset
 * the device serves.
 */

#include <endian.h>
#include <stdio.h>

#include "../lib/test.h"
#include "../lib/virtio_blk.h"

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

#define HEADER		VBLK_HEADER(0)
#define STATUS		VBLK_STATUS(0)
#define TABLE		VBLK_TABLE(0)

/* Where nobody has mapped anything. */
#define NOWHERE		0x123456000ULL
#define APERTURE	(1ULL << 43)

static struct vblk v;
static struct vblk_queue *const q = &v.queue[0];

/*
 * By default, accesses to what is not mapped are absorbed: then nobody can tell
 * what the device makes of what it finds there. Otherwise it is known exactly.
 */
static bool absorbed;

static void up(const struct vblk_way *way)
{
	absorbed = way == &vblk_absorbed;
	vblk_up(&v, way, NULL);
	v.nr_queues = 1;
	vblk_start(&v, VBLK_FEATURES);
}

/* It has given up, and has said so once: in its log, and to its driver. */
static void check_broken(const char *why, unsigned int said)
{
	if (absorbed)
		return;
	if (!vblk_is_broken(&v))
		FAIL("not broken; status of the request: %u", vblk_done(&v, q));
	CHECK_EQ(file_count(world_server_log(), why), said + 1);
	CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
}

/**
 * struct hostile - a chain of descriptors
 * @what: is wrong with it
 * @why: what the device says as it gives up; NULL if it answers instead
 * @status: the answer
 * @head: of the chain
 * @desc: the first of the queue's descriptors
 * @table: indirect ones
 */
struct hostile {
	const char *what;
	const char *why;
	uint8_t status;
	uint16_t head;
	struct vring_desc desc[4];
	struct vring_desc table[3];
};

/* The device is running, and will be again. */
static void attempt(const struct hostile *h)
{
	unsigned int said = h->why ? file_count(world_server_log(), h->why) : 0;

	test_doing = h->what;
	memset(vblk_at(&v, q->desc), 0, 0x1000);
	memset(vblk_at(&v, TABLE), 0, 0x1000);
	for (unsigned int i = 0; i < 4; i++)
		vblk_desc(&v, q->desc, i, h->desc[i].addr, h->desc[i].len,
			  h->desc[i].flags, h->desc[i].next);
	for (unsigned int i = 0; i < 3; i++)
		vblk_desc(&v, TABLE, i, h->table[i].addr, h->table[i].len,
			  h->table[i].flags, h->table[i].next);
	*(unsigned char *)vblk_at(&v, STATUS) = 0xee;
	vblk_offer(&v, q, h->head);
	vblk_snapshot(&v);
	vblk_notify(&v, q);
	/* If what it does is not known, it may be nothing at all. */
	CHECK(vblk_settle(&v, q, absorbed ? 50 : TEST_SOON_MS) || absorbed);
	if (h->why) {
		check_broken(h->why, said);
	} else if (!absorbed) {
		CHECK(!vblk_is_broken(&v));
		CHECK_EQ(vblk_done(&v, q), h->status);
	}
	vblk_allow_used(&v, q);
	if (!h->why)
		vblk_allow(&v, STATUS, 1);
	for (unsigned int i = 0; !h->why && i < 4; i++)
		if (h->desc[i].flags & WRITE)
			vblk_allow(&v, h->desc[i].addr, h->desc[i].len);
	vblk_recovers(&v, q);
	test_doing = NULL;
}

static void read_request(void)
{
	vblk_header(&v, q, VIRTIO_BLK_T_IN, 0);
}

static void attempt_all(const struct hostile *h, size_t n)
{
	while (n--) {
		read_request();
		attempt(h++);
	}
}

#define ATTEMPT_ALL(list) attempt_all(list, sizeof(list) / sizeof((list)[0]))

#define A_HEADER	{ HEADER, 16, NEXT, 1 }
#define A_STATUS	{ STATUS, 1, WRITE, 0 }
#define A_TABLE(size)	{ TABLE, size, INDIRECT, 0 }

static const struct hostile chains[] = {
	{ "head beyond the queue", "no such descriptor", .head = 256 },
	{ "head far beyond it", "no such descriptor", .head = 65535 },
	{ "next beyond the queue", "no such descriptor",
	  .desc = { { HEADER, 16, NEXT, 256 } } },
	{ "next far beyond it", "no such descriptor",
	  .desc = { A_HEADER, { VBLK_DATA, 512, NEXT | WRITE, 65535 } } },
	{ "loop of one", "longer than its queue",
	  .desc = { { HEADER, 16, NEXT, 0 } } },
	{ "loop of two", "longer than its queue",
	  .desc = { A_HEADER, { VBLK_DATA, 512, NEXT, 0 } } },
	{ "loop of nothing", "longer than its queue",
	  .desc = { A_HEADER, { VBLK_DATA, 0, NEXT | WRITE, 1 } } },
	{ "readable after writable", "follows one to be written",
	  .desc = { A_HEADER, { VBLK_DATA, 512, NEXT | WRITE, 2 },
		    { VBLK_DATA, 512, 0, 0 } } },
	{ "header after status", "follows one to be written",
	  .desc = { { STATUS, 1, NEXT | WRITE, 1 }, { HEADER, 16, 0, 0 } } },
	{ "nothing to write to", "lacks", .desc = { { HEADER, 16, 0, 0 } } },
	{ "nothing to read", "lacks", .desc = { { HEADER, 17, WRITE, 0 } } },
	{ "short header", "lacks",
	  .desc = { { HEADER, 15, NEXT, 1 }, A_STATUS } },
	{ "empty status", "lacks",
	  .desc = { A_HEADER, { STATUS, 0, WRITE, 0 } } },
	{ "empty chain", "lacks", .desc = { { 0, 0, 0, 0 } } },
	{ "flags that nobody knows", NULL, VIRTIO_BLK_S_OK,
	  .desc = { { HEADER, 16, NEXT | 0xfff8, 1 },
		    { STATUS, 1, WRITE | 0x8000, 0 } } },
	{ "empty segments", NULL, VIRTIO_BLK_S_OK,
	  .desc = { A_HEADER, { NOWHERE, 0, NEXT | WRITE, 2 },
		    { UINT64_MAX, 0, NEXT | WRITE, 3 }, A_STATUS } },
	{ "4 GiB less one", NULL, VIRTIO_BLK_S_IOERR,
	  .desc = { A_HEADER, { VBLK_DATA, UINT32_MAX, NEXT | WRITE, 2 },
		    A_STATUS } },
	{ "8 GiB in all", NULL, VIRTIO_BLK_S_IOERR,
	  .desc = { A_HEADER, { VBLK_DATA, 0xfffffe00, NEXT | WRITE, 2 },
		    { VBLK_DATA, 0xfffffe00, NEXT | WRITE, 3 }, A_STATUS } },
	{ "4 GiB in all, were it counted in 32 bits", NULL, VIRTIO_BLK_S_IOERR,
	  .desc = { A_HEADER, { VBLK_DATA, 0xfffffe00, NEXT | WRITE, 2 },
		    { VBLK_DATA, 0x400, NEXT | WRITE, 3 }, A_STATUS } },
};

static const struct hostile tables[] = {
	{ "empty table", "bad size", .desc = { A_TABLE(0) } },
	{ "half a descriptor", "bad size", .desc = { A_TABLE(8) } },
	{ "a little too long", "bad size", .desc = { A_TABLE(17) } },
	{ "more than the queue has", "bad size",
	  .desc = { A_TABLE(16 * (VBLK_QUEUE_SIZE + 1)) } },
	{ "4 GiB of descriptors", "bad size", .desc = { A_TABLE(0xfffffff0) } },
	{ "4 GiB less one", "bad size", .desc = { A_TABLE(UINT32_MAX) } },
	{ "more after a table", "followed by more",
	  .desc = { { TABLE, 16, INDIRECT | NEXT, 1 }, A_STATUS },
	  .table = { { HEADER, 16, 0, 0 } } },
	{ "a table in itself", "nested", .desc = { A_TABLE(16) },
	  .table = { { TABLE, 16, INDIRECT, 0 } } },
	{ "a table in a table", "nested", .desc = { A_TABLE(32) },
	  .table = { A_HEADER, { VBLK_DATA, 16, INDIRECT, 0 } } },
	{ "next beyond the table", "table is left", .desc = { A_TABLE(32) },
	  .table = { { HEADER, 16, NEXT, 2 }, A_STATUS, A_STATUS } },
	{ "next far beyond it", "table is left", .desc = { A_TABLE(16) },
	  .table = { { HEADER, 16, NEXT, 65535 } } },
	{ "loop in a table", "longer than its queue", .desc = { A_TABLE(32) },
	  .table = { A_HEADER, { HEADER, 16, NEXT, 0 } } },
	{ "order in a table", "follows one to be written",
	  .desc = { A_TABLE(48) },
	  .table = { A_HEADER, { STATUS, 1, NEXT | WRITE, 2 },
		     { HEADER, 16, 0, 0 } } },
	{ "no status in a table", "lacks", .desc = { A_TABLE(16) },
	  .table = { { HEADER, 16, 0, 0 } } },
	/* To be ignored, says the specification. */
	{ "writable table", NULL, VIRTIO_BLK_S_OK,
	  .desc = { { TABLE, 32, INDIRECT | WRITE, 0 } },
	  .table = { A_HEADER, A_STATUS } },
};

/* Where a table, a header, and a status cannot be. */
static const struct hostile places[] = {
	{ "table nowhere", "table is not in its memory",
	  .desc = { { NOWHERE, 32, INDIRECT, 0 } } },
	{ "table beyond what is announced", "table is not in its memory",
	  .desc = { { APERTURE, 32, INDIRECT, 0 } } },
	{ "table at the end of all addresses", "table is not in its memory",
	  .desc = { { UINT64_MAX - 15, 32, INDIRECT, 0 } } },
	{ "table that ends outside", "table is not in its memory",
	  .desc = { { VBLK_END - 16, 32, INDIRECT, 0 } } },
	{ "header nowhere", NULL, VIRTIO_BLK_S_IOERR,
	  .desc = { { NOWHERE, 16, NEXT, 1 }, A_STATUS } },
	{ "header that wraps", NULL, VIRTIO_BLK_S_IOERR,
	  .desc = { { UINT64_MAX - 7, 16, NEXT, 1 }, A_STATUS } },
	{ "status nowhere", "status is not in its memory",
	  .desc = { A_HEADER, { NOWHERE, 1, WRITE, 0 } } },
	{ "status that may only be read", "status is not in its memory",
	  .desc = { A_HEADER, { VBLK_RO_IOVA, 1, WRITE, 0 } } },
	{ "status at the end of all addresses", "status is not in its memory",
	  .desc = { A_HEADER, { UINT64_MAX, 1, WRITE, 0 } } },
	{ "status that wraps to 0", "status is not in its memory",
	  .desc = { A_HEADER, { UINT64_MAX, 2, WRITE, 0 } } },
};

static void chains_and_tables(const struct vblk_way *way)
{
	up(way);
	ATTEMPT_ALL(chains);
	ATTEMPT_ALL(tables);
}

TEST(chains_by_mmap)
{
	chains_and_tables(&vblk_by_mmap);
}

TEST(chains_by_messages)
{
	chains_and_tables(&vblk_by_messages);
}

static void data_at(uint64_t addr, uint32_t size, uint32_t type, uint8_t status)
{
	const uint16_t flags = NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : WRITE);
	char what[64];
	struct hostile h = {
		.what = what,
		.status = status,
		.desc = { A_HEADER, { addr, size, flags, 2 }, A_STATUS },
	};

	snprintf(what, sizeof(what), "%u bytes at 0x%llx, type %u", size,
		 (unsigned long long)addr, type);
	vblk_header(&v, q, type, 100);
	attempt(&h);
}

static void data_everywhere(void)
{
	static const uint64_t bad[] = {
		0, NOWHERE, VBLK_IOVA - 512, VBLK_IOVA - 1, VBLK_END - 1,
		VBLK_END, APERTURE - 256, APERTURE, UINT64_MAX - 255, UINT64_MAX,
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		data_at(bad[i], 512, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR);
		data_at(bad[i], 512, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR);
		data_at(bad[i], VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_T_GET_ID,
			VIRTIO_BLK_S_IOERR);
	}
}

static void everywhere(const struct vblk_way *way)
{
	up(way);
	ATTEMPT_ALL(places);
	data_everywhere();
	/* From memory that may only be read, but not to it. */
	data_at(VBLK_RO_IOVA, 512, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK);
	data_at(VBLK_RO_IOVA, 512, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR);
	data_at(VBLK_RO_IOVA - 256, 512, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR);
}

TEST(addresses_by_mmap)
{
	everywhere(&vblk_by_mmap);
}

TEST(addresses_by_exact_mmap)
{
	everywhere(&vblk_by_exact_mmap);
}

TEST(addresses_absorbed)
{
	everywhere(&vblk_absorbed);
}

TEST(addresses_by_file_io)
{
	everywhere(&vblk_by_file_io);
}

TEST(addresses_by_messages)
{
	everywhere(&vblk_by_messages);
}
