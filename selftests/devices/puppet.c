// SPDX-License-Identifier: GPL-2.0
/*
 * vum-puppet: a PCI device, in a process, that does what it is told.
 *
 * This file is the device as long as it behaves; puppet_faults.c is the rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "puppet_priv.h"

/**
 * puppet_update_intx() - have the line follow the registers
 * @puppet: the device
 */
void puppet_update_intx(struct puppet *puppet)
{
	bool enabled = !pciconf_intx_disabled(&puppet->conf);

	pciconf_intx_status(&puppet->conf, puppet->intx_level);
	vus_intx_set(puppet->srv, puppet->intx_level && enabled);
}

static int bar1_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct puppet *puppet = opaque;
	__u8 *to = buf;
	__u32 i;

	puppet->nr_reads++;
	for (i = 0; i < count; i++) {
		__u32 at = (__u32)offset + i;
		__u32 word = (at & ~3U) ^ PUPPET_PATTERN;

		to[i] = (__u8)(word >> 8 * (at & 3));
	}
	return 0;
}

static int bar1_write(void *opaque, __u64 offset __maybe_unused,
		      const void *buf __maybe_unused,
		      __u32 count __maybe_unused)
{
	struct puppet *puppet = opaque;

	puppet->nr_writes++;
	return 0;
}

static int bar4_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	const struct puppet *puppet = opaque;

	memcpy(buf, puppet->bar4 + offset, count);
	return 0;
}

static int bar4_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct puppet *puppet = opaque;

	memcpy(puppet->bar4 + offset, buf, count);
	return 0;
}

static int conf_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	const struct puppet *puppet = opaque;

	pciconf_read(&puppet->conf, offset, buf, count);
	return 0;
}

static int conf_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct puppet *puppet = opaque;

	pciconf_write(&puppet->conf, offset, buf, count);
	puppet_update_intx(puppet);
	return 0;
}

static void reset(void *opaque)
{
	struct puppet *puppet = opaque;

	puppet->nr_resets++;
	puppet->intx_level = 0;
	pciconf_reset(&puppet->conf);
	puppet_update_intx(puppet);
}

static void connected(void *opaque)
{
	struct puppet *puppet = opaque;

	puppet->nr_connections++;
}

static void init_config(struct puppet *puppet)
{
	static const struct pciconf_ids ids = {
		.vendor = PUPPET_VENDOR_ID,
		.device = PUPPET_DEVICE_ID,
		.subsystem = 0x1100,
		.class = PUPPET_CLASS,
		.intx = true,
	};
	struct pciconf *conf = &puppet->conf;
	size_t cap;

	pciconf_init(conf, puppet->opt.config_size, &ids);
	if (puppet->opt.io_bar0)
		pciconf_io_bar(conf, 0, puppet->opt.bar0_size);
	else
		pciconf_mem_bar(conf, 0, puppet->opt.bar0_size);
	pciconf_mem_bar(conf, 1, PUPPET_BAR1_SIZE);
	pciconf_mem_bar(conf, 2, PUPPET_BAR2_SIZE);
	pciconf_mem_bar(conf, 3, PUPPET_BAR3_SIZE);
	pciconf_mem_bar(conf, 4, PUPPET_BAR4_SIZE);

	/* 64-bit addresses, no masks; the 2 in QMASK is log2 of 4 vectors. */
	cap = pciconf_cap(conf, PCI_CAP_ID_MSI, PUPPET_CAP_MSI);
	pciconf_set16(conf, cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | 2 << 1,
		      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pciconf_set32(conf, cap + PCI_MSI_ADDRESS_LO, 0, ~3U);
	pciconf_set32(conf, cap + PCI_MSI_ADDRESS_HI, 0, ~0U);
	pciconf_set16(conf, cap + PCI_MSI_DATA_64, 0, 0xffff);

	cap = pciconf_cap(conf, PCI_CAP_ID_MSIX, PUPPET_CAP_MSIX);
	pciconf_set16(conf, cap + PCI_MSIX_FLAGS,
		      (__u16)(puppet->opt.nr_msix - 1),
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pciconf_set32(conf, cap + PCI_MSIX_TABLE, PUPPET_MSIX_TABLE | 4, 0);
	pciconf_set32(conf, cap + PCI_MSIX_PBA, PUPPET_MSIX_PBA | 4, 0);
}

#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

/* The configuration space gets its size from the command line. */
static const struct vus_region default_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR1_REGION_INDEX] = {
		.size = PUPPET_BAR1_SIZE,
		.flags = READ_WRITE,
		.read = bar1_read,
		.write = bar1_write,
	},
	[VFIO_PCI_BAR2_REGION_INDEX] = {
		.size = PUPPET_BAR2_SIZE,
		.flags = READ_WRITE,
		.read = puppet_regs_read,
		.write = puppet_regs_write,
	},
	[VFIO_PCI_BAR3_REGION_INDEX] = {
		.size = PUPPET_BAR3_SIZE,
		.flags = VFIO_REGION_INFO_FLAG_READ,
		.read = puppet_announced_read,
	},
	[VFIO_PCI_BAR4_REGION_INDEX] = {
		.size = PUPPET_BAR4_SIZE,
		.flags = READ_WRITE,
		.read = bar4_read,
		.write = bar4_write,
	},
	[VFIO_PCI_CONFIG_REGION_INDEX] = {
		.flags = READ_WRITE,
		.read = conf_read,
		.write = conf_write,
	},
};

