// SPDX-License-Identifier: GPL-2.0
/* The disk's PCI side: configuration space, BARs, interrupts. */
#include <endian.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include "virtio_blk.h"

/* Capabilities; 16 bytes, but for two that have one more field. */
#define CAP_COMMON	0x40U
#define CAP_ISR		0x50U
#define CAP_CONFIG	0x60U
#define CAP_NOTIFY	0x70U
#define CAP_PCI		0x84U
#define CAP_MSIX	0x98U

#define CAP_PCI_DATA	(CAP_PCI + offsetof(struct virtio_pci_cfg_cap, \
					    pci_cfg_data))

#define ISR_QUEUE	1U
#define ISR_CONFIG	2U

/**
 * blk_update_intx() - have the interrupt line follow the disk
 * @blk: the disk
 */
void blk_update_intx(struct blk *blk)
{
	bool enabled = !pciconf_intx_disabled(&blk->conf);

	pciconf_intx_status(&blk->conf, blk->isr);
	vus_intx_set(blk->srv, blk->isr && enabled);
}

/**
 * blk_lower_intx() - no interrupt is pending any more
 * @blk: the disk
 */
void blk_lower_intx(struct blk *blk)
{
	blk->isr = 0;
	blk_update_intx(blk);
}

/* Consumers without a guest set vectors up, but need not enable them here. */
static bool msix_in_use(const struct blk *blk)
{
	__u8 high = blk->conf.data[CAP_MSIX + PCI_MSIX_FLAGS + 1];

	return high & (PCI_MSIX_FLAGS_ENABLE >> 8) ||
	       vus_irq_bound(blk->srv, VFIO_PCI_MSIX_IRQ_INDEX);
}

static void interrupt(struct blk *blk, __u16 vector, __u8 reason)
{
	blk->stats.interrupts++;
	if (msix_in_use(blk)) {
		/* One that nobody listens to is lost, as on a bus. */
		if (vector != VIRTIO_MSI_NO_VECTOR)
			(void)vus_irq_trigger(blk->srv, VFIO_PCI_MSIX_IRQ_INDEX,
					      vector);
		return;
	}
	blk->isr |= reason;
	blk_update_intx(blk);
}

/**
 * blk_queue_interrupt() - the driver is to look at a queue
 * @vq: the queue
 */
void blk_queue_interrupt(struct virtqueue *vq)
{
	struct blk_queue *q = (struct blk_queue *)vq;

	interrupt(q->blk, q->vector, ISR_QUEUE);
}

/**
 * blk_config_interrupt() - the driver is to look at status and configuration
 * @blk: the disk
 */
void blk_config_interrupt(struct blk *blk)
{
	interrupt(blk, blk->config_vector, ISR_CONFIG);
}

/**
 * blk_pci_master() - may we access memory?
 * @blk: the disk
 *
 * Return: true if we may.
 */
bool blk_pci_master(const struct blk *blk)
{
	return blk->conf.data[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

/**
 * blk_pci_listening() - would anybody hear our interrupts?
 * @blk: the disk
 *
 * Return: true if the client has set up those that the driver uses.
 */
bool blk_pci_listening(const struct blk *blk)
{
	if (msix_in_use(blk))
		return vus_irq_bound(blk->srv, VFIO_PCI_MSIX_IRQ_INDEX);
	return vus_irq_bound(blk->srv, VFIO_PCI_INTX_IRQ_INDEX);
}

static void config_read(const struct blk *blk, __u64 offset, void *buf,
			__u32 count)
{
	const struct virtio_blk_config config = {
		.capacity = htole64(blk->capacity),
		.seg_max = htole32(BLK_SEG_MAX),
		.blk_size = htole32(BLK_SECTOR),
		.num_queues = htole16((__u16)blk->opt.nr_queues),
	};

	if (offset >= sizeof(config))
		return;
	if (count > sizeof(config) - offset)
		count = (__u32)(sizeof(config) - offset);
	memcpy(buf, (const __u8 *)&config + offset, count);
}

/* Reading is what acknowledges it. */
static void isr_read(struct blk *blk, void *buf)
{
	memcpy(buf, &blk->isr, sizeof(blk->isr));
	blk_lower_intx(blk);
}

static int bar0_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct blk *blk = opaque;

	memset(buf, 0, count);
	if (offset < BLK_BAR0_ISR)
		blk_common_read(blk, offset, buf, count);
	else if (offset == BLK_BAR0_ISR && count)
		isr_read(blk, buf);
	else if (offset >= BLK_BAR0_CONFIG && offset < BLK_BAR0_NOTIFY)
		config_read(blk, offset - BLK_BAR0_CONFIG, buf, count);
	return 0;
}

static int bar0_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct blk *blk = opaque;
	__u64 queue = (offset - BLK_BAR0_NOTIFY) / BLK_NOTIFY_STEP;

	if (offset < BLK_BAR0_ISR) {
		blk_common_write(blk, offset, buf, count);
	} else if (offset >= BLK_BAR0_NOTIFY && queue < blk->opt.nr_queues) {
		/* Whoever sends this is there to be answered. */
		blk->parked = false;
		virtqueue_kick(&blk->queues[queue].vq);
	}
	return 0;
}

