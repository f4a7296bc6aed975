// SPDX-License-Identifier: GPL-2.0
/* A driver for puppets. See driver.h. */

#include <errno.h>

#include <linux/pci_regs.h>

#include "driver.h"
#include "test.h"

#define MSG_DATA	0x4d5349
#define NR_VECTORS	3

const char *const *driver_puppet(void)
{
	static const char *const args[] = { "--mmap-bar0", "--touch", NULL };
	static const char *const untouched[] = { "--mmap-bar0", NULL };

	/* What is not observed is told as an aperture, too much to be touched. */
	return consumer_by_cdev() || !consumer_kernel_has_ftrace() ? untouched : args;
}

uint32_t driver_get(struct qemu *q, unsigned int slot, enum puppet_register reg)
{
	return qemu_read32(q, qemu_bar(slot, 2) + reg);
}

void driver_set(struct qemu *q, unsigned int slot, enum puppet_register reg,
		uint32_t value)
{
	qemu_write32(q, qemu_bar(slot, 2) + reg, value);
}

static void check_ids(struct qemu *q, unsigned int slot)
{
	CHECK_EQ(qemu_config_read(q, slot, PCI_VENDOR_ID),
		 PUPPET_DEVICE_ID << 16 | PUPPET_VENDOR_ID);
}

void driver_check_registers(struct qemu *q, unsigned int slot)
{
	CHECK_EQ(driver_get(q, slot, PUPPET_MAGIC), PUPPET_MAGIC_VALUE);
	/* BAR0 does not go through the server. */
	qemu_write32(q, qemu_bar(slot, 0) + 8, 0x600d0000 + slot);
	CHECK_EQ(qemu_read32(q, qemu_bar(slot, 0) + 8), 0x600d0000 + slot);
}

static void dma_start(struct qemu *q, unsigned int slot, enum puppet_dma_op op,
		      uint32_t value)
{
	driver_set(q, slot, PUPPET_DMA_IOVA, DRIVER_RAM(slot));
	driver_set(q, slot, PUPPET_DMA_IOVA + 4, 0);
	driver_set(q, slot, PUPPET_DMA_LENGTH, 0x10000);
	driver_set(q, slot, PUPPET_DMA_VALUE, value);
	driver_set(q, slot, PUPPET_DMA_OP, op);
}

static void check_dma(struct qemu *q, unsigned int slot, uint32_t value)
{
	dma_start(q, slot, PUPPET_DMA_FILL, value);
	CHECK_SOON(driver_get(q, slot, PUPPET_DMA_STATUS) != EINPROGRESS);
	CHECK_EQ(driver_get(q, slot, PUPPET_DMA_STATUS), 0);
	CHECK_EQ(qemu_read32(q, DRIVER_RAM(slot)), value);
	CHECK_EQ(qemu_read32(q, DRIVER_RAM(slot) + 0xfffc), value);
}

void driver_hammer(struct qemu *q, unsigned int slot)
{
	dma_start(q, slot, PUPPET_DMA_HAMMER, 0x11223344);
	CHECK_SOON(qemu_read32(q, DRIVER_RAM(slot)) == 0x11223344);
}

/* It has not been hurt by what happened to the memory meanwhile. */
void driver_stop_hammer(struct qemu *q, unsigned int slot)
{
	driver_set(q, slot, PUPPET_DMA_OP, PUPPET_DMA_STOP);
	CHECK_EQ(driver_get(q, slot, PUPPET_DMA_STATUS), 0);
}

void driver_set_msix(struct qemu *q, unsigned int slot, bool on)
{
	qemu_config_write(q, slot, PUPPET_CAP_MSIX,
			  on ? (uint32_t)PCI_MSIX_FLAGS_ENABLE << 16 : 0);
}

/* An interrupt is a write to memory: let it be one to where it can be seen. */
void driver_check_msix(struct qemu *q, unsigned int slot)
{
	uint64_t mailbox = DRIVER_RAM(slot) + 0x80000;

	for (unsigned int i = 0; i < NR_VECTORS; i++) {
		uint64_t entry = qemu_bar(slot, 4) + PUPPET_MSIX_TABLE +
				 (uint64_t)i * PCI_MSIX_ENTRY_SIZE;

		qemu_write32(q, mailbox + 4UL * i, 0);
		qemu_write32(q, entry, (uint32_t)(mailbox + 4UL * i));
		qemu_write32(q, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
		qemu_write32(q, entry + PCI_MSIX_ENTRY_DATA, MSG_DATA + i);
		qemu_write32(q, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	}
	driver_set_msix(q, slot, true);
	CHECK_EQ(driver_get(q, slot, PUPPET_NR_VECTORS), NR_VECTORS);
	for (unsigned int i = 0; i < NR_VECTORS; i++) {
		driver_set(q, slot, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16 | i);
		CHECK_SOON(qemu_read32(q, mailbox + 4UL * i) == MSG_DATA + i);
	}
}

/*
 * Once the interrupt has come, the next access unmasks it, since there is no
 * KVM to tell when a guest is done with it. Then it comes again.
 */
void driver_check_intx(struct qemu *q, unsigned int slot)
{
	uint32_t before = driver_get(q, slot, PUPPET_NR_SET_IRQS);

	driver_set(q, slot, PUPPET_INTX_LEVEL, 1);
	CHECK_SOON(driver_get(q, slot, PUPPET_NR_SET_IRQS) > before + 1);
	driver_set(q, slot, PUPPET_INTX_LEVEL, 0);
}

/* All that a guest does with it. */
void driver_check(struct qemu *q, unsigned int slot)
{
	qemu_enable(q, slot);
	check_ids(q, slot);
	driver_check_registers(q, slot);
	check_dma(q, slot, DRIVER_FILLED(slot));
	driver_check_msix(q, slot);
}
