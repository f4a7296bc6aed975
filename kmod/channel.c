// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the channel, /dev/vfio-user/<uuid>.
 *
 * The helper reads the messages for the server from the channel, and writes to it
 * those of the server, descriptors included: see uapi/vfio_user_mdev.h.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/uaccess.h>

#include "device.h"
#include "relay.h"
#include "sock.h"
#include "work.h"

struct class vum_class = {
	.name = "vfio-user",
};

static dev_t vum_devt;
static DEFINE_IDA(vum_minors);

static ssize_t vum_channel_read(struct file *file, char __user *buf,
				size_t count, loff_t *ppos)
{
	struct vum_message m = {
		.buf = (uintptr_t)buf,
		.size = min_t(size_t, count, U32_MAX),
	};
	int ret = vum_relay_recv(file, &m);

	return ret < 0 ? ret : (ssize_t)m.size;
}

static ssize_t vum_channel_write(struct file *file, const char __user *buf,
				 size_t count, loff_t *ppos)
{
	struct vum_message m = {
		.buf = (uintptr_t)buf,
		.size = min_t(size_t, count, U32_MAX),
	};
	int ret = vum_relay_send(file, &m);

	return ret < 0 ? ret : (ssize_t)m.size;
}

/* Copy the argument of VUM_ATTACH or VUM_RESUME, and check its version and size. */
static int vum_attach_from_user(struct vum_device *dev, struct vum_attach *a,
				struct vum_attach __user *arg)
{
	if (copy_from_user(a, arg, offsetofend(struct vum_attach, api_version)))
		return -EFAULT;
	if (a->api_version != VUM_API_VERSION) {
		vum_err(dev, "helper \"%s\" speaks interface version %u, this module %u: install the two from the same release\n",
			current->comm, a->api_version, VUM_API_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (a->argsz < sizeof(*a))
		return -EINVAL;
	return copy_from_user(a, arg, sizeof(*a)) ? -EFAULT : 0;
}

/*
 * Copy a text at the address that the helper has given. Returns the text, for kfree(); or
 * an error.
 */
static char *vum_text_from_user(u64 address)
{
	char *text = strndup_user(u64_to_user_ptr(address), VUM_MAX_TEXT);
	const char *p;

	for (p = text; !IS_ERR(text) && *p; p++)
		if (!isascii(*p) || !isprint(*p)) {
			kfree(text);
			return ERR_PTR(-EINVAL);
		}
	return text;
}

static int vum_attach_check(struct vum_attach *a)
{
	if (a->flags & ~(VUM_ATTACH_SOCKET | VUM_ATTACH_MIGRATION | VUM_ATTACH_LICENSE |
			 VUM_ATTACH_GPL | VUM_ATTACH_WRITE_MULTI) ||
	    (a->flags & VUM_ATTACH_LICENSE && !a->license) ||
	    (a->flags & VUM_ATTACH_GPL && !(a->flags & VUM_ATTACH_LICENSE)) ||
	    a->reserved || a->reserved2 || (a->socket && !(a->flags & VUM_ATTACH_SOCKET)) ||
	    !a->max_msg_fds || a->max_data_xfer_size < sizeof(u64) ||
	    a->minor > VFIO_USER_MINOR || a->server_pid < 0)
		return -EINVAL;
	a->max_msg_fds = min_t(u32, a->max_msg_fds, VUM_MAX_MSG_FDS);
	a->max_data_xfer_size = min_t(u32, a->max_data_xfer_size,
				      VUM_MAX_DATA_XFER_SIZE);
	return 0;
}

/* Get the transport that data_path asks for and the helper offers. */
static struct vum_transport *vum_attach_transport(struct vum_device *dev,
						  const struct vum_attach *a)
{
	enum vum_data_path path = READ_ONCE(dev->data_path);

	if (path == VUM_PATH_RELAY)
		return &vum_relay;
	if (a->flags & VUM_ATTACH_SOCKET)
		return vum_sock_new(dev, a->socket);
	return path == VUM_PATH_KERNEL ? ERR_PTR(-EPROTOTYPE) : &vum_relay;
}

/*
 * Swaps *@transport, *@memcg and *@server with the last attachment's. The caller closes
 * *@transport and puts the others. *@record becomes one of the device's; the caller frees
 * what is there after that.
 */
static int vum_attach_begin(struct vum_device *dev, const struct vum_attach *a,
			    struct vum_transport **transport, struct mem_cgroup **memcg,
			    struct pid **server, struct vum_server **record)
{
	struct vum_conn *conn = &dev->conn;
	int ret = 0;

	vum_conn_lock(conn);
	if (conn->dead) {
		ret = -ENODEV;
	} else if (conn->helper || vum_conn_alive(conn) || dev->channel.stale) {
		ret = -EISCONN;
	} else if (conn->failed) {
		ret = -EREMOTEIO;
	} else {
		conn->helper = true;
		conn->session++;
		if (!conn->paused)
			conn->since = conn->session;
		WRITE_ONCE(conn->held, 0);
		WRITE_ONCE(conn->stuck, 0);
		conn->posted = false;
		conn->no_posting = false;
		vum_notes_begin(&conn->notes);
		swap(conn->memcg, *memcg);
		swap(conn->server, *server);
		conn->peer = *a;
		conn->peer.server_pid = pid_nr(conn->server);
		conn->when = (*record)->from;
		*record = vum_servers_add(&conn->servers, *record);
		conn->stats.attaches++;
		vum_conn_swap_transport(conn, transport);
		WRITE_ONCE(conn->state, VUM_STATE_ATTACHING);
		conn->transport->ops->start(conn);
		/* Queued under the lock, so that a removal cancels the work later. */
		vum_work_queue_server(&dev->attach);
	}
	vum_conn_unlock(conn);
	return ret;
}

/* Attach the server with this record. The caller frees what is in *@record after that. */
static long vum_attach_server(struct vum_device *dev, struct vum_attach *a,
			      struct pid *server, struct vum_server **record)
{
	struct vum_transport *transport = vum_attach_transport(dev, a);
	struct mem_cgroup *memcg;
	bool by_kernel;
	int ret;

	if (IS_ERR(transport))
		return PTR_ERR(transport);
	by_kernel = transport->ops->path == VUM_PATH_KERNEL;
	get_pid(server);
	/* By relay, it is the helper that hands the server's messages over. */
	memcg = by_kernel ? vum_sock_memcg(transport, server) :
			    get_mem_cgroup_from_mm(current->mm);
	ret = vum_attach_begin(dev, a, &transport, &memcg, &server, record);
	mem_cgroup_put(memcg);
	put_pid(server);
	transport->ops->close(transport);
	if (!ret && by_kernel)
		vum_sock_own(dev, a->socket);
	return ret ?: by_kernel;
}

static long vum_channel_attach(struct vum_device *dev,
			       struct vum_attach __user *arg)
{
	char *license = NULL;
	struct vum_server *record;
	struct vum_attach a;
	struct pid *server;
	long ret;

	ret = vum_attach_from_user(dev, &a, arg) ?: vum_attach_check(&a);
	if (ret)
		return ret;
	if (a.license)
		license = vum_text_from_user(a.license);
	if (IS_ERR(license))
		return PTR_ERR(license);
	a.license = 0;
	server = find_get_pid(a.server_pid);
	record = vum_server_new(&a, license ?: "", server);
	ret = record ? vum_attach_server(dev, &a, server, &record) : -ENOMEM;
	kfree(record);
	put_pid(server);
	kfree(license);
	return ret;
}

static int vum_end_attachment(struct vum_device *dev, bool broken, const char *why)
{
	struct vum_conn *conn = &dev->conn;
	u32 session;
	bool ours;

	vum_conn_lock(conn);
	session = conn->session;
	ours = conn->helper && vum_conn_alive(conn);
	vum_conn_unlock(conn);
	if (!ours)
		return broken ? vum_conn_refuse(dev, why) : -ENOTCONN;
	if (broken)
		vum_conn_break(dev, session, "%s", why);
	else
		vum_conn_end(dev, session, why);
	return 0;
}

static long vum_channel_end(struct vum_device *dev, struct vum_end __user *arg)
{
	struct vum_end end;
	char *why;
	int ret;

	if (copy_from_user(&end, arg, sizeof(end)))
		return -EFAULT;
	if (end.argsz < sizeof(end) || end.flags & ~VUM_END_BROKEN)
		return -EINVAL;
	why = vum_text_from_user(end.reason);
	if (IS_ERR(why))
		return PTR_ERR(why);
	ret = *why ? vum_end_attachment(dev, end.flags & VUM_END_BROKEN, why) : -EINVAL;
	kfree(why);
	return ret;
}

static long vum_channel_resume(struct vum_device *dev,
			       struct vum_attach __user *arg)
{
	struct vum_conn *conn = &dev->conn;
	struct vum_attach a;
	int ret;

	ret = vum_attach_from_user(dev, &a, arg);
	if (ret)
		return ret;
	vum_conn_lock(conn);
	if (conn->dead)
		ret = -ENODEV;
	else if (conn->helper)
		ret = -EISCONN;
	else if (conn->path != VUM_PATH_KERNEL || !vum_conn_alive(conn))
		ret = -ENOTCONN;
	else
		conn->helper = true;
	a = conn->peer;
	vum_conn_unlock(conn);
	if (ret)
		return ret;
	a.flags = 0;
	a.socket = 0;
	if (copy_to_user(arg, &a, sizeof(a))) {
		/* The helper does not know of the attachment: go on without it. */
		vum_conn_orphan(dev);
		return -EFAULT;
	}
	wake_up_poll(&conn->helper_wait, EPOLLIN);
	return 0;
}

static long vum_channel_carry(struct vum_device *dev,
			      struct vum_carry __user *arg)
{
	struct vum_conn *conn = &dev->conn;
	struct vum_carrier carrier;
	struct vum_carry carry;
	int ret;

	if (copy_from_user(&carry, arg, sizeof(carry)))
		return -EFAULT;
	if (carry.argsz < sizeof(carry) ||
	    carry.size < CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int)))
		return -EINVAL;
	vum_conn_lock(conn);
	ret = vum_conn_check_helper(conn);
	vum_conn_unlock(conn);
	if (ret)
		return ret;
	carrier.control = u64_to_user_ptr(carry.buf);
	carrier.size = min_t(u32, carry.size, PAGE_SIZE);
	return vum_sock_carry(dev, &carrier);
}

