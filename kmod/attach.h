/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: bringing a new attachment into working order, and clearing up
 * after one that has ended.
 */
#ifndef VUM_ATTACH_H
#define VUM_ATTACH_H

struct work_struct;

void vum_attach_work(struct work_struct *work);
void vum_detach_work(struct work_struct *work);

#endif /* VUM_ATTACH_H */
