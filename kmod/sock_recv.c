// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: receiving on the server's socket.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "device.h"
#include "incoming.h"
#include "sock.h"

/* Take the files that came with a control message out of this process's table. */
static int vum_sock_collect(struct vum_sock *vs, const struct cmsghdr *cmsg,
			    const int __user *fds)
{
	u32 nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;
	struct file *file;
	int fd;

	if (!vs->files)
		vs->files = kvcalloc(VUM_MAX_MSG_FDS, sizeof(*vs->files),
				     GFP_KERNEL_ACCOUNT);
	for (i = 0; i < nr; i++) {
		if (get_user(fd, fds + i))
			return -EFAULT;
		file = fget(fd);
		close_fd(fd);
		if (file && vs->files && vs->nr_files < VUM_MAX_MSG_FDS) {
			vs->files[vs->nr_files++] = file;
			continue;
		}
		vs->lost_files = true;
		if (file)
			fput(file);
	}
	return 0;
}

/* Take the files out of @used bytes of control messages. */
static int vum_sock_control(struct vum_sock *vs, const struct vum_carrier *carrier,
			    size_t used)
{
	struct cmsghdr cmsg;
	size_t at = 0;
	int ret = 0;

	while (!ret && used - at >= sizeof(cmsg)) {
		if (copy_from_user(&cmsg, carrier->control + at, sizeof(cmsg)))
			return -EFAULT;
		if (cmsg.cmsg_len < sizeof(cmsg) || cmsg.cmsg_len > used - at)
			return -EFAULT;
		if (cmsg.cmsg_level == SOL_SOCKET && cmsg.cmsg_type == SCM_RIGHTS)
			ret = vum_sock_collect(vs, &cmsg, carrier->control + at +
					       CMSG_LEN(0));
		at += CMSG_ALIGN(cmsg.cmsg_len);
		if (at > used)
			break;
	}
	return ret;
}

/*
 * Where to receive to. With @carrier, nothing is read beyond the end of the message,
 * so that the descriptors that come belong to it.
 */
static struct kvec vum_sock_where(struct vum_sock *vs, bool carrier)
{
	struct kvec vec = {
		.iov_base = vum_msg_bytes(&vs->in) + vs->got,
		.iov_len = VUM_SOCK_ROOM - vs->got,
	};

	if (vs->big) {
		vec.iov_base = vum_msg_bytes(vs->big) + vs->have;
		vec.iov_len = vs->big->size - vs->have;
	} else if (carrier) {
		vec.iov_len = (vs->got < sizeof(vs->in.hdr) ?
			       sizeof(vs->in.hdr) : vs->in.hdr.msg_size) -
			      vs->got;
	}
	return vec;
}

/* Returns how many bytes have been read; 0 if the server has hung up; or an error. */
static int vum_sock_recv(struct vum_sock *vs, const struct vum_carrier *carrier)
{
	struct kvec vec = vum_sock_where(vs, carrier);
	struct socket *sock = vs->socket;
	struct msghdr msg = { .msg_flags = MSG_CMSG_CLOEXEC };
	int ret, flaw = 0;

	if (carrier) {
		msg.msg_control_is_user = true;
		msg.msg_control_user = carrier->control;
		msg.msg_controllen = carrier->size;
	}
	/* Without security checks, for the reason in vum_sock_sendmsg(). */
	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
	ret = READ_ONCE(sock->ops)->recvmsg(sock, &msg, vec.iov_len,
					    MSG_DONTWAIT);
	if (ret < 0)
		return ret;
	if (carrier)
		flaw = vum_sock_control(vs, carrier,
					carrier->size - msg.msg_controllen);
	if (msg.msg_flags & MSG_CTRUNC)
		vs->lost_files = true;
	if (vs->big)
		vs->have += ret;
	else
		vs->got += ret;
	return flaw ?: ret;
}

