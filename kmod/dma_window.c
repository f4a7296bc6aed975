// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the DMA window, a file whose offset is the IOVA.
 *
 * Each attachment has a window of its own, with an inode of its own, so that a server
 * that has been detached keeps a file that shows nothing.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "dma_window.h"
#include "pseudofs.h"
#include "work.h"

/* A fault maps neighbours back to a multiple of this, as the kernel does in files. */
#define VUM_AROUND		SZ_64K

/**
 * struct vum_touch - a page that a worker is to pin
 * @work: work item that pins it
 * @ref: one reference of the worker's, one of the waiter's
 * @done: completed when the worker has tried
 * @file: window, with a reference
 * @index: IOVA >> PAGE_SHIFT
 * @need: IOMMU_READ, IOMMU_WRITE
 */
struct vum_touch {
	struct work_struct work;
	refcount_t ref;
	struct completion done;
	struct file *file;
	unsigned long index;
	int need;
};

static void vum_touch_put(struct vum_touch *touch)
{
	if (!refcount_dec_and_test(&touch->ref))
		return;
	fput(touch->file);
	kfree(touch);
}

/*
 * Returns the attachment that the window is for; 0, which is no attachment, if it has
 * ended or the caller is being killed.
 */
static u32 vum_window_session(struct vum_device *dev, const struct file *file)
{
	u32 session = 0;

	if (mutex_lock_killable(&dev->dma.lock))
		return 0;
	if (dev->dma.window == file)
		session = dev->dma.session;
	mutex_unlock(&dev->dma.lock);
	return session;
}

/* Try to pin a page. The access finds the result when it is made once more. */
static void vum_window_touch(struct file *file, unsigned long index, int need)
{
	struct vum_device *dev = file->private_data;
	int ret;

	/* If the attachment ends after this check, one page too many is pinned. */
	if (READ_ONCE(dev->dma.window) != file)
		return;
	ret = vum_dma_pin(dev, READ_ONCE(dev->dma.session), index, need, NULL);
	if (!ret || ret == -EINTR || ret == -EIO)
		return;
	if (mutex_lock_killable(&dev->dma.lock))
		return;
	if (dev->dma.window == file)
		vum_dma_absent(dev, index, ret);
	mutex_unlock(&dev->dma.lock);
}

static void vum_touch_work(struct work_struct *work)
{
	struct vum_touch *touch = container_of(work, struct vum_touch, work);

	vum_window_touch(touch->file, touch->index, touch->need);
	complete(&touch->done);
	vum_touch_put(touch);
}

static struct vum_touch *vum_touch_new(struct file *file, unsigned long index, int need)
{
	struct vum_touch *touch = kzalloc(sizeof(*touch), GFP_KERNEL_ACCOUNT);

	if (!touch)
		return NULL;
	INIT_WORK(&touch->work, vum_touch_work);
	refcount_set(&touch->ref, 2);
	init_completion(&touch->done);
	touch->file = get_file(file);
	touch->index = index;
	touch->need = need;
	return touch;
}

/*
 * Have a worker pin a page that the kernel touches while it copies from or to the
 * window. The task may hold locks that pinning takes as well (VFIO does, when it
 * copies a dirty bitmap): then only a kill ends the wait, so the wait must be
 * killable.
 */
static void vum_window_touch_later(struct vum_touch *touch)
{
	vum_work_queue_memory(&touch->work);
	wait_for_completion_killable(&touch->done);
	vum_touch_put(touch);
}

/* Pin without the server's mmap lock: pinning takes the consumer's, maybe the same. */
static vm_fault_t vum_window_pin(struct vm_fault *vmf, int need)
{
	struct file *file = vmf->vma->vm_file;
	bool user = vmf->flags & FAULT_FLAG_USER;
	unsigned long index = vmf->pgoff;
	struct vum_touch *touch = NULL;

	/*
	 * Allocate while the access can still fail: the second pass relies on it that
	 * the first one has tried to pin the page.
	 */
	if (!user) {
		touch = vum_touch_new(file, index, need);
		if (!touch)
			return VM_FAULT_OOM;
	}
	get_file(file);
	vum_fault_unlock(vmf);
	if (user)
		vum_window_touch(file, index, need);
	else
		vum_window_touch_later(touch);
	fput(file);
	return VM_FAULT_RETRY;
}

/* Handle a fault at a page that cannot be pinned: SIGBUS, or the scratch page. */
static vm_fault_t vum_window_refuse(struct vum_device *dev, struct vm_fault *vmf)
{
	struct vum_dma *dma = &dev->dma;

	lockdep_assert_held(&dma->lock);
	if (dma->sigbus)
		return VM_FAULT_SIGBUS;
	if (!dma->scratch)
		dma->scratch = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!dma->scratch)
		return VM_FAULT_OOM;
	/* The mark that the first pass has set may be gone already. */
	vum_dma_absorb(dev, vmf->pgoff);
	return vmf_insert_pfn_prot(vmf->vma, vmf->address,
				   page_to_pfn(dma->scratch),
				   vm_get_page_prot(vmf->vma->vm_flags));
}

