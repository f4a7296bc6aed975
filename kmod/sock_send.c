// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: sending on the server's socket.
 */

#include <linux/bvec.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/sizes.h>
#include <linux/uio.h>
#include <net/af_unix.h>

#include "device.h"
#include "sock.h"
#include "trace.h"

/* The longest message that AF_UNIX certainly has in one piece: data, and a header. */
#define VUM_SOCK_PIECE	(SZ_32K + SZ_1K)

/* Open descriptors of @req's files in this process, for a control message. */
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
 * Do without the security checks of sock_sendmsg(): they would apply to the consumer,
 * which may be tightly confined. The socket is the helper's, which was checked when
 * the socket was handed over.
 */
static int vum_sock_sendmsg(struct vum_sock *vs, struct msghdr *msg, struct kvec *vec)
{
	struct socket *sock = vs->socket;

	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	iov_iter_kvec(&msg->msg_iter, WRITE, vec, 1, vec->iov_len);
	return READ_ONCE(sock->ops)->sendmsg(sock, msg, vec->iov_len);
}

/* noinline: keeps the control-message buffer off the fast path's stack. */
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

/* Is there anything that the server was sent and has not read? */
static bool vum_sock_unread(const struct vum_sock *vs)
{
	/* The last byte of a message that is being freed does not matter. */
	return sk_wmem_alloc_get(vs->socket->sk) >= SKB_TRUESIZE(1);
}

/*
 * May so many more descriptors be sent? The kernel counts descriptors that no process has
 * received yet against the helper's user, who has a limit for all devices together. So
 * with too many of one device's, wait until its server has read all that it was sent.
 */
static bool vum_sock_may_lend(struct vum_sock *vs, u32 nr_files)
{
	if (!vum_sock_unread(vs))
		vs->lent = 0;
	if (vs->lent + nr_files > VUM_MAX_MSG_FDS)
		return false;
	vs->lent += nr_files;
	return true;
}

/* Try once to send what is left of @req. Descriptors go with the first byte. */
static int vum_sock_send_some(struct vum_sock *vs, struct vum_req *req)
{
	struct kvec vec = {
		.iov_base = vum_msg_bytes(&req->msg) + vs->sent,
		.iov_len = req->msg.size - vs->sent,
	};
	struct msghdr msg = {};

	if (!req->msg.nr_files || vs->sent)
		return vum_sock_sendmsg(vs, &msg, &vec);
	if (!vum_sock_may_lend(vs, req->msg.nr_files))
		return -EAGAIN;
	return vum_sock_send_files(vs, req, &vec);
}

/* Returns 0; -EAGAIN if the socket is full, and vs->work goes on; or an error. */
static int vum_sock_send(struct vum_sock *vs, struct vum_req *req)
{
	int ret;

	do {
		ret = vum_sock_send_some(vs, req);
		if (ret > 0)
			vs->sent += ret;
		/* Try again, since vum_sock_event() sees @full only from here on. */
		if (ret == -EAGAIN && !vs->full) {
			WRITE_ONCE(vs->full, true);
			/* Pairs with the lock of the socket's wait queue. */
			smp_mb();
			ret = 0;
		} else if (ret > 0) {
			WRITE_ONCE(vs->full, false);
		}
	} while (ret >= 0 && vs->sent < req->msg.size);
	return ret < 0 ? ret : 0;
}

/*
 * Must the helper send this message? If its reply may bring descriptors, only the
 * helper may begin to read from the moment that the server can reply.
 */
static bool vum_sock_for_carrier(const struct vum_req *req)
{
	return req->msg.nr_files || req->reply_fds;
}

/* Must the helper send the message that is next? */
static bool vum_sock_needs_carrier(struct vum_sock *vs)
{
	struct vum_conn *conn = vs->conn;
	const struct vum_req *req = vs->rest;

	vum_conn_assert_held(conn);
	/* Once the descriptors are on their way, any task can send what is left. */
	if (req)
		return vum_sock_for_carrier(req) && !vs->sent;
	req = list_first_entry_or_null(&conn->out, struct vum_req, node);
	return req && vum_sock_for_carrier(req);
}

