// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the channel, /dev/vfio-user/<uuid>.
 *
 * The helper's door: messages for the server go out, messages from the server
 * come in, descriptors and all. See uapi/vfio_user_mdev.h for the contract.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/uaccess.h>

#include "sock.h"
#include "trace.h"

static dev_t vum_devt;
static DEFINE_IDA(vum_minors);

/* May the opener exchange messages? Under the channel's lock. */
static int vum_channel_check(const struct vum_channel *ch)
{
	if (ch->dead)
		return -ENODEV;
	if (!ch->used)
		return -ENOTCONN;
	return vum_session_alive(ch) ? 0 : -EPIPE;
}

/* And are they the opener's to carry? */
static int vum_channel_relays(const struct vum_channel *ch)
{
	return vum_channel_check(ch) ?: ch->link ? -EBUSY : 0;
}

static bool vum_channel_idle(struct vum_channel *ch)
{
	bool idle;

	vum_lock(ch);
	idle = !vum_channel_relays(ch) && list_empty(&ch->out);
	vum_unlock(ch);
	return idle;
}

/*
 * Take the next message off the queue if it fits, with a reference on it.
 * Otherwise @room says what it takes.
 */
static struct vum_req *vum_channel_next(struct vum_channel *ch, u32 *session,
					struct vum_message *room)
{
	struct vum_req *req = NULL;
	bool writable = false;
	int ret;

	vum_lock(ch);
	ret = vum_channel_relays(ch);
	if (ret)
		goto out;
	ret = -EAGAIN;
	if (list_empty(&ch->out))
		goto out;
	req = list_first_entry(&ch->out, struct vum_req, node);
	ret = -EMSGSIZE;
	if (req->msg.size > room->size || req->msg.nr_files > room->nr_fds)
		goto out_room;
	ret = 0;
	*session = ch->session;
	writable = vum_answers_full(ch);
	vum_req_take(ch);
	writable = writable && !vum_answers_full(ch);
out_room:
	room->size = req->msg.size;
	room->nr_fds = req->msg.nr_files;
out:
	vum_unlock(ch);
	if (writable)
		wake_up_poll(&ch->readers, EPOLLOUT);
	return ret ? ERR_PTR(ret) : req;
}

/* Put a message back that could not be delivered. Drops the reference. */
static void vum_channel_unget(struct vum_channel *ch, u32 session,
			      struct vum_req *req)
{
	vum_lock(ch);
	if (ch->session == session && vum_session_alive(ch)) {
		if (vum_req_one_way(req->kind)) {
			ch->nr_answers += req->kind == VUM_REQ_ANSWER;
			ch->nr_posted += req->kind == VUM_REQ_POSTED;
			list_add(&req->node, &ch->out);
			req = NULL;
		} else if (req->state == VUM_REQ_SENT) {
			/* Else the waiter gave up, or the helper made up a reply. */
			req->state = VUM_REQ_QUEUED;
			ch->fds_wanted -= !!req->reply_fds;
			list_add(&req->node, &ch->out);
		}
	}
	vum_unlock(ch);
	wake_up_poll(&ch->readers, EPOLLIN);
	vum_req_put(req);
}

/* New descriptors for the message's files, in the helper's table. */
static int vum_channel_give_fds(const struct vum_msg *msg, __s32 __user *ufds)
{
	int fds[VUM_MAX_MSG_FDS];
	u32 nr, i;
	int ret;

	for (nr = 0; nr < msg->nr_files; nr++) {
		fds[nr] = get_unused_fd_flags(O_CLOEXEC);
		if (fds[nr] < 0) {
			ret = fds[nr];
			goto err;
		}
	}
	ret = -EFAULT;
	if (copy_to_user(ufds, fds, nr * sizeof(*ufds)))
		goto err;
	for (i = 0; i < nr; i++)
		fd_install(fds[i], get_file(msg->files[i]));
	return 0;
err:
	while (nr--)
		put_unused_fd(fds[nr]);
	return ret;
}

