// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: messages from the server: replies, which are matched to their
 * requests by id, and commands of the server's.
 */

#include "device.h"
#include "dma_message.h"
#include "incoming.h"
#include "trace.h"
#include "work.h"

static int vum_incoming_break(struct vum_device *dev, u32 session, const char *flaw,
			      const struct vfio_user_header *hdr)
{
	vum_conn_break(dev, session, "%s (id %u, command %u, %u bytes)", flaw,
		       hdr->msg_id, hdr->cmd, hdr->msg_size);
	return -EPROTO;
}

/* Check a reply against its request. Returns NULL, or what is wrong with it. */
static const char *vum_reply_flaw(const struct vum_req *req,
				  const struct vum_msg *reply)
{
	u32 payload = reply->size - sizeof(reply->hdr);
	bool files = reply->nr_files || reply->lost_files;

	if (req->state != VUM_REQ_SENT)
		return "reply to a request that it has not seen yet";
	if (reply->hdr.cmd != req->msg.hdr.cmd)
		return "reply names another command than the request";
	if (reply->hdr.flags & VFIO_USER_F_ERROR)
		return files ? "error reply with descriptors" : NULL;
	if (reply->nr_files > req->reply_fds || reply->lost_files)
		return "reply with descriptors that nobody asked for";
	if (payload < req->reply_min)
		return "reply is too short";
	if (payload > req->reply_max)
		return "reply is too long";
	if (memcmp(reply->payload, req->msg.payload, req->echo))
		return "reply does not match its request";
	return NULL;
}

/* Is this the reply to a posted write, for which the server was not asked? */
static bool vum_reply_unasked(const struct vum_conn *conn,
			      const struct vfio_user_header *hdr)
{
	return conn->posted && hdr->msg_id == VUM_ID_POSTED &&
	       (hdr->cmd == VFIO_USER_REGION_WRITE ||
		hdr->cmd == VFIO_USER_REGION_WRITE_MULTI);
}

/*
 * End the request that @reply belongs to. Returns NULL, or what is wrong with @reply.
 * The request, with a reference for the caller, goes to *@match, and takes over a
 * @reply that is not @small. If its waiter has gone, *@match is left alone.
 */
static const char *vum_reply_match(struct vum_device *dev, struct vum_msg *reply,
				   bool small, struct vum_req **match)
{
	struct vum_conn *conn = &dev->conn;
	struct vum_req *req = vum_ids_find(&conn->ids, reply->hdr.msg_id);
	const char *flaw;

	vum_conn_assert_held(conn);
	if (!req)
		return "reply to no request";
	if (xa_is_value(req)) {
		if (xa_to_value(req) != reply->hdr.cmd)
			return "reply names another command than the request";
		vum_ids_free(&conn->ids, reply->hdr.msg_id);
		return NULL;
	}
	flaw = vum_reply_flaw(req, reply);
	if (flaw)
		return flaw;
	if (reply->hdr.flags & VFIO_USER_F_ERROR)
		vum_stats_refused(&conn->stats, &reply->hdr);
	if (small)
		vum_req_keep_small(req, reply);
	else
		req->reply = reply;
	vum_conn_finish(dev, req, 0);
	*match = req;
	return NULL;
}

/* A @msg that is not @small is taken over. Returns as vum_incoming(). */
static int vum_incoming_reply(struct vum_device *dev, u32 session,
			      struct vum_msg *msg, bool small)
{
	const struct vfio_user_header hdr = msg->hdr;
	struct vum_conn *conn = &dev->conn;
	struct vum_req *req = NULL;
	const char *flaw = NULL;
	bool unasked;

	vum_conn_lock(conn);
	if (!vum_conn_current(conn, session)) {
		vum_conn_unlock(conn);
		if (!small)
			vum_msg_free(msg);
		return -EPIPE;
	}
	unasked = vum_reply_unasked(conn, &hdr);
	if (unasked)
		conn->no_posting = true;
	else
		flaw = vum_reply_match(dev, msg, small, &req);
	vum_conn_unlock(conn);
	if (unasked)
		vum_conn_note(dev, session, "no posted writes: server replies to what wants no reply");