/* Remove the first @size bytes from @in. */
static void vum_sock_consume(struct vum_sock *vs, u32 size)
{
	vs->got -= size;
	if (vs->got)
		memmove(vum_msg_bytes(&vs->in),
			vum_msg_bytes(&vs->in) + size, vs->got);
}

/* Give the message in @in memory of its own: it is too long, or has files. */
static int vum_sock_grow(struct vum_sock *vs, u32 size)
{
	struct vum_msg *big;
	u32 held;
	int ret;

	ret = vum_incoming_begin(vs->dev, vs->session, &vs->in.hdr, &held);
	if (ret)
		return ret;
	/* If there is no memory, the attachment ends, and with it what it holds. */
	big = vum_msg_alloc(size);
	if (!big)
		return -ENOMEM;
	big->held = held;
	vs->have = min(size, vs->got);
	memcpy(vum_msg_bytes(big), vum_msg_bytes(&vs->in), vs->have);
	vum_sock_consume(vs, vs->have);
	vs->big = big;
	return 0;
}

/* Returns as vum_incoming(); 1 if the message is incomplete. */
static int vum_sock_deliver_big(struct vum_sock *vs)
{
	struct vum_msg *msg = vs->big;

	if (vs->have < msg->size)
		return 1;
	vs->big = NULL;
	swap(msg->files, vs->files);
	swap(msg->nr_files, vs->nr_files);
	swap(msg->lost_files, vs->lost_files);
	return vum_incoming(vs->dev, vs->session, msg);
}

static int vum_sock_deliver_small(struct vum_sock *vs)
{
	u32 size = vs->in.hdr.msg_size;
	int ret;

	if (vs->got < size)
		return 1;
	vs->in.size = size;
	/* The files came with the last bytes that were read. */
	vs->in.lost_files = vs->lost_files && vs->got == size;
	if (vs->in.lost_files)
		vs->lost_files = false;
	ret = vum_incoming_small(vs->dev, vs->session, &vs->in);
	if (ret != -EAGAIN)
		vum_sock_consume(vs, size);
	return ret;
}

/* Deliver every complete message. Returns 0, or why no more may be read. */
static int vum_sock_deliver(struct vum_sock *vs)
{
	u32 size;
	int ret = vum_conn_is_stuck(vs->conn) ? -EAGAIN : 0;

	while (!ret) {
		if (vs->big) {
			ret = vum_sock_deliver_big(vs);
			continue;
		}
		if (vs->got < sizeof(vs->in.hdr))
			return 0;
		size = vs->in.hdr.msg_size;
		if (size < sizeof(vs->in.hdr) || size > VUM_MAX_MSG_SIZE) {
			vum_conn_break(vs->dev, vs->session,
				       "message says it is %u bytes long (id %u, command %u)",
				       size, vs->in.hdr.msg_id,
				       vs->in.hdr.cmd);
			return -EPROTO;
		}
		if (size - sizeof(vs->in.hdr) > VUM_SMALL_PAYLOAD || vs->files)
			ret = vum_sock_grow(vs, size);
		else
			ret = vum_sock_deliver_small(vs);
	}
	return min(ret, 0);
}

/* Leave the rest to the worker, so that other work has its turn first. */
static void vum_sock_pass_on(struct vum_sock *vs)
{
	struct vum_conn *conn = vs->conn;

	vum_conn_lock(conn);
	vum_sock_kick(vs);
	vum_conn_unlock(conn);
}

/* Read and deliver, VUM_SOCK_BUDGET pieces at most. Returns 0, or why it stopped. */
static int vum_sock_drain(struct vum_sock *vs, const struct vum_carrier *carrier)
{
	struct vum_conn *conn = vs->conn;
	unsigned int budget = VUM_SOCK_BUDGET;
	int ret;

	lockdep_assert_held(&vs->rx);
	do {
		ret = vum_sock_deliver(vs);
		/* From here on, no complete message is left in the buffer. */
		if (ret || !vum_sock_has_data(vs))
			return ret;
		if (!carrier && READ_ONCE(conn->fds_wanted)) {
			wake_up_poll(&conn->helper_wait, EPOLLIN);
			return 0;
		}
		if (!budget--) {
			vum_sock_pass_on(vs);
			return 0;
		}
		ret = vum_sock_recv(vs, carrier) ?: -EPIPE;
	} while (ret > 0);
	/* Readable without data is MSG_OOB: the socket would stay so for ever. */
	return ret == -EAGAIN ? -EBADMSG : ret;
}

