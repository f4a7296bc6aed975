// SPDX-License-Identifier: GPL-2.0
/*
 * What a VFIO access costs that the kernel answers by itself.
 * clocks: wall icount
 *
 * Debian builds none of the sample mdevs, so that it is our own device that
 * answers: a pread() behind the end of a BAR goes through the system call,
 * VFIO and our driver as any other does, and is refused there.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../paths.h"

static double refused_pread(struct arm *arm)
{
	const struct consumer *c = arm->opaque;
	const off_t behind = region_at(VFIO_PCI_BAR1_REGION_INDEX,
				       PUPPET_BAR1_SIZE);
	uint64_t start = bench_now();
	uint32_t value;
	ssize_t n = pread(c->device, &value, sizeof(value), behind);
	uint64_t end = bench_now();

	CHECK(n < 0 && errno == EINVAL);
	return (double)(end - start);
}

static double get_info(struct arm *arm)
{
	const struct consumer *c = arm->opaque;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint64_t start = bench_now();
	int ret = ioctl(c->device, VFIO_DEVICE_GET_INFO, &info);
	uint64_t end = bench_now();

	CHECK_EQ(ret, 0);
	return (double)(end - start);
}

TEST(answered_by_the_kernel)
{
	const struct plan plan = {
		.rounds = bench_rounds(50), .block = 200, .warm = 10,
		.seconds = 10,
	};
	struct consumer c;
	struct world w;
	struct arm arms[] = {
		{ .run = refused_pread, .opaque = &c },
		{ .run = get_info, .opaque = &c },
	};

	bench_limit(300);
	world_up(&w, NULL);
	consumer_open(&c, &w);
	arms[0].pids[0] = w.server;
	arms[1].pids[0] = w.server;
	samples_init(&arms[0].samples, "floor", "floor", "pread", "ns", false);
	samples_init(&arms[1].samples, "floor", "floor", "ioctl", "ns", false);
	bench_compare(arms, 2, &plan);
}
