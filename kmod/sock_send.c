// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: sending by the server's socket.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/uio.h>

#include "device.h"
#include "sock.h"
#include "trace.h"

/* Descriptors for the files of @req in this process, as a control message. */
static int vum_sock_lend(const struct vum_req *req, struct cmsghdr *cmsg)
{
	int *fds = (int *)CMSG_DATA(cmsg);
	u32 nr;

	for (nr = 0; nr < req->msg.nr_files; nr++) {
		fds[nr] = get_unused_fd_flags(O_CLOEXEC);
		if (fds[nr] < 0)
			break;
		fd_install(fds[nr], get_file(req->msg.files[nr]));
	}
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	return nr == req->msg.nr_files ? 0 : fds[nr];
}

static void vum_sock_take_back(struct cmsghdr *cmsg)
{
	int *fds = (int *)CMSG_DATA(cmsg);
	u32 nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	while (nr--)
		close_fd(fds[nr]);
}

/*
 * Without the checks of sock_sendmsg(): the socket is the helper's, who was asked
 * when it was handed over, and not the consumer's, who may be confined as tightly
 * as you like.
 */
static int vum_sock_sendmsg(struct vum_sock *vs, struct msghdr *msg, struct kvec *vec)
{
	struct socket *sock = vs->socket;

	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	iov_iter_kvec(&msg->msg_iter, WRITE, vec, 1, vec->iov_len);
	return READ_ONCE(sock->ops)->sendmsg(sock, msg, vec->iov_len);
}

/* On a stack of its own, which is large. */
static noinline int vum_sock_send_files(struct vum_sock *vs, struct vum_req *req,
					struct kvec *vec)
{
	union {
		struct cmsghdr cmsg;
		u8 space[CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(req->msg.nr_files * sizeof(int)),
	};
	int ret;

