/* SPDX-License-Identifier: GPL-2.0 */
/* A PCI configuration space: bytes, and which of their bits can be written. */
#ifndef PCICONF_H
#define PCICONF_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#define PCICONF_MAX	4096

/**
 * struct pciconf - a configuration space
 * @size: 256 or 4096
 * @last_cap: where the next capability is to be linked from
 * @data: the bytes
 * @writable: a bit set here can be changed by a write
 */
struct pciconf {
	size_t size;
	size_t last_cap;
	__u8 data[PCICONF_MAX];
	__u8 writable[PCICONF_MAX];
};

/**
 * struct pciconf_ids - what a device says of itself
 * @vendor: vendor id, also of the subsystem
 * @device: device id
 * @subsystem: subsystem id
 * @class: class, subclass, programming interface
 * @intx: has interrupt pin A
 */
struct pciconf_ids {
	__u16 vendor;
	__u16 device;
	__u16 subsystem;
	__u32 class;
	bool intx;
};

void pciconf_init(struct pciconf *conf, size_t size,
		  const struct pciconf_ids *ids);
void pciconf_reset(struct pciconf *conf);
void pciconf_io_bar(struct pciconf *conf, unsigned int bar, __u32 size);
void pciconf_mem_bar(struct pciconf *conf, unsigned int bar, __u32 size);
size_t pciconf_cap(struct pciconf *conf, __u8 id, size_t offset);
void pciconf_set16(struct pciconf *conf, size_t offset, __u16 value,
		   __u16 writable);
void pciconf_set32(struct pciconf *conf, size_t offset, __u32 value,
		   __u32 writable);
void pciconf_read(const struct pciconf *conf, __u64 offset, void *buf,
		  __u32 count);
void pciconf_write(struct pciconf *conf, __u64 offset, const void *buf,
		   __u32 count);
void pciconf_load(struct pciconf *conf, const __u8 *data);
void pciconf_intx_status(struct pciconf *conf, bool pending);
bool pciconf_intx_disabled(const struct pciconf *conf);

#endif /* PCICONF_H */
