// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the device as VFIO sees it: open, close, ioctls.
 */

#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attach.h"
#include "compat.h"
#include "device.h"
#include "dma_group.h"
#include "dma_unpin.h"
#include "feature.h"
#include "netlink.h"
#include "region.h"
#include "relay.h"
#include "request.h"

static void vum_device_reset_async(struct vum_device *dev)
{
	if (dev->shape->flags & VFIO_DEVICE_FLAGS_RESET)
		vum_req_async(dev, VFIO_USER_DEVICE_RESET, NULL, 0);
}

/* Open the device if its server is attached and has replied to the last close. */
static bool vum_device_claim(struct vum_device *dev)
{
	struct vum_conn *conn = &dev->conn;
	bool ready;

	vum_conn_lock(conn);
	ready = conn->state == VUM_STATE_ATTACHED && !conn->nr_async && !conn->paused &&
		!dev->going;
	if (ready) {
		dev->open = true;
		dev->consumer = get_pid(task_tgid(current));
		vum_conn_event(dev, VUM_EVENT_OPENED);
	}
	vum_conn_unlock(conn);
	return ready;
}

static void vum_device_explain(struct vum_device *dev)
{
	struct vum_conn *conn = &dev->conn;
	char reason[sizeof(conn->reason)];
	char socket[UNIX_PATH_MAX];
	enum vum_state state;
	bool alive, opened;
	s32 pid;

	vum_conn_lock(conn);
	state = conn->state;
	alive = vum_conn_alive(conn);
	opened = dev->channel.opened;
	pid = conn->peer.server_pid;
	strscpy(socket, dev->socket, sizeof(socket));
	strscpy(reason, conn->reason, sizeof(reason));
	vum_conn_event(dev, VUM_EVENT_OPEN_FAILED);
	vum_conn_unlock(conn);

	if (alive)
		vum_err(dev, "cannot be opened: server (pid %d) does not answer; restart it\n",
			pid);
	else if (!opened)
		vum_err(dev, "cannot be opened: no helper; start vfio-user-mdevd\n");
	else if (state == VUM_STATE_BROKEN)
		vum_err(dev, "cannot be opened: server on %s was detached (%s); restart it\n",
			socket, reason);
	else
		vum_err(dev, "cannot be opened: no server on %s; start one there, or name another socket in vfio_user/socket\n",
			socket);
}

static int vum_device_open(struct vfio_device *vdev)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	u32 ms = READ_ONCE(dev->attach_timeout_ms);
	int ret = vum_latency_begin(&dev->conn.latency);
	long left;

	if (ret) {
		vum_container_unbind(dev);
		return ret;
	}
	/* VFIO holds locks, so the task cannot be frozen here. */
	left = wait_event_killable_timeout(dev->conn.changed,
					   READ_ONCE(dev->going) ||
					   vum_device_claim(dev),
					   msecs_to_jiffies(ms));
	if (!left)
		vum_device_explain(dev);
	if (!READ_ONCE(dev->open)) {
		/* From 6.2 on, vum_container_bind() has run; VFIO does not undo it. */
		vum_container_unbind(dev);
		return left < 0 ? -EINTR : -ENODEV;
	}

	/* The last close sent no reset if no server was attached then. */
	vum_device_reset_async(dev);
	return 0;
}

static void vum_device_close(struct vfio_device *vdev)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	/*
	 * A device that was stopped, because its guest has gone on elsewhere, must not go on
	 * with what it had to do.
	 */
	if (vum_mig_stopped(dev)) {
		vum_dma_close(dev);
		vum_device_reset_async(dev);
		vum_mig_close(dev);
	}
	vum_ioeventfd_release(dev);
	vum_irq_release(dev);
	vum_device_reset_async(dev);
	vum_region_mmap_close(dev);
	vum_dma_close(dev);
	vum_container_unbind(dev);
	vum_announce_withdraw(dev);
	vum_conn_lock(&dev->conn);
	dev->open = false;
	dev->conn.bypassed = false;
	put_pid(dev->consumer);
	dev->consumer = NULL;
	dev->conn.failed = false;
	vum_conn_event(dev, VUM_EVENT_CLOSED);
	vum_conn_unlock(&dev->conn);
	wake_up_all(&dev->conn.changed);
}