	if (req) {
		trace_vum_answer(dev, req);
		if (req->kind == VUM_REQ_ASYNC) {
			if (req->done)
				req->done(dev, req);
			wake_up_all(&conn->changed);
		}
		vum_req_put(req);
	} else if (!small) {
		vum_msg_free(msg);
	}
	return flaw ? vum_incoming_break(dev, session, flaw, &hdr) : 0;
}

static const char *vum_command_flaw(const struct vum_msg *msg)
{
	const struct vfio_user_dma_access *dma = (const void *)msg->payload;
	u32 payload = msg->size - sizeof(msg->hdr);

	if (msg->hdr.flags & VFIO_USER_F_ERROR)
		return "error reply that says it is a command";
	if (msg->hdr.cmd != VFIO_USER_DMA_READ &&
	    msg->hdr.cmd != VFIO_USER_DMA_WRITE)
		return "command that servers do not send";
	if (msg->nr_files || msg->lost_files)
		return "command with descriptors";
	if (payload < sizeof(*dma))
		return "command is too short";
	if (dma->count > VUM_MAX_DATA_XFER_SIZE)
		return "transfer of more than max_data_xfer_size";
	if (payload != sizeof(*dma) +
	    (msg->hdr.cmd == VFIO_USER_DMA_WRITE ? dma->count : 0))
		return "command's size does not match its count";
	return NULL;
}

/* The larger of a command and its answer, in bytes. */
static u32 vum_command_size(const struct vum_msg *msg)
{
	const struct vfio_user_dma_access *dma = (const void *)msg->payload;

	if (msg->hdr.cmd == VFIO_USER_DMA_READ)
		return msg->size + dma->count;
	return msg->size;
}

/*
 * Count a command in conn->held. Returns 0, and whether it can be executed before any
 * other; or an error as vum_incoming().
 */
static int vum_command_begin(struct vum_conn *conn, u32 session, struct vum_msg *msg,
			     bool *first)
{
	int ret = 0;

	vum_conn_lock(conn);
	if (!vum_conn_current(conn, session)) {
		ret = -EPIPE;
	} else if (!msg->held) {
		msg->held = vum_conn_cost(vum_command_size(msg));
		ret = vum_conn_hold(conn, msg->held);
		if (ret)
			msg->held = 0;
	}
	msg->session = session;
	*first = !ret && conn->transport->ops->answer && !conn->executing &&
		 list_empty(&conn->commands);
	vum_conn_unlock(conn);
	return ret;
}

/* Leave a command to conn->execute. A @msg that is not @small is taken over. */
static int vum_command_queue(struct vum_conn *conn, struct vum_msg *msg, bool small)
{
	struct vum_msg *copy = small ? vum_msg_alloc(msg->size) : msg;
	int ret = copy ? 0 : -ENOMEM;

	if (copy && small) {
		copy->session = msg->session;
		copy->lost_files = msg->lost_files;
		swap(copy->held, msg->held);
		memcpy(vum_msg_bytes(copy), vum_msg_bytes(msg), msg->size);
	}
	vum_conn_lock(conn);
	if (copy) {
		list_add_tail(&copy->node, &conn->commands);
		vum_work_queue_memory(&conn->execute);
	} else {
		vum_conn_let_go(conn, msg);
	}
	vum_conn_unlock(conn);
	return ret;
}

/*
 * Execute a command of the server's, now or by conn->execute. A @msg that is not @small
 * is taken over. Returns as vum_incoming_small().
 */
static int vum_incoming_command(struct vum_device *dev, u32 session,
				struct vum_msg *msg, bool small)
{
	const char *flaw = vum_command_flaw(msg);
	bool first;
	int ret;

	if (flaw)
		ret = vum_incoming_break(dev, session, flaw, &msg->hdr);
	else
		ret = vum_command_begin(&dev->conn, session, msg, &first);
	if (!ret && !(first && vum_dma_answer_now(dev, msg)))
		return vum_command_queue(&dev->conn, msg, small);
	if (!small)
		vum_msg_free(msg);
	return ret;
}

