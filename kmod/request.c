// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the life of a request.
 *
 * Queued, handed to the helper, answered or aborted. A request is found by
 * its id under the channel's lock, since the answer, the waiter's death and
 * the end of the attachment race each other; whoever moves it to DONE has
 * won, and the others find nothing to do.
 */

#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vum.h"

/* Posted writes that may wait for the helper at a time. */
#define VUM_MAX_POSTED	64

atomic_t vum_live_messages = ATOMIC_INIT(0);

/**
 * vum_files_put - let go of an array of files
 * @files: from kvcalloc(); some may be NULL
 * @nr: how many
 */
void vum_files_put(struct file **files, u32 nr)
{
	while (nr--)
		if (files[nr])
			fput(files[nr]);
	kvfree(files);
}

/**
 * vum_msg_alloc - room for a message from the server
 * @size: bytes, header included
 */
struct vum_msg *vum_msg_alloc(size_t size)
{
	struct vum_msg *msg;

	msg = kvmalloc(sizeof(*msg) + size - sizeof(msg->hdr),
		       GFP_KERNEL_ACCOUNT);
	if (!msg)
		return NULL;
	atomic_inc(&vum_live_messages);
	msg->files = NULL;
	msg->nr_files = 0;
	msg->size = size;
	return msg;
}

void vum_msg_free(struct vum_msg *msg)
{
	if (!msg)
		return;
	vum_files_put(msg->files, msg->nr_files);
	kvfree(msg);
	atomic_dec(&vum_live_messages);
}

/**
 * vum_req_alloc - a message to the server
 * @kind: who waits for the reply
 * @cmd: enum vfio_user_command
 * @payload: bytes after the header; zeroed
 *
 * Unless the caller says otherwise, the reply must have no payload.
 */
struct vum_req *vum_req_alloc(enum vum_req_kind kind, u16 cmd, size_t payload)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT;
	struct vum_req *req;

	/* Small, of a bounded number, and without a way to tell of a failure. */
	if (kind == VUM_REQ_ASYNC || kind == VUM_REQ_ATTACH)
		gfp = GFP_KERNEL | __GFP_NOFAIL;
	req = kvzalloc(sizeof(*req) + payload, gfp);
	if (!req)
		return NULL;
	atomic_inc(&vum_live_messages);
	refcount_set(&req->ref, 1);
	req->kind = kind;
	init_completion(&req->done);
	req->msg.size = sizeof(req->msg.hdr) + payload;
	req->msg.hdr.cmd = cmd;
	req->msg.hdr.msg_size = req->msg.size;
	return req;
}

void vum_req_put(struct vum_req *req)
{
	if (!req || !refcount_dec_and_test(&req->ref))
		return;
	vum_files_put(req->msg.files, req->msg.nr_files);
	vum_msg_free(req->reply);
	kvfree(req);
	atomic_dec(&vum_live_messages);
}

/*
 * May this go to the server now? The error for "not yet" is one that no reply
 * can have, see vum_reply_errno().
 */
static int vum_gate(const struct vum_channel *ch, const struct vum_req *req)
{
	if (req->session && req->session != ch->session)
		return -EIO;
	switch (ch->state) {
	case VUM_STATE_ATTACHED:
		return 0;
	case VUM_STATE_ATTACHING:
		return req->kind == VUM_REQ_CONSUMER ||
		       req->kind == VUM_REQ_POSTED ? -EPROBE_DEFER : 0;
	default:
		return -EIO;
	}
}

/**
 * vum_req_queue - queue a request for the helper
 * @dev: device
 * @req: the request; on success the channel has a reference of its own
 *
 * Requests reach the server in the order in which they were queued.
 *
 * Returns 0; -EIO if no server is attached, or another than the one that
 * @req->session was made for; -EPROBE_DEFER if one is being attached and @req
 * is a consumer's: vum_wait_settled() and try again; -EBUSY if 65536 requests
 * wait for their replies; -ENOMEM.
 */
