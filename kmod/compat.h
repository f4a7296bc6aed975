/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels this module builds on. Nothing else in the
 * tree may ask for a version.
 */
#ifndef VUM_COMPAT_H
#define VUM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/mm.h>
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

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
static inline void vum_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vm_flags_set(vma, flags);
}
#else
static inline void vum_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* What a fault handler that returns VM_FAULT_RETRY must have let go. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
static inline void vum_fault_unlock(struct vm_fault *vmf)
{
	release_fault_lock(vmf);
}
#else
static inline void vum_fault_unlock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

#endif /* VUM_COMPAT_H */