static long vum_channel_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	struct vum_message __user *um = (void __user *)arg;
	struct vum_message m;
	int ret;

	switch (cmd) {
	case VUM_GET_API_VERSION:
		return VUM_API_VERSION;
	case VUM_ATTACH:
		return vum_channel_attach(file->private_data,
					  (void __user *)arg);
	case VUM_RESUME:
		return vum_channel_resume(file->private_data,
					  (void __user *)arg);
	case VUM_CARRY:
		return vum_channel_carry(file->private_data,
					 (void __user *)arg);
	case VUM_END:
		return vum_channel_end(file->private_data,
				       (void __user *)arg);
	case VUM_RECV:
	case VUM_SEND:
		break;
	default:
		return -ENOTTY;
	}

	if (copy_from_user(&m, um, sizeof(m)))
		return -EFAULT;
	if (m.argsz < sizeof(m) || m.flags)
		return -EINVAL;
	if (cmd == VUM_SEND)
		return vum_relay_send(file, &m);
	ret = vum_relay_recv(file, &m);
	if ((!ret || ret == -EMSGSIZE) &&
	    (put_user(m.size, &um->size) || put_user(m.nr_fds, &um->nr_fds)))
		return -EFAULT;
	return ret;
}

static __poll_t vum_channel_poll(struct file *file, poll_table *wait)
{
	struct vum_device *dev = file->private_data;
	struct vum_conn *conn = &dev->conn;
	__poll_t mask = 0;

	poll_wait(file, &conn->helper_wait, wait);
	vum_conn_lock(conn);
	switch (vum_conn_check_helper(conn)) {
	case 0:
		mask = conn->transport->ops->poll(conn);
		break;
	case -ENOTCONN:
		break;
	default:
		mask |= EPOLLERR | EPOLLHUP;
	}
	vum_conn_unlock(conn);
	return mask;
}

