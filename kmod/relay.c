// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the data path "relay": the helper carries messages between the
 * channel and the server's socket, by VUM_RECV and VUM_SEND.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "incoming.h"
#include "relay.h"
#include "trace.h"

/* May the helper carry messages? Returns 0, or an error as vum_relay_recv(). */
static int vum_relay_check(const struct vum_conn *conn)
{
	vum_conn_assert_held(conn);
	return vum_conn_check_helper(conn) ?:
	       conn->path == VUM_PATH_RELAY ? 0 : -EBUSY;
}

static bool vum_relay_idle(struct vum_conn *conn)
{
	bool idle;

	vum_conn_lock(conn);
	idle = !vum_relay_check(conn) && list_empty(&conn->out);
	vum_conn_unlock(conn);
	return idle;
}

/*
 * Take the oldest message off the queue if it fits into @room, which is set to what
 * the message takes. Returns it, with a reference; or an error as vum_relay_recv().
 */
static struct vum_req *vum_relay_next(struct vum_conn *conn, u32 *session,
				      struct vum_message *room)
{
	struct vum_req *req = NULL;
	int ret;

	vum_conn_lock(conn);
	ret = vum_relay_check(conn);
	if (ret)
		goto out;
	ret = -EAGAIN;
	if (list_empty(&conn->out))
		goto out;
	req = list_first_entry(&conn->out, struct vum_req, node);
	ret = -EMSGSIZE;
	if (req->msg.size > room->size || req->msg.nr_files > room->nr_fds)
		goto out_room;
	ret = 0;
	*session = conn->session;
	vum_conn_take(conn);
out_room:
	room->size = req->msg.size;
	room->nr_fds = req->msg.nr_files;
out:
	vum_conn_unlock(conn);
	return ret ? ERR_PTR(ret) : req;
}

/* Put a message back that could not be delivered. Takes over the reference. */
static void vum_relay_unget(struct vum_conn *conn, u32 session,
			    struct vum_req *req)
{
	vum_conn_lock(conn);
	if (vum_conn_current(conn, session)) {
		if (vum_req_one_way(req->kind)) {
			if (req->kind == VUM_REQ_POSTED)
				conn->nr_posted += vum_posted_writes(req);
			list_add(&req->node, &conn->out);
			req = NULL;
		} else if (req->state == VUM_REQ_SENT) {
			/* Not if the waiter gave up or the helper made up a reply. */
			req->state = VUM_REQ_QUEUED;
			req->sent = false;
			conn->fds_wanted -= !!req->reply_fds;
			list_add(&req->node, &conn->out);
		}
	}
	vum_conn_unlock(conn);
	wake_up_poll(&conn->helper_wait, EPOLLIN);
	vum_req_put(req);
}

/* Open descriptors of the message's files in the helper's table. */
static int vum_relay_give_fds(const struct vum_msg *msg, __s32 __user *ufds)
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

/**
 * vum_relay_recv - hand the oldest message for the server to the helper
 * @file: the channel, as the helper has opened it
 * @room: the helper's buffers; on success and with -EMSGSIZE, the message's size
 *	and number of descriptors
 *
 * Return: 0; -EMSGSIZE if the message does not fit; -EAGAIN if there is none and
 * @file is non-blocking; -EFAULT; -EMFILE; -EBUSY if the kernel carries messages;
 * -ENOTCONN, -EPIPE, -ENODEV as vum_conn_check_helper(); -ERESTARTSYS.
 */
int vum_relay_recv(struct file *file, struct vum_message *room)
{
	struct vum_device *dev = file->private_data;
	struct vum_conn *conn = &dev->conn;
	struct vum_req *req;
	u32 session;
	int ret;

	while (IS_ERR(req = vum_relay_next(conn, &session, room))) {
		ret = PTR_ERR(req);
		if (ret != -EAGAIN || (file->f_flags & O_NONBLOCK))
			return ret;
		if (wait_event_interruptible(conn->helper_wait, !vum_relay_idle(conn)))
			return -ERESTARTSYS;
	}

	ret = -EFAULT;
	if (copy_to_user(u64_to_user_ptr(room->buf), &req->msg.hdr,
			 req->msg.size))
		goto unget;
	/* Last, since it is the one step that cannot be undone. */
	ret = vum_relay_give_fds(&req->msg, u64_to_user_ptr(room->fds));
	if (ret)
		goto unget;
	trace_vum_send(dev, req);
	vum_conn_delivered(conn, req);
	vum_req_put(req);
	return 0;
unget:
	vum_relay_unget(conn, session, req);
	return ret;
}

static struct vum_msg *vum_relay_msg_from_user(const struct vum_message *m)
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

static int vum_relay_take_fds(struct vum_msg *msg, const struct vum_message *m)
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

/**
 * vum_relay_send - take a message of the server's from the helper
 * @file: the channel, as the helper has opened it
 * @m: the message
 *
 * Return: 0; -EINVAL; -EFAULT; -EBADF; -ENOMEM; -EBUSY if the kernel carries
 * messages; or an error as vum_conn_check_helper() or vum_incoming().
 */
int vum_relay_send(struct file *file, const struct vum_message *m)
{
	struct vum_device *dev = file->private_data;
	struct vum_conn *conn = &dev->conn;
	struct vum_msg *msg;
	u32 session;
	int ret;

	vum_conn_lock(conn);
	ret = vum_relay_check(conn);
	session = conn->session;
	vum_conn_unlock(conn);
	if (ret)
		return ret;
	msg = vum_relay_msg_from_user(m);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	ret = vum_relay_take_fds(msg, m);
	if (ret) {
		vum_msg_free(msg);
		return ret;
	}
	return vum_incoming(dev, session, msg);
}

static void vum_relay_queue(struct vum_conn *conn, struct vum_req *req)
	__releases(&vum_conn_lock_of(conn))
{
	list_add_tail(&req->node, &conn->out);
	vum_conn_unlock(conn);
	wake_up_poll(&conn->helper_wait, EPOLLIN);
}

static void vum_relay_kick(struct vum_conn *conn)
{
	wake_up_poll(&conn->helper_wait, EPOLLIN | EPOLLOUT);
}

static __poll_t vum_relay_poll(struct vum_conn *conn)
{
	__poll_t mask = 0;

	if (!list_empty(&conn->out))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!vum_conn_is_stuck(conn))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static void vum_relay_close(struct vum_transport *transport)
{
}

static const struct vum_transport_ops vum_relay_ops = {
	.path	= VUM_PATH_RELAY,
	.start	= vum_relay_kick,
	.queue	= vum_relay_queue,
	.kick	= vum_relay_kick,
	.poll	= vum_relay_poll,
	.close	= vum_relay_close,
};

/* The relay has no state but the connection's, so all devices share this one. */
struct vum_transport vum_relay = {
	.ops	= &vum_relay_ops,
};
