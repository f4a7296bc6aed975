/* SPDX-License-Identifier: GPL-2.0 */
/* VFIO's log of what a device writes to its consumer's memory. */
#ifndef VUM_LIB_DIRTY_H
#define VUM_LIB_DIRTY_H

#include "consumer.h"

#define DIRTY_PAGE	4096UL

/* Does this kernel's VFIO ask devices? If not, the case is skipped. */
void dirty_needs_log(const struct consumer *c);
/* VFIO_DEVICE_FEATURE_DMA_LOGGING_START of a range, and _STOP: 0 or -1. */
int dirty_start(const struct consumer *c, uint64_t iova, uint64_t size);
int dirty_stop(const struct consumer *c);
/* _REPORT: a bit is set in @bits for each page that was written; 0 or -1. */
int dirty_report(const struct consumer *c, uint64_t iova, uint64_t size, uint64_t *bits);

static inline bool dirty_test(const uint64_t *bits, unsigned long page)
{
	return bits[page / 64] >> page % 64 & 1;
}

#endif /* VUM_LIB_DIRTY_H */
