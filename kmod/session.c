// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: how an attachment ends.
 */

#include "sock.h"

static void vum_session_free(struct list_head *dead)
{
	struct vum_req *req, *tmp;

	list_for_each_entry_safe(req, tmp, dead, node)
		vum_req_put(req);
}

/* Ends whatever is in flight. Returns what is left to be put, unlocked. */
static void vum_session_abort(struct vum_channel *ch, struct list_head *dead)
{
	struct vum_req *req;
	unsigned long id = 0;
	void *entry;

	for (; (entry = vum_inflight_next(ch, &id)); id++) {
		vum_inflight_remove(ch, id);
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
 * vum_session_detach_work - what is left of an attachment that has ended
 * @work: in a struct vum_device, on which it has a reference
 */
void vum_session_detach_work(struct work_struct *work)
{
	struct vum_device *dev = container_of(work, struct vum_device, detach);
	struct vum_channel *ch = &dev->ch;
	struct vum_sock *vs = NULL;

	vum_lock(ch);
	if (ch->link && !vum_session_current(ch, ch->link->session))
		swap(vs, ch->link);
	vum_unlock(ch);
	/* First of all, since a helper can hold up the other. */
	vum_dma_drop(dev);
	vum_sock_close(vs);
	vfio_put_device(&dev->vdev);
}

/**
 * vum_session_detach - nothing is the server's any longer, if it is not attached
 * @dev: device
 *
 * Left to a worker: whoever sees the end of an attachment, the helper above
 * all, serves others as well, and locks are held as long as memory takes.
 */
void vum_session_detach(struct vum_device *dev)
{
	get_device(&dev->vdev.device);
	if (!vum_work_queue(&dev->detach))
		vfio_put_device(&dev->vdev);
}

/**
 * vum_session_stopped - let everybody go on, and the server reach no memory
 * @dev: device
 * @dead: from vum_session_stop()
 */
void vum_session_stopped(struct vum_device *dev, struct list_head *dead)
{
	vum_session_free(dead);
	wake_up_all(&dev->ch.settled);
	wake_up_poll(&dev->ch.readers, EPOLLIN | EPOLLERR | EPOLLHUP);
	vum_session_detach(dev);
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
	if (stopped)
		vum_event(dev, VUM_EVENT_DETACHED);
	open = dev->open;
	vum_unlock(ch);
	if (!stopped)
		return;
	if (open)
		vum_warn(dev, "server went away while the device is in use; accesses fail with EIO until one is back\n");
	vum_session_stopped(dev, &dead);
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
		vum_event(dev, VUM_EVENT_BROKEN);
	}
	vum_unlock(ch);
	if (!stopped)
		return;
	/* A server that is never going to work is tried again all the time. */
	if (!repeated)
		vum_err(dev, "server (pid %d) detached: %s\n", pid, reason);
	vum_session_stopped(dev, &dead);
}

/**
 * vum_session_orphan - the helper is gone
 * @dev: device
 *
 * If the kernel has the server's socket, the attachment goes on without it, but
 * for replies that bring descriptors: nobody could receive these. Otherwise it
 * ends.
 */
void vum_session_orphan(struct vum_device *dev)
{
	struct vum_channel *ch = &dev->ch;
	struct vum_req *req;
	unsigned long id = 0;
	LIST_HEAD(dead);
	u32 session;
	void *entry;
	bool keep;

	vum_lock(ch);
	session = ch->session;
	ch->used = false;
	keep = ch->link && ch->state == VUM_STATE_ATTACHED;
	for (; (entry = vum_inflight_next(ch, &id)); id++) {
		req = entry;
		if (!keep || xa_is_value(entry) || !req->reply_fds)
			continue;
		if (req->state == VUM_REQ_QUEUED)
			vum_inflight_remove(ch, id);
		else
			vum_inflight_retain(ch, req);
		vum_req_finish(ch, req, -EIO);
		list_add_tail(&req->node, &dead);
	}
	vum_unlock(ch);
	vum_session_free(&dead);
	if (!keep)
		vum_session_end(dev, session);
}
