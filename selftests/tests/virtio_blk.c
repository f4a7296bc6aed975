// SPDX-License-Identifier: GPL-2.0
/* A disk in a process, and a driver that keeps to the rules. */

#include <endian.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>

#include "../lib/test.h"
#include "../lib/virtio_blk.h"

static struct vblk v;
static struct vblk_queue *const q = &v.queue[0];

static void up(const struct vblk_way *way)
{
	vblk_up(&v, way, NULL);
	vblk_start(&v, VBLK_FEATURES);
}

TEST(config_space_and_structures)
{
	vblk_up(&v, NULL, NULL);
	CHECK_EQ(vblk_config_get(&v, PCI_VENDOR_ID, 2), 0x1af4);
	CHECK_EQ(vblk_config_get(&v, PCI_DEVICE_ID, 2), 0x1040 + VIRTIO_ID_BLOCK);
	CHECK(vblk_config_get(&v, PCI_REVISION_ID, 1) >= 1);
	CHECK(v.where[VIRTIO_PCI_CAP_COMMON_CFG].length >=
	      sizeof(struct virtio_pci_common_cfg));
	CHECK(v.where[VIRTIO_PCI_CAP_DEVICE_CFG].length >=
	      offsetof(struct virtio_blk_config, num_queues) + 2);
	CHECK(v.where[VIRTIO_PCI_CAP_ISR_CFG].length >= 1);
	/* A power of two, from 2 on, or 0: one for all. */
	CHECK(!(v.notify_step & (v.notify_step - 1)) && v.notify_step != 1);
	CHECK(v.where[VIRTIO_PCI_CAP_NOTIFY_CFG].length >=
	      (VBLK_QUEUES - 1) * v.notify_step + 2);
	CHECK_EQ(vblk_config_get(&v, v.msix_cap + PCI_MSIX_FLAGS, 2) &
		 PCI_MSIX_FLAGS_QSIZE, VBLK_QUEUES);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_NUMQ, 2), VBLK_QUEUES);
	CHECK_EQ(vblk_status(&v), 0);
}

static uint64_t blk_config(size_t offset, size_t size)
{
	return vblk_get(&v, VIRTIO_PCI_CAP_DEVICE_CFG, (uint32_t)offset, size);
}

TEST(device_configuration)
{
	vblk_up(&v, NULL, NULL);
	CHECK_EQ(blk_config(offsetof(struct virtio_blk_config, capacity), 8),
		 VBLK_SECTORS);
	CHECK_EQ(blk_config(offsetof(struct virtio_blk_config, capacity) + 4, 4),
		 0);
	CHECK_EQ(blk_config(offsetof(struct virtio_blk_config, blk_size), 4),
		 VBLK_SECTOR);
	CHECK_EQ(blk_config(offsetof(struct virtio_blk_config, num_queues), 2),
		 VBLK_QUEUES);
	CHECK_EQ(blk_config(offsetof(struct virtio_blk_config, seg_max), 4),
		 VBLK_QUEUE_SIZE - 2);
	/* Read-only, all of it. */
	vblk_put(&v, VIRTIO_PCI_CAP_DEVICE_CFG, 0, 8, 1);
	CHECK_EQ(blk_config(0, 8), VBLK_SECTORS);
}

