// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the shape of a server's device: taking it from the server's
 * replies, comparing it, and telling the consumer of its regions.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "device.h"

/* NVMe needs one area; more than this can only be a mistake. */
#define VUM_MAX_AREAS	256

/*
 * The functions that check or take something of the server's return NULL, or a
 * string that says what is wrong.
 */

static const char *vum_region_check_areas(const struct vum_region *region)
{
	u32 i, j;

	for (i = 0; i < region->nr_areas; i++) {
		const struct vfio_region_sparse_mmap_area *a = &region->areas[i];

		if (!a->size || !PAGE_ALIGNED(a->offset) || !PAGE_ALIGNED(a->size))
			return "server's mappable areas are not of whole pages";
		if (a->offset > region->size || a->size > region->size - a->offset)
			return "server's mappable area is not inside its region";
		for (j = 0; j < i; j++)
			if (a->offset < region->areas[j].offset + region->areas[j].size &&
			    region->areas[j].offset < a->offset + a->size)
				return "server's mappable areas overlap";
	}
	return NULL;
}

/* @size is the number of bytes from @cap's header to the end of the message. */
static const char *vum_region_take_sparse(struct vum_region *region,
					  const void *cap, u32 size)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse = cap;

	if (size < sizeof(*sparse) || sparse->nr_areas > VUM_MAX_AREAS ||
	    size < struct_size(sparse, areas, sparse->nr_areas))
		return "server's region capability is cut short";
	region->nr_areas = sparse->nr_areas;
	region->areas = kmemdup(sparse->areas,
				sparse->nr_areas * sizeof(*region->areas),
				GFP_KERNEL_ACCOUNT);
	if (!region->areas)
		return "out of memory while attaching";
	return vum_region_check_areas(region);
}

static const char *vum_region_take_cap(struct vum_region *region,
				       const void *cap, u32 size)
{
	const struct vfio_info_cap_header *header = cap;
	const struct vfio_region_info_cap_type *type = cap;

	/* No consumer exists yet that would use any other capability. */
	if (header->id > VFIO_REGION_INFO_CAP_MSIX_MAPPABLE || !header->id)
		return NULL;
	if (region->caps & BIT(header->id))
		return "server's region has a capability twice";
	region->caps |= BIT(header->id);
	switch (header->id) {
	case VFIO_REGION_INFO_CAP_SPARSE_MMAP:
		return vum_region_take_sparse(region, cap, size);
	case VFIO_REGION_INFO_CAP_TYPE:
		if (size < sizeof(*type))
			return "server's region capability is cut short";
		region->type = type->type;
		region->subtype = type->subtype;
		return NULL;
	}
	return NULL;
}

/* Offsets count from the payload's start, and must grow, so that the chain ends. */
static const char *vum_region_take_caps(struct vum_region *region, u32 at,
					const struct vum_msg *reply)
{
	u32 size = reply->size - sizeof(reply->hdr), before;
	const struct vfio_info_cap_header *header;
	const char *flaw = NULL;

	for (before = sizeof(struct vfio_user_region_info); at && !flaw;
	     before = at + sizeof(*header), at = header->next) {
		if (at < before || at % sizeof(u64) || size < sizeof(*header) ||
		    at > size - sizeof(*header))
			return "server's region capabilities point nowhere";
		header = (const void *)(reply->payload + at);
		flaw = vum_region_take_cap(region, header, size - at);
	}
	return flaw;
}

/* How many bytes of the file does the region need? */
static u64 vum_region_extent(const struct vum_region *region)
{
	u64 end = 0;
	u32 i;

	if (!(region->caps & BIT(VFIO_REGION_INFO_CAP_SPARSE_MMAP)))
		return PAGE_ALIGN(region->size);
	for (i = 0; i < region->nr_areas; i++)
		end = max(end, region->areas[i].offset + region->areas[i].size);
	return end;
}

/* May the file be mapped for writing? A seal that is added later may forbid it. */
static bool vum_file_writable(const struct file *file)
{
	return file->f_mode & FMODE_WRITE &&
	       !(SHMEM_I(file->f_mapping->host)->seals & F_SEAL_FUTURE_WRITE);
}

static const char *vum_region_take_file(struct vum_region *region, u64 offset,
					struct file *file, const char **lack)
{
	u64 extent = vum_region_extent(region);

	/*
	 * Other kinds of files may drop or replace their pages at any time. As without a
	 * file, the region can be accessed by messages.
	 */
	if (!shmem_mapping(file->f_mapping)) {
		*lack = "its file is not on tmpfs";
		return NULL;
	}
	if (!PAGE_ALIGNED(offset))
		return "server's region does not start on a page of its file";
	if (!(file->f_mode & FMODE_READ))
		return "server's file cannot be read";
	if (offset > LLONG_MAX - extent ||
	    offset + extent > PAGE_ALIGN((u64)i_size_read(file_inode(file))))
		return "server's file is shorter than its region";
	if (region->flags & VFIO_REGION_INFO_FLAG_WRITE &&
	    (!vum_file_writable(file) || mapping_map_writable(file->f_mapping)))
		return "server's region can be written, but its file cannot";
	region->file = get_file(file);
	region->offset = offset;
	region->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return NULL;
}

/**
 * vum_region_take - take a region's description from the server
 * @region: filled in; zeroed by the caller, who frees what it holds even after a flaw
 * @index: index of the region that the server was asked about
 * @reply: the server's reply, at least as large as struct vfio_user_region_info
 * @lack: set to why the region cannot be mapped, if the server thinks it can
 *
 * Return: NULL, or what is wrong with the description.
 */
