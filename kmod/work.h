/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the module's workqueues.
 */
#ifndef VUM_WORK_H
#define VUM_WORK_H

#include <linux/workqueue.h>

int vum_work_init(void);
void vum_work_exit(void);
bool vum_work_queue(struct work_struct *work);
bool vum_work_queue_later(struct delayed_work *work, unsigned long delay);
bool vum_work_queue_server(struct work_struct *work);
bool vum_work_queue_memory(struct work_struct *work);
bool vum_work_queue_pin(struct work_struct *work);
bool vum_work_queue_unpin(struct work_struct *work);

#endif /* VUM_WORK_H */
