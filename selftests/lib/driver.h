/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest's driver does with a puppet that is in a slot of a QEMU without a
 * guest. All of it fails the case if it does not work.
 */
#ifndef VUM_LIB_DRIVER_H
#define VUM_LIB_DRIVER_H

#include "puppet.h"
#include "qemu.h"

/* Memory for it: each slot has its own megabyte, and finds its own word in it. */
#define DRIVER_RAM(slot)	((16 + (slot)) * 0x100000UL)
#define DRIVER_FILLED(slot)	(0x01020304U * ((slot) + 1))

/*
 * A puppet's arguments: it touches what it is told of, as storage targets do; but
 * by cdev that is an aperture, in which there is mostly nothing.
 */
const char *const *driver_puppet(void);

uint32_t driver_get(struct qemu *q, unsigned int slot, enum puppet_register reg);
void driver_set(struct qemu *q, unsigned int slot, enum puppet_register reg,
		uint32_t value);

/* Everything: power, identity, registers, DMA, MSI-X. */
void driver_check(struct qemu *q, unsigned int slot);
void driver_check_registers(struct qemu *q, unsigned int slot);
void driver_set_msix(struct qemu *q, unsigned int slot, bool on);
void driver_check_msix(struct qemu *q, unsigned int slot);
void driver_check_intx(struct qemu *q, unsigned int slot);

/* Has the device write to its memory until it is told to stop. */
void driver_hammer(struct qemu *q, unsigned int slot);
void driver_stop_hammer(struct qemu *q, unsigned int slot);

#endif /* VUM_LIB_DRIVER_H */