static vm_fault_t vum_window_insert(struct vm_area_struct *vma,
				    unsigned long addr, unsigned long pfn,
				    bool writable)
{
	return vmf_insert_pfn_prot(vma, addr, pfn,
				   vm_get_page_prot(writable ? vma->vm_flags :
						    vma->vm_flags & ~VM_WRITE));
}

/*
 * Put the page into the page table, and the pinned pages around it as well, so that
 * what was pinned in a batch does not fault page by page.
 */
static vm_fault_t vum_window_show(struct vum_device *dev, struct vm_fault *vmf,
				  unsigned long pfn, bool writable)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long here = vmf->address & PAGE_MASK, index = vmf->pgoff;
	unsigned long start = max(vma->vm_start, here & ~(VUM_AROUND - 1));
	unsigned long end = min(vma->vm_end, pmd_addr_end(here, vma->vm_end));
	vm_fault_t ret = vum_window_insert(vma, here, pfn, writable);
	unsigned long addr;

	lockdep_assert_held(&dev->dma.lock);
	if (ret != VM_FAULT_NOPAGE)
		return ret;
	for (addr = here - PAGE_SIZE; addr >= start && addr < here; addr -= PAGE_SIZE)
		if (vum_dma_lookup(dev, --index, IOMMU_READ, &pfn, &writable) <= 0 ||
		    vum_window_insert(vma, addr, pfn, writable) != VM_FAULT_NOPAGE)
			break;
	index = vmf->pgoff;
	for (addr = here + PAGE_SIZE; addr < end; addr += PAGE_SIZE)
		if (vum_dma_lookup(dev, ++index, IOMMU_READ, &pfn, &writable) <= 0 ||
		    vum_window_insert(vma, addr, pfn, writable) != VM_FAULT_NOPAGE)
			break;
	return ret;
}

/*
 * May the task wait until the page is pinned? Not if the fault cannot be retried, as
 * a futex's, nor if the task exits: then it can be past its last signal.
 */
static bool vum_window_may_wait(const struct vm_fault *vmf)
{
	return fault_flag_allow_retry_first(vmf->flags) &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT) &&
	       !(current->flags & PF_EXITING);
}

/* Handle a fault of a task that may not wait, at a page that has yet to be pinned. */
static vm_fault_t vum_window_missing(struct vum_device *dev, struct vm_fault *vmf)
{
	lockdep_assert_held(&dev->dma.lock);
	if (!(vmf->flags & FAULT_FLAG_TRIED)) {
		vum_dma_count_fault(dev, vmf->pgoff, -EAGAIN);
		return VM_FAULT_SIGBUS;
	}
	/*
	 * After the first pass the page was pinned, or found absent. Either has been
	 * undone, so there was a moment at which the access finds nothing. To begin
	 * anew would take for ever if the consumer maps and unmaps all the time. Only
	 * a server that replaces the mapping which it accesses can get here with a
	 * page that the first pass has not looked for.
	 */
	if (vum_dma_absent(dev, vmf->pgoff, dev->dma.open ? -EFAULT : -ENODEV))
		return VM_FAULT_OOM;
	return vum_window_refuse(dev, vmf);
}

/*
 * A fault takes two passes: the first pins the page if it is not there, the second
 * puts it into the page table. A task that may not wait finds only what is pinned.
 */
static vm_fault_t vum_window_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vum_device *dev = vma->vm_file->private_data;
	bool may_wait = vum_window_may_wait(vmf);
	int need = IOMMU_READ | (vmf->flags & FAULT_FLAG_WRITE ? IOMMU_WRITE : 0);
	unsigned long pfn;
	bool writable;
	vm_fault_t ret;
	int found;

	/*
	 * Do not pin for a task that is itself pinning memory: it may do so for this
	 * very device, or be in VFIO with a lock held that pinning takes.
	 */
	if (vmf->flags & FAULT_FLAG_REMOTE)
		return VM_FAULT_SIGBUS;
	/* Other threads need the mmap lock, so rather wait for this one without it. */
	if (!may_wait)
		mutex_lock(&dev->dma.lock);
	else if (!mutex_trylock(&dev->dma.lock))
		return vum_window_pin(vmf, need);
	if (dev->dma.window != vma->vm_file) {
		mutex_unlock(&dev->dma.lock);
		return VM_FAULT_SIGBUS;
	}
	found = vum_dma_lookup(dev, vmf->pgoff, need, &pfn, &writable);
	if (found <= 0 && may_wait) {
		mutex_unlock(&dev->dma.lock);
		return vum_window_pin(vmf, need);
	}
	if (found > 0)
		ret = vum_window_show(dev, vmf, pfn, writable);
	else if (found < 0)
		ret = vum_window_refuse(dev, vmf);
	else
		ret = vum_window_missing(dev, vmf);
	mutex_unlock(&dev->dma.lock);
	return ret;
}