/* Would @req be read no sooner if it were sent now, so that others can go along with it? */
static bool vum_sock_can_wait(const struct vum_sock *vs, const struct vum_req *req)
{
	const struct vum_conn *conn = vs->conn;

	return req->gathers && !conn->bypassed && vum_posted_most(&conn->peer) &&
	       vum_sock_unread(vs);
}

/* Does the only message that is left wait for others to go along with it? */
static bool vum_sock_hold(struct vum_sock *vs)
{
	struct list_head *out = &vs->conn->out;
	const struct vum_req *req = list_first_entry(out, struct vum_req, node);

	if (!list_is_singular(out) || !vum_sock_can_wait(vs, req))
		return false;
	WRITE_ONCE(vs->holds, true);
	/* Pairs with the lock of the socket's wait queue: vum_sock_event() sees @holds. */
	smp_mb();
	if (vum_sock_unread(vs))
		return true;
	WRITE_ONCE(vs->holds, false);
	return false;
}

/* Make the next message vs->rest. Returns false if this task has none to send. */
static bool vum_sock_next(struct vum_sock *vs, bool carrier)
{
	struct vum_conn *conn = vs->conn;

	vum_conn_assert_held(conn);
	if (!carrier && vum_sock_needs_carrier(vs))
		return false;
	if (vs->rest)
		return true;
	if (list_empty(&conn->out) || vum_sock_hold(vs))
		return false;
	vs->rest = vum_conn_take(conn);
	vs->sent = 0;
	return true;
}

/* Send vs->rest. Returns as vum_sock_send(); but for -EAGAIN, an error detaches. */
static int vum_sock_send_rest(struct vum_sock *vs)
{
	struct vum_req *req = vs->rest;
	int ret = vum_sock_send(vs, req);

	switch (ret) {
	case 0:
		trace_vum_send(vs->dev, req);
		vs->rest = NULL;
		vum_conn_delivered(vs->conn, req);
		vum_req_put(req);
		break;
	case -EAGAIN:
		break;
	case -EPIPE:
	case -ECONNRESET:
		vum_conn_hangup(vs->dev, vs->session);
		break;
	default:
		vum_conn_break(vs->dev, vs->session,
			       "cannot send it command %u: error %d",
			       req->msg.hdr.cmd, ret);
	}
	return ret;
}

/* Is there a message that only the helper can send, and room for it? */
bool vum_sock_calls_carrier(struct vum_sock *vs)
{
	vum_conn_assert_held(vs->conn);
	return !READ_ONCE(vs->sending) && !vs->full &&
	       vum_sock_needs_carrier(vs);
}

/*
 * Send what can be sent, up to VUM_SOCK_BUDGET messages, which may be other tasks'.
 * The lock is dropped meanwhile.
 */
void vum_sock_push(struct vum_sock *vs, bool carrier)
	__must_hold(&vum_conn_lock_of(vs->conn))
{
	struct vum_conn *conn = vs->conn;
	unsigned int budget = VUM_SOCK_BUDGET;
	int ret = 0;

	vum_conn_assert_held(conn);
	/* Order the queueing before this look: pairs with vum_sock_send_first(). */
	smp_mb();
	/* Pairs with vum_sock_send_first(), whose vs->rest is seen then. */
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

/* Can @req be sent at once, by this task? */
static bool vum_sock_is_free(const struct vum_sock *vs, const struct vum_req *req)
{
	vum_conn_assert_held(vs->conn);
	/* Pairs with vum_sock_send_first(), whose vs->rest is seen then. */
	return !smp_load_acquire(&vs->sending) && !vs->full && !vs->rest &&
	       list_empty(&vs->conn->out) && !vum_sock_for_carrier(req) &&
	       !vum_sock_can_wait(vs, req);
}

/*
 * Send @req at once. This is the common case of vum_sock_push(), and takes the lock
 * once. A task that queues a message meanwhile leaves it to this task.
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
	/* Pairs with vum_sock_push() and vum_sock_is_free(). */
	smp_store_release(&vs->sending, false);
	/* This task sees the message, or vum_sock_push() sees @sending cleared. */
	smp_mb();
	if (all && list_empty(&conn->out))
		return;
	vum_conn_lock(conn);
	vum_sock_push(vs, false);
	vum_conn_unlock(conn);
}