/* BARs can be reached through a window in configuration space as well. */
TEST(structures_through_config_space)
{
	const struct vblk_where *common = &v.where[VIRTIO_PCI_CAP_COMMON_CFG];
	const struct vblk_where *pci = &v.where[VIRTIO_PCI_CAP_PCI_CFG];
	unsigned int data;

	vblk_up(&v, NULL, NULL);
	data = pci->cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	vblk_config_put(&v, pci->cap + VIRTIO_PCI_CAP_BAR, 1, common->bar);
	vblk_config_put(&v, pci->cap + VIRTIO_PCI_CAP_OFFSET, 4,
			common->offset + VIRTIO_PCI_COMMON_NUMQ);
	vblk_config_put(&v, pci->cap + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	CHECK_EQ(vblk_config_get(&v, data, 2), VBLK_QUEUES);
	vblk_config_put(&v, pci->cap + VIRTIO_PCI_CAP_OFFSET, 4,
			common->offset + VIRTIO_PCI_COMMON_Q_SELECT);
	vblk_config_put(&v, data, 2, 1);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
}

TEST(features)
{
	uint64_t offered;

	vblk_up(&v, NULL, NULL);
	offered = vblk_offered_features(&v);
	CHECK_EQ(offered & VBLK_FEATURES, VBLK_FEATURES);
	CHECK(!(offered & VBLK_BIT(VIRTIO_BLK_F_RO)));
	/* There are only two words of them. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_DF, 4), 0);
	CHECK(vblk_negotiate(&v, VBLK_FEATURES));
	/* What has been agreed upon stays. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_GF, 4, 0);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_GF, 4),
		 VBLK_FEATURES & UINT32_MAX);
	vblk_reset(&v);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_GF, 4), 0);
	CHECK(!vblk_negotiate(&v, VBLK_FEATURES & ~VBLK_BIT(VIRTIO_F_VERSION_1)));
	vblk_reset(&v);
	CHECK(!vblk_negotiate(&v, VBLK_FEATURES | VBLK_BIT(3)));
}

/* A read of so many sectors into these segments has brought what is there. */
static void check_read(uint64_t sector, const struct vblk_segment *seg,
		       unsigned int nr)
{
	unsigned char *want = malloc(VBLK_SIZE), *at = want;
	uint32_t size = 0;

	CHECK(want);
	for (unsigned int i = 0; i < nr; i++) {
		memset(vblk_at(&v, seg[i].addr), 0x77, seg[i].len);
		size += seg[i].len;
	}
	vblk_disk(want, sector, size);
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_IN, sector, seg, nr),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, size + 1);
	for (unsigned int i = 0; i < nr; at += seg[i++].len)
		CHECK(!memcmp(vblk_at(&v, seg[i].addr), at, seg[i].len));
	free(want);
}

static void check_write(uint64_t sector, const struct vblk_segment *seg,
			unsigned int nr)
{
	unsigned char *disk = malloc(VBLK_SIZE), *at = disk;
	uint32_t size = 0;

	CHECK(disk);
	for (unsigned int i = 0; i < nr; i++) {
		memset(vblk_at(&v, seg[i].addr), (int)(0x31 + sector + i),
		       seg[i].len);
		size += seg[i].len;
	}
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_OUT, sector, seg, nr),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, 1);
	vblk_disk(disk, sector, size);
	for (unsigned int i = 0; i < nr; at += seg[i++].len)
		CHECK(!memcmp(vblk_at(&v, seg[i].addr), at, seg[i].len));
	free(disk);
}

/* Whole pages, odd places, page boundaries in the middle, a large one. */
static void read_and_write(const struct vblk_way *way)
{
	struct vblk_segment seg[4] = {
		{ VBLK_DATA + 0x1000, 512, true },
		{ VBLK_DATA + 0x2fff, 1024, true },
		{ VBLK_DATA + 0x4001, 3, true },
		{ VBLK_DATA + 0x5800, 509 + 0x3000, true },
	};
	const struct vblk_segment large = { VBLK_DATA, 0x80000, true };

	up(way);
	vblk_snapshot(&v);
	check_read(0, seg, 1);
	check_read(1, seg, 4);
	check_read(VBLK_SECTORS - 1, seg, 1);
	check_read(100, &large, 1);
	vblk_allow(&v, VBLK_DATA, 0x80000);
	vblk_allow(&v, q->desc, VBLK_DESC(1) - VBLK_DESC(0));
	CHECK_EQ(vblk_changed(&v), -1);
	for (int i = 0; i < 4; i++)
		seg[i].write = false;
	check_write(10, seg, 1);
	check_write(20, seg, 4);
	check_write(VBLK_SECTORS - 1, seg, 1);
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_FLUSH, 0, NULL, 0),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, 1);
}

