// SPDX-License-Identifier: GPL-2.0
/*
 * A disk in a process, and a guest that does to its registers and rings what no
 * driver should.
 */

#include <endian.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../lib/test.h"
#include "../lib/virtio_blk.h"

#define NOWHERE		0x123456000ULL

static struct vblk v;
static struct vblk_queue *const q = &v.queue[0];
static const struct vblk_segment sector = { VBLK_DATA, VBLK_SECTOR, true };

static void up(const struct vblk_way *way)
{
	vblk_up(&v, way, NULL);
	v.nr_queues = 1;
	vblk_start(&v, VBLK_FEATURES);
}

/* Reset, features, and the queue as it would be; the device has to be told. */
static void half_way(void)
{
	vblk_reset(&v);
	CHECK(vblk_negotiate(&v, VBLK_FEATURES));
	vblk_queue_init(&v, q);
}

/**
 * struct setup - a queue, 0 for what is as it should be
 * @what: is wrong with it
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 * @size: of the queue
 * @unknown: nobody can say what comes of it
 */
struct setup {
	const char *what;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t size;
	bool unknown;
};

static void set_up(const struct setup *s)
{
	test_doing = s->what;
	half_way();
	q->desc = s->desc ? s->desc : q->desc;
	q->avail = s->avail ? s->avail : q->avail;
	q->used = s->used ? s->used : q->used;
	q->size = s->size ? s->size : q->size;
}

TEST(queues_that_cannot_be)
{
	static const struct setup list[] = {
		{ "descriptors misaligned", .desc = VBLK_DESC(0) + 8 },
		{ "available ring misaligned", .avail = VBLK_AVAIL(0) + 1 },
		{ "used ring misaligned", .used = VBLK_USED(0) + 2 },
		{ "no power of two", .size = 3 },
		{ "one too many", .size = VBLK_QUEUE_SIZE + 1 },
		{ "twice as many", .size = 2 * VBLK_QUEUE_SIZE },
		{ "far too many", .size = 32768 },
		{ "all bits set", .size = 65535 },
	};
	unsigned int said = 0;

	up(NULL);
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		set_up(&list[i]);
		vblk_snapshot(&v);
		vblk_queue_enable(&v, q);
		CHECK(vblk_is_broken(&v));
		CHECK_EQ(file_count(world_server_log(), "bad size or alignment"),
			 ++said);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		vblk_driver_ok(&v);
		vblk_notify(&v, q);
		vblk_recovers(&v, q);
	}
	test_doing = "size 0";
	half_way();
	q->size = 0;
	vblk_queue_enable(&v, q);
	CHECK(vblk_is_broken(&v));
	vblk_snapshot(&v);
	vblk_recovers(&v, q);
}

/* A request is in the queue, as far as we have access to it. */
static void queue_elsewhere(const struct setup *s, bool unknown)
{
	uint16_t *avail;

	set_up(s);
	memset(vblk_at(&v, VBLK_DATA), 0, 0x1000);
	if (vblk_at(&v, q->desc))
		vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	vblk_queue_enable(&v, q);
	vblk_driver_ok(&v);
	avail = vblk_at(&v, q->avail);
	if (avail)
		avail[1] = htole16(1);
	q->offered = 1;
	vblk_snapshot(&v);
	vblk_notify(&v, q);
	if (unknown)
		test_sleep_ms(50);
	else
		vblk_wait_broken(&v);
	vblk_allow_used(&v, q);
	vblk_allow(&v, VBLK_DATA, 0x1000);
	vblk_allow(&v, VBLK_STATUS(0), 1);
	vblk_recovers(&v, q);
}

/* Rings where nobody has mapped anything, or nothing to be written. */
static void queues_elsewhere(const struct vblk_way *way)
{
	static const struct setup list[] = {
		{ "descriptors nowhere", .desc = NOWHERE },
		{ "available ring nowhere", .avail = NOWHERE },
		{ "used ring nowhere", .used = NOWHERE },
		{ "everything nowhere", NOWHERE, NOWHERE, NOWHERE, 0, false },
		{ "everything at one place", VBLK_DATA, VBLK_DATA, VBLK_DATA, 0,
		  true },
		{ "used ring that may only be read", .used = VBLK_RO_IOVA },
		{ "descriptors at the end", .desc = UINT64_MAX - 15 },
		{ "available ring at the end", .avail = UINT64_MAX - 1 },
		{ "used ring at the end", .used = UINT64_MAX - 3 },
		{ "used ring that ends outside", .used = VBLK_RO_IOVA - 4 },
		{ "available ring that ends outside", .avail = VBLK_END - 4 },
	};
	up(way);
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		queue_elsewhere(&list[i],
				list[i].unknown || way == &vblk_absorbed);
}

TEST(queues_elsewhere_by_mmap)
{
	queues_elsewhere(&vblk_by_mmap);
}

TEST(queues_elsewhere_by_exact_mmap)
{
	queues_elsewhere(&vblk_by_exact_mmap);
}

TEST(queues_elsewhere_absorbed)
{
	queues_elsewhere(&vblk_absorbed);
}

