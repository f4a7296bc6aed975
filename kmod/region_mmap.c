// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: regions in the consumer's address space.
 *
 * The consumer's mmap() maps a file of the module's own, in which the pages of the
 * server's file appear as they are touched. So an mmap keeps the device open, as that
 * of a physical device does; a server that truncates its file takes nothing away;
 * and if the next server has another file, the same mmap shows its pages.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iversion.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/shmem_fs.h>

#include "compat.h"
#include "device.h"
#include "pseudofs.h"
#include "work.h"

#define VUM_REGION_PAGES	BIT_ULL(VUM_REGION_SHIFT - PAGE_SHIFT)

/* How often a worker looks for holes in the server's files, in jiffies. */
#define VUM_REGION_LOOK		HZ

/* Begin to look after a region's file: before any of its pages is taken. */
static void vum_region_mmap_watch(struct vum_device *dev, unsigned int index)
{
	struct vum_region *region = &dev->shape->regions[index];

	if (test_bit(index, dev->region_mmap.touched))
		return;
	region->version = inode_peek_iversion_raw(file_inode(region->file));
	WRITE_ONCE(region->inode, file_inode(region->file));
	set_bit(index, dev->region_mmap.touched);
	vum_work_queue_later(&dev->region_mmap.look, VUM_REGION_LOOK);
}

/* Get the page at @pgoff of the device's file. Once touched, the page is kept. */
static struct page *vum_region_mmap_page(struct vum_device *dev, unsigned long pgoff)
{
	unsigned int index = pgoff / VUM_REGION_PAGES;
	const struct vum_region *region;
	struct page *page;
	void *old;

	lockdep_assert_held(&dev->region_mmap.lock);
	page = xa_load(&dev->region_mmap.pages, pgoff);
	if (page)
		return page;
	vum_region_mmap_watch(dev, index);
	region = &dev->shape->regions[index];
	page = shmem_read_mapping_page(region->file->f_mapping,
				       (region->offset >> PAGE_SHIFT) +
				       pgoff % VUM_REGION_PAGES);
	if (IS_ERR(page))
		return page;
	old = xa_store(&dev->region_mmap.pages, pgoff, page, GFP_KERNEL_ACCOUNT);
	if (!xa_is_err(old))
		return page;
	put_page(page);
	return ERR_PTR(xa_err(old));
}

/*
 * Holes
 *
 * A server may punch a hole into its file, as a cheap reset: the file then has another
 * page there, or none yet. Nothing tells the module, but the kernel raises the inode's
 * version. Each task that has waited for a reply of the server's compares the version, so
 * that mapped and trapped accesses agree after that. A worker compares it now and then
 * for consumers that only load and store.
 */

/*
 * Is this page, at @pgoff of the device's file, no longer the one that the server's file
 * has there? Beyond the file's end there is none, so there the consumer keeps its page.
 */
static bool vum_region_mmap_stale(const struct vum_region *region, unsigned long pgoff,
				  struct page *page)
{
	u64 at = region->offset + ((u64)(pgoff % VUM_REGION_PAGES) << PAGE_SHIFT);

	return READ_ONCE(page_folio(page)->mapping) != region->file->f_mapping &&
	       at < i_size_read(region->inode);
}

/*
 * Forget pages that are no longer those of the file, so that the next access to the mmap
 * gets the file's. One that becomes stale meanwhile is seen the next time.
 */
static void vum_region_mmap_renew(struct vum_device *dev, unsigned int index)
{
	unsigned long pgoff, first = index * VUM_REGION_PAGES, low = ULONG_MAX, high = 0;
	struct vum_region *region = &dev->shape->regions[index];
	u64 version = inode_peek_iversion_raw(region->inode);
	struct page *page;

	lockdep_assert_held(&dev->region_mmap.lock);
	/* Look at the pages later than at the version, which is raised after they go. */
	smp_rmb();
	xa_for_each_range(&dev->region_mmap.pages, pgoff, page, first,
			  first + VUM_REGION_PAGES - 1) {
		if (vum_region_mmap_stale(region, pgoff, page)) {
			low = min(low, pgoff);
			high = pgoff;
		}
		cond_resched();
	}
	if (low <= high)
		unmap_mapping_range(dev->region_mmap.inode->i_mapping,
				    (loff_t)low << PAGE_SHIFT,
				    (loff_t)(high - low + 1) << PAGE_SHIFT, true);
	/* No fault brings any of them back before the lock is released. None: an empty range. */
	xa_for_each_range(&dev->region_mmap.pages, pgoff, page, low, high) {
		if (vum_region_mmap_stale(region, pgoff, page)) {
			xa_erase(&dev->region_mmap.pages, pgoff);
			put_page(page);
		}
		cond_resched();
	}
	/* Last, since other tasks that see it go on without the lock. */
	smp_store_release(&region->version, version);
}