TEST(read_and_write_by_mmap)
{
	read_and_write(&vblk_by_mmap);
}

TEST(read_and_write_by_exact_mmap)
{
	read_and_write(&vblk_by_exact_mmap);
}

TEST(read_and_write_by_file_io)
{
	read_and_write(&vblk_by_file_io);
}

TEST(read_and_write_by_messages)
{
	read_and_write(&vblk_by_messages);
}

/* Where a descriptor ends means nothing: only bytes count. */
TEST(any_layout)
{
	unsigned char *data, want[513];
	unsigned int i;

	up(NULL);
	data = vblk_at(&v, VBLK_DATA);
	vblk_header(&v, q, VIRTIO_BLK_T_IN, 7);
	for (i = 0; i < 16; i++)
		vblk_desc(&v, q->desc, i, VBLK_HEADER(0) + i, 1,
			  VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	vblk_desc(&v, q->desc, i, VBLK_DATA, 300,
		  VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 40);
	vblk_desc(&v, q->desc, 40, VBLK_DATA + 300, 213, VRING_DESC_F_WRITE, 0);
	memset(data, 0x77, 1024);
	vblk_kick(&v, q, 0);
	vblk_wait(&v, q);
	CHECK_EQ(q->last.len, 513);
	vblk_pattern(want, 7, 512);
	want[512] = VIRTIO_BLK_S_OK;
	CHECK(!memcmp(data, want, 513) && data[513] == 0x77);

	/* Data that are written together with the header. */
	vblk_header(&v, q, VIRTIO_BLK_T_OUT, 9);
	memset((char *)vblk_at(&v, VBLK_HEADER(0)) + 16, 0x5c, 240);
	memset(data, 0x5d, 272);
	vblk_desc(&v, q->desc, 0, VBLK_HEADER(0), 256, VRING_DESC_F_NEXT, 1);
	vblk_desc(&v, q->desc, 1, VBLK_DATA, 272, VRING_DESC_F_NEXT, 2);
	vblk_desc(&v, q->desc, 2, VBLK_DATA + 0x1000, 1, VRING_DESC_F_WRITE, 0);
	vblk_kick(&v, q, 0);
	vblk_wait(&v, q);
	CHECK_EQ(data[0x1000], VIRTIO_BLK_S_OK);
	vblk_disk(want, 9, 512);
	CHECK(want[0] == 0x5c && want[239] == 0x5c && want[240] == 0x5d &&
	      want[511] == 0x5d);
}

TEST(get_id)
{
	struct vblk_segment id = { VBLK_DATA, VIRTIO_BLK_ID_BYTES, true };
	char want[VIRTIO_BLK_ID_BYTES] = "vum-virtio-blk";
	char *data;

	up(NULL);
	data = vblk_at(&v, VBLK_DATA);
	memset(data, 0x77, 64);
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_GET_ID, 0, &id, 1),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, VIRTIO_BLK_ID_BYTES + 1);
	CHECK(!memcmp(data, want, sizeof(want)) && data[20] == 0x77);
	/* As much as there is room for. */
	memset(data, 0x77, 64);
	id.len = 5;
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_GET_ID, 0, &id, 1),
		 VIRTIO_BLK_S_OK);
	CHECK(!memcmp(data, want, 5) && data[5] == 0x77);
	id.len = 64;
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_GET_ID, 0, &id, 1),
		 VIRTIO_BLK_S_OK);
	CHECK(!memcmp(data, want, sizeof(want)) && data[20] == 0x77);
}

static uint8_t ask(uint32_t type, uint64_t sector, uint32_t len)
{
	const struct vblk_segment seg = {
		VBLK_DATA, len, type != VIRTIO_BLK_T_OUT,
	};

	return vblk_request(&v, q, type, sector, &seg, len ? 1 : 0);
}

