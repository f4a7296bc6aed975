// SPDX-License-Identifier: GPL-2.0
/* A PCI configuration space: bytes, and which of their bits can be written. */
#include <stdint.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "pciconf.h"

static void put(__u8 *at, __u32 value, size_t bytes)
{
	while (bytes--) {
		*at++ = (__u8)value;
		value >>= 8;
	}
}

static void set(struct pciconf *conf, size_t offset, __u32 value,
		__u32 writable, size_t bytes)
{
	put(conf->data + offset, value, bytes);
	put(conf->writable + offset, writable, bytes);
}

/**
 * pciconf_set16() - define a 16-bit field
 * @conf: the configuration space
 * @offset: where it is
 * @value: what it holds after power-on
 * @writable: bits that can be changed
 */
void pciconf_set16(struct pciconf *conf, size_t offset, __u16 value,
		   __u16 writable)
{
	set(conf, offset, value, writable, sizeof(value));
}

/**
 * pciconf_set32() - define a 32-bit field
 * @conf: the configuration space
 * @offset: where it is
 * @value: what it holds after power-on
 * @writable: bits that can be changed
 */
void pciconf_set32(struct pciconf *conf, size_t offset, __u32 value,
		   __u32 writable)
{
	set(conf, offset, value, writable, sizeof(value));
}

/**
 * pciconf_init() - an endpoint without BARs and capabilities
 * @conf: the configuration space
 * @size: 256 or 4096
 * @ids: what it says of itself
 */
void pciconf_init(struct pciconf *conf, size_t size,
		  const struct pciconf_ids *ids)
{
	memset(conf, 0, sizeof(*conf));
	conf->size = size;
	conf->last_cap = PCI_CAPABILITY_LIST;
	set(conf, PCI_VENDOR_ID, ids->vendor, 0, 2);
	set(conf, PCI_DEVICE_ID, ids->device, 0, 2);
	set(conf, PCI_COMMAND, 0,
	    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
	    PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE,
	    2);
	set(conf, PCI_CLASS_PROG, ids->class, 0, 3);
	set(conf, PCI_CACHE_LINE_SIZE, 0, UINT8_MAX, 1);
	set(conf, PCI_SUBSYSTEM_VENDOR_ID, ids->vendor, 0, 2);
	set(conf, PCI_SUBSYSTEM_ID, ids->subsystem, 0, 2);
	set(conf, PCI_INTERRUPT_LINE, 0, UINT8_MAX, 1);
	set(conf, PCI_INTERRUPT_PIN, ids->intx, 0, 1);
}

/**
 * pciconf_reset() - what a function-level reset does to it
 * @conf: the configuration space
 *
 * Everything that can be written is 0 again; no field here starts otherwise.
 */
void pciconf_reset(struct pciconf *conf)
{
	size_t i;

	for (i = 0; i < conf->size; i++)
		conf->data[i] &= (__u8)~conf->writable[i];
}

/* A BAR's size is told by the bits that do not stick: a power of two. */
static __u32 bar_mask(__u32 size, __u32 least)
{
	__u32 mask = ~(least - 1);

	while (mask && ~mask + 1 < size)
		mask <<= 1;
	return mask;
}

/**
 * pciconf_io_bar() - define an I/O BAR
 * @conf: the configuration space
 * @bar: 0 to 5
 * @size: bytes, rounded up to a power of two
 */
void pciconf_io_bar(struct pciconf *conf, unsigned int bar, __u32 size)
{
	pciconf_set32(conf, PCI_BASE_ADDRESS_0 + 4 * bar,
		      PCI_BASE_ADDRESS_SPACE_IO, bar_mask(size, 4));
}

/**
 * pciconf_mem_bar() - define a 32-bit memory BAR
 * @conf: the configuration space
 * @bar: 0 to 5
 * @size: bytes, rounded up to a power of two
 */
void pciconf_mem_bar(struct pciconf *conf, unsigned int bar, __u32 size)
{
	pciconf_set32(conf, PCI_BASE_ADDRESS_0 + 4 * bar,
		      PCI_BASE_ADDRESS_SPACE_MEMORY, bar_mask(size, 16));
}

/**
 * pciconf_cap() - append a capability to the list
 * @conf: the configuration space
 * @id: PCI_CAP_ID_*
 * @offset: where to put it
 *
 * Return: @offset, for the fields that follow id and link.
 */
size_t pciconf_cap(struct pciconf *conf, __u8 id, size_t offset)
{
	conf->data[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	conf->data[conf->last_cap] = (__u8)offset;
	conf->data[offset] = id;
	conf->last_cap = offset + PCI_CAP_LIST_NEXT;
	return offset;
}

/**
 * pciconf_read() - a read by the client
 * @conf: the configuration space
 * @offset: where; inside it
 * @buf: where to
 * @count: bytes
 */
void pciconf_read(const struct pciconf *conf, __u64 offset, void *buf,
		  __u32 count)
{
	memcpy(buf, conf->data + offset, count);
}

/**
 * pciconf_write() - a write by the client
 * @conf: the configuration space
 * @offset: where; inside it
 * @buf: where from
 * @count: bytes
 */
void pciconf_write(struct pciconf *conf, __u64 offset, const void *buf,
		   __u32 count)
{
	const __u8 *from = buf;
	__u32 i;

	for (i = 0; i < count; i++) {
		__u8 mask = conf->writable[offset + i];
		__u8 *to = &conf->data[offset + i];

		*to = (__u8)((*to & ~mask) | (from[i] & mask));
	}
}

/**
 * pciconf_load() - take over what was written to another space of the same kind
 * @conf: the space
 * @data: the other's bytes, as many as it has
 */
void pciconf_load(struct pciconf *conf, const __u8 *data)
{
	for (size_t i = 0; i < conf->size; i++)
		conf->data[i] = (__u8)((conf->data[i] & ~conf->writable[i]) |
				       (data[i] & conf->writable[i]));
}

/**
 * pciconf_intx_status() - keep the interrupt bit of the status register
 * @conf: the configuration space
 * @pending: the device wants an interrupt
 */
void pciconf_intx_status(struct pciconf *conf, bool pending)
{
	conf->data[PCI_STATUS] &= (__u8)~PCI_STATUS_INTERRUPT;
	if (pending)
		conf->data[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
}

/**
 * pciconf_intx_disabled() - has the driver turned INTx off?
 * @conf: the configuration space
 *
 * Return: true if the device must not assert its line.
 */
bool pciconf_intx_disabled(const struct pciconf *conf)
{
	return conf->data[PCI_COMMAND + 1] & (PCI_COMMAND_INTX_DISABLE >> 8);
}