static int vum_channel_open(struct inode *inode, struct file *file)
{
	struct vum_device *dev = container_of(inode->i_cdev, struct vum_device,
					      channel.cdev);
	struct vum_conn *conn = &dev->conn;
	int ret = 0;

	vum_conn_lock(conn);
	if (conn->dead) {
		ret = -ENODEV;
	} else if (dev->channel.opened) {
		ret = -EBUSY;
	} else {
		dev->channel.opened = true;
		dev->channel.stale = false;
		conn->helper = false;
	}
	vum_conn_unlock(conn);
	file->private_data = dev;
	return ret ?: stream_open(inode, file);
}

static int vum_channel_release(struct inode *inode, struct file *file)
{
	struct vum_device *dev = file->private_data;
	struct vum_conn *conn = &dev->conn;

	vum_conn_orphan(dev);
	vum_conn_lock(conn);
	dev->channel.opened = false;
	vum_conn_unlock(conn);
	return 0;
}

static const struct file_operations vum_channel_fops = {
	.owner		= THIS_MODULE,
	.open		= vum_channel_open,
	.release	= vum_channel_release,
	.read		= vum_channel_read,
	.write		= vum_channel_write,
	.unlocked_ioctl	= vum_channel_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= vum_channel_poll,
	.llseek		= noop_llseek,
};