TEST(errors)
{
	up(NULL);
	vblk_snapshot(&v);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, VBLK_SECTORS, 512), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(q->last.len, 1 - 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, VBLK_SECTORS, 512), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, VBLK_SECTORS - 1, 1024),
		 VIRTIO_BLK_S_IOERR);
	/* Products of a sector's size and these wrap. */
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, 1ULL << 55, 512), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, (1ULL << 55) + 1, 512),
		 VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, UINT64_MAX - 1, 1024),
		 VIRTIO_BLK_S_IOERR);
	/* Whole sectors only. */
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, 0, 511), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 513), VIRTIO_BLK_S_IOERR);
	CHECK_EQ(ask(77, 0, 512), VIRTIO_BLK_S_UNSUPP);
	CHECK_EQ(ask(UINT32_MAX, 0, 0), VIRTIO_BLK_S_UNSUPP);
	vblk_allow(&v, q->desc, VBLK_DESC(1) - VBLK_DESC(0));
	CHECK_EQ(vblk_changed(&v), -1);
	/* None of which is the device's undoing. */
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, 0, 0), VIRTIO_BLK_S_OK);
	vblk_check(&v, q);
}

TEST(read_only_disk)
{
	static const char *const args[] = { "--read-only", NULL };
	const struct vblk_segment out = { VBLK_DATA, 512, false };
	const struct vblk_segment in = { VBLK_DATA, 512, true };
	unsigned char disk[512], want[512];

	vblk_up(&v, NULL, args);
	CHECK(vblk_offered_features(&v) & VBLK_BIT(VIRTIO_BLK_F_RO));
	vblk_start(&v, VBLK_FEATURES | VBLK_BIT(VIRTIO_BLK_F_RO));
	CHECK_EQ(vblk_request(&v, q, VIRTIO_BLK_T_OUT, 3, &out, 1),
		 VIRTIO_BLK_S_IOERR);
	vblk_disk(disk, 3, 512);
	vblk_pattern(want, 3, 512);
	CHECK(!memcmp(disk, want, 512));
	check_read(3, &in, 1);
}