static long vum_ioctl_get_info(struct vum_device *dev,
			       struct vfio_device_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = {};

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = dev->shape->flags;
	info.num_regions = dev->shape->num_regions;
	info.num_irqs = dev->shape->num_irqs;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long vum_ioctl_get_irq_info(struct vum_device *dev,
				   struct vfio_irq_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info = {};
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = vum_irq_info(dev, &info);
	if (ret)
		return ret;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static int vum_device_reset(struct vum_device *dev)
{
	struct vum_req *req;
	int ret;

	req = vum_req_alloc(VUM_REQ_CONSUMER, VFIO_USER_DEVICE_RESET, 0);
	if (!req)
		return -ENOMEM;
	ret = vum_req_call(dev, req);
	vum_req_put(req);
	return ret;
}

static long vum_ioctl_reset(struct vum_device *dev)
{
	if (!(dev->shape->flags & VFIO_DEVICE_FLAGS_RESET))
		return -EINVAL;
	return vum_mig_reset(dev, vum_device_reset);
}

static long vum_device_ioctl(struct vfio_device *vdev, unsigned int cmd,
			     unsigned long arg)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	if (vum_announce_stale(dev) && vum_announce_now(dev))
		return -EINTR;
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vum_ioctl_get_info(dev, (void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vum_ioctl_region_info(vdev, (void __user *)arg,
					     vum_region_info);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vum_ioctl_get_irq_info(dev, (void __user *)arg);
	case VFIO_DEVICE_SET_IRQS:
		return vum_irq_set(dev, (void __user *)arg);
	case VFIO_DEVICE_RESET:
		return vum_ioctl_reset(dev);
	case VFIO_DEVICE_IOEVENTFD:
		return vum_ioeventfd_set(dev, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

/**
 * vum_device_unregister - unregister a device from VFIO, once no consumer has it open
 * @dev: device, from vfio_register_emulated_iommu_dev()
 *
 * The consumer is asked to close the device. VFIO would do the same, but not wait for
 * the consumer to be done with its container as well: see dma_group.c. A removal
 * cannot be called off, so no signal ends the wait.
 */
void vum_device_unregister(struct vum_device *dev)
{
	unsigned int count;

	/* vum_device_open() may be waiting for a server: make it give up. */
	vum_conn_lock(&dev->conn);
	WRITE_ONCE(dev->going, true);
	vum_conn_unlock(&dev->conn);
	wake_up_all(&dev->conn.changed);

	for (count = 0; READ_ONCE(dev->open); count++) {
		vum_irq_request(dev, count);
		wait_event_idle_timeout(dev->conn.changed, !READ_ONCE(dev->open),
					10 * HZ);
	}
	vum_group_wait_idle(dev);
	vum_group_disown(dev);
	vfio_unregister_group_dev(&dev->vdev);
}

static int vum_device_init(struct vfio_device *vdev)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	dev->shape = vum_shape_alloc(0, GFP_KERNEL_ACCOUNT);
	if (!dev->shape)
		return -ENOMEM;
	vum_dma_init(dev);
	vum_region_mmap_init(dev);
	strscpy(dev->uuid, dev_name(vdev->dev), sizeof(dev->uuid));
	ratelimit_state_init(&dev->ratelimit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_set_flags(&dev->ratelimit, RATELIMIT_MSG_ON_RELEASE);
	ratelimit_state_init(&dev->ends, 60 * HZ, 1);
	dev->attach_timeout_ms = VUM_ATTACH_TIMEOUT_MS;
	dev->optional_commands = BIT(VUM_NR_OPTIONAL) - 1;
	dev->posted_writes = true;
	mutex_init(&dev->irqs.lock);
	mutex_init(&dev->ioeventfds.lock);
	INIT_LIST_HEAD(&dev->ioeventfds.list);
	vum_announce_init(dev);
	vum_mig_init(dev);
	vum_handover_init(dev);
	INIT_WORK(&dev->attach, vum_attach_work);
	INIT_WORK(&dev->conn.detach, vum_detach_work);
	snprintf(dev->socket, sizeof(dev->socket),
		 VUM_SOCKET_DIR "%s" VUM_SOCKET_SUFFIX, dev->uuid);
	vum_conn_init(&dev->conn, &vum_relay, vum_netlink_event);
	/* PM's files in sysfs would take more memory than all those of the module. */
	device_set_pm_not_required(&vdev->device);
	return 0;
}

static void vum_device_release(struct vfio_device *vdev)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	vum_announce_exit(dev);
	vum_dma_exit(dev);
	vum_region_mmap_exit(dev);
	vum_shape_free(dev->shape);
	vum_conn_exit(&dev->conn);
	mutex_destroy(&dev->irqs.lock);
	mutex_destroy(&dev->ioeventfds.lock);
	vum_vfio_free(vdev);
}

const struct vfio_device_ops vum_device_ops = {
	.name		= "vfio-user-mdev",
	.init		= vum_device_init,
	.release	= vum_device_release,
	.open_device	= vum_device_open,
	.close_device	= vum_device_close,
	.read		= vum_region_read,
	.write		= vum_region_write,
	.mmap		= vum_region_mmap,
	.device_feature	= vum_feature,
	.ioctl		= vum_device_ioctl,
	.dma_unmap	= vum_dma_unmap,
	VUM_OPS_REGION_INFO(vum_region_info)
	VUM_OPS_IOMMUFD
};
