// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the DMA window, a file whose offset is the IOVA.
 *
 * Each attachment has a window of its own, with an inode of its own, so that a server
 * that has been detached keeps a file that shows nothing of the consumer's.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "dma_copy.h"
#include "dma_pages.h"
#include "dma_pin.h"
#include "dma_window.h"
#include "pseudofs.h"

/* A fault maps neighbours back to a multiple of this, as the kernel does in files. */
#define VUM_AROUND		SZ_64K

/*
 * A consumer's unmap goes through all mappings of the window, so there must not be too
 * many. A server needs one for each DMA_MAP: VUM_CONTAINER_MAX and VUM_CONTAINER_PARTS
 * bound those.
 */
#define VUM_WINDOW_MAPPINGS	8192

/**
 * struct vum_window - an attachment's window
 * @dev: device, with a reference
 * @session: the attachment
 * @mappings: number of mappings (VMAs) of the window, in all processes
 * @scratch: the page that absorbs accesses that found nothing
 */
struct vum_window {
	struct vum_device *dev;
	u32 session;
	atomic_t mappings;
	struct page *scratch;
};

static struct vum_window *vum_window_of(const struct vm_area_struct *vma)
{
	return vma->vm_file->private_data;
}

/* Is there memory that the server does not get, or has the consumer mapped none? */
static bool vum_window_lost(int error)
{
	return error != -ENOENT && error != -EPERM && error != -ENODEV;
}

/*
 * Memory that the consumer has mapped does not come. Without it, the server would read
 * wrong data and its writes would be lost: end the attachment, and tell the consumer.
 */
static void vum_window_fail(struct vum_device *dev, u32 session, unsigned long index,
			    int error)
{
	if (vum_conn_fail(dev, session, "DMA at IOVA 0x%llx: %s (error %d)",
			  (u64)index << PAGE_SHIFT, vum_pages_why(error), error))
		vum_irq_error(dev);
}

/*
 * Is the window the present one? Then *@opens tells which consumer its pages are of.
 * False as well if the caller is being killed.
 */
static bool vum_window_present(struct file *file, u32 *opens)
{
	struct vum_window *w = file->private_data;
	struct vum_dma *dma = &w->dev->dma;
	bool present;

	if (mutex_lock_killable(&dma->lock))
		return false;
	present = dma->window == file;
	*opens = dma->opens;
	mutex_unlock(&dma->lock);
	return present;
}

/* Try to pin a page. The access finds the result when it is made once more. */
static void vum_window_touch(struct file *file, unsigned long index, int need)
{
	struct vum_window *w = file->private_data;
	struct vum_device *dev = w->dev;
	struct vum_dma *dma = &dev->dma;
	u32 opens, opens_now;
	int ret;

	if (!vum_window_present(file, &opens))
		return;
	ret = vum_dma_pin(dev, w->session, index, need, NULL);
	if (!ret || ret == -EINTR || ret == -EIO ||
	    !vum_window_present(file, &opens_now) || opens != opens_now)
		return;
	/* A server that wants to hear of faults by SIGBUS does so. */
	if (vum_window_lost(ret) && !READ_ONCE(dma->sigbus)) {
		vum_window_fail(dev, w->session, index, ret);
		return;
	}
	mutex_lock(&dma->lock);
	if (dma->window == file)
		vum_pages_absent(dev, index, ret);
	mutex_unlock(&dma->lock);
}

/* Pin without the server's mmap lock: pinning takes the consumer's, maybe the same. */
static vm_fault_t vum_window_pin(struct vm_fault *vmf, int need)
{
	struct file *file = get_file(vmf->vma->vm_file);
	unsigned long index = vmf->pgoff;

	vum_fault_unlock(vmf);
	vum_window_touch(file, index, need);
	fput(file);
	return VM_FAULT_RETRY;
}

/* Show the scratch page instead of a page that cannot be pinned. */
static vm_fault_t vum_window_show_scratch(struct vum_window *w, struct vm_fault *vmf)
{
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, page_to_pfn(w->scratch),
				   vm_get_page_prot(vmf->vma->vm_flags));
}