const char *vum_region_take(struct vum_region *region, u32 index,
			    const struct vum_msg *reply, const char **lack)
{
	struct vfio_user_region_info info;
	const char *flaw = NULL;

	memcpy(&info, reply->payload, sizeof(info));
	if (info.index != index)
		return "server describes another region than asked for";
	if (info.size > BIT_ULL(VUM_REGION_SHIFT))
		return "server's region is too large";
	region->size = info.size;
	region->flags = info.flags &
			(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	if (info.flags & VFIO_REGION_INFO_FLAG_CAPS)
		flaw = vum_region_take_caps(region, info.cap_offset, reply);
	/* A region without a file can still be accessed by messages. */
	if (flaw || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP) || !region->size ||
	    !reply->nr_files)
		return flaw;
	/* The areas may be among what there was no room to say. */
	if (info.flags & VFIO_REGION_INFO_FLAG_CAPS && !info.cap_offset) {
		*lack = "max_data_xfer_size has no room for its areas";
		return NULL;
	}
	return vum_region_take_file(region, info.offset, reply->files[0], lack);
}

static bool vum_region_same(const struct vum_region *a, const struct vum_region *b)
{
	return a->size == b->size && a->flags == b->flags && a->caps == b->caps &&
	       a->type == b->type && a->subtype == b->subtype &&
	       a->nr_areas == b->nr_areas &&
	       !memcmp(a->areas, b->areas, a->nr_areas * sizeof(*a->areas));
}

/**
 * vum_shape_same - compare two shapes
 * @a: shape
 * @b: shape
 *
 * Return: true if a consumer could not tell one from the other.
 */
bool vum_shape_same(const struct vum_shape *a, const struct vum_shape *b)
{
	u32 i;

	if (a->flags != b->flags || a->num_regions != b->num_regions ||
	    a->num_irqs != b->num_irqs || a->memory_bars != b->memory_bars ||
	    a->interrupt_pin != b->interrupt_pin ||
	    memcmp(a->irqs, b->irqs, sizeof(a->irqs)))
		return false;
	for (i = 0; i < a->num_regions; i++)
		if (!vum_region_same(&a->regions[i], &b->regions[i]))
			return false;
	return true;
}

/**
 * vum_shape_alloc - allocate a shape
 * @num_regions: number of regions, all of which have a size of 0
 * @gfp: how to allocate
 *
 * Return: the shape, which the caller frees with vum_shape_free(); or NULL.
 */
struct vum_shape *vum_shape_alloc(u32 num_regions, gfp_t gfp)
{
	struct vum_shape *shape;

	shape = kvzalloc(struct_size(shape, regions, num_regions), gfp);
	if (shape)
		shape->num_regions = num_regions;
	return shape;
}

/**
 * vum_shape_free - free a shape, and release the files of its regions
 * @shape: shape, or NULL
 */
void vum_shape_free(struct vum_shape *shape)
{
	struct vum_region *region;

	if (!shape)
		return;
	for (region = shape->regions;
	     region < shape->regions + shape->num_regions; region++) {
		kfree(region->areas);
		if (!region->file)
			continue;
		if (region->flags & VFIO_REGION_INFO_FLAG_WRITE)
			mapping_unmap_writable(region->file->f_mapping);
		fput(region->file);
	}
	kvfree(shape);
}

static int vum_region_add_sparse(const struct vum_region *region,
				 struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_sparse_mmap *sparse;
	size_t size = struct_size(sparse, areas, region->nr_areas);
	int ret;

	sparse = kzalloc(size, GFP_KERNEL);
	if (!sparse)
		return -ENOMEM;
	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = region->nr_areas;
	memcpy(sparse->areas, region->areas, region->nr_areas * sizeof(*region->areas));
	ret = vfio_info_add_capability(caps, &sparse->header, size);
	kfree(sparse);
	return ret;
}

static int vum_region_add_caps(const struct vum_region *region,
			       struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type type = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
		.type = region->type,
		.subtype = region->subtype,
	};
	struct vfio_info_cap_header msix = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};
	int ret = 0;

	/* A region without a file cannot be mapped, so it has no areas to map. */
	if (region->caps & BIT(VFIO_REGION_INFO_CAP_SPARSE_MMAP) && region->file)
		ret = vum_region_add_sparse(region, caps);
	if (!ret && region->caps & BIT(VFIO_REGION_INFO_CAP_TYPE))
		ret = vfio_info_add_capability(caps, &type.header, sizeof(type));
	if (!ret && region->caps & BIT(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE))
		ret = vfio_info_add_capability(caps, &msix, sizeof(msix));
	return ret;
}

/**
 * vum_region_info - answer VFIO_DEVICE_GET_REGION_INFO
 * @vdev: device, open
 * @info: the question is its index; all but argsz is filled in
 * @caps: the region's capabilities are added to these
 *
 * Return: 0; -EINVAL if there is no such index; -ENOMEM.
 */
int vum_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
		    struct vfio_info_cap *caps)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	const struct vum_region *region;

	if (info->index >= dev->shape->num_regions)
		return -EINVAL;
	info->index = array_index_nospec(info->index, dev->shape->num_regions);
	region = &dev->shape->regions[info->index];
	info->flags = region->flags;
	info->cap_offset = 0;
	info->size = region->size;
	info->offset = (u64)info->index << VUM_REGION_SHIFT;
	return vum_region_add_caps(region, caps);
}
