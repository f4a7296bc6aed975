/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels this module builds on. Nothing else in the
 * tree may ask for a version.
 */
#ifndef VUM_COMPAT_H
#define VUM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
static inline void vum_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx);
}
#else
static inline void vum_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
#endif

#endif /* VUM_COMPAT_H */
