// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: VFIO_DEVICE_FEATURE, which is forwarded to the server.
 */

#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "feature.h"

/* No feature has more data than this. */
#define VUM_FEATURE_MAX		SZ_64K

/* Send it. Returns as vum_optional_call(); or -ENOMEM or -EFAULT. */
static int vum_feature_ask(struct vum_device *dev, u32 flags, void __user *arg, size_t argsz)
{
	bool probe = flags & VFIO_DEVICE_FEATURE_PROBE;
	bool set = flags & VFIO_DEVICE_FEATURE_SET && !probe;
	bool get = flags & VFIO_DEVICE_FEATURE_GET && !probe;
	struct vfio_user_device_feature *msg;
	struct vum_req *req;
	int ret = -EFAULT;

	req = vum_req_alloc(VUM_REQ_CONSUMER, VFIO_USER_DEVICE_FEATURE,
			    sizeof(*msg) + (set ? argsz : 0));
	if (!req)
		return -ENOMEM;
	msg = (void *)req->msg.payload;
	msg->argsz = sizeof(*msg) + argsz;
	msg->flags = flags;
	req->reply_max = sizeof(*msg) + argsz;
	req->reply_min = get ? sizeof(*msg) : 0;
	if (!set || !copy_from_user(msg->data, arg, argsz))
		ret = vum_optional_call(dev, req, VUM_OPTIONAL_FEATURE);
	if (!ret && get) {
		msg = (void *)req->reply->payload;
		if (copy_to_user(arg, msg->data, req->reply->size -
				 sizeof(req->reply->hdr) - sizeof(*msg)))
			ret = -EFAULT;
	}
	vum_req_put(req);
	return ret;
}

/* Is that the server's own answer, and not of its absence or of the consumer? */
static bool vum_feature_refused(int ret)
{
	return ret && ret != -EINTR && ret != -EIO && ret != -EFAULT && ret != -ENOMEM;
}

/**
 * vum_feature - forward a VFIO_DEVICE_FEATURE that VFIO does not handle itself
 * @vdev: device, open
 * @flags: VFIO_DEVICE_FEATURE_*, checked by VFIO
 * @arg: the feature's data, in the consumer's memory
 * @argsz: size of the data, in bytes
 *
 * Return: 0; -ENOTTY if the server does not know the feature; -E2BIG if @argsz is
 * above 64 KiB or max_data_xfer_size; -ENOMEM; -EFAULT; or an error as
 * vum_optional_call().
 */
int vum_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	int ret;

	if (argsz > VUM_FEATURE_MAX ||
	    argsz > READ_ONCE(dev->conn.peer.max_data_xfer_size))
		return -E2BIG;
	ret = vum_feature_ask(dev, flags, arg, argsz);
	if (!vum_feature_refused(ret))
		return ret;
	/* Servers have various errors for a feature that they do not know: PROBE tells. */
	if (!(flags & VFIO_DEVICE_FEATURE_PROBE) && ret != -EOPNOTSUPP &&
	    !vum_feature_refused(vum_feature_ask(dev, flags | VFIO_DEVICE_FEATURE_PROBE,
						 NULL, 0)))
		return ret;
	return -ENOTTY;
}