TEST(indirect_descriptors)
{
	const uint64_t table = VBLK_TABLE(0);
	unsigned char want[512];

	up(NULL);
	vblk_pattern(want, 11, 512);
	vblk_header(&v, q, VIRTIO_BLK_T_IN, 11);
	/* Not in the order in which they stand there. */
	vblk_desc(&v, table, 0, VBLK_HEADER(0), 16, VRING_DESC_F_NEXT, 2);
	vblk_desc(&v, table, 2, VBLK_DATA, 512,
		  VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	vblk_desc(&v, table, 1, VBLK_STATUS(0), 1, VRING_DESC_F_WRITE, 0);
	vblk_desc(&v, q->desc, 9, table, 3 * 16, VRING_DESC_F_INDIRECT, 0);
	vblk_kick(&v, q, 9);
	vblk_wait(&v, q);
	CHECK_EQ(q->last.id, 9);
	CHECK_EQ(q->last.len, 513);
	CHECK(!vblk_done(&v, q) && !memcmp(vblk_at(&v, VBLK_DATA), want, 512));

	/* After a direct one, which is allowed; before one it is not. */
	memset(vblk_at(&v, VBLK_DATA), 0, 512);
	vblk_desc(&v, q->desc, 4, VBLK_HEADER(0), 16, VRING_DESC_F_NEXT, 5);
	vblk_desc(&v, q->desc, 5, table, 2 * 16, VRING_DESC_F_INDIRECT, 0);
	vblk_desc(&v, table, 0, VBLK_DATA, 512,
		  VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	vblk_kick(&v, q, 4);
	vblk_wait(&v, q);
	CHECK_EQ(q->last.id, 4);
	CHECK(!vblk_done(&v, q) && !memcmp(vblk_at(&v, VBLK_DATA), want, 512));
}

/* As long as the queue is: that is the longest. */
TEST(longest_chains)
{
	struct vblk_segment seg[VBLK_QUEUE_SIZE - 2];
	struct vring_desc *desc, *table;

	up(NULL);
	for (unsigned int i = 0; i < VBLK_QUEUE_SIZE - 2; i++)
		seg[i] = (struct vblk_segment){
			VBLK_DATA + 0x800ULL * i, VBLK_SECTOR, true,
		};
	check_read(0, seg, VBLK_QUEUE_SIZE - 2);
	/* The same, indirect. */
	desc = vblk_at(&v, q->desc);
	table = vblk_at(&v, VBLK_TABLE(0));
	memcpy(table, desc, VBLK_QUEUE_SIZE * sizeof(*desc));
	memset(vblk_at(&v, VBLK_DATA), 0, 0x800);
	vblk_desc(&v, q->desc, 0, VBLK_TABLE(0), VBLK_QUEUE_SIZE * 16,
		  VRING_DESC_F_INDIRECT, 0);
	vblk_kick(&v, q, 0);
	vblk_wait(&v, q);
	CHECK_EQ(q->last.len, (VBLK_QUEUE_SIZE - 2) * VBLK_SECTOR + 1);
}

/* The indexes have 16 bits and go round; queues can be small. */
TEST(indexes_wrap)
{
	unsigned int rounds;

	vblk_up(&v, NULL, NULL);
	v.nr_queues = 0;
	vblk_start(&v, VBLK_FEATURES);
	vblk_queue_init(&v, q);
	q->size = 4;
	vblk_queue_enable(&v, q);
	vblk_check(&v, q);
	/* Another one, so that this one starts anew. */
	vblk_reset(&v);
	vblk_start(&v, VBLK_FEATURES);
	vblk_queue_init(&v, q);
	vblk_queue_enable(&v, q);
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, NULL, 0);
	for (rounds = 0; rounds < 65536 / VBLK_QUEUE_SIZE + 2; rounds++) {
		for (unsigned int i = 0; i < VBLK_QUEUE_SIZE; i++)
			vblk_offer(&v, q, 0);
		vblk_notify(&v, q);
		vblk_wait(&v, q);
	}
	CHECK_EQ(q->offered, 2 * VBLK_QUEUE_SIZE);
	vblk_check(&v, q);
}

TEST(two_queues)
{
	struct vblk_queue *other = &v.queue[1];

	up(&vblk_by_messages);
	for (int i = 0; i < 20; i++) {
		const struct vblk_segment a = { VBLK_DATA, 0x4000, true };
		const struct vblk_segment b = { VBLK_DATA + 0x8000, 0x2000, true };
		unsigned char want[0x4000];

		vblk_chain(&v, q, VIRTIO_BLK_T_IN, i, &a, 1);
		vblk_chain(&v, other, VIRTIO_BLK_T_IN, 50 + i, &b, 1);
		vblk_kick(&v, q, 0);
		vblk_kick(&v, other, 0);
		vblk_wait(&v, other);
		vblk_wait(&v, q);
		CHECK(!vblk_done(&v, q) && !vblk_done(&v, other));
		vblk_pattern(want, i, 0x4000);
		CHECK(!memcmp(vblk_at(&v, a.addr), want, 0x4000));
		vblk_pattern(want, 50 + i, 0x2000);
		CHECK(!memcmp(vblk_at(&v, b.addr), want, 0x2000));
	}
	vblk_check(&v, other);
}

TEST(many_queues)
{
	static const char *const args[] = { "--queues", "64", NULL };

	vblk_up(&v, NULL, args);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_NUMQ, 2), 64);
	v.nr_queues = 0;
	vblk_start(&v, VBLK_FEATURES);
	vblk_queue_init(&v, q);
	q->index = 63;
	vblk_queue_enable(&v, q);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 63);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_NOFF, 2), 63);
	/* Its memory is where that of the first would be. */
	q->index = 0;
	vblk_chain(&v, q, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
	vblk_offer(&v, q, 0);
	q->index = 63;
	vblk_notify(&v, q);
	vblk_wait(&v, q);
	CHECK_EQ(q->last.len, 1);
}