static int bar1_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	const struct blk *blk = opaque;

	memcpy(buf, blk->bar1 + offset, count);
	return 0;
}

/* There is nothing to be seen in the pending bits: the client keeps its own. */
static int bar1_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct blk *blk = opaque;

	if (offset >= BLK_BAR1_PBA)
		return 0;
	if (count > BLK_BAR1_PBA - offset)
		count = (__u32)(BLK_BAR1_PBA - offset);
	memcpy(blk->bar1 + offset, buf, count);
	return 0;
}

/*
 * The window through which BARs are accessed from configuration space. Return:
 * the region, or NULL if what the driver has put there is no access.
 */
static const struct vus_region *window(const struct blk *blk, __u32 *offset,
				       __u32 *count)
{
	const struct vus_region *region;
	struct virtio_pci_cap cap;

	memcpy(&cap, blk->conf.data + CAP_PCI, sizeof(cap));
	*offset = le32toh(cap.offset);
	*count = le32toh(cap.length);
	if (cap.bar > 1 || (*count != 1 && *count != 2 && *count != 4) ||
	    *offset % *count)
		return NULL;
	region = &blk_regions[cap.bar];
	if (*offset >= region->size || *count > region->size - *offset)
		return NULL;
	return region;
}

static bool touches_window(__u64 offset, __u32 count)
{
	return offset < CAP_PCI_DATA + sizeof(__u32) &&
	       CAP_PCI_DATA < offset + count;
}

static int conf_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct blk *blk = opaque;
	const struct vus_region *region;
	__u32 at, n;

	if (touches_window(offset, count)) {
		region = window(blk, &at, &n);
		if (region)
			region->read(blk, at, blk->conf.data + CAP_PCI_DATA, n);
	}
	pciconf_read(&blk->conf, offset, buf, count);
	return 0;
}

static int conf_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct blk *blk = opaque;
	const struct vus_region *region;
	__u32 at, n;

	pciconf_write(&blk->conf, offset, buf, count);
	if (touches_window(offset, count)) {
		region = window(blk, &at, &n);
		if (region)
			region->write(blk, at, blk->conf.data + CAP_PCI_DATA,
				      n);
	}
	blk_update_intx(blk);
	return 0;
}

#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

const struct vus_region blk_regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX] = {
		.size = BLK_BAR0_SIZE,
		.flags = READ_WRITE,
		.read = bar0_read,
		.write = bar0_write,
	},
	[VFIO_PCI_BAR1_REGION_INDEX] = {
		.size = BLK_BAR1_SIZE,
		.flags = READ_WRITE,
		.read = bar1_read,
		.write = bar1_write,
	},
	[VFIO_PCI_CONFIG_REGION_INDEX] = {
		.size = PCI_CFG_SPACE_SIZE,
		.flags = READ_WRITE,
		.read = conf_read,
		.write = conf_write,
	},
};