int vum_req_queue(struct vum_device *dev, struct vum_req *req)
{
	struct vum_channel *ch = &dev->ch;
	u32 id;
	int ret;

	vum_lock(ch);
	ret = vum_gate(ch, req);
	if (ret)
		goto out;
	if (req->kind == VUM_REQ_POSTED && ch->nr_posted < VUM_MAX_POSTED) {
		req->state = VUM_REQ_QUEUED;
		req->msg.hdr.flags = VFIO_USER_F_NO_REPLY;
		ch->nr_posted++;
		goto queue;
	}
	/* With too many unread, this one is waited for, and all before it. */
	if (req->kind == VUM_REQ_POSTED)
		req->kind = VUM_REQ_CONSUMER;
	/* This can drop the lock for a while, hence the second look. */
	ret = __xa_alloc_cyclic(&ch->inflight, &id, req, XA_LIMIT(0, U16_MAX),
				&ch->next_id, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto out;
	ret = vum_gate(ch, req);
	if (ret) {
		__xa_erase(&ch->inflight, id);
		goto out;
	}
	req->msg.hdr.msg_id = id;
	req->state = VUM_REQ_QUEUED;
	if (req->kind == VUM_REQ_ASYNC)
		ch->nr_async++;
queue:
	refcount_inc(&req->ref);
	ch->stats.requests++;
	list_add_tail(&req->node, &ch->out);
out:
	vum_unlock(ch);
	if (!ret)
		wake_up_poll(&ch->readers, EPOLLIN);
	return ret;
}

/* Make it DONE. The caller puts the reference that was the channel's. */
static void vum_req_finish(struct vum_channel *ch, struct vum_req *req, int error)
{
	if (req->state == VUM_REQ_QUEUED)
		list_del(&req->node);
	req->state = VUM_REQ_DONE;
	req->error = error;
	if (req->kind == VUM_REQ_ASYNC)
		ch->nr_async--;
	if (error)
		ch->stats.aborted++;
	complete(&req->done);
}

/* The waiter gives up. If the server has the request, its id stays taken. */
static void vum_req_abort(struct vum_device *dev, struct vum_req *req, int error)
{
	struct vum_channel *ch = &dev->ch;
	bool won = false;
	u32 session;

	vum_lock(ch);
	session = ch->session;
	if (req->state != VUM_REQ_DONE) {
		won = true;
		if (req->state == VUM_REQ_QUEUED)
			__xa_erase(&ch->inflight, req->msg.hdr.msg_id);
		else
			__xa_store(&ch->inflight, req->msg.hdr.msg_id,
				   xa_mk_value(req->msg.hdr.cmd), 0);
		vum_req_finish(ch, req, error);
	}
	vum_unlock(ch);
	if (!won)
		return;
	vum_req_put(req);
	if (error == -ETIMEDOUT) {
		req->error = -EIO;
		vum_session_break(dev, session,
				  "no reply to command %u within timeout_ms",
				  req->msg.hdr.cmd);
	}
}

/* The server's errno, if it is one that a consumer may see. */
static int vum_reply_errno(const struct vfio_user_header *hdr)
{
	if (!(hdr->flags & VFIO_USER_F_ERROR))
		return 0;
	/* 512 and up are the kernel's own: ERESTARTSYS and its kin */
	if (hdr->error_no == 0 || hdr->error_no >= 512)
		return -EIO;
	return -(int)hdr->error_no;
}

/**
 * vum_req_wait - wait for the reply
 * @dev: device
 * @req: a queued request
 *
 * Returns 0 with @req->reply; the server's error; -EIO if the server went away
 * or ran into timeout_ms; -EINTR if the caller is being killed.
 */
int vum_req_wait(struct vum_device *dev, struct vum_req *req)
{
	u32 ms = READ_ONCE(dev->timeout_ms);
	long ret;

	if (ms)
		ret = wait_for_completion_killable_timeout(&req->done,
							   msecs_to_jiffies(ms));
	else
		ret = wait_for_completion_killable(&req->done) ?: 1;
	if (ret <= 0)
		vum_req_abort(dev, req, ret ? -EINTR : -ETIMEDOUT);
	if (req->error)
		return req->error;
	return vum_reply_errno(&req->reply->hdr);
}

/**
 * vum_wait_settled - wait until an attachment in progress has come to an end
 * @dev: device
 *
 * Returns 0, or -EINTR if the caller is being killed.
 */
int vum_wait_settled(struct vum_device *dev)
{
	struct vum_channel *ch = &dev->ch;

	if (wait_event_killable(ch->settled,
				READ_ONCE(ch->state) != VUM_STATE_ATTACHING))
		return -EINTR;
	return 0;
}

/**
 * vum_req_async - tell the server something and wait for nothing
 * @dev: device
 * @cmd: enum vfio_user_command
 * @payload: what follows the header
 * @size: bytes of @payload
 *
 * A server that cannot be told would go on as if nothing had happened, so it
 * is detached.
 */
void vum_req_async(struct vum_device *dev, u16 cmd, const void *payload,
		   size_t size)
{
	struct vum_req *req = vum_req_alloc(VUM_REQ_ASYNC, cmd, size);
	int ret;

	memcpy(req->msg.payload, payload, size);
	ret = vum_req_queue(dev, req);
	vum_req_put(req);
	if (ret && ret != -EIO)
		vum_session_break(dev, READ_ONCE(dev->ch.session),
				  "cannot send it command %u: error %d", cmd, ret);
}

/**
 * vum_req_call - queue a consumer's request and wait for its reply, if any
 * @dev: device
 * @req: the request, of kind VUM_REQ_CONSUMER or VUM_REQ_POSTED
 *
 * Returns what vum_req_queue() or vum_req_wait() do, never -EPROBE_DEFER.
 */
int vum_req_call(struct vum_device *dev, struct vum_req *req)
{
	int ret;

	while ((ret = vum_req_queue(dev, req)) == -EPROBE_DEFER) {
		ret = vum_wait_settled(dev);
		if (ret)
			return ret;
	}
	if (ret || req->kind == VUM_REQ_POSTED)
		return ret;
	return vum_req_wait(dev, req);
}

/* What is wrong with this reply? Under the channel's lock. */
static const char *vum_reply_flaw(const struct vum_req *req,
				  const struct vum_msg *reply)
{
	u32 payload = reply->size - sizeof(reply->hdr);

	if (req->state != VUM_REQ_SENT)
		return "reply to a request that it has not seen yet";
	if (reply->hdr.cmd != req->msg.hdr.cmd)
		return "reply names another command than the request";
	if (reply->hdr.flags & VFIO_USER_F_ERROR)
		return reply->nr_files ? "error reply with descriptors" : NULL;
	if (reply->nr_files > req->reply_fds)
		return "reply with descriptors that nobody asked for";
	if (payload < req->reply_min)
		return "reply is too short";
	if (payload > req->reply_max)
		return "reply is too long";
	if (memcmp(reply->payload, req->msg.payload, req->echo))
		return "reply does not match its request";
	return NULL;
}

/* Takes @msg over. */
static int vum_submit_reply(struct vum_device *dev, struct vum_msg *msg)
{
	struct vum_channel *ch = &dev->ch;
	u16 id = msg->hdr.msg_id, cmd = msg->hdr.cmd;
	u32 session, size = msg->size;
	struct vum_req *req = NULL;
	const char *flaw = NULL;
	void *entry;

	vum_lock(ch);
	if (!vum_session_alive(ch)) {
		vum_unlock(ch);
		vum_msg_free(msg);
		return -EPIPE;
	}
	session = ch->session;
	entry = xa_load(&ch->inflight, id);
	if (!entry) {
		flaw = "reply to no request";
	} else if (xa_is_value(entry)) {
		if (xa_to_value(entry) == cmd)
			__xa_erase(&ch->inflight, id);
		else
			flaw = "reply names another command than the request";
	} else {
		flaw = vum_reply_flaw(entry, msg);
		if (!flaw) {
			req = entry;
			__xa_erase(&ch->inflight, id);
			swap(req->reply, msg);
			if (req->reply->hdr.flags & VFIO_USER_F_ERROR)
				ch->stats.errors++;
			vum_req_finish(ch, req, 0);
		}
	}
	vum_unlock(ch);

	vum_msg_free(msg);
	if (req && req->kind == VUM_REQ_ASYNC) {
		wake_up_all(&ch->settled);
		if (vum_announce_stale(dev))
			vum_announce_later(dev);
		if (cmd == VFIO_USER_DMA_MAP &&
		    (req->reply->hdr.flags & VFIO_USER_F_ERROR))
			vum_announce_refused(dev, req);
	}
	vum_req_put(req);
	if (!flaw)
		return 0;
	vum_session_break(dev, session, "%s (id %u, command %u, %u bytes)",
			  flaw, id, cmd, size);
	return -EPROTO;
}

/**
 * vum_req_answer - answer a command of the server
 * @dev: device
 * @session: the attachment that the command came by; any other is not told
 * @cmd: the command
 * @error: 0 or a negative errno
 * @req: of kind VUM_REQ_ANSWER, with the payload if there is no @error; taken
 *	over
 */
void vum_req_answer(struct vum_device *dev, u32 session,
		    const struct vfio_user_header *cmd, int error,
		    struct vum_req *req)
{
	struct vum_channel *ch = &dev->ch;
	bool reply = !(cmd->flags & VFIO_USER_F_NO_REPLY);

	req->msg.hdr.msg_id = cmd->msg_id;
	req->msg.hdr.flags = VFIO_USER_F_TYPE_REPLY;
	if (error) {
		req->msg.size = sizeof(req->msg.hdr);
		req->msg.hdr.msg_size = req->msg.size;
		req->msg.hdr.flags |= VFIO_USER_F_ERROR;
		req->msg.hdr.error_no = -error;
	}

	vum_lock(ch);
	if (ch->session == session && vum_session_alive(ch)) {
		if (reply) {
			list_add_tail(&req->node, &ch->out);
			req = NULL;
		} else {
			ch->nr_answers--;
		}
	}
	vum_unlock(ch);
	vum_req_put(req);
	wake_up_poll(&ch->readers, reply ? EPOLLIN : EPOLLOUT);
}

static const char *vum_command_flaw(const struct vum_msg *msg)
{
	const struct vfio_user_dma_access *dma = (const void *)msg->payload;
	u32 payload = msg->size - sizeof(msg->hdr);

	if (msg->hdr.cmd != VFIO_USER_DMA_READ &&
	    msg->hdr.cmd != VFIO_USER_DMA_WRITE)
		return "command that servers do not send";
	if (msg->nr_files)
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

/* Takes @msg over. */
static int vum_submit_command(struct vum_device *dev, struct vum_msg *msg)
{
	const char *flaw = vum_command_flaw(msg);
	struct vum_channel *ch = &dev->ch;
	int ret = 0;

	if (flaw) {
		vum_session_break(dev, READ_ONCE(ch->session),
				  "%s (id %u, command %u, %u bytes)", flaw,
				  msg->hdr.msg_id, msg->hdr.cmd, msg->size);
		vum_msg_free(msg);
		return -EPROTO;
	}
	vum_lock(ch);
	if (!vum_session_alive(ch)) {
		ret = -EPIPE;
	} else if (vum_answers_full(ch)) {
		ret = -EAGAIN;
	} else {
		/* Counted from now on: it will need room. */
		ch->nr_answers++;
		msg->session = ch->session;
		list_add_tail(&msg->node, &dev->dma.commands);
		queue_work(system_unbound_wq, &dev->dma.execute);
	}
	vum_unlock(ch);
	if (ret)
		vum_msg_free(msg);
	return ret;
}

/**
 * vum_req_submit - take a message from the server
 * @dev: device
 * @msg: the message, its size known to be that in its header; taken over
 *
 * Returns 0; -EAGAIN if the server shall first read the answers it has;
 * -EPROTO if the message breaks the protocol, and the attachment has ended;
 * -EPIPE if it had ended before; -ENOMEM.
 */
int vum_req_submit(struct vum_device *dev, struct vum_msg *msg)
{
	u32 type = msg->hdr.flags & VFIO_USER_F_TYPE_MASK;

	if (type == VFIO_USER_F_TYPE_REPLY)
		return vum_submit_reply(dev, msg);
	if (type == VFIO_USER_F_TYPE_COMMAND)
		return vum_submit_command(dev, msg);
	vum_session_break(dev, READ_ONCE(dev->ch.session),
			  "message of unknown type %u", type);
	vum_msg_free(msg);
	return -EPROTO;
}

/* Ends whatever is in flight. Returns what is left to be put, unlocked. */
static void vum_session_abort(struct vum_channel *ch, struct list_head *dead)
{
	struct vum_req *req;
	unsigned long id;
	void *entry;

	xa_for_each(&ch->inflight, id, entry) {
		__xa_erase(&ch->inflight, id);
		if (xa_is_value(entry))
			continue;
		req = entry;
		vum_req_finish(ch, req, -EIO);
		list_add_tail(&req->node, dead);
	}
	/* What is left goes one way. Answers yet to come will be dropped. */
	list_splice_init(&ch->out, dead);
	ch->nr_answers = 0;
	ch->nr_posted = 0;
}

/**
 * vum_session_stop - end an attachment; under the channel's lock
 * @ch: channel
 * @session: the attachment this is about; nothing happens if it has ended
 * @state: what follows
 * @dead: what is to be handed to vum_session_stopped() without the lock
 *
 * Returns whether it has ended by this.
 */
bool vum_session_stop(struct vum_channel *ch, u32 session, enum vum_state state,
		      struct list_head *dead)
{
	if (ch->session != session || !vum_session_alive(ch))
		return false;
	WRITE_ONCE(ch->state, state);
	vum_session_abort(ch, dead);
	return true;
}

/**
 * vum_session_stopped - let everybody know, and the server reach no memory
 * @dev: device
 * @session: the attachment that has ended
 * @dead: from vum_session_stop()
 * @event: how it ended
 */
void vum_session_stopped(struct vum_device *dev, u32 session,
			 struct list_head *dead, enum vum_event event)
{
	struct vum_req *req, *tmp;

	list_for_each_entry_safe(req, tmp, dead, node)
		vum_req_put(req);
	wake_up_all(&dev->ch.settled);
	wake_up_poll(&dev->ch.readers, EPOLLIN | EPOLLERR | EPOLLHUP);
	vum_dma_detach(dev);
	vum_event(dev, event);
}

/**
 * vum_session_end - the server is gone
 * @dev: device
 * @session: the attachment this is about; nothing happens if it has ended
 *
 * Requests in flight end with -EIO.
 */
void vum_session_end(struct vum_device *dev, u32 session)
{
	struct vum_channel *ch = &dev->ch;
	bool open, stopped;
	LIST_HEAD(dead);

	vum_lock(ch);
	stopped = vum_session_stop(ch, session, VUM_STATE_DETACHED, &dead);
	open = dev->open;
	vum_unlock(ch);
	if (!stopped)
		return;
	if (open)
		vum_warn(dev, "server went away while the device is in use; accesses fail with EIO until one is back\n");
	vum_session_stopped(dev, session, &dead, VUM_EVENT_DETACHED);
}

/**
 * vum_session_break - the server is not to be dealt with any longer
 * @dev: device
 * @session: the attachment this is about; nothing happens if it has ended
 * @fmt: why
 */
void vum_session_break(struct vum_device *dev, u32 session, const char *fmt, ...)
{
	struct vum_channel *ch = &dev->ch;
	char reason[sizeof(ch->reason)];
	bool stopped, repeated = false;
	LIST_HEAD(dead);
	va_list args;
	s32 pid;

	va_start(args, fmt);
	vscnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);

	vum_lock(ch);
	pid = ch->peer.server_pid;
	stopped = vum_session_stop(ch, session, VUM_STATE_BROKEN, &dead);
	if (stopped) {
		repeated = !strcmp(ch->reason, reason);
		strscpy(ch->reason, reason, sizeof(ch->reason));
	}
	vum_unlock(ch);
	if (!stopped)
		return;
	/* A server that is never going to work is tried again all the time. */
	if (!repeated)
		vum_err(dev, "server (pid %d) detached: %s\n", pid, reason);
	vum_session_stopped(dev, session, &dead, VUM_EVENT_BROKEN);
}
