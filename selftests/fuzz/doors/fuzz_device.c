// SPDX-License-Identifier: GPL-2.0
/* The device's file and its container, as a consumer can use them. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/consumer.h"
#include "../fuzz.h"

#define IOVA		0x100000000ULL
#define ARENA		(1UL << 20)
#define PAGE		4096UL
#define MAX_MAPS	16

static struct world w;
static struct consumer c;
static uint8_t *arena;
static int fds[3];
static struct mapping {
	uint8_t *at;
	size_t size;
} maps[MAX_MAPS];
static sigjmp_buf bad_access;

static void on_signal(int sig)
{
	(void)sig;
	siglongjmp(bad_access, 1);
}

/* Most often inside a region that there is. */
static off_t some_offset(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	if (how >= 224)
		return (off_t)fuzz_number(in);
	return region_at(how % 12, fuzz_u16(in));
}

static void rw(struct fuzz_input *in)
{
	static uint8_t buf[0x20000];
	off_t at = some_offset(in);
	uint8_t how = fuzz_u8(in);
	size_t size = how & 128 ? fuzz_number(in) % sizeof(buf) : 1U << (how & 3);

	fuzz_bytes(in, buf, 8);
	if (how & 64)
		pwrite(c.device, buf, size, at);
	else
		pread(c.device, buf, size, at);
}

static void get_info(struct fuzz_input *in)
{
	static const unsigned int cmds[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO,
	};
	static uint32_t arg[1024];
	uint8_t which = fuzz_u8(in) % 3;

	/* argsz, flags, index: the same place in all of them. */
	arg[0] = which & 1 ? (uint32_t)fuzz_number(in) % sizeof(arg) : 32;
	arg[1] = (uint32_t)fuzz_number(in);
	arg[2] = fuzz_u8(in);
	ioctl(c.device, cmds[which], arg);
}

static void set_irqs(struct fuzz_input *in)
{
	static struct {
		struct vfio_irq_set set;
		int32_t data[4096];
	} arg;
	static const uint32_t data[] = {
		VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD, 0,
	};
	uint8_t how = fuzz_u8(in);

	arg.set.argsz = sizeof(arg);
	arg.set.flags = data[how & 3] | VFIO_IRQ_SET_ACTION_MASK << (how >> 2) % 3;
	arg.set.index = fuzz_u8(in) % 7;
	arg.set.start = how & 64 ? fuzz_u8(in) : 0;
	arg.set.count = how & 128 ? (uint32_t)fuzz_number(in) : fuzz_u8(in) % 8;
	for (int i = 0; i < 64; i++) {
		uint8_t which = fuzz_u8(in);

		arg.data[i] = which < 3 ? fds[which] : which == 3 ? -1 : which;
	}
	fuzz_spoil(in, &arg.set, sizeof(arg.set));
	ioctl(c.device, VFIO_DEVICE_SET_IRQS, &arg);
}

static void feature(struct fuzz_input *in)
{
	static struct {
		struct vfio_device_feature head;
		uint8_t data[0x20000];
	} arg;
	uint8_t how = fuzz_u8(in);

	arg.head.argsz = (uint32_t)(sizeof(arg.head) +
				    (how & 8 ? fuzz_number(in) % sizeof(arg.data) : 24));
	arg.head.flags = (uint32_t)(how & 7) << 16 | (how & 16 ? fuzz_u16(in) : 0x7f00);
	fuzz_bytes(in, arg.data, 8);
	ioctl(c.device, VFIO_DEVICE_FEATURE, &arg);
}

static void ioeventfd(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), size = how & 4 ? fuzz_u8(in) : (uint8_t)(1U << (how & 3));
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg), .flags = size, .data = fuzz_u8(in),
		.fd = how & 8 ? -1 : fds[how >> 4 & 1], .offset = (uint64_t)some_offset(in),
	};

	fuzz_spoil(in, &arg, sizeof(arg));
	ioctl(c.device, VFIO_DEVICE_IOEVENTFD, &arg);
	if (how & 128)
		eventfd_write(fds[how >> 4 & 1], 1);
}

static void map_region(struct fuzz_input *in)
{
	uint8_t which = fuzz_u8(in);
	struct mapping *m = &maps[which % MAX_MAPS];
	off_t at = some_offset(in) & ~(off_t)(PAGE - 1);
	int prot = which & 16 ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p;

	if (m->size) {
		munmap(m->at, m->size);
		m->size = 0;
		return;
	}
	p = mmap(NULL, (size_t)(1 + which / 64) * PAGE, prot,
		 which & 32 ? MAP_PRIVATE : MAP_SHARED, c.device, at);
	if (p != MAP_FAILED)
		*m = (struct mapping){ p, (size_t)(1 + which / 64) * PAGE };
}