/* Has a server's file changed since its pages were looked at? */
static bool vum_region_mmap_changed(struct vum_device *dev, unsigned int index)
{
	const struct vum_region *region = &dev->shape->regions[index];
	struct inode *inode;
	bool changed;

	/* vum_region_mmap_adopt() may put the file, but RCU frees the inode. */
	rcu_read_lock();
	inode = READ_ONCE(region->inode);
	changed = inode && inode_peek_iversion_raw(inode) != READ_ONCE(region->version);
	rcu_read_unlock();
	return changed;
}

/**
 * vum_region_mmap_look - have the consumer see holes in the server's files
 * @dev: device, open
 */
void vum_region_mmap_look(struct vum_device *dev)
{
	unsigned int i;

	for_each_set_bit(i, dev->region_mmap.touched, VUM_MAX_REGIONS) {
		if (!vum_region_mmap_changed(dev, i))
			continue;
		mutex_lock(&dev->region_mmap.lock);
		if (test_bit(i, dev->region_mmap.touched) && vum_region_mmap_changed(dev, i))
			vum_region_mmap_renew(dev, i);
		mutex_unlock(&dev->region_mmap.lock);
	}
}

static void vum_region_mmap_look_work(struct work_struct *work)
{
	struct vum_device *dev = container_of(to_delayed_work(work), struct vum_device,
					      region_mmap.look);

	vum_region_mmap_look(dev);
	if (!bitmap_empty(dev->region_mmap.touched, VUM_MAX_REGIONS))
		vum_work_queue_later(&dev->region_mmap.look, VUM_REGION_LOOK);
}

/* Wait, without the mmap lock, until the device has been handed to another server. */
static vm_fault_t vum_region_mmap_wait(struct vum_device *dev, struct vm_fault *vmf)
{
	struct file *file;

	/* A task that exits can be past its last signal. */
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || vmf->flags & FAULT_FLAG_RETRY_NOWAIT ||
	    current->flags & PF_EXITING)
		return VM_FAULT_SIGBUS;
	file = get_file(vmf->vma->vm_file);
	vum_fault_unlock(vmf);
	/* A task that is being killed finds that out by itself. */
	wait_event_killable(dev->conn.changed, !READ_ONCE(dev->conn.paused));
	fput(file);
	return VM_FAULT_RETRY;
}

static vm_fault_t vum_region_mmap_fault(struct vm_fault *vmf)
{
	struct vum_device *dev = file_inode(vmf->vma->vm_file)->i_private;
	struct page *page;
	vm_fault_t ret;

	/* These pages cannot be pinned, so refuse faults on another task's behalf. */
	if (vmf->flags & FAULT_FLAG_REMOTE)
		return VM_FAULT_SIGBUS;
	mutex_lock(&dev->region_mmap.lock);
	/* With the lock held, so that vum_region_mmap_pause() finds what is shown. */
	if (READ_ONCE(dev->conn.paused)) {
		mutex_unlock(&dev->region_mmap.lock);
		return vum_region_mmap_wait(dev, vmf);
	}
	page = vum_region_mmap_page(dev, vmf->pgoff);
	if (page == ERR_PTR(-ENOMEM))
		ret = VM_FAULT_OOM;
	else if (IS_ERR(page))
		ret = VM_FAULT_SIGBUS;
	else
		ret = vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
	mutex_unlock(&dev->region_mmap.lock);
	return ret;
}

static const struct vm_operations_struct vum_region_mmap_vm_ops = {
	.fault		= vum_region_mmap_fault,
};

static int vum_region_mmap_release(struct inode *inode, struct file *file)
{
	/* This is the consumer's file of the device, which keeps the device open. */
	fput(file->private_data);
	return 0;
}

static const struct file_operations vum_region_mmap_fops = {
	.owner		= THIS_MODULE,
	.release	= vum_region_mmap_release,
};

/* Is the range in the region, or, if that has areas, in one of them? */
static bool vum_region_mmap_inside(const struct vum_region *region, u64 offset,
				   u64 size)
{
	u32 i;

	if (!(region->caps & BIT(VFIO_REGION_INFO_CAP_SPARSE_MMAP)))
		return offset < PAGE_ALIGN(region->size) &&
		       size <= PAGE_ALIGN(region->size) - offset;
	for (i = 0; i < region->nr_areas; i++)
		if (offset >= region->areas[i].offset &&
		    offset - region->areas[i].offset < region->areas[i].size &&
		    size <= region->areas[i].size -
			    (offset - region->areas[i].offset))
			return true;
	return false;
}

static int vum_region_mmap_check(struct vum_device *dev, struct vm_area_struct *vma)
{
	u64 index = vma->vm_pgoff / VUM_REGION_PAGES;
	const struct vum_region *region;

	if (index >= dev->shape->num_regions)
		return -EINVAL;
	region = &dev->shape->regions[array_index_nospec(index, dev->shape->num_regions)];
	if (!(region->flags & VFIO_REGION_INFO_FLAG_MMAP) ||
	    !(vma->vm_flags & VM_SHARED) ||
	    !vum_region_mmap_inside(region, (vma->vm_pgoff % VUM_REGION_PAGES) << PAGE_SHIFT,
				    vma->vm_end - vma->vm_start))
		return -EINVAL;
	if (region->flags & VFIO_REGION_INFO_FLAG_WRITE)
		return 0;
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vum_vm_flags_clear(vma, VM_MAYWRITE);
	return 0;
}

