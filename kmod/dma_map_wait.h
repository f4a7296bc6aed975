/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: a consumer that maps memory waits for the servers.
 */
#ifndef VUM_DMA_MAP_WAIT_H
#define VUM_DMA_MAP_WAIT_H

struct file;

int vum_map_wait_init(void);
void vum_map_wait_exit(void);
struct file *vum_map_wait_take(unsigned long id, bool sure);

#endif /* VUM_DMA_MAP_WAIT_H */