static void touch_region(struct fuzz_input *in)
{
	uint8_t which = fuzz_u8(in);
	struct mapping *m = &maps[which % MAX_MAPS];

	if (!m->size || sigsetjmp(bad_access, 1))
		return;
	if (which & 16)
		*(volatile uint32_t *)m->at = which;
	else
		(void)*(volatile uint32_t *)m->at;
}

static void map_dma(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), page = fuzz_u8(in), nr = 1 + (how >> 4);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = how & 3, .vaddr = (uintptr_t)arena + page * PAGE,
		.iova = IOVA + fuzz_u8(in) * PAGE, .size = nr * PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = map.iova, .size = map.size,
		.flags = how & 8 ? VFIO_DMA_UNMAP_FLAG_ALL : 0,
	};

	if (how & 4) {
		fuzz_spoil(in, &unmap, sizeof(unmap));
		ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &unmap);
		return;
	}
	fuzz_spoil(in, &map.iova, sizeof(map.iova) + sizeof(map.size));
	ioctl(c.container, VFIO_IOMMU_MAP_DMA, &map);
}

/* Tracking what the server writes, with odd ranges; the bitmap always has room. */
static void dma_log(struct fuzz_input *in)
{
	static struct {
		struct vfio_device_feature f;
		union {
			struct vfio_device_feature_dma_logging_control control;
			struct vfio_device_feature_dma_logging_report report;
		};
	} arg;
	static uint64_t bitmap[0x800];
	struct vfio_device_feature_dma_logging_range range = {
		.iova = IOVA, .length = ARENA,
	};
	uint8_t how = fuzz_u8(in);

	memset(&arg, 0, sizeof(arg));
	arg.f.argsz = sizeof(arg);
	switch (how % 4) {
	case 0:
		arg.f.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
		arg.control.page_size = PAGE << (how >> 4);
		arg.control.num_ranges = 1;
		arg.control.ranges = (uintptr_t)&range;
		fuzz_spoil(in, &range, sizeof(range));
		break;
	case 1:
		arg.f.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
		break;
	default:
		arg.f.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
		arg.report.iova = how & 4 ? fuzz_number(in) : IOVA + fuzz_u8(in) * PAGE;
		arg.report.length = how & 8 ? fuzz_number(in) % (sizeof(bitmap) * PAGE) :
					      fuzz_u8(in) * PAGE;
		arg.report.page_size = PAGE << (how >> 4);
		arg.report.bitmap = (uintptr_t)bitmap + fuzz_u8(in) % 64;
	}
	ioctl(c.device, VFIO_DEVICE_FEATURE, &arg);
}

static void other_ioctl(struct fuzz_input *in)
{
	static const unsigned int cmds[] = {
		VFIO_DEVICE_RESET, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_QUERY_GFX_PLANE,
	};
	static uint8_t arg[256];
	uint8_t which = fuzz_u8(in);

	fuzz_bytes(in, arg, 32);
	ioctl(c.device, which < 128 ? cmds[which % 4] : fuzz_u32(in), arg);
}

static void reopen(void)
{
	for (int i = 0; i < MAX_MAPS; i++) {
		if (maps[i].size)
			munmap(maps[i].at, maps[i].size);
		maps[i].size = 0;
	}
	consumer_close(&c);
	consumer_prepare(&c, &w);
	/* The server may be on its way back. */
	while (consumer_get_device(&c, &w))
		test_sleep_ms(10);
}

/* The rest of the input is spent without a server, or with a new one. */
static void detach(void)
{
	world_attr_set(&w, "state", "detached");
}

static void one_op(struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);

	switch (op % 16) {
	case 0:
	case 1:
	case 2:
		rw(in);
		break;
	case 3:
		get_info(in);
		break;
	case 4:
	case 5:
		set_irqs(in);
		break;
	case 6:
		feature(in);
		break;
	case 7:
	case 8:
		ioeventfd(in);
		break;
	case 9:
		map_region(in);
		break;
	case 10:
		touch_region(in);
		break;
	case 11:
	case 12:
		map_dma(in);
		break;
	case 13:
		other_ioctl(in);
		break;
	default:
		if (op == 14)
			reopen();
		else if (op == 15)
			detach();
		else
			dma_log(in);
	}
}

TEST(device)
{
	const char *const args[] = { "--mmap-bar0", NULL };
	const struct fuzz_door door = { .name = "device", .op = one_op };

	CHECK(signal(SIGBUS, on_signal) != SIG_ERR && signal(SIGSEGV, on_signal) != SIG_ERR);
	world_up(&w, args);
	world_attr_set(&w, "timeout_ms", "5000");
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(arena != MAP_FAILED);
	for (int i = 0; i < 2; i++)
		fds[i] = new_eventfd();
	fds[2] = memfd_create("fuzz", 0);
	consumer_open(&c, &w);
	fuzz_loop(&door);
}
