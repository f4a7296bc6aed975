/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VFIO consumer: drives a device through /dev/vfio, as QEMU does. There are two
 * ways to do that, and VUM_CONSUMER says which: "group", by the device's group in
 * a type1 container, unless it says "cdev", by the device's node and an iommufd.
 */
#ifndef VUM_CONSUMER_H
#define VUM_CONSUMER_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "world.h"

/**
 * struct consumer - who has the device open
 * @container: /dev/vfio/vfio, or by cdev /dev/iommu; memory is mapped in either by
 *	       VFIO_IOMMU_MAP_DMA
 * @group: /dev/vfio/<n>; by cdev -1
 * @device: from VFIO_GROUP_GET_DEVICE_FD, or /dev/vfio/devices/vfio<n>
 */
struct consumer {
	int container;
	int group;
	int device;
};

bool consumer_by_cdev(void);
/* The case is skipped by cdev, or by group: what it is about takes the other. */
void consumer_needs_container(const char *what);
void consumer_needs_iommufd(const char *what);
/* Or it is skipped since nothing observes what consumers map: see kmod/dma_observe.c. */
void consumer_needs_observer(void);
bool consumer_kernel_has_ftrace(void);

/* Everything before the device, so that memory can be mapped; fails the case. */
void consumer_prepare(struct consumer *c, const struct world *w);
/*
 * VFIO_GROUP_GET_DEVICE_FD, or VFIO_DEVICE_BIND_IOMMUFD of the device's node:
 * 0 or -errno.
 */
int consumer_get_device(struct consumer *c, const struct world *w);
/* Both; fails the case. */
void consumer_open(struct consumer *c, const struct world *w);
/* Another device with the memory of a consumer's first; fails the case. */
void consumer_join(struct consumer *c, const struct world *w,
		   const struct consumer *other);
void consumer_close(struct consumer *c);

/* Where in the device's file is this? */
off_t region_at(unsigned int index, uint64_t offset);
/* 4 bytes; fail the case. */
uint32_t region_read32(const struct consumer *c, unsigned int index,
		       uint64_t offset);
void region_write32(const struct consumer *c, unsigned int index,
		    uint64_t offset, uint32_t value);

/* VFIO_DEVICE_SET_IRQS: what the ioctl returns. @data: @size bytes. */
int irq_set(const struct consumer *c, uint32_t flags, uint32_t index,
	    uint32_t start, uint32_t count, const void *data, size_t size);
/* DATA_EVENTFD | ACTION_TRIGGER */
int irq_set_eventfds(const struct consumer *c, uint32_t index, uint32_t start,
		     uint32_t count, const int32_t *fds);
/* DATA_NONE | ACTION_TRIGGER with a count of 0 */
int irq_disable(const struct consumer *c, uint32_t index);
/* A non-blocking eventfd. */
int new_eventfd(void);
/* Its count, 0 if not signalled; waits for so long. */
uint64_t eventfd_take(int fd, int timeout_ms);

#endif /* VUM_CONSUMER_H */
