// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: mappings of a consumer's memory, and the files behind them, which a
 * server is sent in dma_mode "share".
 *
 * The files are looked for by the task that has mapped the memory, in its own address
 * space and before its ioctl returns: an address means nothing to anybody else, nor
 * later.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "compat.h"
#include "dma_mapping.h"

/**
 * vum_mapping_same - find out whether two mappings show the same memory
 * @a: mapping
 * @b: mapping
 *
 * Return: true if a server that has been told of one need not be told of the other.
 */
bool vum_mapping_same(const struct vum_mapping *a, const struct vum_mapping *b)
{
	return a->iova == b->iova && a->size == b->size && a->prot == b->prot &&
	       a->file == b->file && a->offset == b->offset;
}

/**
 * vum_mappings_drop_files - drop the references that mappings have on files
 * @list: mappings, which have no files afterwards
 * @nr: number of entries in @list
 *
 * Context: any.
 */
void vum_mappings_drop_files(struct vum_mapping *list, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (list[i].file)
			fput(list[i].file);
		list[i].file = NULL;
	}
}

/* May whoever has @file do to it what the consumer lets devices do to @vma? */
static bool vum_part_allowed(const struct vm_area_struct *vma, const struct file *file,
			     u32 prot)
{
	if (prot & IOMMU_WRITE &&
	    !(vma->vm_flags & VM_MAYWRITE && file->f_mode & FMODE_WRITE))
		return false;
	return vma->vm_flags & VM_MAYREAD && file->f_mode & FMODE_READ;
}

/*
 * Could the consumer itself open this file? Not that of a System V segment, nor what
 * drivers and overlayfs keep inside: their permissions are elsewhere.
 */
static bool vum_part_plain(const struct file *file)
{
	return file->f_op == file_inode(file)->i_fop && !IS_PRIVATE(file_inode(file)) &&
	       file_inode(file) == d_inode(file->f_path.dentry) &&
	       !vum_file_is_backing(file);
}

/*
 * Give @part the file behind it, without a reference. Returns NULL, or why the server is
 * not to have it. @vma has all of @part, which is at @addr.
 */
static const char *vum_part_find(struct vum_mapping *part,
				 const struct vm_area_struct *vma, u64 addr)
{
	struct file *file = vma->vm_file;
	struct super_block *sb;
	u64 offset;

	if (!file || !(vma->vm_flags & VM_MAYSHARE))
		return "it is private memory";
	sb = file_inode(file)->i_sb;
	if (!vum_part_plain(file))
		return "its file is the kernel's own";
	if (sb->s_magic != HUGETLBFS_MAGIC && !shmem_mapping(file->f_mapping))
		return "it is in a file that is neither shmem nor hugetlbfs";
	if (!vum_part_allowed(vma, file, part->prot))
		return "its file allows less than the mapping";
	offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	if (offset + part->size > i_size_read(file_inode(file)))
		return "it goes beyond the end of its file";
	/* The server could not map it. */
	if (sb->s_magic == HUGETLBFS_MAGIC &&
	    !IS_ALIGNED(offset | part->size, sb->s_blocksize))
		return "it begins or ends inside a huge page";
	part->file = file;
	part->offset = offset;
	return NULL;
}

/* Make @part what is at @addr, up to the end of the VMA or of the hole that is there. */
static void vum_part_take(struct vum_mapping *part, u64 addr)
{
	const struct vm_area_struct *vma = find_vma(current->mm, addr);

	if (vma)
		part->size = min(part->size,
				 (vma->vm_start > addr ? vma->vm_start : vma->vm_end) - addr);
	if (!vma || vma->vm_start > addr)
		part->why = "the consumer has no memory there";
	else
		part->why = vum_part_find(part, vma, addr);
}

/* Is @b, which follows @a, more of the same? */
static bool vum_part_continues(const struct vum_mapping *a, const struct vum_mapping *b)
{
	return a->file == b->file && (!a->file || a->offset + a->size == b->offset);
}

/*
 * Split @map as far as there is room for. Returns the number of @parts, or 0 if the
 * caller is being killed.
 */
static unsigned int vum_parts_take(const struct vum_mapping *map, u64 vaddr,
				   struct vum_mapping *parts)
{
	unsigned int nr = 0;
	u64 done = 0;

	mmap_assert_locked(current->mm);
	while (done < map->size) {
		struct vum_mapping part = *map;

		part.iova += done;
		part.size -= done;
		vum_part_take(&part, vaddr + done);
		if (nr && vum_part_continues(&parts[nr - 1], &part)) {
			parts[nr - 1].size += part.size;
		} else if (nr < VUM_MAPPING_PARTS) {
			parts[nr++] = part;
		} else {
			parts[nr - 1].size += map->size - done;
			parts[nr - 1].file = NULL;
			parts[nr - 1].why = "it has more than 64 parts";
			break;
		}
		done += part.size;
		/* There can be as many VMAs as the consumer likes. */
		if (fatal_signal_pending(current))
			return 0;
		cond_resched();
	}
	return nr;
}

static unsigned int vum_parts_get(const struct vum_mapping *map, u64 vaddr,
				  struct vum_mapping *parts)
{
	unsigned int i, nr;

	if (mmap_read_lock_killable(current->mm))
		return 0;
	nr = vum_parts_take(map, vaddr, parts);
	for (i = 0; i < nr; i++)
		if (parts[i].file)
			get_file(parts[i].file);
	mmap_read_unlock(current->mm);
	return nr;
}

/**
 * vum_mapping_split - find the files behind a mapping that the caller has made
 * @map: mapping
 * @vaddr: where its memory begins in the caller's address space
 * @parts: set to parts of the mapping, by IOVA, which together are the mapping; each has
 *	one file or none. The caller drops the files and kfree()s this
 * @nr: set to the number of @parts
 *
 * Return: NULL, or why @parts is NULL, a string constant.
 */
const char *vum_mapping_split(const struct vum_mapping *map, u64 vaddr,
			      struct vum_mapping **parts, unsigned int *nr)
{
	struct vum_mapping *room;

	*parts = NULL;
	*nr = 0;
	/* No signal reaches a task that exits, and it has no memory any more. */
	if (current->flags & (PF_EXITING | PF_KTHREAD))
		return "the consumer exits";
	/* VFIO maps no such memory: the consumer has changed the argument since. */
	if (vaddr + (map->size - 1) < vaddr)
		return "the consumer has no memory there";
	room = kcalloc(VUM_MAPPING_PARTS, sizeof(*room), GFP_KERNEL_ACCOUNT);
	if (!room)
		return "out of memory";
	*nr = vum_parts_get(map, vaddr, room);
	if (*nr)
		*parts = kmemdup(room, *nr * sizeof(*room), GFP_KERNEL_ACCOUNT);
	if (!*parts) {
		vum_mappings_drop_files(room, *nr);
		*nr = 0;
	}
	kfree(room);
	if (*parts)
		return NULL;
	return fatal_signal_pending(current) ? "the consumer exits" : "out of memory";
}
