/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The distribution's QEMU as the consumer, without a guest: its CPU never starts, or
 * halts at once. What a guest would do to the hardware is done through -qtest. It
 * opens devices as VUM_CONSUMER has it: see consumer.h.
 */
#ifndef VUM_LIB_QEMU_H
#define VUM_LIB_QEMU_H

#include <stdint.h>
#include <sys/types.h>

#include "world.h"

/* Slots for devices: root ports that can hotplug, "slot0" and so on. */
#define QEMU_SLOTS	4
#define QEMU_RAM	(64UL << 20)
#define QEMU_BAR_SIZE	0x100000

/**
 * struct qemu - a QEMU
 * @pid: of the process, or 0
 * @qmp: its monitor
 * @qtest: its -qtest
 * @in: what came from the monitor and is not a whole line yet
 * @events: lines that nobody has waited for yet
 */
struct qemu {
	pid_t pid;
	int qmp;
	int qtest;
	char in[16384];
	char events[16384];
};

/* All of these fail the case if it does not work. */

/* With these mdevs, if any, in the slots from the beginning on. */
void qemu_start(struct qemu *q, const struct world *const *mdevs);
/* By its own will, with status 0. */
void qemu_quit(struct qemu *q);
void qemu_kill(struct qemu *q);
/* Nothing is pinned for it any more: the last device is gone, or soon will be. */
void qemu_check_unpinned(const struct qemu *q);

/* A command of the monitor, in JSON; 0 or -1 if it is refused. */
int qemu_try(struct qemu *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void qemu_do(struct qemu *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Waits for an event whose line has this in it, and takes it. */
void qemu_event(struct qemu *q, const char *what);
/* device_add and device_del; the device is called "dev<slot>". */
int qemu_try_add(struct qemu *q, unsigned int slot, const struct world *w);
void qemu_add(struct qemu *q, unsigned int slot, const struct world *w);
void qemu_del(struct qemu *q, unsigned int slot);

/* Guest-physical addresses. */
uint32_t qemu_read32(struct qemu *q, uint64_t addr);
void qemu_write32(struct qemu *q, uint64_t addr, uint32_t value);
/* Configuration space of what is in a slot. */
uint32_t qemu_config_read(struct qemu *q, unsigned int slot, unsigned int reg);
void qemu_config_write(struct qemu *q, unsigned int slot, unsigned int reg,
		       uint32_t value);

/*
 * What a guest does with a slot. What is plugged in is without power at first,
 * and as long as it is, it can be unplugged at once. Then QEMU presses the
 * slot's button and waits until the guest turns the power off. What is there
 * from the beginning, or in a reset, has power.
 */
void qemu_power(struct qemu *q, unsigned int slot, bool on);
/* Has the button been pressed since it was asked for last? */
bool qemu_button(struct qemu *q, unsigned int slot);
/* Power, bus numbers, BARs, bus mastering: ready for use. */
void qemu_enable(struct qemu *q, unsigned int slot);
/* Where that puts a BAR. */
uint64_t qemu_bar(unsigned int slot, unsigned int bar);

#endif /* VUM_LIB_QEMU_H */
