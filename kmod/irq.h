/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: interrupts.
 */
#ifndef VUM_IRQ_H
#define VUM_IRQ_H

#include <linux/mutex.h>
#include <linux/vfio.h>

#include "shape.h"

struct vum_device;

enum vum_irq_action {
	VUM_IRQ_MASK,
	VUM_IRQ_UNMASK,
	VUM_IRQ_TRIGGER,
	VUM_IRQ_ACTIONS,
};

/**
 * struct vum_irqs - what a consumer has set of its device's interrupts
 * @lock: guards all that follows, and the order of SET_IRQS messages
 * @enabled: the IRQ indexes whose trigger has been set, as a bitmap
 * @masked: the IRQ indexes that the consumer has masked, as a bitmap
 * @eventfds: the consumer's eventfds, by index, action and sub-index
 */
struct vum_irqs {
	struct mutex lock; /* see above */
	unsigned long enabled;
	unsigned long masked;
	struct file **eventfds[VUM_MAX_IRQ_INDEXES][VUM_IRQ_ACTIONS];
};

int vum_irq_info(struct vum_device *dev, struct vfio_irq_info *info);
long vum_irq_set(struct vum_device *dev, struct vfio_irq_set __user *arg);
int vum_irq_replay(struct vum_device *dev, u32 session);
void vum_irq_release(struct vum_device *dev);
void vum_irq_error(struct vum_device *dev);
void vum_irq_request(struct vum_device *dev, unsigned int count);

#endif /* VUM_IRQ_H */
