// SPDX-License-Identifier: GPL-2.0
/* Regions: their description, and accesses of every shape. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static void up(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
}

TEST(device_info)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	up(NULL);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_INFO, &info));
	CHECK_EQ(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	CHECK_EQ(info.num_regions, VFIO_PCI_NUM_REGIONS);
	CHECK_EQ(info.num_irqs, VFIO_PCI_NUM_IRQS);
	info.argsz = 8;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_INFO, NULL), EFAULT);
}

TEST(region_info)
{
	static const unsigned long long sizes[VFIO_PCI_NUM_REGIONS] = {
		[0] = PUPPET_BAR0_SIZE, [1] = 0x10000, [2] = 0x1000,
		[3] = PUPPET_BAR3_SIZE, [4] = 0x10000,
		[VFIO_PCI_CONFIG_REGION_INDEX] = 256,
	};
	struct vfio_region_info info = { .argsz = sizeof(info) };

	up(NULL);
	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		info.index = i;
		CHECK(!ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info));
		CHECK_EQ(info.size, sizes[i]);
		CHECK_EQ(info.offset, region_at(i, 0));
		CHECK_EQ(info.flags, !sizes[i] ? 0 : i == 3 ?
			 VFIO_REGION_INFO_FLAG_READ : VFIO_REGION_INFO_FLAG_READ |
			 VFIO_REGION_INFO_FLAG_WRITE);
	}
	info.index = VFIO_PCI_NUM_REGIONS;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	info.index = UINT32_MAX;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	info.index = 0;
	info.argsz = 16;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info), EINVAL);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, NULL), EFAULT);
}

TEST(other_ioctls_are_refused)
{
	struct vfio_pci_hot_reset_info info = { .argsz = sizeof(info) };

	up(NULL);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info),
		    ENOTTY);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_PCI_HOT_RESET, &info), ENOTTY);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_QUERY_GFX_PLANE, NULL), ENOTTY);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_GFX_DMABUF, NULL), ENOTTY);
	CHECK_ERRNO(ioctl(c.device, 0x1234, NULL), ENOTTY);
}

TEST(write_and_read_back_at_every_size)
{
	unsigned char in[8], out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	up(NULL);
	for (size_t size = 1; size <= 8; size++) {
		memset(in, 0, sizeof(in));
		CHECK_EQ(pwrite(c.device, out, size, region_at(0, 16 * size)),
			 size);
		CHECK_EQ(puppet_get(&c, PUPPET_LAST_COUNT), size);
		CHECK_EQ(pread(c.device, in, sizeof(in),
			       region_at(0, 16 * size)), 8);
		CHECK(!memcmp(in, out, size));
		for (size_t i = size; i < sizeof(in); i++)
			CHECK_EQ(in[i], 0);
		/* One access, one message. */
		CHECK_EQ(puppet_get(&c, PUPPET_LAST_COUNT), 8);
	}
}

TEST(config_space)
{
	unsigned char header[64];

	up(NULL);
	CHECK_EQ(pread(c.device, header, sizeof(header),
		       region_at(VFIO_PCI_CONFIG_REGION_INDEX, 0)), 64);
	CHECK_EQ(header[0] | header[1] << 8, 0x1b36);
	/* All of it in one go, but not one byte more. */
	CHECK_ERRNO(pread(c.device, header, 8,
			  region_at(VFIO_PCI_CONFIG_REGION_INDEX, 252)), EFAULT);
	CHECK_ERRNO(pread(c.device, header, 1,
			  region_at(VFIO_PCI_CONFIG_REGION_INDEX, 256)), EFAULT);
}