	ret = vum_sock_lend(req, &control.cmsg) ?:
	      vum_sock_sendmsg(vs, &msg, vec);
	vum_sock_take_back(&control.cmsg);
	return ret;
}

/* One attempt. The descriptors go with the first byte. */
static int vum_sock_send_some(struct vum_sock *vs, struct vum_req *req)
{
	struct kvec vec = {
		.iov_base = vum_msg_bytes(&req->msg) + vs->sent,
		.iov_len = req->msg.size - vs->sent,
	};
	struct msghdr msg = {};

	if (req->msg.nr_files && !vs->sent)
		return vum_sock_send_files(vs, req, &vec);
	return vum_sock_sendmsg(vs, &msg, &vec);
}

/* Returns 0; -EAGAIN if the work goes on with it; or why it cannot be sent. */
static int vum_sock_send(struct vum_sock *vs, struct vum_req *req)
{
	int ret;

	do {
		ret = vum_sock_send_some(vs, req);
		if (ret > 0)
			vs->sent += ret;
		/* If there is room from here on, the socket's event sees this. */
		if (ret == -EAGAIN && !vs->full) {
			WRITE_ONCE(vs->full, true);
			smp_mb();
			ret = 0;
		} else if (ret > 0) {
			WRITE_ONCE(vs->full, false);
		}
	} while (ret >= 0 && vs->sent < req->msg.size);
	return ret < 0 ? ret : 0;
}

/*
 * Is this one for the helper to send? A reply with descriptors is for it to
 * receive, which nobody else may begin from when the request can be answered.
 */
static bool vum_sock_for_carrier(const struct vum_req *req)
{
	return req->msg.nr_files || req->reply_fds;
}

/* Is the message that is next such a one? */
static bool vum_sock_needs_carrier(struct vum_sock *vs)
{
	struct vum_conn *conn = vs->conn;
	const struct vum_req *req = vs->rest;

	vum_conn_assert_held(conn);
	/* Once the descriptors are on their way, anybody can send what is left. */
	if (req)
		return vum_sock_for_carrier(req) && !vs->sent;
	req = list_first_entry_or_null(&conn->out, struct vum_req, node);
	return req && vum_sock_for_carrier(req);
}

/* The next message is vs->rest, if there is one that can be sent here and now. */
static bool vum_sock_next(struct vum_sock *vs, bool carrier)
{
	struct vum_conn *conn = vs->conn;
	bool full;

	vum_conn_assert_held(conn);
	if (!carrier && vum_sock_needs_carrier(vs))
		return false;
	if (vs->rest)
		return true;
	if (list_empty(&conn->out))
		return false;
	full = vum_conn_answers_full(conn);
	vs->rest = vum_conn_take(conn);
	vs->sent = 0;
	/* There is room for an answer again. */
	if (full && !vum_conn_answers_full(conn))
		vum_sock_kick(vs);
	return true;
}

/* Send @vs's rest. Returns 0; -EAGAIN, the work goes on with it; or an error. */
static int vum_sock_send_rest(struct vum_sock *vs)
{
	struct vum_req *req = vs->rest;
	int ret = vum_sock_send(vs, req);

	switch (ret) {
	case 0:
		trace_vum_send(vs->dev, req);
		vs->rest = NULL;
		vum_req_put(req);
		break;
	case -EAGAIN:
		break;
	case -EPIPE:
	case -ECONNRESET:
		vum_conn_end(vs->dev, vs->session);
		break;
	default:
		vum_conn_break(vs->dev, vs->session,
			       "cannot send it command %u: error %d",
			       req->msg.hdr.cmd, ret);
	}
	return ret;
}

/* Is the helper to be woken up? */
bool vum_sock_calls_carrier(struct vum_sock *vs)
{
	vum_conn_assert_held(vs->conn);
	return !READ_ONCE(vs->sending) && !vs->full &&
	       vum_sock_needs_carrier(vs);
}

/*
 * Send what can be sent, within reason: it may be somebody else's. Under the
 * channel's lock, which is dropped meanwhile.
 */
void vum_sock_push(struct vum_sock *vs, bool carrier)
	__must_hold(&vum_conn_lock_of(vs->conn))
{
	struct vum_conn *conn = vs->conn;
	unsigned int budget = VUM_SOCK_BUDGET;
	int ret = 0;

	vum_conn_assert_held(conn);
	/* Between what has been queued and this look, see vum_sock_send_first(). */
	smp_mb();
	if (smp_load_acquire(&vs->sending))
		return;
	vs->sending = true;
	while ((!ret || ret == -EAGAIN) && !vs->full && vum_sock_current(vs) &&
	       vum_sock_next(vs, carrier)) {
		if (!budget--) {
			vum_sock_kick(vs);
			break;
		}
		vum_conn_unlock(conn);
		ret = vum_sock_send_rest(vs);
		vum_conn_lock(conn);
	}
	WRITE_ONCE(vs->sending, false);
	if (vum_sock_calls_carrier(vs))
		wake_up_poll(&conn->helper_wait, EPOLLIN);
}

/* Is there nothing that @req would have to wait for? */
static bool vum_sock_is_free(const struct vum_sock *vs, const struct vum_req *req)
{
	vum_conn_assert_held(vs->conn);
	return !smp_load_acquire(&vs->sending) && !vs->full && !vs->rest &&
	       list_empty(&vs->conn->out) && !vum_sock_for_carrier(req);
}

/*
 * The common case of vum_sock_push(), which takes the lock once. Whoever queues
 * a message meanwhile leaves it to us.
 */
static void vum_sock_send_first(struct vum_sock *vs, struct vum_req *req)
	__releases(&vum_conn_lock_of(vs->conn))
{
	struct vum_conn *conn = vs->conn;
	bool all;

	WRITE_ONCE(vs->sending, true);
	vum_conn_sent(conn, req);
	vs->rest = req;
	vs->sent = 0;
	vum_conn_unlock(conn);
	vum_sock_send_rest(vs);
	all = !vs->rest;
	smp_store_release(&vs->sending, false);
	/* Either we see it, or he sees that we have finished. */
	smp_mb();
	if (all && list_empty(&conn->out))
		return;
	vum_conn_lock(conn);
	vum_sock_push(vs, false);
	vum_conn_unlock(conn);
}

/**
 * vum_sock_submit - send a message, or queue it for when that is possible
 * @vs: socket, with a reference of the caller's; conn's lock is held, and released
 * @req: message
 */
void vum_sock_submit(struct vum_sock *vs, struct vum_req *req)
	__releases(&vum_conn_lock_of(vs->conn))
{
	if (vum_sock_is_free(vs, req)) {
		vum_sock_send_first(vs, req);
		return;
	}
	list_add_tail(&req->node, &vs->conn->out);
	vum_sock_push(vs, false);
	vum_conn_unlock(vs->conn);
}