TEST(queues_elsewhere_by_file_io)
{
	queues_elsewhere(&vblk_by_file_io);
}

TEST(queues_elsewhere_by_messages)
{
	queues_elsewhere(&vblk_by_messages);
}

/* More requests at once than there can be, in either direction. */
TEST(available_index_jumps)
{
	static const uint16_t jumps[] = {
		VBLK_QUEUE_SIZE + 1, 0x7fff, 0x8000, 0xfffe, 0xffff,
	};

	up(NULL);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
		uint16_t *avail = vblk_at(&v, q->avail);

		vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
		avail[1] = htole16((uint16_t)(q->offered + jumps[i]));
		vblk_snapshot(&v);
		vblk_notify(&v, q);
		vblk_wait_broken(&v);
		CHECK_EQ(file_count(world_server_log(), "has jumped"), i + 1);
		vblk_recovers(&v, q);
	}
}

/* A full queue is as much as there can be. */
TEST(available_index_as_far_as_can_be)
{
	up(NULL);
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	for (unsigned int i = 0; i < VBLK_QUEUE_SIZE; i++)
		vblk_offer(&v, q, 0);
	vblk_notify(&v, q);
	vblk_wait(&v, q);
	CHECK(!vblk_is_broken(&v));
}

TEST(queues_that_do_not_exist)
{
	const struct vblk_where *notify = &v.where[VIRTIO_PCI_CAP_NOTIFY_CFG];
	const uint16_t select[] = { VBLK_QUEUES, 64, 255, 32768, 65535 };

	up(NULL);
	vblk_snapshot(&v);
	for (size_t i = 0; i < sizeof(select) / sizeof(*select); i++) {
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, select[i]);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8, VBLK_DATA);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, VBLK_DATA);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_USEDLO, 8, VBLK_DATA);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	}
	/* One that exists but is not enabled, and those after it. */
	for (uint32_t at = v.notify_step; notify->offset + at < 0x4000; at += 252)
		vblk_put(&v, VIRTIO_PCI_CAP_NOTIFY_CFG, at, 4, 0xffffffff);
	CHECK(!vblk_is_broken(&v));
	CHECK_EQ(vblk_changed(&v), -1);
	vblk_check(&v, q);
}

/* What counts is what was there when it was enabled. */
TEST(enabled_twice)
{
	up(NULL);
	vblk_check(&v, q);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8, NOWHERE);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 1);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 1);
	for (unsigned int enable = 0; enable <= 3; enable++) {
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, enable);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	}
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2),
		 VBLK_QUEUE_SIZE);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8), q->desc);
	vblk_check(&v, q);
}

TEST(vectors_out_of_range)
{
	static const uint16_t bad[] = { VBLK_QUEUES + 1, 256, 2047, 2048, 0xfffe };

	up(NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		vblk_put_common(&v, VIRTIO_PCI_COMMON_MSIX, 2, bad[i]);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_MSIX, 2),
			 VIRTIO_MSI_NO_VECTOR);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
		vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2, bad[i]);
		CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2),
			 VIRTIO_MSI_NO_VECTOR);
	}
	/* Whom to tell nobody has said: it goes on, and tells nobody. */
	vblk_check(&v, q);
	CHECK_EQ(eventfd_take(q->irq, 50), 0);
	vblk_desc(&v, q->desc, 0, VBLK_HEADER(0), 16, VRING_DESC_F_NEXT, 0);
	vblk_kick(&v, q, 0);
	vblk_wait_broken(&v);
	CHECK_EQ(eventfd_take(v.config_irq, 50), 0);
	vblk_snapshot(&v);
	vblk_recovers(&v, q);
}