/**
 * vum_sock_submit - send a message, or queue it until it can be sent
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

/*
 * Can the socket take @req and its data in one piece? A part of a message that is sent from
 * pages could not be completed later. And what the message calls at the other end must not
 * be another module's, or this one's: the caller holds a lock.
 */
static bool vum_sock_takes(const struct vum_sock *vs, const struct vum_req *req)
{
	const struct sock *sk = vs->socket->sk;
	const struct sock *peer = unix_peer(sk);

	return req->msg.hdr.msg_size <= VUM_SOCK_PIECE &&
	       req->msg.hdr.msg_size <= (READ_ONCE(sk->sk_sndbuf) >> 1) - 64 &&
	       peer && !READ_ONCE(peer->sk_user_data);
}

/*
 * Send @req with data from pages, as one piece. Memory is taken only if it is at hand, since
 * the caller holds a lock; the current task, which is the server's, pays for it.
 */
static int vum_sock_send_pages(struct vum_sock *vs, struct vum_req *req,
			       struct bio_vec *vec, unsigned int nr)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	u32 size = req->msg.hdr.msg_size;
	struct socket *sock = vs->socket;
	gfp_t gfp = sock->sk->sk_allocation;
	int ret;

	vec[0] = (struct bio_vec) {
		.bv_page = virt_to_page(&req->msg.hdr),
		.bv_offset = offset_in_page(&req->msg.hdr),
		.bv_len = req->msg.size,
	};
	iov_iter_bvec(&msg.msg_iter, WRITE, vec, nr, size);
	sock->sk->sk_allocation = GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN;
	ret = READ_ONCE(sock->ops)->sendmsg(sock, &msg, size);
	sock->sk->sk_allocation = gfp;
	if (ret == size)
		return 0;
	return ret == -ENOMEM || ret == -ENOBUFS ? -EAGAIN : min(ret, -EIO);
}

/**
 * vum_sock_answer - send an answer with data from pages, at once or not at all
 * @vs: socket, with a reference of the caller's; conn's lock is held, and released
 * @req: the answer up to the data: a small message; stays the caller's
 * @vec: the data, from the second entry on; the first is changed
 * @nr: number of entries in @vec
 *
 * Return: as vum_transport_ops' @answer.
 */
int vum_sock_answer(struct vum_sock *vs, struct vum_req *req, struct bio_vec *vec,
		    unsigned int nr)
	__releases(&vum_conn_lock_of(vs->conn))
{
	struct vum_conn *conn = vs->conn;
	int ret;

	if (!vum_sock_is_free(vs, req) || !vum_sock_takes(vs, req)) {
		vum_conn_unlock(conn);
		return -EAGAIN;
	}
	WRITE_ONCE(vs->sending, true);
	vum_conn_unlock(conn);
	ret = vum_sock_send_pages(vs, req, vec, nr);
	if (!ret)
		trace_vum_send(vs->dev, req);
	/* As in vum_sock_send_first(), but the caller holds a lock: others' are for the worker. */
	smp_store_release(&vs->sending, false);
	smp_mb();
	if (!list_empty(&conn->out)) {
		vum_conn_lock(conn);
		vum_sock_kick(vs);
		vum_conn_unlock(conn);
	}
	return ret;
}