/*
 * Handle a fault in the window of an attachment that has ended. Its server need not
 * have noticed yet, and may serve other devices: so it does not get a SIGBUS unless
 * it is to get them.
 */
static vm_fault_t vum_window_retired(struct vum_window *w, struct vm_fault *vmf)
{
	lockdep_assert_held(&w->dev->dma.lock);
	if (w->dev->dma.sigbus)
		return VM_FAULT_SIGBUS;
	return vum_window_show_scratch(w, vmf);
}

/* Handle a fault at a page that cannot be pinned: SIGBUS, or the scratch page. */
static vm_fault_t vum_window_refuse(struct vum_window *w, struct vm_fault *vmf)
{
	lockdep_assert_held(&w->dev->dma.lock);
	if (w->dev->dma.sigbus)
		return VM_FAULT_SIGBUS;
	/* The mark that the first pass has set may be gone already. */
	vum_pages_absorb(w->dev, vmf->pgoff);
	return vum_window_show_scratch(w, vmf);
}

/**
 * struct vum_fill - page table entries that are filled in beside that of a fault
 * @dev: device
 * @mm: whose entries
 * @index: the next page, IOVA >> PAGE_SHIFT
 * @prot: of a page that may not be written, and of one that may
 */
struct vum_fill {
	struct vum_device *dev;
	struct mm_struct *mm;
	unsigned long index;
	pgprot_t prot[2];
};

/* Fill in one entry. Returns an error, which ends the run, if the page is not pinned. */
static int vum_window_fill(pte_t *pte, unsigned long addr, void *data)
{
	struct vum_fill *fill = data;
	unsigned long pfn;
	bool writable;

	if (vum_pages_lookup(fill->dev, fill->index++, IOMMU_READ, &pfn, &writable) <= 0 ||
	    vum_pfn_reserved(pfn))
		return -ENOENT;
	if (pte_none(ptep_get(pte)))
		set_pte_at(fill->mm, addr, pte,
			   pte_mkspecial(pfn_pte(pfn, fill->prot[writable])));
	return 0;
}

/*
 * Put the page into the page table, and the pinned pages around it as well, so that
 * what was pinned in a batch does not fault page by page. The neighbours are filled in
 * with one walk of the page table: vmf_insert_pfn_prot() walks it for each page, and
 * looks up how each is cached. Ordinary memory is cached, and other pages each have a
 * fault of their own.
 */
static vm_fault_t vum_window_show(struct vum_device *dev, struct vm_fault *vmf,
				  unsigned long pfn, bool writable)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long here = vmf->address & PAGE_MASK, addr = here;
	unsigned long start = max(vma->vm_start, here & ~(VUM_AROUND - 1));
	unsigned long end = min(vma->vm_end, pmd_addr_end(here, vma->vm_end));
	struct vum_fill fill = {
		.dev = dev,
		.mm = vma->vm_mm,
		.index = vmf->pgoff,
		.prot = {
			vm_get_page_prot(vma->vm_flags & ~VM_WRITE),
			vm_get_page_prot(vma->vm_flags),
		},
	};
	vm_fault_t ret;

	lockdep_assert_held(&dev->dma.lock);
	ret = vmf_insert_pfn_prot(vma, here, pfn, fill.prot[writable]);
	if (ret != VM_FAULT_NOPAGE)
		return ret;
	/*
	 * While pages are tracked, neighbours could be mapped for reading only, and to
	 * look all of them up costs more than a fault at each that is read.
	 */
	if (dev->dma.tracked && vmf->flags & FAULT_FLAG_WRITE)
		return ret;
	while (addr > start &&
	       vum_pages_lookup(dev, fill.index - 1, IOMMU_READ, &pfn, &writable) > 0) {
		addr -= PAGE_SIZE;
		fill.index--;
	}
	apply_to_page_range(vma->vm_mm, addr, end - addr, vum_window_fill, &fill);
	return ret;
}

/*
 * May the task wait until the page is pinned? Not if the fault cannot be retried, as
 * a futex's, nor if the task exits: then it can be past its last signal.
 */