/* Get the inode, which the first mmap() creates, with a reference for the caller. */
static struct inode *vum_region_mmap_inode(struct vum_device *dev)
{
	struct inode *inode;

	if (mutex_lock_killable(&dev->region_mmap.lock))
		return ERR_PTR(-EINTR);
	inode = dev->region_mmap.inode;
	if (!inode) {
		inode = vum_pseudofs_inode(dev, MAX_LFS_FILESIZE);
		if (!IS_ERR(inode))
			dev->region_mmap.inode = inode;
	}
	if (!IS_ERR(inode))
		ihold(inode);
	mutex_unlock(&dev->region_mmap.lock);
	return inode;
}

/**
 * vum_region_mmap - map a part of a region
 * @vdev: device, open
 * @vma: where to map it; the offset is that of the device's file
 *
 * Return: 0; -EINVAL if this part cannot be mapped, or @vma is private; -EACCES if it
 * cannot be mapped for writing; -ENOMEM; -EINTR if the caller is being killed.
 */
int vum_region_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	int ret = vum_region_mmap_check(dev, vma);
	struct inode *inode;
	struct file *file;

	if (ret)
		return ret;
	inode = vum_region_mmap_inode(dev);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	file = vum_pseudofs_file(inode, "vfio-user-region", &vum_region_mmap_fops);
	if (IS_ERR(file))
		return PTR_ERR(file);
	file->private_data = get_file(vma->vm_file);
	vma_set_file(vma, file);
	fput(file);
	vum_vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &vum_region_mmap_vm_ops;
	vum_conn_bypass(&dev->conn);
	return 0;
}

static void vum_region_mmap_forget(struct vum_device *dev)
{
	unsigned long pgoff;
	struct page *page;
	unsigned int i;

	lockdep_assert_held(&dev->region_mmap.lock);
	if (!dev->region_mmap.inode)
		return;
	for_each_set_bit(i, dev->region_mmap.touched, VUM_MAX_REGIONS)
		WRITE_ONCE(dev->shape->regions[i].inode, NULL);
	bitmap_zero(dev->region_mmap.touched, VUM_MAX_REGIONS);
	unmap_mapping_range(dev->region_mmap.inode->i_mapping, 0, 0, true);
	xa_for_each(&dev->region_mmap.pages, pgoff, page) {
		xa_erase(&dev->region_mmap.pages, pgoff);
		/* A store to a mapped page frame does not mark the page dirty. */
		set_page_dirty_lock(page);
		put_page(page);
		cond_resched();
	}
}

/**
 * vum_region_mmap_adopt - replace the regions' files by those of a new server
 * @dev: device, in use
 * @shape: the new server's shape, which is the same as the device's; gets the old
 *	files
 */
void vum_region_mmap_adopt(struct vum_device *dev, struct vum_shape *shape)
{
	u32 i;

	mutex_lock(&dev->region_mmap.lock);
	for (i = 0; i < shape->num_regions; i++) {
		struct vum_region *now = &dev->shape->regions[i];
		struct vum_region *next = &shape->regions[i];

		swap(now->file, next->file);
		swap(now->offset, next->offset);
	}
	/* Even the same file may have been truncated and filled anew. */
	vum_region_mmap_forget(dev);
	mutex_unlock(&dev->region_mmap.lock);
}

/**
 * vum_region_mmap_pause - have the consumer's next access to an mmap wait
 * @dev: device, with conn->paused set
 */
void vum_region_mmap_pause(struct vum_device *dev)
{
	mutex_lock(&dev->region_mmap.lock);
	vum_region_mmap_forget(dev);
	mutex_unlock(&dev->region_mmap.lock);
}

/**
 * vum_region_mmap_close - drop the pages that the consumer has touched
 * @dev: device that is being closed; every mmap has gone before, since it keeps the
 *	device open
 */
void vum_region_mmap_close(struct vum_device *dev)
{
	cancel_delayed_work_sync(&dev->region_mmap.look);
	mutex_lock(&dev->region_mmap.lock);
	vum_region_mmap_forget(dev);
	mutex_unlock(&dev->region_mmap.lock);
}

void vum_region_mmap_init(struct vum_device *dev)
{
	mutex_init(&dev->region_mmap.lock);
	xa_init(&dev->region_mmap.pages);
	/* An idle CPU need not wake up for it. */
	INIT_DEFERRABLE_WORK(&dev->region_mmap.look, vum_region_mmap_look_work);
}

void vum_region_mmap_exit(struct vum_device *dev)
{
	xa_destroy(&dev->region_mmap.pages);
	mutex_destroy(&dev->region_mmap.lock);
	/* NULL if no region was ever mapped. */
	iput(dev->region_mmap.inode);
}