TEST(status_in_the_wrong_order)
{
	const uint8_t ack = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	const uint8_t driver = ack | VIRTIO_CONFIG_S_DRIVER;

	up(NULL);
	vblk_reset(&v);
	/* Nothing is agreed upon, so there is nothing to be in order. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_STATUS, 1,
			driver | VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK);
	CHECK_EQ(vblk_status(&v), driver);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_STATUS, 1,
			driver | VIRTIO_CONFIG_S_DRIVER_OK);
	CHECK_EQ(vblk_status(&v), driver);
	/* What has been said cannot be taken back, short of a reset. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_STATUS, 1, ack);
	CHECK_EQ(vblk_status(&v), driver);
	/* It is the device that asks for that, not the driver. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_STATUS, 1,
			VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK_EQ(vblk_status(&v), driver);
	vblk_snapshot(&v);
	vblk_recovers(&v, q);
}

/* A device that has not agreed does not work. */
TEST(features_that_nobody_offered)
{
	static const uint64_t bad[] = {
		VBLK_FEATURES | VBLK_BIT(VIRTIO_BLK_F_RO),
		VBLK_FEATURES | VBLK_BIT(VIRTIO_F_RING_PACKED),
		VBLK_FEATURES | VBLK_BIT(63), UINT64_MAX, 0,
		VBLK_FEATURES & ~VBLK_BIT(VIRTIO_F_VERSION_1),
	};

	up(NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		vblk_reset(&v);
		CHECK(!vblk_negotiate(&v, bad[i]));
		vblk_queue_init(&v, q);
		vblk_queue_enable(&v, q);
		vblk_driver_ok(&v);
		CHECK(!(vblk_status(&v) & VIRTIO_CONFIG_S_DRIVER_OK));
		vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
		vblk_offer(&v, q, 0);
		vblk_snapshot(&v);
		vblk_notify(&v, q);
		test_sleep_ms(10);
		vblk_recovers(&v, q);
	}
}

/* What has not been negotiated the device does not know. */
TEST(indirect_without_the_feature)
{
	up(NULL);
	vblk_start(&v, VBLK_FEATURES & ~VBLK_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	vblk_desc(&v, VBLK_TABLE(0), 0, VBLK_STATUS(0), 1, VRING_DESC_F_WRITE, 0);
	vblk_desc(&v, q->desc, 0, VBLK_TABLE(0), 16, VRING_DESC_F_INDIRECT, 0);
	vblk_offer(&v, q, 0);
	vblk_snapshot(&v);
	vblk_notify(&v, q);
	vblk_wait_broken(&v);
	CHECK_EQ(file_count(world_server_log(), "not negotiated"), 1);
	vblk_recovers(&v, q);
}

/* Every byte of a region, by accesses of every size and place. */
static void poke_around(unsigned int region, uint64_t size, uint64_t step)
{
	unsigned char *buf = malloc(size);

	CHECK(buf);
	for (uint64_t at = 0; at < size; at += step)
		for (size_t n = 1; n <= 16 && n <= size - at; n += n < 8 ? 1 : 8)
			CHECK_EQ(pread(v.c.device, buf, n, region_at(region, at)),
				 n);
	CHECK_EQ(pread(v.c.device, buf, size, region_at(region, 0)), size);
	CHECK_EQ(pread(v.c.device, buf, size - 1, region_at(region, 1)),
		 size - 1);
	/* Not one byte more. */
	CHECK(pread(v.c.device, buf, 1, region_at(region, size)) <= 0);
	CHECK(pwrite(v.c.device, buf, 1, region_at(region, size)) <= 0);
	free(buf);
}

TEST(registers_read_at_odd_places)
{
	up(NULL);
	vblk_snapshot(&v);
	poke_around(VFIO_PCI_CONFIG_REGION_INDEX, 256, 7);
	poke_around(VFIO_PCI_BAR0_REGION_INDEX, 0x4000, 0x3f3);
	poke_around(VFIO_PCI_BAR1_REGION_INDEX, 0x1000, 0x1f3);
	CHECK_EQ(vblk_changed(&v), -1);
	vblk_check(&v, q);
}

/* Fields that are written in part, together, or with what is next to them. */
TEST(registers_written_at_odd_places)
{
	unsigned char ones[0x1000];

	up(NULL);
	memset(ones, 0xff, sizeof(ones));
	vblk_snapshot(&v);
	for (unsigned int at = 0; at < sizeof(struct virtio_pci_common_cfg) + 4;
	     at++)
		for (unsigned int n = 1; n <= 8; n++)
			CHECK_EQ(pwrite(v.c.device, ones, n,
					region_at(VFIO_PCI_BAR0_REGION_INDEX,
						  at)), n);
	for (uint64_t at = 0; at < 0x4000; at += sizeof(ones))
		CHECK_EQ(pwrite(v.c.device, ones, sizeof(ones),
				region_at(VFIO_PCI_BAR0_REGION_INDEX, at)),
			 sizeof(ones));
	CHECK_EQ(pwrite(v.c.device, ones, 0x1000,
			region_at(VFIO_PCI_BAR1_REGION_INDEX, 0)), 0x1000);
	CHECK_EQ(pwrite(v.c.device, ones, 256,
			region_at(VFIO_PCI_CONFIG_REGION_INDEX, 0)), 256);
	vblk_recovers(&v, q);
}

/* The window in configuration space leads to BARs, and nowhere else. */
TEST(window_to_nowhere)
{
	static const uint32_t offsets[] = {
		0, 1, 0xfff, 0x3fff, 0x3ffe, 0x4000, 0x7fffffff, 0xfffffffe,
		0xffffffff,
	};
	static const uint32_t lengths[] = { 0, 1, 2, 3, 4, 8, 0xffffffff };
	unsigned int cap, data;

	up(NULL);
	cap = v.where[VIRTIO_PCI_CAP_PCI_CFG].cap;
	data = cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		vblk_config_put(&v, cap + VIRTIO_PCI_CAP_OFFSET, 4, offsets[i]);
		for (unsigned int l = 0; l < sizeof(lengths) / sizeof(*lengths);
		     l++) {
			vblk_config_put(&v, cap + VIRTIO_PCI_CAP_LENGTH, 4,
					lengths[l]);
			for (unsigned int bar = 0; bar < 8; bar += l & 1 ? 5 : 1) {
				vblk_config_put(&v, cap + VIRTIO_PCI_CAP_BAR, 1,
						bar);
				vblk_config_get(&v, data, 4);
				vblk_config_put(&v, data, 4, UINT32_MAX);
			}
		}
	}
	vblk_snapshot(&v);
	vblk_recovers(&v, q);
}