static bool vum_window_may_wait(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_ALLOW_RETRY &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT) &&
	       !(current->flags & PF_EXITING);
}

/*
 * Is the page to be pinned now? After the first pass it was pinned, or found absent.
 * Unless it was evicted, either has been undone by an unmap, so there was a moment at
 * which the access finds nothing. To begin anew could take for ever if the consumer
 * maps and unmaps all the time. Only a server that replaces the mapping which it
 * accesses can get to the second pass with a page that the first has not looked for.
 */
static bool vum_window_may_pin(struct vum_dma *dma, const struct vm_fault *vmf, int found)
{
	if (!vum_window_may_wait(vmf))
		return false;
	return !(vmf->flags & FAULT_FLAG_TRIED) ||
	       (!found && vum_pages_evicted(dma, vmf->pgoff));
}

/* Handle a fault at a page that is not pinned, and will not be for this access. */
static vm_fault_t vum_window_missing(struct vum_window *w, struct vm_fault *vmf)
{
	struct vum_device *dev = w->dev;

	lockdep_assert_held(&dev->dma.lock);
	if (!vum_window_may_wait(vmf)) {
		vum_pages_count_fault(dev, vmf->pgoff, -EAGAIN);
		return VM_FAULT_SIGBUS;
	}
	/* Without memory to remember that, the access begins anew. */
	if (vum_pages_absent(dev, vmf->pgoff, dev->dma.open ? -ENOENT : -ENODEV))
		return VM_FAULT_NOPAGE;
	return vum_window_refuse(w, vmf);
}

/*
 * A fault takes two passes: the first pins the page if it is not there, the second
 * puts it into the page table. A task that may not wait finds only what is pinned.
 */
static vm_fault_t vum_window_fault(struct vm_fault *vmf)
{
	struct vum_window *w = vum_window_of(vmf->vma);
	struct vum_device *dev = w->dev;
	struct vum_dma *dma = &dev->dma;
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
	if (!vum_window_may_wait(vmf) || vmf->flags & FAULT_FLAG_TRIED)
		mutex_lock(&dma->lock);
	else if (!mutex_trylock(&dma->lock))
		return vum_window_pin(vmf, need);
	if (dma->window != vmf->vma->vm_file || !vum_conn_current(&dev->conn, dma->session)) {
		ret = vum_window_retired(w, vmf);
		mutex_unlock(&dma->lock);
		return ret;
	}
	found = vum_pages_lookup(dev, vmf->pgoff, need, &pfn, &writable);
	if (found <= 0 && vum_window_may_pin(dma, vmf, found)) {
		mutex_unlock(&dma->lock);
		return vum_window_pin(vmf, need);
	}
	if (found > 0)
		ret = vum_window_show(dev, vmf, pfn, writable);
	else if (found < 0)
		ret = vum_window_refuse(w, vmf);
	else
		ret = vum_window_missing(w, vmf);
	mutex_unlock(&dma->lock);
	return ret;
}

