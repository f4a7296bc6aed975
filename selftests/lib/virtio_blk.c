// SPDX-License-Identifier: GPL-2.0
/* A driver for vum-virtio-blk. See virtio_blk.h. */

#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "test.h"
#include "virtio_blk.h"

#define DISK		"/run/vum-test-disk"
#define GUARD		0x10000UL

const struct vblk_way vblk_by_mmap = { "mmap", "sigbus", "aperture" };
const struct vblk_way vblk_by_exact_mmap = { "mmap", "sigbus", "exact" };
const struct vblk_way vblk_by_file_io = { "file", NULL, "aperture" };
const struct vblk_way vblk_by_messages = { "message", NULL, "aperture" };
const struct vblk_way vblk_absorbed = { "mmap", "absorb", "aperture" };

void vblk_pattern(unsigned char *buf, uint64_t sector, size_t size)
{
	uint64_t at = sector * VBLK_SECTOR;

	for (size_t i = 0; i < size; i++, at++)
		buf[i] = (unsigned char)(at * 7 + (at >> 9));
}

/* Disk number @n, whose pattern begins where the one before it ends. */
static const char *make_disk(unsigned int n)
{
	static char paths[VBLK_MAX_DISKS][sizeof(DISK) + 16];
	const size_t size = (size_t)VBLK_SECTORS * VBLK_SECTOR;
	unsigned char *buf = malloc(size);
	int fd;

	if (n)
		snprintf(paths[n], sizeof(paths[n]), DISK "-%u", n);
	else
		snprintf(paths[n], sizeof(paths[n]), DISK);
	fd = open(paths[n], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(buf && fd >= 0);
	vblk_pattern(buf, (uint64_t)n * VBLK_SECTORS, size);
	CHECK_EQ(write(fd, buf, size), size);
	close(fd);
	free(buf);
	return paths[n];
}

void vblk_disk(unsigned char *buf, uint64_t sector, size_t size)
{
	int fd = open(DISK, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, buf, size, (off_t)(sector * VBLK_SECTOR)), size);
	close(fd);
}

static void map(const struct vblk *v, void *vaddr, uint64_t iova, uint64_t size,
		uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)vaddr,
		.iova = iova, .size = size,
	};

	CHECK(!ioctl(v->c.container, VFIO_IOMMU_MAP_DMA, &m));
}