/* @room: the buffers; on return, the size of the message */
static int vum_channel_recv(struct file *file, struct vum_message *room)
{
	struct vum_device *dev = file->private_data;
	struct vum_channel *ch = &dev->ch;
	struct vum_req *req;
	u32 session;
	int ret;

	while (IS_ERR(req = vum_channel_next(ch, &session, room))) {
		ret = PTR_ERR(req);
		if (ret != -EAGAIN || (file->f_flags & O_NONBLOCK))
			return ret;
		if (wait_event_interruptible(ch->readers, !vum_channel_idle(ch)))
			return -ERESTARTSYS;
	}

	ret = -EFAULT;
	if (copy_to_user(u64_to_user_ptr(room->buf), &req->msg.hdr,
			 req->msg.size))
		goto unget;
	/* Last, since it is the one step that cannot be undone. */
	ret = vum_channel_give_fds(&req->msg, u64_to_user_ptr(room->fds));
	if (ret)
		goto unget;
	trace_vum_send(dev, req);
	vum_req_put(req);
	return 0;
unget:
	vum_channel_unget(ch, session, req);
	return ret;
}

static struct vum_msg *vum_msg_from_user(const struct vum_message *m)
{
	struct vum_msg *msg;

	if (m->size < sizeof(msg->hdr) || m->size > VUM_MAX_MSG_SIZE ||
	    m->nr_fds > VUM_MAX_MSG_FDS)
		return ERR_PTR(-EINVAL);
	msg = vum_msg_alloc(m->size);
	if (!msg)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(&msg->hdr, u64_to_user_ptr(m->buf), m->size)) {
		vum_msg_free(msg);
		return ERR_PTR(-EFAULT);
	}
	if (msg->hdr.msg_size != m->size) {
		vum_msg_free(msg);
		return ERR_PTR(-EINVAL);
	}
	return msg;
}

static int vum_msg_take_fds(struct vum_msg *msg, const struct vum_message *m)
{
	__s32 fds[VUM_MAX_MSG_FDS];

	if (!m->nr_fds)
		return 0;
	if (copy_from_user(fds, u64_to_user_ptr(m->fds),
			   m->nr_fds * sizeof(*fds)))
		return -EFAULT;
	msg->files = kvcalloc(m->nr_fds, sizeof(*msg->files),
			      GFP_KERNEL_ACCOUNT);
	if (!msg->files)
		return -ENOMEM;
	while (msg->nr_files < m->nr_fds) {
		struct file *file = fget(fds[msg->nr_files]);

		if (!file)
			return -EBADF;
		msg->files[msg->nr_files++] = file;
	}
	return 0;
}

static int vum_channel_send(struct file *file, const struct vum_message *m)
{
	struct vum_device *dev = file->private_data;
	struct vum_channel *ch = &dev->ch;
	struct vum_msg *msg;
	u32 session;
	int ret;

	vum_lock(ch);
	ret = vum_channel_relays(ch);
	session = ch->session;
	vum_unlock(ch);
	if (ret)
		return ret;
	msg = vum_msg_from_user(m);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	ret = vum_msg_take_fds(msg, m);
	if (ret) {
		vum_msg_free(msg);
		return ret;
	}
	return vum_incoming(dev, session, msg);
}

static ssize_t vum_channel_read(struct file *file, char __user *buf,
				size_t count, loff_t *ppos)
{
	struct vum_message m = {
		.buf = (uintptr_t)buf,
		.size = min_t(size_t, count, U32_MAX),
	};
	int ret = vum_channel_recv(file, &m);

	return ret < 0 ? ret : (ssize_t)m.size;
}

static ssize_t vum_channel_write(struct file *file, const char __user *buf,
				 size_t count, loff_t *ppos)
{
	struct vum_message m = {
		.buf = (uintptr_t)buf,
		.size = min_t(size_t, count, U32_MAX),
	};
	int ret = vum_channel_send(file, &m);

	return ret < 0 ? ret : (ssize_t)m.size;
}

/* What VUM_ATTACH and VUM_RESUME have in common. */
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