/* Would a fault map this page for writing, without waiting? If not, count that. */
static bool vum_window_writable(struct file *file, unsigned long index)
{
	struct vum_window *w = file->private_data;
	struct vum_device *dev = w->dev;
	unsigned long pfn;
	bool writable;
	int found = 0;

	mutex_lock(&dev->dma.lock);
	if (dev->dma.window == file) {
		found = vum_pages_lookup(dev, index, IOMMU_READ | IOMMU_WRITE, &pfn,
					 &writable);
		if (found <= 0)
			vum_pages_count_fault(dev, index, found ?: -EAGAIN);
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

/*
 * The kernel has made one more mapping, of a part of one or for a child. That cannot be
 * refused, so a server that goes too far is detached.
 */
static void vum_window_vm_open(struct vm_area_struct *vma)
{
	struct vum_window *w = vum_window_of(vma);

	if (atomic_inc_return(&w->mappings) > VUM_WINDOW_MAPPINGS)
		vum_conn_break(w->dev, w->session,
			       "more than %u mappings of its DMA window",
			       VUM_WINDOW_MAPPINGS);
}

static void vum_window_vm_close(struct vm_area_struct *vma)
{
	atomic_dec(&vum_window_of(vma)->mappings);
}

static const struct vm_operations_struct vum_window_vm_ops = {
	.open		= vum_window_vm_open,
	.close		= vum_window_vm_close,
	.fault		= vum_window_fault,
	.pfn_mkwrite	= vum_window_mkwrite,
};

static int vum_window_mmap(struct file *file, struct vm_area_struct *vma)
{
	u64 pages = i_size_read(file_inode(file)) >> PAGE_SHIFT;
	struct vum_window *w = file->private_data;

	/* Writes to a private copy would not reach the consumer. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (atomic_inc_return(&w->mappings) > VUM_WINDOW_MAPPINGS) {
		atomic_dec(&w->mappings);
		return -ENOMEM;
	}
	vum_vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vum_window_vm_ops;
	return 0;
}

/*
 * Copy up to the end of a page by way of @bounce, waiting for whatever it takes. Returns
 * the number of bytes or an error.
 */
static ssize_t vum_window_rw_page(struct vum_window *w, char __user *to,
				  const char __user *from, size_t count, loff_t pos,
				  void *bounce)
{
	size_t n = min_t(size_t, count, PAGE_SIZE - offset_in_page(pos));
	int ret;

	if (from && copy_from_user(bounce, from, n))
		return -EFAULT;
	ret = vum_dma_copy(w->dev, w->session, pos, bounce, n, !!from);
	if (!ret && to && copy_to_user(to, bounce, n))
		ret = -EFAULT;
	return ret ?: n;
}

/* Read into @to or write from @from; the other one is NULL. */
static ssize_t vum_window_rw(struct file *file, char __user *to,
			     const char __user *from, size_t count, loff_t *ppos)
{
	struct vum_window *w = file->private_data;
	loff_t size = i_size_read(file_inode(file));
	size_t done = 0;
	void *bounce = NULL;
	ssize_t n = 0;

	if (*ppos < 0 || *ppos >= size)
		return -EFAULT;
	count = min_t(u64, count, size - *ppos);
	while (n >= 0 && done < count) {
		char __user *to_here = to ? to + done : NULL;
		const char __user *from_here = from ? from + done : NULL;

		n = vum_dma_copy_pinned(w->dev, w->session, *ppos, to_here, from_here,
					count - done);
		if (!n && !bounce) {
			bounce = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
			if (!bounce)
				n = -ENOMEM;
		}
		if (!n)
			n = vum_window_rw_page(w, to_here, from_here, count - done, *ppos,
					       bounce);
		if (n > 0) {
			done += n;
			*ppos += n;
		}
		cond_resched();
	}
	free_page((unsigned long)bounce);
	return done ?: n;
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

static void vum_window_free(struct vum_window *w)
{
	if (w->scratch)
		__free_page(w->scratch);
	vfio_put_device(&w->dev->vdev);
	kfree(w);
}

static int vum_window_release(struct inode *inode, struct file *file)
{
	struct vum_window *w = file->private_data;

	vum_window_free(w);
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
 * @session: the attachment
 *
 * Return: the window, with a reference for the caller; or an error pointer.
 */
struct file *vum_window_new(struct vum_device *dev, u32 session)
{
	struct vum_window *w = kzalloc(sizeof(*w), GFP_KERNEL);
	struct inode *inode;
	struct file *file;

	if (!w)
		return ERR_PTR(-ENOMEM);
	w->dev = dev;
	w->session = session;
	get_device(&dev->vdev.device);
	/* Now, since no fault has a good way to fail for want of it. */
	w->scratch = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!w->scratch) {
		vum_window_free(w);
		return ERR_PTR(-ENOMEM);
	}
	inode = vum_pseudofs_inode(dev, VUM_WINDOW_SIZE);
	if (IS_ERR(inode)) {
		vum_window_free(w);
		return ERR_CAST(inode);
	}
	file = vum_pseudofs_file(inode, "vfio-user-dma", &vum_window_fops);
	if (IS_ERR(file)) {
		vum_window_free(w);
		return file;
	}
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	file->private_data = w;
	return file;
}