/* A vendor capability: which structure, and where in BAR0 it is. */
static void add_structure(struct pciconf *conf, size_t cap, __u8 type,
			  __u32 offset, __u32 length)
{
	__u16 size = sizeof(struct virtio_pci_cap);

	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG)
		size += sizeof(__u32);
	pciconf_cap(conf, PCI_CAP_ID_VNDR, cap);
	pciconf_set16(conf, cap + VIRTIO_PCI_CAP_LEN,
		      (__u16)(size | type << 8), 0);
	pciconf_set32(conf, cap + VIRTIO_PCI_CAP_OFFSET, offset, 0);
	pciconf_set32(conf, cap + VIRTIO_PCI_CAP_LENGTH, length, 0);
}

static void add_capabilities(struct blk *blk)
{
	struct pciconf *conf = &blk->conf;
	__u32 queues = blk->opt.nr_queues;

	add_structure(conf, CAP_COMMON, VIRTIO_PCI_CAP_COMMON_CFG,
		      BLK_BAR0_COMMON, sizeof(struct virtio_pci_common_cfg));
	add_structure(conf, CAP_ISR, VIRTIO_PCI_CAP_ISR_CFG, BLK_BAR0_ISR, 1);
	add_structure(conf, CAP_CONFIG, VIRTIO_PCI_CAP_DEVICE_CFG,
		      BLK_BAR0_CONFIG, sizeof(struct virtio_blk_config));
	add_structure(conf, CAP_NOTIFY, VIRTIO_PCI_CAP_NOTIFY_CFG,
		      BLK_BAR0_NOTIFY, queues * BLK_NOTIFY_STEP);
	pciconf_set32(conf, CAP_NOTIFY + VIRTIO_PCI_NOTIFY_CAP_MULT,
		      BLK_NOTIFY_STEP, 0);

	/* In this one it is the driver that fills in the fields. */
	add_structure(conf, CAP_PCI, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	pciconf_set16(conf, CAP_PCI + VIRTIO_PCI_CAP_BAR, 0, UINT8_MAX);
	pciconf_set32(conf, CAP_PCI + VIRTIO_PCI_CAP_OFFSET, 0, UINT32_MAX);
	pciconf_set32(conf, CAP_PCI + VIRTIO_PCI_CAP_LENGTH, 0, UINT32_MAX);
	pciconf_set32(conf, CAP_PCI_DATA, 0, UINT32_MAX);

	pciconf_cap(conf, PCI_CAP_ID_MSIX, CAP_MSIX);
	pciconf_set16(conf, CAP_MSIX + PCI_MSIX_FLAGS, (__u16)queues,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pciconf_set32(conf, CAP_MSIX + PCI_MSIX_TABLE, 1, 0);
	pciconf_set32(conf, CAP_MSIX + PCI_MSIX_PBA, BLK_BAR1_PBA | 1, 0);
}

/* All vectors masked, which is how a table starts. */
static void reset_bar1(struct blk *blk)
{
	__u32 i;

	memset(blk->bar1, 0, sizeof(blk->bar1));
	for (i = 0; i <= blk->opt.nr_queues; i++)
		blk->bar1[i * PCI_MSIX_ENTRY_SIZE +
			  PCI_MSIX_ENTRY_VECTOR_CTRL] =
			PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

/**
 * blk_pci_init() - as it is after power-on
 * @blk: the disk
 */
void blk_pci_init(struct blk *blk)
{
	static const struct pciconf_ids ids = {
		.vendor = 0x1af4,
		.device = 0x1040 + VIRTIO_ID_BLOCK,
		.subsystem = 0x1100,
		.class = 0x010000,
		.intx = true,
	};
	struct pciconf *conf = &blk->conf;

	pciconf_init(conf, PCI_CFG_SPACE_SIZE, &ids);
	conf->data[PCI_REVISION_ID] = 1;
	pciconf_mem_bar(conf, 0, BLK_BAR0_SIZE);
	pciconf_mem_bar(conf, 1, BLK_BAR1_SIZE);
	add_capabilities(blk);
	reset_bar1(blk);
}

/**
 * blk_pci_reset() - a reset of the function
 * @blk: the disk
 */
void blk_pci_reset(struct blk *blk)
{
	pciconf_reset(&blk->conf);
	reset_bar1(blk);
	blk_common_reset(blk);
}