static int vum_attach_check(struct vum_attach *a)
{
	if (a->flags & ~VUM_ATTACH_SOCKET || a->reserved || a->reserved2 ||
	    a->reserved3 || (a->socket && !(a->flags & VUM_ATTACH_SOCKET)) ||
	    !a->max_msg_fds || a->max_data_xfer_size < sizeof(u64) ||
	    a->minor > VFIO_USER_MINOR || a->server_pid < 0)
		return -EINVAL;
	a->max_msg_fds = min_t(u32, a->max_msg_fds, VUM_MAX_MSG_FDS);
	a->max_data_xfer_size = min_t(u32, a->max_data_xfer_size,
				      VUM_MAX_DATA_XFER_SIZE);
	return 0;
}

/* The socket, if it is there and wanted; NULL: the helper carries. */
static struct vum_sock *vum_attach_sock(struct vum_device *dev,
					const struct vum_attach *a)
{
	enum vum_data_path path = READ_ONCE(dev->data_path);

	if (path == VUM_PATH_RELAY)
		return NULL;
	if (a->flags & VUM_ATTACH_SOCKET)
		return vum_sock_new(dev, a->socket);
	return path == VUM_PATH_KERNEL ? ERR_PTR(-EPROTOTYPE) : NULL;
}

/* Swaps @vs with what is left of another attachment's; its own gets a reference. */
static int vum_attach_begin(struct vum_device *dev, const struct vum_attach *a,
			    struct vum_sock **vs)
{
	struct vum_channel *ch = &dev->ch;
	int ret = 0;

	vum_lock(ch);
	if (ch->dead) {
		ret = -ENODEV;
	} else if (ch->used || vum_session_alive(ch)) {
		ret = -EISCONN;
	} else {
		ch->used = true;
		ch->session++;
		ch->peer = *a;
		ch->stats.attaches++;
		if (*vs) {
			(*vs)->session = ch->session;
			refcount_inc(&(*vs)->ref);
		}
		swap(ch->link, *vs);
		WRITE_ONCE(ch->state, VUM_STATE_ATTACHING);
		/* The server may already have said something. */
		if (ch->link)
			vum_sock_kick(ch->link);
		/* Under the lock, so that no removal comes in between. */
		vum_work_queue_blocking(&dev->attach);
	}
	vum_unlock(ch);
	return ret;
}

static long vum_channel_attach(struct vum_device *dev,
			       struct vum_attach __user *arg)
{
	struct vum_sock *vs, *mine;
	struct vum_attach a;
	int ret;

	ret = vum_attach_from_user(dev, &a, arg) ?: vum_attach_check(&a);
	if (ret)
		return ret;
	vs = vum_attach_sock(dev, &a);
	if (IS_ERR(vs))
		return PTR_ERR(vs);
	mine = vs;
	ret = vum_attach_begin(dev, &a, &vs);
	vum_sock_close(vs);
	if (ret)
		return ret;
	wake_up_poll(&dev->ch.readers, EPOLLOUT);
	if (!mine)
		return 0;
	if (!vum_sock_own(mine, a.socket))
		vum_session_break(dev, mine->session,
				  "helper keeps its socket for itself");
	vum_sock_put(mine);
	return 1;
}

static long vum_channel_resume(struct vum_device *dev,
			       struct vum_attach __user *arg)
{
	struct vum_channel *ch = &dev->ch;
	struct vum_attach a;
	int ret;

	ret = vum_attach_from_user(dev, &a, arg);
	if (ret)
		return ret;
	vum_lock(ch);
	if (ch->dead)
		ret = -ENODEV;
	else if (ch->used)
		ret = -EISCONN;
	else if (!ch->link || !vum_session_alive(ch))
		ret = -ENOTCONN;
	else
		ch->used = true;
	a = ch->peer;
	vum_unlock(ch);
	if (ret)
		return ret;
	a.flags = 0;
	a.socket = 0;
	if (copy_to_user(arg, &a, sizeof(a))) {
		/* A helper that does not know of the attachment is none to it. */
		vum_session_orphan(dev);
		return -EFAULT;
	}
	wake_up_poll(&ch->readers, EPOLLIN);
	return 0;
}

static long vum_channel_carry(struct vum_device *dev,
			      struct vum_carry __user *arg)
{
	struct vum_channel *ch = &dev->ch;
	struct vum_carrier carrier;
	struct vum_carry carry;
	int ret;

