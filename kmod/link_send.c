// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: sending by the server's socket.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/uio.h>

#include "link.h"
#include "trace.h"

/* Descriptors for the files of @req in this process, as a control message. */
static int vum_link_lend(const struct vum_req *req, struct cmsghdr *cmsg)
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

static void vum_link_take_back(struct cmsghdr *cmsg)
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
static int vum_link_sendmsg(struct vum_link *link, struct msghdr *msg, struct kvec *vec)
{
	struct socket *sock = link->sock;

	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	iov_iter_kvec(&msg->msg_iter, WRITE, vec, 1, vec->iov_len);
	return READ_ONCE(sock->ops)->sendmsg(sock, msg, vec->iov_len);
}

/* On a stack of its own, which is large. */
static noinline int vum_link_send_files(struct vum_link *link, struct vum_req *req,
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

	ret = vum_link_lend(req, &control.cmsg) ?:
	      vum_link_sendmsg(link, &msg, vec);
	vum_link_take_back(&control.cmsg);
	return ret;
}

/* One attempt. The descriptors go with the first byte. */
static int vum_link_send_some(struct vum_link *link, struct vum_req *req)
{
	struct kvec vec = {
		.iov_base = vum_msg_bytes(&req->msg) + link->sent,
		.iov_len = req->msg.size - link->sent,
	};
	struct msghdr msg = {};

	if (req->msg.nr_files && !link->sent)
		return vum_link_send_files(link, req, &vec);
	return vum_link_sendmsg(link, &msg, &vec);
}

/* Returns 0; -EAGAIN if the work goes on with it; or why it cannot be sent. */
static int vum_link_send(struct vum_link *link, struct vum_req *req)
{
	int ret;

	do {
		ret = vum_link_send_some(link, req);
		if (ret > 0)
			link->sent += ret;
		/* If there is room from here on, the socket's event sees this. */
		if (ret == -EAGAIN && !link->full) {
			WRITE_ONCE(link->full, true);
			smp_mb();
			ret = 0;
		} else if (ret > 0) {
			WRITE_ONCE(link->full, false);
		}
	} while (ret >= 0 && link->sent < req->msg.size);
	return ret < 0 ? ret : 0;
}

/*
 * Is this one for the helper to send? A reply with descriptors is for it to
 * receive, which nobody else may begin from when the request can be answered.
 */
static bool vum_link_for_carrier(const struct vum_req *req)
{
	return req->msg.nr_files || req->reply_fds;
}

/* Is the message that is next such a one? Under the channel's lock. */
static bool vum_link_needs_carrier(struct vum_link *link)
{
	struct vum_channel *ch = vum_link_channel(link);
	const struct vum_req *req = link->rest;

	/* Once the descriptors are on their way, anybody can send what is left. */
	if (req)
		return vum_link_for_carrier(req) && !link->sent;
	req = list_first_entry_or_null(&ch->out, struct vum_req, node);
	return req && vum_link_for_carrier(req);
}

/* The next message is link->rest, if there is one that can be sent here and now. */
static bool vum_link_next(struct vum_link *link, bool carrier)
{
	struct vum_channel *ch = vum_link_channel(link);
	bool full;

	if (!carrier && vum_link_needs_carrier(link))
		return false;
	if (link->rest)
		return true;
	if (list_empty(&ch->out))
		return false;
	full = vum_answers_full(ch);
	link->rest = vum_req_take(ch);
	link->sent = 0;
	/* There is room for an answer again. */
	if (full && !vum_answers_full(ch))
		vum_link_kick(link);
	return true;
}

/* Send @link's rest. Returns 0; -EAGAIN, the work goes on with it; or an error. */
static int vum_link_send_rest(struct vum_link *link)
{
	struct vum_req *req = link->rest;
	int ret = vum_link_send(link, req);

	switch (ret) {
	case 0:
		trace_vum_send(link->dev, req);
		link->rest = NULL;
		vum_req_put(req);
		break;
	case -EAGAIN:
		break;
	case -EPIPE:
	case -ECONNRESET:
		vum_session_end(link->dev, link->session);
		break;
	default:
		vum_session_break(link->dev, link->session,
				  "cannot send it command %u: error %d",
				  req->msg.hdr.cmd, ret);
	}
	return ret;
}

/* Is the helper to be woken up? Under the channel's lock. */
bool vum_link_calls_carrier(struct vum_link *link)
{
	return !READ_ONCE(link->sending) && !link->full &&
	       vum_link_needs_carrier(link);
}

/*
 * Send what can be sent, within reason: it may be somebody else's. Under the
 * channel's lock, which is dropped meanwhile.
 */
void vum_link_push(struct vum_link *link, bool carrier)
	__must_hold(&link->dev->ch.inflight.others.xa_lock)
{
	struct vum_channel *ch = vum_link_channel(link);
	unsigned int budget = VUM_LINK_BUDGET;
	int ret = 0;

	/* Between what has been queued and this look, see vum_link_send_first(). */
	smp_mb();
	if (smp_load_acquire(&link->sending))
		return;
	link->sending = true;
	while ((!ret || ret == -EAGAIN) && !link->full && vum_link_current(link) &&
	       vum_link_next(link, carrier)) {
		if (!budget--) {
			vum_link_kick(link);
			break;
		}
		vum_unlock(ch);
		ret = vum_link_send_rest(link);
		vum_lock(ch);
	}
	WRITE_ONCE(link->sending, false);
	if (vum_link_calls_carrier(link))
		wake_up_poll(&ch->readers, EPOLLIN);
}

/* Is there nothing that @req would have to wait for? Under the lock. */
static bool vum_link_is_free(const struct vum_link *link, const struct vum_req *req)
{
	return !smp_load_acquire(&link->sending) && !link->full && !link->rest &&
	       list_empty(&link->dev->ch.out) && !vum_link_for_carrier(req);
}

/*
 * The common case of vum_link_push(), which takes the lock once. Whoever queues
 * a message meanwhile leaves it to us.
 */
static void vum_link_send_first(struct vum_link *link, struct vum_req *req)
	__releases(&link->dev->ch.inflight.others.xa_lock)
{
	struct vum_channel *ch = vum_link_channel(link);
	bool all;

	WRITE_ONCE(link->sending, true);
	vum_req_sent(ch, req);
	link->rest = req;
	link->sent = 0;
	vum_unlock(ch);
	vum_link_send_rest(link);
	all = !link->rest;
	smp_store_release(&link->sending, false);
	/* Either we see it, or he sees that we have finished. */
	smp_mb();
	if (all && list_empty(&ch->out))
		return;
	vum_lock(ch);
	vum_link_push(link, false);
	vum_unlock(ch);
}

/**
 * vum_link_queue - send a message, or queue it; releases the channel's lock
 * @link: where it is to go
 * @req: the message
 */
void vum_link_queue(struct vum_link *link, struct vum_req *req)
	__releases(&link->dev->ch.inflight.others.xa_lock)
{
	struct vum_channel *ch = vum_link_channel(link);

	refcount_inc(&link->ref);
	if (vum_link_is_free(link, req)) {
		vum_link_send_first(link, req);
	} else {
		list_add_tail(&req->node, &ch->out);
		vum_link_push(link, false);
		vum_unlock(ch);
	}
	vum_link_put(link);
}