/**
 * vum_sock_rx_trylock - begin to read, as the helper
 * @vs: socket
 *
 * A thread of the server's may hold the lock and have no CPU to go on, and the helper
 * serves other devices as well: it polls, and goes on once vum_sock_rx_unlock() has
 * woken it up.
 *
 * Return: true, and the lock is held; false if another task is reading.
 */
bool vum_sock_rx_trylock(struct vum_sock *vs)
{
	bool locked = mutex_trylock(&vs->rx);

	if (!locked) {
		WRITE_ONCE(vs->rx_wanted, true);
		/* This sees the lock released, or vum_sock_rx_unlock() sees that it is wanted. */
		smp_mb();
		locked = mutex_trylock(&vs->rx);
	}
	if (locked)
		WRITE_ONCE(vs->rx_wanted, false);
	return locked;
}

/**
 * vum_sock_rx_unlock - end reading
 * @vs: socket, with its rx held
 */
void vum_sock_rx_unlock(struct vum_sock *vs)
{
	mutex_unlock(&vs->rx);
	/* Pairs with vum_sock_rx_trylock(). */
	smp_mb();
	if (!READ_ONCE(vs->rx_wanted))
		return;
	/* The helper will set it again if another task is faster, or need not any more. */
	WRITE_ONCE(vs->rx_wanted, false);
	wake_up_poll(&vs->conn->helper_wait, EPOLLIN);
}

/**
 * vum_sock_rx_awaited - find out whether the helper must wait for another reader
 * @vs: socket
 *
 * Return: true if it must, and will be woken up.
 */
bool vum_sock_rx_awaited(const struct vum_sock *vs)
{
	return READ_ONCE(vs->rx_wanted) && mutex_is_locked((struct mutex *)&vs->rx);
}

/**
 * vum_sock_read_locked - read and deliver what the server has sent, and end reading
 * @vs: socket, with its rx held, which is released
 * @carrier: the helper's memory, so that descriptors can be received; or NULL
 *
 * Context: never blocks in the socket.
 * Return: 0, also if the server has ended the attachment; -EFAULT if @carrier is no
 * good, or another error, which ends the attachment.
 */
int vum_sock_read_locked(struct vum_sock *vs, const struct vum_carrier *carrier)
{
	int ret = vum_sock_drain(vs, carrier);

	vum_sock_rx_unlock(vs);
	switch (ret) {
	case 0:
	case -EAGAIN:
	case -EPROTO:
		return 0;
	case -EBADMSG:
		vum_conn_break(vs->dev, vs->session, "out-of-band data");
		return 0;
	case -EPIPE:
	case -ECONNRESET:
		vum_conn_hangup(vs->dev, vs->session);
		return 0;
	default:
		vum_conn_break(vs->dev, vs->session,
			       "cannot receive from it: error %d", ret);
		return ret;
	}
}

/**
 * vum_sock_try_read - read and deliver what the server has sent, without descriptors
 * @vs: socket
 *
 * Context: never waits for another reader.
 * Return: false if another task is reading.
 */
bool vum_sock_try_read(struct vum_sock *vs)
{
	if (!vum_sock_current(vs))
		return true;
	/* A server that sends all the time must not always be faster than the helper. */
	if (READ_ONCE(vs->rx_wanted) || !mutex_trylock(&vs->rx))
		return false;
	vum_sock_read_locked(vs, NULL);
	return true;
}