TEST(beyond_a_region)
{
	unsigned char buf[64];

	up(NULL);
	/* Cut at the end, as vfio-pci does with BARs. */
	CHECK_EQ(pread(c.device, buf, 64, region_at(0, PUPPET_BAR0_SIZE - 8)), 8);
	CHECK_EQ(pwrite(c.device, buf, 64, region_at(0, PUPPET_BAR0_SIZE - 8)), 8);
	CHECK_ERRNO(pread(c.device, buf, 4, region_at(0, PUPPET_BAR0_SIZE)), EINVAL);
	CHECK_ERRNO(pwrite(c.device, buf, 4, region_at(0, PUPPET_BAR0_SIZE)), EINVAL);
	CHECK_ERRNO(pread(c.device, buf, 4, region_at(0, (1ULL << 40) - 4)),
		    EINVAL);
	/* A region that is not there, an index that is not. */
	CHECK_ERRNO(pread(c.device, buf, 4, region_at(5, 0)), EINVAL);
	/* One that can only be read. */
	CHECK_ERRNO(pwrite(c.device, buf, 4, region_at(3, 0)), EINVAL);
	CHECK_ERRNO(pread(c.device, buf, 4, region_at(9, 0)), EINVAL);
	CHECK_ERRNO(pread(c.device, buf, 4, INT64_MAX - 3), EINVAL);
}

TEST(odd_counts_and_buffers)
{
	unsigned char buf[4];

	up(NULL);
	CHECK_EQ(pread(c.device, buf, 0, region_at(0, 0)), 0);
	CHECK_EQ(pwrite(c.device, buf, 0, region_at(0, 0)), 0);
	CHECK_EQ(pread(c.device, buf, 0, region_at(9, 0)), 0);
	CHECK_ERRNO(pread(c.device, test_bad_address(), 4, region_at(0, 0)), EFAULT);
	CHECK_ERRNO(pwrite(c.device, test_bad_address(), 4, region_at(0, 0)), EFAULT);
	/* The server knows nothing of all this and is well. */
	puppet_check(&c, 0);
}

TEST(huge_count)
{
	/* Volatile, or the compiler objects to what is tested here. */
	volatile size_t huge = (size_t)3 << 30;
	char *buf = malloc(PUPPET_BAR0_SIZE);

	up(NULL);
	/* Cut to the region, however much is asked for. */
	CHECK_EQ(pread(c.device, buf, huge, region_at(0, 0)), PUPPET_BAR0_SIZE);
	CHECK_EQ(pwrite(c.device, buf, huge, region_at(0, 0)), PUPPET_BAR0_SIZE);
}

TEST(large_accesses_go_in_chunks)
{
	const char *const args[] = { "--bar0-size", "4194304",
				     "--max-data-xfer-size", "65536", NULL };
	size_t size = 4 << 20;
	unsigned char *in = malloc(size), *out = malloc(size);

	up(args);
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)(i * 7 + (i >> 12));
	CHECK_EQ(pwrite(c.device, out, size, region_at(0, 0)), size);
	CHECK_EQ(puppet_get(&c, PUPPET_LAST_COUNT), 65536);
	CHECK_EQ(pread(c.device, in, size, region_at(0, 0)), size);
	CHECK_EQ(puppet_get(&c, PUPPET_LAST_COUNT), 65536);
	CHECK(!memcmp(in, out, size));
}

TEST(what_is_unmapped_halfway_through)
{
	long page = sysconf(_SC_PAGESIZE);
	char *buf = malloc(4 * page);

	up(NULL);
	/* Nothing of a chunk that cannot be delivered. */
	CHECK_ERRNO(pread(c.device, (void *)(uintptr_t)(page - 4), 64,
			  region_at(0, 0)), EFAULT);
	CHECK_EQ(pread(c.device, buf, 4 * page, region_at(0, 0)), 4 * page);
}

TEST(reset)
{
	uint32_t before;

	up(NULL);
	before = puppet_get(&c, PUPPET_NR_RESETS);
	region_write32(&c, 0, 0, 0x12345678);
	CHECK(!ioctl(c.device, VFIO_DEVICE_RESET));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_RESETS), before + 1);
}

TEST(reset_of_a_device_that_has_none)
{
	const char *const args[] = { "--no-reset", NULL };
	struct vfio_device_info info = { .argsz = sizeof(info) };

	up(args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_INFO, &info));
	CHECK_EQ(info.flags, VFIO_DEVICE_FLAGS_PCI);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_RESET), EINVAL);
}

TEST(extended_config_space)
{
	const char *const args[] = { "--config-size", "4096", NULL };
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};

	up(args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &info));
	CHECK_EQ(info.size, 4096);
	CHECK_EQ(region_read32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 4092), 0);
}