/* Would a fault map this page for writing, without waiting? If not, count that. */
static bool vum_window_writable(struct file *file, unsigned long index)
{
	struct vum_device *dev = file->private_data;
	unsigned long pfn;
	bool writable;
	int found = 0;

	mutex_lock(&dev->dma.lock);
	if (dev->dma.window == file) {
		found = vum_dma_lookup(dev, index, IOMMU_READ | IOMMU_WRITE, &pfn,
				       &writable);
		if (found <= 0)
			vum_dma_count_fault(dev, index, found ?: -EAGAIN);
	}
	mutex_unlock(&dev->dma.lock);
	return found > 0;
}

/*
 * A write hit a page that was mapped for reading: let it fault anew, as a write. But
 * a futex's write is preceded by a read, which maps the page for reading again if
 * that is all that is permitted.
 */
static vm_fault_t vum_window_mkwrite(struct vm_fault *vmf)
{
	struct file *file = vmf->vma->vm_file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	    !vum_window_writable(file, vmf->pgoff))
		return VM_FAULT_SIGBUS;
	unmap_mapping_pages(file->f_mapping, vmf->pgoff, 1, true);
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct vum_window_vm_ops = {
	.fault		= vum_window_fault,
	.pfn_mkwrite	= vum_window_mkwrite,
};

static int vum_window_mmap(struct file *file, struct vm_area_struct *vma)
{
	u64 pages = i_size_read(file_inode(file)) >> PAGE_SHIFT;

	/* Writes to a private copy would not reach the consumer. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vum_vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vum_window_vm_ops;
	return 0;
}

/* Read into @to or write from @from; the other one is NULL. */
static ssize_t vum_window_rw(struct file *file, char __user *to,
			     const char __user *from, size_t count, loff_t *ppos)
{
	struct vum_device *dev = file->private_data;
	loff_t size = i_size_read(file_inode(file));
	size_t done = 0;
	void *bounce;
	u32 session;
	int ret = 0;

	if (*ppos < 0 || *ppos >= size)
		return -EFAULT;
	count = min_t(u64, count, size - *ppos);
	bounce = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!bounce)
		return -ENOMEM;
	session = vum_window_session(dev, file);
	while (!ret && done < count) {
		size_t n = min_t(size_t, count - done,
				 PAGE_SIZE - offset_in_page(*ppos));

		if (from && copy_from_user(bounce, from + done, n))
			ret = -EFAULT;
		else
			ret = vum_dma_copy(dev, session, *ppos, bounce, n,
					   !!from);
		if (!ret && to && copy_to_user(to + done, bounce, n))
			ret = -EFAULT;
		if (!ret) {
			done += n;
			*ppos += n;
		}
	}
	free_page((unsigned long)bounce);
	return done ?: ret;
}

static ssize_t vum_window_read(struct file *file, char __user *buf,
			       size_t count, loff_t *ppos)
{
	return vum_window_rw(file, buf, NULL, count, ppos);
}

static ssize_t vum_window_write(struct file *file, const char __user *buf,
				size_t count, loff_t *ppos)
{
	return vum_window_rw(file, NULL, buf, count, ppos);
}

static int vum_window_release(struct inode *inode, struct file *file)
{
	struct vum_device *dev = file->private_data;

	vfio_put_device(&dev->vdev);
	return 0;
}

static const struct file_operations vum_window_fops = {
	.owner			= THIS_MODULE,
	.release		= vum_window_release,
	.read			= vum_window_read,
	.write			= vum_window_write,
	.mmap			= vum_window_mmap,
	/* Choose addresses that equal the IOVAs modulo 2 MiB. */
	.get_unmapped_area	= thp_get_unmapped_area,
	.llseek			= noop_llseek,
};

/**
 * vum_window_new - create the window of a new attachment
 * @dev: device; the file holds a reference
 *
 * Return: the window, with a reference for the caller; or an error pointer.
 */
struct file *vum_window_new(struct vum_device *dev)
{
	struct inode *inode = vum_pseudofs_inode(dev, VUM_WINDOW_SIZE);
	struct file *file;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	file = vum_pseudofs_file(inode, "vfio-user-dma", &vum_window_fops);
	if (IS_ERR(file))
		return file;
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	file->private_data = dev;
	get_device(&dev->vdev.device);
	return file;
}