/* Must a reply be refused whose header has come? */
static const char *vum_reply_header_flaw(struct vum_conn *conn,
					 const struct vfio_user_header *hdr)
{
	const struct vum_req *req = vum_ids_find(&conn->ids, hdr->msg_id);
	u32 max;

	if (vum_reply_unasked(conn, hdr))
		return NULL;
	if (!req)
		return "reply to no request";
	if (xa_is_value(req))
		return NULL;
	max = req->reply_max;
	/* What follows an error is ignored, but some servers send it. */
	if (hdr->flags & VFIO_USER_F_ERROR)
		max = max_t(u32, max, VUM_MAX_INFO);
	return hdr->msg_size - sizeof(*hdr) > max ? "reply is too long" : NULL;
}

/**
 * vum_incoming_begin - decide whether to allocate memory for a message
 * @dev: device
 * @session: the attachment that the message comes by
 * @hdr: header of the message, with a size of which the caller approves
 * @held: set to what the caller is to store in msg->held
 *
 * Return: 0, or an error as vum_incoming().
 */
int vum_incoming_begin(struct vum_device *dev, u32 session,
		       const struct vfio_user_header *hdr, u32 *held)
{
	u32 type = hdr->flags & VFIO_USER_F_TYPE_MASK;
	struct vum_conn *conn = &dev->conn;
	const char *flaw = NULL;
	int ret = 0;

	*held = 0;
	vum_conn_lock(conn);
	if (!vum_conn_current(conn, session)) {
		ret = -EPIPE;
	} else if (type == VFIO_USER_F_TYPE_REPLY) {
		flaw = vum_reply_header_flaw(conn, hdr);
	} else if (type == VFIO_USER_F_TYPE_COMMAND) {
		*held = vum_conn_cost(hdr->msg_size);
		ret = vum_conn_hold(conn, *held);
	} else {
		flaw = "message of unknown type";
	}
	vum_conn_unlock(conn);
	return flaw ? vum_incoming_break(dev, session, flaw, hdr) : ret;
}

/**
 * vum_incoming - deal with a message from the server
 * @dev: device
 * @session: the attachment that the message came by
 * @msg: the message, whose size is that in its header; taken over in any case
 *
 * Return: 0; -EAGAIN if the server must first read the answers that it has been
 * sent; -EPROTO if the message breaks the protocol, by which the attachment ends;
 * -EPIPE if the attachment had ended before.
 */
int vum_incoming(struct vum_device *dev, u32 session, struct vum_msg *msg)
{
	u32 type = msg->hdr.flags & VFIO_USER_F_TYPE_MASK;
	int ret;

	if (type == VFIO_USER_F_TYPE_REPLY)
		return vum_incoming_reply(dev, session, msg, false);
	if (type == VFIO_USER_F_TYPE_COMMAND)
		return vum_incoming_command(dev, session, msg, false);
	ret = vum_incoming_break(dev, session, "message of unknown type", &msg->hdr);
	vum_msg_free(msg);
	return ret;
}

/**
 * vum_incoming_small - deal with a small message that stays in the caller's memory
 * @dev: device
 * @session: the attachment that the message came by
 * @msg: the message, of at most VUM_SMALL_PAYLOAD bytes after the header, and
 *	without files
 *
 * Return: as vum_incoming(); -ENOMEM.
 */
int vum_incoming_small(struct vum_device *dev, u32 session, struct vum_msg *msg)
{
	u32 type = msg->hdr.flags & VFIO_USER_F_TYPE_MASK;

	if (type == VFIO_USER_F_TYPE_REPLY)
		return vum_incoming_reply(dev, session, msg, true);
	if (type == VFIO_USER_F_TYPE_COMMAND)
		return vum_incoming_command(dev, session, msg, true);
	return vum_incoming_break(dev, session, "message of unknown type", &msg->hdr);
}