static void map_memory(struct vblk *v)
{
	v->all_size = GUARD + VBLK_SIZE + GUARD + VBLK_RO_SIZE + GUARD;
	v->all = mmap(NULL, v->all_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	v->snapshot = malloc(v->all_size);
	v->now = malloc(v->all_size);
	CHECK(v->all != MAP_FAILED && v->snapshot && v->now);
	memset(v->all, 0xa5, v->all_size);
	v->mem = v->all + GUARD;
	v->ro = v->mem + VBLK_SIZE + GUARD;
	map(v, v->mem, VBLK_IOVA, VBLK_SIZE,
	    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	map(v, v->ro, VBLK_RO_IOVA, VBLK_RO_SIZE, VFIO_DMA_MAP_FLAG_READ);
}

void *vblk_at(const struct vblk *v, uint64_t iova)
{
	if (iova >= VBLK_IOVA && iova < VBLK_RO_IOVA)
		return v->mem + (iova - VBLK_IOVA);
	if (iova >= VBLK_RO_IOVA && iova < VBLK_END)
		return v->ro + (iova - VBLK_RO_IOVA);
	return NULL;
}

uint32_t vblk_config_get(const struct vblk *v, unsigned int offset, size_t size)
{
	uint32_t value = 0;

	CHECK_EQ(pread(v->c.device, &value, size,
		       region_at(VFIO_PCI_CONFIG_REGION_INDEX, offset)), size);
	return le32toh(value);
}

void vblk_config_put(const struct vblk *v, unsigned int offset, size_t size,
		     uint32_t value)
{
	value = htole32(value);
	CHECK_EQ(pwrite(v->c.device, &value, size,
			region_at(VFIO_PCI_CONFIG_REGION_INDEX, offset)), size);
}

static void found_structure(struct vblk *v, unsigned int cap)
{
	unsigned int type = vblk_config_get(v, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1);
	struct vblk_where *where;

	/* The first of several is the one to use. */
	if (type > VIRTIO_PCI_CAP_PCI_CFG || v->where[type].cap)
		return;
	where = &v->where[type];
	where->cap = cap;
	where->bar = vblk_config_get(v, cap + VIRTIO_PCI_CAP_BAR, 1);
	where->offset = vblk_config_get(v, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	where->length = vblk_config_get(v, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		v->notify_step = vblk_config_get(v, cap +
						 VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
}

static void find_structures(struct vblk *v)
{
	unsigned int cap = vblk_config_get(v, PCI_CAPABILITY_LIST, 1);

	for (int n = 0; cap; n++) {
		unsigned int id = vblk_config_get(v, cap, 1);

		CHECK(n < 48 && cap >= 0x40);
		if (id == PCI_CAP_ID_VNDR)
			found_structure(v, cap);
		else if (id == PCI_CAP_ID_MSIX)
			v->msix_cap = cap;
		cap = vblk_config_get(v, cap + PCI_CAP_LIST_NEXT, 1);
	}
	for (unsigned int i = VIRTIO_PCI_CAP_COMMON_CFG;
	     i <= VIRTIO_PCI_CAP_PCI_CFG; i++)
		CHECK(v->where[i].cap);
	CHECK(v->msix_cap);
}

static void set_up_irqs(struct vblk *v)
{
	int32_t fds[VBLK_QUEUES + 1];

	fds[0] = v->config_irq = new_eventfd();
	for (uint16_t i = 0; i < VBLK_QUEUES; i++) {
		v->queue[i].index = i;
		fds[i + 1] = v->queue[i].irq = new_eventfd();
	}
	if (v->intx)
		CHECK(!irq_set_eventfds(&v->c, VFIO_PCI_INTX_IRQ_INDEX, 0, 1,
					fds));
	else
		CHECK(!irq_set_eventfds(&v->c, VFIO_PCI_MSIX_IRQ_INDEX, 0,
					VBLK_QUEUES + 1, fds));
}

void vblk_open(struct vblk *v)
{
	consumer_open(&v->c, &v->w);
	map_memory(v);
	find_structures(v);
	set_up_irqs(v);
	v->nr_queues = VBLK_QUEUES;
}

void vblk_up(struct vblk *v, const struct vblk_way *way, const char *const *args)
{
	const char *argv[16] = { "--file", make_disk(0) };
	int n = 2;

	while (args && *args && n < 15)
		argv[n++] = *args++;
	if (way && way->announce && !strcmp(way->announce, "exact"))
		consumer_needs_observer();
	world_mdev(&v->w);
	if (way && way->mode)
		world_attr_set(&v->w, "dma_mode", way->mode);
	if (way && way->fault)
		world_attr_set(&v->w, "dma_fault", way->fault);
	/* Without it, there is only the one way. */
	if (way && way->announce &&
	    !world_attr_try(&v->w, "dma_announce", way->announce) &&
	    strcmp(way->announce, "aperture") != 0)
		test_skip("no dma_announce");
	world_serve(&v->w, "vum-virtio-blk", argv);
	world_helper(&v->w, NULL);
	world_wait_state(&v->w, "attached");
	vblk_open(v);
}

void vblk_serve(struct vblk *v, unsigned int nr, unsigned int first,
		const char *const *args)
{
	static char also[VBLK_MAX_DISKS][sizeof(v->w.socket) + sizeof(DISK) + 24];
	const char *argv[32] = { "--file" };
	int n = 2;

	CHECK(first + nr <= VBLK_MAX_DISKS);
	argv[1] = make_disk(first);
	for (unsigned int i = 0; i < nr; i++)
		world_mdev(&v[i].w);
	for (unsigned int i = 1; i < nr; i++) {
		snprintf(also[i], sizeof(also[i]), "%s=%s", v[i].w.socket,
			 make_disk(first + i));
		argv[n++] = "--also";
		argv[n++] = also[i];
	}
	while (args && *args && n < 31)
		argv[n++] = *args++;
	world_serve(&v[0].w, "vum-virtio-blk", argv);
}

void vblk_up_many(struct vblk *v, unsigned int nr, const char *const *args)
{
	vblk_serve(v, nr, 0, args);
	world_helper(&v[0].w, NULL);
	for (unsigned int i = 0; i < nr; i++)
		world_wait_state(&v[i].w, "attached");
}

static off_t structure_at(const struct vblk *v, unsigned int cap,
			  uint32_t offset)
{
	return region_at(v->where[cap].bar, v->where[cap].offset + offset);
}

uint64_t vblk_get(const struct vblk *v, unsigned int cap, uint32_t offset,
		  size_t size)
{
	uint64_t value = 0;

	CHECK_EQ(pread(v->c.device, &value, size, structure_at(v, cap, offset)),
		 size);
	return le64toh(value);
}

void vblk_put(const struct vblk *v, unsigned int cap, uint32_t offset,
	      size_t size, uint64_t value)
{
	value = htole64(value);
	CHECK_EQ(pwrite(v->c.device, &value, size, structure_at(v, cap, offset)),
		 size);
}

uint64_t vblk_get_common(const struct vblk *v, uint32_t offset, size_t size)
{
	return vblk_get(v, VIRTIO_PCI_CAP_COMMON_CFG, offset, size);
}

void vblk_put_common(const struct vblk *v, uint32_t offset, size_t size,
		     uint64_t value)
{
	vblk_put(v, VIRTIO_PCI_CAP_COMMON_CFG, offset, size, value);
}

uint8_t vblk_status(const struct vblk *v)
{
	return (uint8_t)vblk_get_common(v, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void add_status(const struct vblk *v, uint8_t bits)
{
	vblk_put_common(v, VIRTIO_PCI_COMMON_STATUS, 1, vblk_status(v) | bits);
}

void vblk_reset(struct vblk *v)
{
	vblk_put_common(v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	CHECK_SOON(!vblk_status(v));
}

uint64_t vblk_offered_features(const struct vblk *v)
{
	uint64_t half[2];

	for (int i = 0; i < 2; i++) {
		vblk_put_common(v, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		half[i] = vblk_get_common(v, VIRTIO_PCI_COMMON_DF, 4);
	}
	return half[0] | half[1] << 32;
}

bool vblk_negotiate(struct vblk *v, uint64_t features)
{
	add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(v, VIRTIO_CONFIG_S_DRIVER);
	for (int i = 0; i < 2; i++) {
		vblk_put_common(v, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		vblk_put_common(v, VIRTIO_PCI_COMMON_GF, 4,
				features >> 32 * i & UINT32_MAX);
	}
	v->features = features;
	add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
	return vblk_status(v) & VIRTIO_CONFIG_S_FEATURES_OK;
}

void vblk_queue_init(struct vblk *v, struct vblk_queue *q)
{
	q->size = VBLK_QUEUE_SIZE;
	q->desc = VBLK_DESC(q->index);
	q->avail = VBLK_AVAIL(q->index);
	q->used = VBLK_USED(q->index);
	q->offered = 0;
	memset(vblk_at(v, q->desc), 0, VBLK_DESC(1) - VBLK_DESC(0));
}

void vblk_queue_enable(const struct vblk *v, const struct vblk_queue *q)
{
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, q->index);
	if (!v->intx)
		vblk_put_common(v, VIRTIO_PCI_COMMON_Q_MSIX, 2, q->index + 1U);
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_DESCLO, 8, q->desc);
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, q->avail);
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_USEDLO, 8, q->used);
	vblk_put_common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void forget_irqs(const struct vblk *v)
{
	eventfd_take(v->config_irq, 0);
	for (int i = 0; i < VBLK_QUEUES; i++)
		eventfd_take(v->queue[i].irq, 0);
}

void vblk_driver_ok(const struct vblk *v)
{
	add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
}

void vblk_start(struct vblk *v, uint64_t features)
{
	vblk_config_put(v, PCI_COMMAND, 2,
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vblk_config_put(v, v->msix_cap + PCI_MSIX_FLAGS, 2,
			v->intx ? 0 : PCI_MSIX_FLAGS_ENABLE);
	vblk_reset(v);
	forget_irqs(v);
	CHECK(vblk_negotiate(v, features));
	if (!v->intx)
		vblk_put_common(v, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		vblk_queue_init(v, &v->queue[i]);
		vblk_queue_enable(v, &v->queue[i]);
	}
	vblk_driver_ok(v);
}

void vblk_desc(const struct vblk *v, uint64_t table, unsigned int i,
	       uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc *desc = vblk_at(v, table);

	desc[i].addr = htole64(addr);
	desc[i].len = htole32(len);
	desc[i].flags = htole16(flags);
	desc[i].next = htole16(next);
}

void vblk_header(const struct vblk *v, const struct vblk_queue *q,
		 uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = vblk_at(v, VBLK_HEADER(q->index));

	header->type = htole32(type);
	header->ioprio = 0;
	header->sector = htole64(sector);
}

void vblk_offer(const struct vblk *v, struct vblk_queue *q, uint16_t head)
{
	uint16_t *avail = vblk_at(v, q->avail);

	avail[2 + q->offered % q->size] = htole16(head);
	/* An interrupt for this one. */
	if (v->features & VBLK_BIT(VIRTIO_RING_F_EVENT_IDX))
		avail[2 + q->size] = htole16(q->offered);
	q->offered++;
	__atomic_store_n(&avail[1], htole16(q->offered), __ATOMIC_SEQ_CST);
}

void vblk_notify(const struct vblk *v, const struct vblk_queue *q)
{
	vblk_put(v, VIRTIO_PCI_CAP_NOTIFY_CFG, q->index * v->notify_step, 2,
		 q->index);
}

void vblk_kick(const struct vblk *v, struct vblk_queue *q, uint16_t head)
{
	vblk_offer(v, q, head);
	vblk_notify(v, q);
}

uint16_t vblk_used(const struct vblk *v, const struct vblk_queue *q)
{
	const uint16_t *used = vblk_at(v, q->used);

	return le16toh(__atomic_load_n(&used[1], __ATOMIC_ACQUIRE));
}

void vblk_wait(const struct vblk *v, struct vblk_queue *q)
{
	const struct vring_used *used = vblk_at(v, q->used);
	long long end = test_now_ms() + TEST_SOON_MS;

	while (vblk_used(v, q) != q->offered) {
		if (test_now_ms() > end)
			FAIL("queue %u: %u of %u requests are back; status 0x%x",
			     q->index, vblk_used(v, q), q->offered,
			     vblk_status(v));
		sched_yield();
	}
	q->last = used->ring[(uint16_t)(q->offered - 1) % q->size];
	q->last.id = le32toh(q->last.id);
	q->last.len = le32toh(q->last.len);
}

bool vblk_is_broken(const struct vblk *v)
{
	return vblk_status(v) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void vblk_wait_broken(const struct vblk *v)
{
	CHECK_SOON(vblk_is_broken(v));
}

bool vblk_settle(const struct vblk *v, const struct vblk_queue *q, int ms)
{
	long long end = test_now_ms() + ms;

	while (!vblk_is_broken(v)) {
		if (vblk_at(v, q->used) && vblk_used(v, q) == q->offered)
			return true;
		if (test_now_ms() >= end)
			return false;
		sched_yield();
	}
	return true;
}

void vblk_chain(const struct vblk *v, const struct vblk_queue *q, uint32_t type,
		uint64_t sector, const struct vblk_segment *seg,
		unsigned int nr)
{
	unsigned char *status = vblk_at(v, VBLK_STATUS(q->index));
	unsigned int i;

	vblk_header(v, q, type, sector);
	*status = 0xee;
	vblk_desc(v, q->desc, 0, VBLK_HEADER(q->index),
		  sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, 1);
	for (i = 0; i < nr; i++)
		vblk_desc(v, q->desc, i + 1, seg[i].addr, seg[i].len,
			  VRING_DESC_F_NEXT |
			  (seg[i].write ? VRING_DESC_F_WRITE : 0),
			  (uint16_t)(i + 2));
	vblk_desc(v, q->desc, i + 1, VBLK_STATUS(q->index), 1,
		  VRING_DESC_F_WRITE, 0);
}

uint8_t vblk_done(const struct vblk *v, const struct vblk_queue *q)
{
	return *(const uint8_t *)vblk_at(v, VBLK_STATUS(q->index));
}

uint8_t vblk_request(const struct vblk *v, struct vblk_queue *q, uint32_t type,
		     uint64_t sector, const struct vblk_segment *seg,
		     unsigned int nr)
{
	vblk_chain(v, q, type, sector, seg, nr);
	vblk_kick(v, q, 0);
	vblk_wait(v, q);
	CHECK_EQ(q->last.id, 0);
	return vblk_done(v, q);
}

void vblk_settled(const struct vblk *v)
{
	vblk_status(v);
}

/* Each time with other data, so that the last time's does not do. */
void vblk_check(struct vblk *v, struct vblk_queue *q)
{
	enum { SIZE = 3 * VBLK_SECTOR, SECTOR = 2000 };
	const uint64_t data = VBLK_DATA + 0x700 + 0x10000ULL * q->index;
	const struct vblk_segment in = { data, SIZE, true };
	const struct vblk_segment out = { data, SIZE, false };
	const uint64_t sector = SECTOR + 8U * q->index;
	unsigned char disk[SIZE], want[SIZE];
	static unsigned char stamp;

	memset(vblk_at(v, data), 0, SIZE);
	CHECK_EQ(vblk_request(v, q, VIRTIO_BLK_T_IN, 5, &in, 1),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, SIZE + 1);
	vblk_disk(want, 5, SIZE);
	CHECK(!memcmp(vblk_at(v, data), want, SIZE));
	vblk_settled(v);

	memset(vblk_at(v, data), ++stamp, SIZE);
	CHECK_EQ(vblk_request(v, q, VIRTIO_BLK_T_OUT, sector, &out, 1),
		 VIRTIO_BLK_S_OK);
	CHECK_EQ(q->last.len, 1);
	vblk_disk(disk, sector, SIZE);
	CHECK(!memcmp(disk, vblk_at(v, data), SIZE));
}

void vblk_snapshot(struct vblk *v)
{
	memcpy(v->snapshot, v->all, v->all_size);
	v->nr_allowed = 0;
}

void vblk_allow(struct vblk *v, uint64_t iova, uint64_t size)
{
	uint64_t end = size > UINT64_MAX - iova ? UINT64_MAX : iova + size;
	struct vblk_range *range = &v->allowed[v->nr_allowed];

	/* Only where it may be written at all. */
	if (iova < VBLK_IOVA)
		iova = VBLK_IOVA;
	if (end > VBLK_RO_IOVA)
		end = VBLK_RO_IOVA;
	if (iova >= end)
		return;
	CHECK(v->nr_allowed < sizeof(v->allowed) / sizeof(*range));
	range->at = (size_t)(v->mem - v->all) + (iova - VBLK_IOVA);
	range->size = end - iova;
	v->nr_allowed++;
}

void vblk_allow_used(struct vblk *v, const struct vblk_queue *q)
{
	vblk_allow(v, q->used,
		   4 + q->size * sizeof(struct vring_used_elem) + 2);
}

long vblk_changed(struct vblk *v)
{
	const struct vblk_range *range = v->allowed;

	/* The device may be at it right now. */
	memcpy(v->now, v->all, v->all_size);
	for (unsigned int i = 0; i < v->nr_allowed; i++, range++)
		memcpy(v->now + range->at, v->snapshot + range->at, range->size);
	if (!memcmp(v->now, v->snapshot, v->all_size))
		return -1;
	for (size_t i = 0; i < v->all_size; i++)
		if (v->now[i] != v->snapshot[i])
			return (long)i;
	return -1;
}

void vblk_recovers(struct vblk *v, struct vblk_queue *q)
{
	CHECK_EQ(vblk_changed(v), -1);
	vblk_start(v, VBLK_FEATURES);
	vblk_check(v, q);
}
