/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the observer, which sees from outside what consumers map.
 */
#ifndef VUM_DMA_OBSERVE_H
#define VUM_DMA_OBSERVE_H

void vum_observe_init(void);
void vum_observe_exit(void);
int vum_observe_missed(void);
const char *vum_observe_why_not(void);

#endif /* VUM_DMA_OBSERVE_H */
