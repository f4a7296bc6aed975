/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the differences between the kernels that the module builds on. No
 * other file may ask for the kernel's version.
 */
#ifndef VUM_COMPAT_H
#define VUM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vfio.h>

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

static inline void vum_vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vm_flags_clear(vma, flags);
}
#else
static inline void vum_vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vum_vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Get the file that the processes of @mm execute, with a reference; NULL if there is none. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct file *vum_mm_exe_file(struct mm_struct *mm)
{
	struct file *file;

	rcu_read_lock();
	file = get_file_rcu(&mm->exe_file);
	rcu_read_unlock();
	return file;
}
#else
static inline struct file *vum_mm_exe_file(struct mm_struct *mm)
{
	struct file *file;

	rcu_read_lock();
	file = rcu_dereference(mm->exe_file);
	if (file && !get_file_rcu(file))
		file = NULL;
	rcu_read_unlock();
	return file;
}
#endif

/* From 6.5 on, overlayfs marks the files of the filesystems below it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
static inline bool vum_file_is_backing(const struct file *file)
{
	return file->f_mode & FMODE_BACKING;
}
#else
static inline bool vum_file_is_backing(const struct file *file)
{
	return false;
}
#endif

/* Until 6.7, the owner of a shrinker had to keep its memory. */
typedef unsigned long (*vum_shrinker_fn)(struct shrinker *s, struct shrink_control *sc);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *vum_shrinker_new(vum_shrinker_fn count,
						vum_shrinker_fn scan)
{
	struct shrinker *s = shrinker_alloc(0, "vfio-user-mdev");

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	shrinker_register(s);
	return s;
}

static inline void vum_shrinker_free(struct shrinker *s)
{
	shrinker_free(s);
}
#else
static inline struct shrinker *vum_shrinker_new(vum_shrinker_fn count,
						vum_shrinker_fn scan)
{
	struct shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
	if (!register_shrinker(s, "vfio-user-mdev"))
		return s;
	kfree(s);
	return NULL;
}

static inline void vum_shrinker_free(struct shrinker *s)
{
	unregister_shrinker(s);
	kfree(s);
}
#endif

/* A fault handler must release this lock before it returns VM_FAULT_RETRY. */
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

/* Before 6.2, the driver that had allocated a vfio_device had to free it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
static inline void vum_vfio_free(struct vfio_device *vdev)
{
}
#else
static inline void vum_vfio_free(struct vfio_device *vdev)
{
	vfio_free_device(vdev);
}
#endif

/* A VFIO that knows iommufd refuses devices without these. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define VUM_OPS_IOMMUFD						\
	.bind_iommufd	= vfio_iommufd_emulated_bind,		\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,		\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,	\
	.detach_ioas	= vfio_iommufd_emulated_detach_ioas,
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define VUM_OPS_IOMMUFD						\
	.bind_iommufd	= vfio_iommufd_emulated_bind,		\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,		\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,
#else
#define VUM_OPS_IOMMUFD
#endif

/* Is the device's consumer on iommufd? */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && IS_ENABLED(CONFIG_IOMMUFD)
static inline bool vum_by_iommufd(const struct vfio_device *vdev)
{
	return vdev->iommufd_access;
}
#else
static inline bool vum_by_iommufd(const struct vfio_device *vdev)
{
	return false;
}
#endif

/*
 * From 6.19 on, VFIO itself handles VFIO_DEVICE_GET_REGION_INFO and asks the driver
 * by get_region_info_caps(). Before, the driver handles it like any other ioctl.
 */
typedef int (*vum_region_info_fn)(struct vfio_device *vdev,
				  struct vfio_region_info *info,
				  struct vfio_info_cap *caps);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define VUM_OPS_REGION_INFO(fn)	.get_region_info_caps = (fn),

static inline long vum_ioctl_region_info(struct vfio_device *vdev,
					 struct vfio_region_info __user *arg,
					 vum_region_info_fn fn)
{
	return -ENOTTY;
}
#else
#define VUM_OPS_REGION_INFO(fn)

static inline long vum_ioctl_region_info(struct vfio_device *vdev,
					 struct vfio_region_info __user *arg,
					 vum_region_info_fn fn)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_info_cap caps = {};
	struct vfio_region_info info = {};
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = fn(vdev, &info, &caps);
	if (!ret && caps.size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz < sizeof(info) + caps.size) {
			info.argsz = sizeof(info) + caps.size;
		} else {
			vfio_info_cap_shift(&caps, sizeof(info));
			if (copy_to_user(arg + 1, caps.buf, caps.size))
				ret = -EFAULT;
			info.cap_offset = sizeof(info);
		}
	}
	kfree(caps.buf);
	if (!ret && copy_to_user(arg, &info, minsz))
		ret = -EFAULT;
	return ret;
}
#endif

/* From 6.2 on, VFIO knows the states in which a running device is saved. */
#ifdef VFIO_MIGRATION_PRE_COPY
#define VUM_MIG_FLAGS		(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY)
#define VUM_MIG_PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define VUM_OPS_MIG_DATA_SIZE(fn)	.migration_get_data_size = (fn),
#else
#define VUM_MIG_FLAGS		VFIO_MIGRATION_STOP_COPY
#define VUM_MIG_PRE_COPY	((enum vfio_device_mig_state)-1)
#define VUM_OPS_MIG_DATA_SIZE(fn)

struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)
#endif

/*
 * VFIO asks a driver which pages its device has written only with iova_bitmap, which came
 * with VFIO itself, and since 6.7 comes with drivers of IOMMUs. Where a kernel has none of
 * these, VFIO would say that the driver can, and then not ask.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0) || IS_ENABLED(CONFIG_IOMMUFD_DRIVER)
#define VUM_LOG_OPS(ops)	(ops)
#else
#define VUM_LOG_OPS(ops)	((void)(ops), NULL)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define VUM_IMPORT_NS(ns)	MODULE_IMPORT_NS(#ns)
#else
#define VUM_IMPORT_NS(ns)	MODULE_IMPORT_NS(ns)
#endif

/* Take one more reference on a memory cgroup, if it is not NULL. */
static inline void vum_memcg_get(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	if (memcg)
		css_get(&memcg->css);
#endif
}

#endif /* VUM_COMPAT_H */