	if (copy_from_user(&carry, arg, sizeof(carry)))
		return -EFAULT;
	if (carry.argsz < sizeof(carry) ||
	    carry.size < CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int)))
		return -EINVAL;
	vum_lock(ch);
	ret = vum_channel_check(ch);
	vum_unlock(ch);
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
		return vum_channel_send(file, &m);
	ret = vum_channel_recv(file, &m);
	if ((!ret || ret == -EMSGSIZE) &&
	    (put_user(m.size, &um->size) || put_user(m.nr_fds, &um->nr_fds)))
		return -EFAULT;
	return ret;
}

static __poll_t vum_channel_poll(struct file *file, poll_table *wait)
{
	struct vum_device *dev = file->private_data;
	struct vum_channel *ch = &dev->ch;
	__poll_t mask = 0;

	poll_wait(file, &ch->readers, wait);
	vum_lock(ch);
	switch (vum_channel_check(ch)) {
	case 0:
		if (ch->link ? vum_sock_wants_helper(ch->link) :
			       !list_empty(&ch->out))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (!ch->link && !vum_answers_full(ch))
			mask |= EPOLLOUT | EPOLLWRNORM;
		break;
	case -ENOTCONN:
		break;
	default:
		mask |= EPOLLERR | EPOLLHUP;
	}
	vum_unlock(ch);
	return mask;
}

static int vum_channel_open(struct inode *inode, struct file *file)
{
	struct vum_device *dev = container_of(inode->i_cdev, struct vum_device,
					      ch.cdev);
	struct vum_channel *ch = &dev->ch;
	int ret = 0;

	vum_lock(ch);
	if (ch->dead) {
		ret = -ENODEV;
	} else if (ch->opened) {
		ret = -EBUSY;
	} else {
		ch->opened = true;
		ch->used = false;
	}
	vum_unlock(ch);
	file->private_data = dev;
	return ret ?: stream_open(inode, file);
}

static int vum_channel_release(struct inode *inode, struct file *file)
{
	struct vum_device *dev = file->private_data;
	struct vum_channel *ch = &dev->ch;

	vum_session_orphan(dev);
	vum_lock(ch);
	ch->opened = false;
	vum_unlock(ch);
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
					      ch.chrdev);

	ida_free(&vum_minors, MINOR(chrdev->devt));
	vfio_put_device(&dev->vdev);
}

/**
 * vum_channel_init - prepare the channel of a device that is being allocated
 * @dev: device
 */
void vum_channel_init(struct vum_device *dev)
{
	struct vum_channel *ch = &dev->ch;

	vum_inflight_init(ch);
	INIT_LIST_HEAD(&ch->out);
	init_waitqueue_head(&ch->readers);
	init_waitqueue_head(&ch->settled);
	ch->state = VUM_STATE_DETACHED;
}

/* The last reference to the device goes. */
void vum_channel_exit(struct vum_device *dev)
{
	vum_inflight_exit(&dev->ch);
}

/**
 * vum_channel_add - let the helper in
 * @dev: device; a reference is taken that goes with the last opener
 */
int vum_channel_add(struct vum_device *dev)
{
	struct device *chrdev = &dev->ch.chrdev;
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
	cdev_init(&dev->ch.cdev, &vum_channel_fops);
	dev->ch.cdev.owner = THIS_MODULE;

	/* devtmpfs makes a directory of what precedes the '!' */
	ret = dev_set_name(chrdev, "vfio-user!%s", dev->uuid);
	if (!ret)
		ret = cdev_device_add(&dev->ch.cdev, chrdev);
	if (ret)
		put_device(chrdev);
	return ret;
}

/**
 * vum_channel_del - the mdev goes
 * @dev: device; an opener that is left sees ENODEV from now on
 */
void vum_channel_del(struct vum_device *dev)
{
	struct vum_channel *ch = &dev->ch;

	cdev_device_del(&ch->cdev, &ch->chrdev);
	vum_lock(ch);
	ch->dead = true;
	vum_unlock(ch);
	vum_session_end(dev, READ_ONCE(ch->session));
	wake_up_poll(&ch->readers, EPOLLIN | EPOLLERR | EPOLLHUP);
	put_device(&ch->chrdev);
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