static void init_regions(struct puppet *puppet, struct vus_region *regions)
{
	memcpy(regions, default_regions, sizeof(default_regions));
	regions[VFIO_PCI_CONFIG_REGION_INDEX].size = puppet->opt.config_size;
	puppet_bars_describe(puppet, regions);
}

static void init_irqs(const struct puppet *puppet, struct vus_irq *irqs)
{
	const __u32 msi = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;

	irqs[VFIO_PCI_INTX_IRQ_INDEX] = (struct vus_irq){
		.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			 VFIO_IRQ_INFO_AUTOMASKED,
		.count = 1,
	};
	irqs[VFIO_PCI_MSI_IRQ_INDEX] = (struct vus_irq){ msi, PUPPET_NR_MSI };
	irqs[VFIO_PCI_MSIX_IRQ_INDEX] =
		(struct vus_irq){ msi, puppet->opt.nr_msix };
	irqs[VFIO_PCI_ERR_IRQ_INDEX] =
		(struct vus_irq){ VFIO_IRQ_INFO_EVENTFD, 1 };
	irqs[VFIO_PCI_REQ_IRQ_INDEX] =
		(struct vus_irq){ VFIO_IRQ_INFO_EVENTFD, 1 };
}

static void puppet_disconnected(void *opaque)
{
	puppet_drop_held(opaque);
	puppet_dma_reset(opaque);
	puppet_timing_reset(opaque);
}

static int puppet_feature(void *opaque, __u32 flags, void *data, size_t size)
{
	struct puppet *puppet = opaque;

	/* libvfio-user calls a feature that it does not know an invalid argument. */
	if ((flags & VFIO_DEVICE_FEATURE_MASK) == PUPPET_FEATURE_INVALID)
		return -EINVAL;
	if ((flags & VFIO_DEVICE_FEATURE_MASK) != PUPPET_FEATURE)
		return -EOPNOTSUPP;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (size != sizeof(puppet->feature))
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_SET)
		memcpy(puppet->feature, data, size);
	else
		memcpy(data, puppet->feature, size);
	return 0;
}

static int serve(struct puppet *puppet)
{
	struct vus_region regions[PUPPET_NR_REGIONS] = { 0 };
	struct vus_irq irqs[VFIO_PCI_NUM_IRQS] = { 0 };
	const struct vus_device dev = {
		.opaque = puppet,
		.flags = (puppet->opt.no_pci ? 0 : VFIO_DEVICE_FLAGS_PCI) |
			 (puppet->opt.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET),
		.regions = regions,
		.nr_regions = PUPPET_NR_REGIONS,
		.num_regions = puppet->opt.num_regions,
		.irqs = irqs,
		.nr_irqs = VFIO_PCI_NUM_IRQS,
		.num_irqs = puppet->opt.num_irqs,
		.reset = reset,
		.connected = connected,
		.disconnected = puppet_disconnected,
		.filter = puppet_filter,
		.feature = puppet_feature,
		.mapped = puppet->opt.touch ? puppet_touch : NULL,
		.migration = puppet->opt.migration ? &puppet->migration : NULL,
	};
	int ret;

	puppet->migration = puppet_migration;
	puppet->migration.flags = puppet->opt.migration;
	init_config(puppet);
	init_regions(puppet, regions);
	init_irqs(puppet, irqs);
	puppet->srv = vus_create(&puppet->opt.common, &dev);
	if (!puppet->srv)
		return -1;
	puppet_timing_init(puppet);
	ret = vus_run(&puppet->srv, 1);
	vus_destroy(puppet->srv);
	return ret;
}

int main(int argc, char **argv)
{
	static struct puppet puppet = {
		.fault_cmd = VFIO_USER_REGION_READ,
	};

	if (puppet_parse(&puppet.opt, argc, argv))
		return EXIT_FAILURE;
	if (puppet_bars_init(&puppet)) {
		fprintf(stderr, "%s: memory: %s\n", argv[0], strerror(errno));
		return EXIT_FAILURE;
	}
	return serve(&puppet) ? EXIT_FAILURE : EXIT_SUCCESS;
}