static void vum_chrdev_release(struct device *chrdev)
{
	struct vum_device *dev = container_of(chrdev, struct vum_device,
					      channel.chrdev);

	ida_free(&vum_minors, MINOR(chrdev->devt));
	vfio_put_device(&dev->vdev);
}

/**
 * vum_channel_add - create the channel
 * @dev: device, on which the channel has a reference until it is deleted and closed
 *
 * Return: 0 or a negative errno.
 */
int vum_channel_add(struct vum_device *dev)
{
	struct device *chrdev = &dev->channel.chrdev;
	int minor, ret;

	minor = ida_alloc_max(&vum_minors, MINORMASK, GFP_KERNEL);
	if (minor < 0)
		return minor;
	device_initialize(chrdev);
	device_set_pm_not_required(chrdev);
	chrdev->class = &vum_class;
	chrdev->parent = dev->vdev.dev;
	chrdev->devt = MKDEV(MAJOR(vum_devt), minor);
	chrdev->release = vum_chrdev_release;
	get_device(&dev->vdev.device);
	cdev_init(&dev->channel.cdev, &vum_channel_fops);
	dev->channel.cdev.owner = THIS_MODULE;

	/* devtmpfs makes a directory of what precedes the '!'. */
	ret = dev_set_name(chrdev, "vfio-user!%s", dev->uuid);
	if (!ret)
		ret = cdev_device_add(&dev->channel.cdev, chrdev);
	if (ret)
		put_device(chrdev);
	return ret;
}

/**
 * vum_channel_del - delete the channel and end the attachment, as the mdev goes
 * @dev: device; a helper that still has the channel open gets -ENODEV from now on
 */
void vum_channel_del(struct vum_device *dev)
{
	struct vum_conn *conn = &dev->conn;

	cdev_device_del(&dev->channel.cdev, &dev->channel.chrdev);
	vum_conn_lock(conn);
	conn->dead = true;
	vum_conn_unlock(conn);
	vum_conn_end(dev, READ_ONCE(conn->session), "the mdev was removed");
	wake_up_poll(&conn->helper_wait, EPOLLIN | EPOLLERR | EPOLLHUP);
	put_device(&dev->channel.chrdev);
}

int vum_channel_chrdev_init(void)
{
	return alloc_chrdev_region(&vum_devt, 0, MINORMASK + 1, "vfio-user");
}

void vum_channel_chrdev_exit(void)
{
	unregister_chrdev_region(vum_devt, MINORMASK + 1);
	ida_destroy(&vum_minors);
}
