// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: regions.
 *
 * A consumer's accesses are checked against the shape that the server declared, and
 * become REGION_READ and REGION_WRITE messages.
 */

#include <linux/nospec.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "region.h"
#include "request.h"

/*
 * Find the region and the offset that @pos stands for. As in vfio-pci, config space
 * refuses an access that does not fit, while any other region has *@count cut at its
 * end; the errors are vfio-pci's as well.
 */
static int vum_region_find(struct vum_device *dev, loff_t pos, size_t *count,
			   bool write, struct vfio_user_region_access *access)
{
	u64 index = (u64)pos >> VUM_REGION_SHIFT;
	u64 offset = pos & (BIT_ULL(VUM_REGION_SHIFT) - 1);
	const struct vum_region *region;

	if (index >= dev->shape->num_regions)
		return -EINVAL;
	index = array_index_nospec(index, dev->shape->num_regions);
	region = &dev->shape->regions[index];
	if (index == VFIO_PCI_CONFIG_REGION_INDEX &&
	    (offset >= region->size || *count > region->size - offset))
		return -EFAULT;
	if (offset >= region->size)
		return -EINVAL;
	if (!(region->flags & (write ? VFIO_REGION_INFO_FLAG_WRITE :
				       VFIO_REGION_INFO_FLAG_READ)))
		return -EINVAL;
	*count = min_t(u64, *count, region->size - offset);
	access->region = index;
	access->offset = offset;
	return 0;
}

/*
 * Choose how much of an access goes into one message. Should the limit be that of a
 * server that has come since the access began, the message is refused anyway.
 */
static u32 vum_region_chunk(struct vum_device *dev, size_t count)
{
	struct vum_conn *conn = &dev->conn;
	u32 max;

	/* Every server takes 8 bytes, see VUM_ATTACH, so the lock is not needed. */
	if (count <= sizeof(u64))
		return count;
	vum_conn_lock(conn);
	max = conn->peer.max_data_xfer_size;
	vum_conn_unlock(conn);
	/* If no server was ever attached, the request fails, whatever its size. */
	return min_t(size_t, count, max ?: 1);
}

/*
 * The interrupt pin can be read without a server. QEMU reads it whenever MSI or
 * MSI-X is turned off or the device is reset, and does not look for errors: after
 * one it would go on with a pin that does not exist, and soon fail an assertion.
 */
static const u8 *vum_region_wired(const struct vum_device *dev,
				  const struct vfio_user_region_access *access)
{
	if (access->region != VFIO_PCI_CONFIG_REGION_INDEX ||
	    access->offset != PCI_INTERRUPT_PIN || access->count != 1)
		return NULL;
	return &dev->shape->interrupt_pin;
}

/* put_user() is faster, since copy_to_user() checks the object it copies from. */
static int vum_region_to_user(char __user *buf, const u8 *data, u32 count)
{
	switch (count) {
	case 1:
		return put_user(*data, (u8 __user *)buf);
	case 2:
		return put_user(*(const u16 *)data, (u16 __user *)buf);
	case 4:
		return put_user(*(const u32 *)data, (u32 __user *)buf);
	case 8:
		return put_user(*(const u64 *)data, (u64 __user *)buf);
	default:
		return copy_to_user(buf, data, count) ? -EFAULT : 0;
	}
}

static int vum_region_from_user(u8 *data, const char __user *buf, u32 count)
{
	switch (count) {
	case 1:
		return get_user(*data, (u8 __user *)buf);
	case 2:
		return get_user(*(u16 *)data, (u16 __user *)buf);
	case 4:
		return get_user(*(u32 *)data, (u32 __user *)buf);
	case 8:
		return get_user(*(u64 *)data, (u64 __user *)buf);
	default:
		return copy_from_user(data, buf, count) ? -EFAULT : 0;
	}
}

static int vum_region_read_chunk(struct vum_device *dev, char __user *buf,
				 const struct vfio_user_region_access *access,
				 u32 session)
{
	struct vfio_user_region_access *reply;
	const u8 *data = NULL;
	struct vum_req *req;
	int ret;

	req = vum_req_alloc(VUM_REQ_CONSUMER, VFIO_USER_REGION_READ,
			    sizeof(*access));
	if (!req)
		return -ENOMEM;
	req->session = session;
	memcpy(req->msg.payload, access, sizeof(*access));
	req->echo = sizeof(*access);
	req->reply_min = sizeof(*access) + access->count;
	req->reply_max = req->reply_min;
	ret = vum_req_call(dev, req);
	if (!ret) {
		reply = (void *)req->reply->payload;
		data = reply->data;
	} else if (ret == -EIO && !req->reply) {
		data = vum_region_wired(dev, access);
	}
	if (data)
		ret = vum_region_to_user(buf, data, access->count);
	vum_req_put(req);
	return ret;
}

/* Is this a store to a memory BAR? PCI posts these, so the consumer need not wait. */
static bool vum_region_posts(struct vum_device *dev,
			     const struct vfio_user_region_access *access)
{
	return READ_ONCE(dev->posted_writes) && access->count <= sizeof(u64) &&
	       access->region < PCI_STD_NUM_BARS &&
	       dev->shape->memory_bars & BIT(access->region);
}

static int vum_region_write_chunk(struct vum_device *dev, const char __user *buf,
				  const struct vfio_user_region_access *access,
				  u32 session)
{
	struct vfio_user_region_access *payload;
	struct vum_req *req;
	int ret;

	req = vum_req_alloc(vum_region_posts(dev, access) ? VUM_REQ_POSTED :
			    VUM_REQ_CONSUMER, VFIO_USER_REGION_WRITE,
			    sizeof(*access) + access->count);
	if (!req)
		return -ENOMEM;
	req->session = session;
	req->gathers = req->kind == VUM_REQ_POSTED;
	payload = (void *)req->msg.payload;
	memcpy(payload, access, sizeof(*access));
	req->echo = sizeof(*access);
	req->reply_min = sizeof(*access);
	req->reply_max = req->reply_min;
	ret = vum_region_from_user(payload->data, buf, access->count) ?:
	      vum_req_call(dev, req);
	vum_req_put(req);
	return ret;
}

/* Read to @to, or write from @from; the other one is NULL. */
static ssize_t vum_region_rw(struct vum_device *dev, char __user *to,
			     const char __user *from, size_t count,
			     loff_t *ppos)
{
	struct vfio_user_region_access access = {};
	size_t done = 0;
	u32 session;
	int ret;

	if (!count)
		return 0;
	if (vum_announce_stale(dev) && vum_announce_now(dev))
		return -EINTR;
	/* One access goes to one server, even if it takes several messages. */
	session = READ_ONCE(dev->conn.session);
	ret = vum_region_find(dev, *ppos, &count, !!from, &access);
	while (!ret && done < count) {
		access.count = vum_region_chunk(dev, count - done);
		if (to)
			ret = vum_region_read_chunk(dev, to + done, &access,
						    session);
		else
			ret = vum_region_write_chunk(dev, from + done, &access,
						     session);
		if (!ret) {
			done += access.count;
			access.offset += access.count;
		}
	}
	if (!done)
		return ret;
	*ppos += done;
	return done;
}

ssize_t vum_region_read(struct vfio_device *vdev, char __user *buf,
			size_t count, loff_t *ppos)
{
	return vum_region_rw(vum_from_vfio(vdev), buf, NULL, count, ppos);
}

ssize_t vum_region_write(struct vfio_device *vdev, const char __user *buf,
			 size_t count, loff_t *ppos)
{
	return vum_region_rw(vum_from_vfio(vdev), NULL, buf, count, ppos);
}
