// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the connection to a server: the requests that are on their way,
 * and how an attachment ends.
 *
 * Everything that the connection's lock guards is changed here. A request is found
 * by its id under that lock, since the server's reply, the waiter's death and the
 * end of the attachment race each other; whichever makes the request
 * VUM_REQ_DONE has won, and the others find nothing to do.
 */

#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/uidgid.h>

#include "compat.h"
#include "device.h"
#include "trace.h"
#include "work.h"

const char *const vum_state_names[] = {
	[VUM_STATE_DETACHED]	= "detached",
	[VUM_STATE_ATTACHING]	= "attaching",
	[VUM_STATE_ATTACHED]	= "attached",
	[VUM_STATE_BROKEN]	= "broken",
};

const char *const vum_data_path_names[] = {
	[VUM_PATH_AUTO]		= "auto",
	[VUM_PATH_RELAY]	= "relay",
	[VUM_PATH_KERNEL]	= "kernel",
};

/*
 * Requests
 */

/*
 * May this be sent to the server now? "Not yet" is -EPROBE_DEFER, which no reply
 * can have for its error: see vum_reply_errno().
 */
static int vum_conn_gate(const struct vum_conn *conn, const struct vum_req *req)
{
	bool consumer = req->kind == VUM_REQ_CONSUMER || req->kind == VUM_REQ_POSTED;
	u32 first = consumer ? conn->since : conn->session;

	if (consumer && conn->paused)
		return -EPROBE_DEFER;
	if (req->session && req->session - first > conn->session - first)
		return -EIO;
	if (!vum_conn_alive(conn))
		return -EIO;
	if (conn->state == VUM_STATE_ATTACHING && consumer)
		return -EPROBE_DEFER;
	/* Only a helper can receive the descriptors that the reply may bring. */
	return req->reply_fds && !conn->helper ? -EIO : 0;
}

/* Give @req an id. May drop the lock for a while. */
static int vum_conn_number(struct vum_conn *conn, struct vum_req *req)
{
	int ret = vum_ids_add(&conn->ids, req);

	if (ret)
		return ret;
	/* Attachment or helper may have gone while the lock was dropped. */
	ret = vum_conn_gate(conn, req);
	if (ret) {
		vum_ids_free(&conn->ids, req->msg.hdr.msg_id);
		return ret;
	}
	if (req->kind == VUM_REQ_ASYNC)
		conn->nr_async++;
	return 0;
}

/**
 * vum_conn_enqueue - make a request one of the connection's
 * @conn: connection, locked; the lock may be dropped for a while
 * @req: request, which the caller appends to conn->out or sends
 *
 * Return: 0, and the connection has a reference on @req; VUM_CONN_GATHERED if there is
 * nothing left to do; or an error as vum_req_queue().
 */
int vum_conn_enqueue(struct vum_conn *conn, struct vum_req *req)
{
	int ret = vum_conn_gate(conn, req);

	vum_conn_assert_held(conn);
	if (ret)
		return ret;
	if (req->kind == VUM_REQ_POSTED && conn->nr_posted < VUM_MAX_POSTED &&
	    !conn->no_posting) {
		conn->nr_posted++;
		if (vum_posted_add(&conn->out, req, &conn->peer)) {
			conn->stats.requests++;
			return VUM_CONN_GATHERED;
		}
		req->msg.hdr.flags = VFIO_USER_F_NO_REPLY;
		req->msg.hdr.msg_id = VUM_ID_POSTED;
		conn->posted = true;
	} else {
		/* With too many unsent, wait for this one, and so for all before it. */
		if (req->kind == VUM_REQ_POSTED)
			req->kind = VUM_REQ_CONSUMER;
		req->gathers = false;
		ret = vum_conn_number(conn, req);
		if (ret)
			return ret;
	}
	req->state = VUM_REQ_QUEUED;
	refcount_inc(&req->ref);
	conn->stats.requests++;
	return 0;
}

/**
 * vum_conn_sent - account for a message that is handed to the transport
 * @conn: connection, locked
 * @req: message, no longer in conn->out; the caller gets a reference on it
 */
void vum_conn_sent(struct vum_conn *conn, struct vum_req *req)
{
	vum_conn_assert_held(conn);
	req->state = VUM_REQ_SENT;
	req->sent = true;
	if (req->kind == VUM_REQ_POSTED) {
		conn->nr_posted -= vum_posted_writes(req);
	} else if (req->kind != VUM_REQ_ANSWER) {
		if (req->reply_fds)
			conn->fds_wanted++;
		refcount_inc(&req->ref);
	}
}

/**
 * vum_conn_take - take the oldest message that has not been sent
 * @conn: connection, locked, whose queue is not empty
 *
 * Return: the message, with a reference for the caller.
 */
struct vum_req *vum_conn_take(struct vum_conn *conn)
{
	struct vum_req *req = list_first_entry(&conn->out, struct vum_req, node);

	list_del(&req->node);
	vum_conn_sent(conn, req);
	return req;
}

/**
 * vum_conn_finish - end a request, with its reply or without
 * @dev: device, whose connection is locked
 * @req: request in flight
 * @error: 0 if req->reply is there, else why it is not
 *
 * If the server has the request and will still reply to it, its id stays taken. The
 * caller puts the reference that was the connection's.
 */
void vum_conn_finish(struct vum_device *dev, struct vum_req *req, int error)
{
	struct task_struct *waiter = req->task;
	struct vum_conn *conn = &dev->conn;

	vum_conn_assert_held(conn);
	if (error && req->state == VUM_REQ_SENT && vum_conn_alive(conn))
		vum_ids_retain(&conn->ids, req);
	else
		vum_ids_free(&conn->ids, req->msg.hdr.msg_id);
	if (req->state == VUM_REQ_QUEUED) {
		list_del(&req->node);
		/* What was queued behind it may be for others than the helper to send. */
		conn->transport->ops->kick(conn);
	} else if (req->reply_fds) {
		conn->fds_wanted--;
		/* Others than the helper may read again. */
		conn->transport->ops->kick(conn);
	}
	req->error = error;
	if (req->kind == VUM_REQ_ASYNC)
		conn->nr_async--;
	if (error) {
		conn->stats.aborted++;
		trace_vum_abort(dev, req);
	} else {
		vum_latency_add(READ_ONCE(conn->latency), req->msg.hdr.cmd,
				req->queued_at);
	}
	/*
	 * The waiter sees this without the lock, and may then go on and exit. Its
	 * task_struct is not freed meanwhile, since the lock's holder is an RCU
	 * reader.
	 */
	smp_store_release(&req->state, VUM_REQ_DONE);
	if (waiter && waiter != current)
		wake_up_process(waiter);
}

/**
 * vum_conn_argsz - get the room for a reply of any length
 * @conn: connection
 *
 * Return: the argsz to ask with, in bytes: servers refuse more than was negotiated as
 * max_data_xfer_size.
 */
u32 vum_conn_argsz(const struct vum_conn *conn)
{
	u32 max = READ_ONCE(conn->peer.max_data_xfer_size);

	return clamp_t(u32, max, sizeof(struct vfio_user_region_info), VUM_MAX_INFO);
}

/*
 * Commands
 *
 * A server makes the kernel hold memory by commands that it has not sent to their end,
 * and by answers that it does not read. Neither is more than VUM_MAX_MSG_SIZE, the
 * size of the largest message, together: more commands wait in the socket.
 */

/**
 * vum_conn_hold - count a command and the answer that it will have
 * @conn: connection, locked
 * @cost: from vum_conn_cost()
 *
 * The message that stands for both has @cost in msg->held, and the attachment in
 * msg->session.
 *
 * Return: 0; -EAGAIN if the command must wait until the server has read answers.
 */
int vum_conn_hold(struct vum_conn *conn, u32 cost)
{
	bool room = vum_conn_has_room(conn, cost);

	vum_conn_assert_held(conn);
	WRITE_ONCE(conn->stuck, room ? 0 : cost);
	if (!room)
		return -EAGAIN;
	WRITE_ONCE(conn->held, conn->held + cost);
	return 0;
}

/**
 * vum_conn_let_go - no longer count a command and its answer
 * @conn: connection, locked
 * @msg: the one of the two that is there
 */
void vum_conn_let_go(struct vum_conn *conn, struct vum_msg *msg)
{
	vum_conn_assert_held(conn);
	if (msg->held && msg->session == conn->session) {
		WRITE_ONCE(conn->held, conn->held - msg->held);
		if (conn->stuck && vum_conn_has_room(conn, conn->stuck))
			conn->transport->ops->kick(conn);
	}
	msg->held = 0;
}

/**
 * vum_conn_delivered - note that the server has been handed a message
 * @conn: connection, not locked
 * @req: message; an answer no longer counts
 */
void vum_conn_delivered(struct vum_conn *conn, struct vum_req *req)
{
	/* Most messages are no answers, and need no lock. */
	if (!req->msg.held)
		return;
	vum_conn_lock(conn);
	vum_conn_let_go(conn, &req->msg);
	vum_conn_unlock(conn);
}

/**
 * vum_conn_memcg - get the memory cgroup that pays for the server
 * @conn: connection
 *
 * Return: the cgroup, for which the caller calls mem_cgroup_put(), or NULL.
 */
struct mem_cgroup *vum_conn_memcg(struct vum_conn *conn)
{
	struct mem_cgroup *memcg;

	vum_conn_lock(conn);
	memcg = conn->memcg;
	vum_memcg_get(memcg);
	vum_conn_unlock(conn);
	return memcg;
}

/**
 * vum_conn_served - note that the current process sends the server's messages
 * @conn: connection
 * @session: the attachment
 *
 * A process that called listen(), such as systemd, need not be the one that serves; nor
 * need the one that answered VERSION, if it forks.
 */
void vum_conn_served(struct vum_conn *conn, u32 session)
{
	struct pid *pid = get_pid(task_tgid(current));

	vum_conn_lock(conn);
	if (conn->session == session) {
		swap(conn->server, pid);
		conn->peer.server_pid = pid_nr(conn->server);
		conn->peer.server_uid = from_kuid_munged(&init_user_ns, current_uid());
		conn->peer.server_gid = from_kgid_munged(&init_user_ns, current_gid());
		if (vum_conn_alive(conn))
			vum_servers_serve(&conn->servers, &conn->peer);
	}
	vum_conn_unlock(conn);
	put_pid(pid);
}

/**
 * vum_conn_server_ended - find out whether the process that conn->server names has ended
 * @conn: connection, locked
 *
 * Return: true if it is known and has.
 */
bool vum_conn_server_ended(const struct vum_conn *conn)
{
	struct task_struct *task;
	bool ended = false;

	vum_conn_assert_held(conn);
	rcu_read_lock();
	if (conn->server) {
		task = pid_task(conn->server, PIDTYPE_TGID);
		ended = !task || (READ_ONCE(task->exit_state) && thread_group_empty(task));
	}
	rcu_read_unlock();
	return ended;
}

/**
 * vum_conn_bypass - note that the consumer reaches the server beside the connection
 * @conn: connection, not locked
 *
 * From now on no posted write waits for others, or a store to a mapped region could
 * overtake it, or an eventfd that the server listens to.
 */
void vum_conn_bypass(struct vum_conn *conn)
{
	vum_conn_lock(conn);
	WRITE_ONCE(conn->bypassed, true);
	conn->transport->ops->kick(conn);
	vum_conn_unlock(conn);
}

/*
 * Attachments
 */

/**
 * vum_conn_event - tell netlink's listeners what has happened to a device
 * @dev: device, whose connection is locked: events come in the order of what they
 *	tell
 * @event: what has happened
 */
void vum_conn_event(struct vum_device *dev, enum vum_event event)
{
	vum_conn_assert_held(&dev->conn);
	dev->conn.event(dev, event);
}

/**
 * vum_conn_check_helper - find out whether the helper may carry anything
 * @conn: connection, locked
 *
 * Return: 0; -ENODEV if the mdev is gone; -ENOTCONN if the helper has not attached;
 * -EPIPE if the attachment has ended.
 */
int vum_conn_check_helper(const struct vum_conn *conn)
{
	vum_conn_assert_held(conn);
	if (conn->dead)
		return -ENODEV;
	if (!conn->helper)
		return -ENOTCONN;
	return vum_conn_alive(conn) ? 0 : -EPIPE;
}

/**
 * vum_conn_settled - find out whether no server is being attached, and none expected
 * @conn: connection
 *
 * Return: true if so.
 */
bool vum_conn_settled(const struct vum_conn *conn)
{
	return READ_ONCE(conn->state) != VUM_STATE_ATTACHING && !READ_ONCE(conn->paused);
}

/**
 * vum_conn_wait_settled - wait until no server is being attached, and none expected
 * @conn: connection
 *
 * Context: may be frozen, so the caller holds no lock.
 * Return: 0, or -EINTR if the caller is being killed.
 */
int vum_conn_wait_settled(struct vum_conn *conn)
{
	if (wait_event_state(conn->changed, vum_conn_settled(conn),
			     (TASK_KILLABLE | TASK_FREEZABLE)))
		return -EINTR;
	return 0;
}

static void vum_conn_put_requests(struct vum_device *dev, struct list_head *dead)
{
	struct vum_req *req, *tmp;

	list_for_each_entry_safe(req, tmp, dead, node) {
		if (req->done)
			req->done(dev, req);
		vum_req_put(req);
	}
	/* Tasks wait here for vum_announce's @pending, too, which @done lowers. */
	wake_up_all(&dev->conn.changed);
}

/* End all that is in flight; the caller puts what is in @dead, without the lock. */
static void vum_conn_abort(struct vum_device *dev, struct list_head *dead)
{
	struct vum_conn *conn = &dev->conn;
	unsigned long id = 0;
	struct vum_req *req;
	void *entry;

	for (; (entry = vum_ids_next(&conn->ids, &id)); id++) {
		if (xa_is_value(entry)) {
			vum_ids_free(&conn->ids, id);
			continue;
		}
		req = entry;
		vum_conn_finish(dev, req, -EIO);
		list_add_tail(&req->node, dead);
	}
	/* Messages without a reply are left. Answers that are yet to come are dropped. */
	list_splice_init(&conn->out, dead);
	conn->nr_posted = 0;
}

/**
 * vum_conn_stop - end an attachment, first half
 * @dev: device, whose connection is locked
 * @session: the attachment; nothing happens if it has ended
 * @state: the state that follows
 * @why: why it ends, for vum_servers_end()
 * @dead: what the caller hands to vum_conn_stopped(), without the lock
 *
 * Return: true if the attachment has ended by this call.
 */
bool vum_conn_stop(struct vum_device *dev, u32 session, enum vum_state state,
		   const char *why, struct list_head *dead)
{
	struct vum_conn *conn = &dev->conn;

	vum_conn_assert_held(conn);
	if (!vum_conn_current(conn, session))
		return false;
	WRITE_ONCE(conn->state, state);
	conn->when = ktime_get_real_seconds();
	vum_servers_end(&conn->servers, &conn->peer, why);
	vum_conn_abort(dev, dead);
	return true;
}

/**
 * vum_conn_readdress - give the device another socket, and end its attachment: first half
 * @dev: device, whose connection is locked
 * @socket: path of the socket on which its next server listens
 * @dead: as for vum_conn_stop()
 *
 * Return: as vum_conn_stop().
 */
bool vum_conn_readdress(struct vum_device *dev, const char *socket, struct list_head *dead)
{
	bool stopped;

	vum_conn_assert_held(&dev->conn);
	strscpy(dev->socket, socket, sizeof(dev->socket));
	/* The helper may have connected to the old one, and not have attached it yet. */
	dev->channel.stale = true;
	stopped = vum_conn_stop(dev, dev->conn.session, VUM_STATE_DETACHED,
				"the device has another socket", dead);
	/* CHANGED goes first, or the helper would retry the old socket. */
	vum_conn_event(dev, VUM_EVENT_CHANGED);
	if (stopped)
		vum_conn_event(dev, VUM_EVENT_DETACHED);
	return stopped;
}

/* Free the commands of attachments that have ended, which nobody executes any more. */
static void vum_conn_drop_commands(struct vum_conn *conn)
{
	struct vum_msg *msg, *next;
	LIST_HEAD(dropped);

	vum_conn_lock(conn);
	list_for_each_entry_safe(msg, next, &conn->commands, node)
		if (!vum_conn_current(conn, msg->session))
			list_move(&msg->node, &dropped);
	vum_conn_unlock(conn);
	list_for_each_entry_safe(msg, next, &dropped, node)
		vum_msg_free(msg);
}

/**
 * vum_conn_stopped - end an attachment, second half
 * @dev: device
 * @dead: from vum_conn_stop()
 */
void vum_conn_stopped(struct vum_device *dev, struct list_head *dead)
{
	vum_conn_put_requests(dev, dead);
	vum_conn_drop_commands(&dev->conn);
	wake_up_all(&dev->conn.changed);
	wake_up_poll(&dev->conn.helper_wait, EPOLLIN | EPOLLERR | EPOLLHUP);
	vum_conn_detach(dev);
}

/**
 * vum_conn_detach - take from the server what it has, if no server is attached
 * @dev: device
 *
 * A worker does it: the task that sees an attachment end, the helper above all,
 * serves other devices as well, and locks are held for as long as memory takes.
 */
void vum_conn_detach(struct vum_device *dev)
{
	get_device(&dev->vdev.device);
	if (!vum_work_queue(&dev->conn.detach))
		vfio_put_device(&dev->vdev);
}

/* The first half of vum_conn_end(), with conn's lock held; see vum_conn_stop(). */
static bool vum_conn_end_locked(struct vum_device *dev, u32 session, const char *why,
				struct list_head *dead)
{
	bool stopped = vum_conn_stop(dev, session, VUM_STATE_DETACHED, why, dead);

	if (stopped)
		vum_conn_event(dev, VUM_EVENT_DETACHED);
	return stopped;
}

static void vum_conn_ended(struct vum_device *dev, struct list_head *dead)
{
	/* A server that ends again and again is told once a minute. */
	if (READ_ONCE(dev->open) && __ratelimit(&dev->ends))
		pr_warn("%s: server went away while the device is in use; accesses fail with EIO until one is back\n",
			dev->uuid);
	vum_conn_stopped(dev, dead);
}

/**
 * vum_conn_end - end an attachment whose server is gone
 * @dev: device
 * @session: the attachment; nothing happens if it has ended
 * @why: why it ends
 *
 * Requests in flight end with -EIO.
 */
void vum_conn_end(struct vum_device *dev, u32 session, const char *why)
{
	LIST_HEAD(dead);
	bool stopped;

	vum_conn_lock(&dev->conn);
	stopped = vum_conn_end_locked(dev, session, why, &dead);
	vum_conn_unlock(&dev->conn);
	if (stopped)
		vum_conn_ended(dev, &dead);
}

/**
 * vum_conn_hangup - end an attachment whose server has closed its socket
 * @dev: device
 * @session: the attachment; nothing happens if it has ended
 */
void vum_conn_hangup(struct vum_device *dev, u32 session)
{
	vum_conn_end(dev, session, VUM_WHY_HANGUP);
}

/**
 * vum_conn_refuse - show why a server that the helper has found is not attached
 * @dev: device
 * @why: why
 *
 * Return: 0; -ENODEV if the mdev is gone; -EISCONN if a server is attached, or the server is
 * one of a socket that the device had before; -EREMOTEIO if the device has failed, which is
 * of more importance.
 */
int vum_conn_refuse(struct vum_device *dev, const char *why)
{
	struct vum_conn *conn = &dev->conn;
	bool news = false;
	int ret = 0;

	vum_conn_lock(conn);
	if (conn->dead) {
		ret = -ENODEV;
	} else if (vum_conn_alive(conn) || dev->channel.stale) {
		ret = -EISCONN;
	} else if (conn->failed) {
		ret = -EREMOTEIO;
	} else {
		/* The helper tries the server again: that is told once. */
		news = conn->state != VUM_STATE_BROKEN || strcmp(conn->reason, why);
		WRITE_ONCE(conn->state, VUM_STATE_BROKEN);
		strscpy(conn->reason, why, sizeof(conn->reason));
		if (news) {
			conn->when = ktime_get_real_seconds();
			vum_conn_event(dev, VUM_EVENT_BROKEN);
		}
	}
	vum_conn_unlock(conn);
	if (news)
		vum_err(dev, "server refused: %s\n", why);
	/* A handover waits for what becomes of the server. */
	wake_up_all(&conn->changed);
	return ret;
}

/* The body of vum_conn_break() and, with @failed, of vum_conn_fail(). */
static bool __printf(4, 0)
vum_conn_vbreak(struct vum_device *dev, u32 session, bool failed, const char *fmt,
		va_list args)
{
	struct vum_conn *conn = &dev->conn;
	char reason[sizeof(conn->reason)];
	bool stopped, repeated = false;
	LIST_HEAD(dead);
	s32 pid;

	vscnprintf(reason, sizeof(reason), fmt, args);
	vum_conn_lock(conn);
	pid = conn->peer.server_pid;
	stopped = vum_conn_stop(dev, session, VUM_STATE_BROKEN, reason, &dead);
	if (stopped) {
		repeated = !strcmp(conn->reason, reason);
		strscpy(conn->reason, reason, sizeof(conn->reason));
		/* While the device is handed over, the handover decides what has failed. */
		conn->failed = failed && dev->open && !conn->paused;
		vum_conn_event(dev, VUM_EVENT_BROKEN);
	}
	vum_conn_unlock(conn);
	if (!stopped)
		return false;
	/* The helper tries a server again that will never work: log that once. */
	if (!repeated)
		vum_err(dev, "server (pid %d) detached: %s\n", pid, reason);
	vum_conn_stopped(dev, &dead);
	return true;
}

/**
 * vum_conn_break - end an attachment whose server cannot be dealt with
 * @dev: device
 * @session: the attachment; nothing happens if it has ended
 * @fmt: why
 */
void vum_conn_break(struct vum_device *dev, u32 session, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vum_conn_vbreak(dev, session, false, fmt, args);
	va_end(args);
}

/**
 * vum_conn_fail - end an attachment because the device cannot go on
 * @dev: device
 * @session: the attachment; nothing happens if it has ended
 * @fmt: why
 *
 * As vum_conn_break(), but no server can be attached until the consumer has closed the
 * device, since the new one would go on as if nothing had been lost.
 *
 * Return: false if the attachment had ended.
 */
bool vum_conn_fail(struct vum_device *dev, u32 session, const char *fmt, ...)
{
	bool stopped;
	va_list args;

	va_start(args, fmt);
	stopped = vum_conn_vbreak(dev, session, true, fmt, args);
	va_end(args);
	return stopped;
}

/**
 * vum_conn_note - note that the device goes without something
 * @dev: device
 * @session: the attachment; nothing happens if another has begun
 * @fmt: what and why
 */
void vum_conn_note(struct vum_device *dev, u32 session, const char *fmt, ...)
{
	struct vum_conn *conn = &dev->conn;
	char text[VUM_NOTE_SIZE];
	bool tell = false;
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	vum_conn_lock(conn);
	if (conn->session == session)
		tell = vum_notes_add(&conn->notes, text);
	vum_conn_unlock(conn);
	if (tell)
		vum_notice(dev, "%s\n", text);
}

/**
 * vum_conn_orphan - keep the connection going without a helper, if possible
 * @dev: device, whose channel the helper has closed
 *
 * If the kernel has the server's socket, the attachment goes on, but for requests
 * whose replies bring descriptors, which nobody could receive. Otherwise it ends.
 */
void vum_conn_orphan(struct vum_device *dev)
{
	struct vum_conn *conn = &dev->conn;
	unsigned long id = 0;
	bool stopped = false;
	struct vum_req *req;
	LIST_HEAD(dead);
	void *entry;

	vum_conn_lock(conn);
	conn->helper = false;
	if (conn->path != VUM_PATH_KERNEL || conn->state != VUM_STATE_ATTACHED) {
		stopped = vum_conn_end_locked(dev, conn->session, "the helper has ended",
					      &dead);
	} else {
		for (; (entry = vum_ids_next(&conn->ids, &id)); id++) {
			req = entry;
			if (xa_is_value(entry) || !req->reply_fds)
				continue;
			vum_conn_finish(dev, req, -EIO);
			list_add_tail(&req->node, &dead);
		}
	}
	vum_conn_unlock(conn);
	if (stopped)
		vum_conn_ended(dev, &dead);
	else
		vum_conn_put_requests(dev, &dead);
}

/**
 * vum_conn_swap_transport - exchange what carries the connection's messages
 * @conn: connection, locked
 * @transport: the new transport; set to the old one, which the caller closes
 */
void vum_conn_swap_transport(struct vum_conn *conn, struct vum_transport **transport)
{
	vum_conn_assert_held(conn);
	swap(conn->transport, *transport);
	WRITE_ONCE(conn->path, conn->transport->ops->path);
}

/**
 * vum_conn_init - prepare the connection of a device that is being allocated
 * @conn: connection, zeroed
 * @transport: the transport while there is no server
 * @event: what tells netlink's listeners of events
 */
void vum_conn_init(struct vum_conn *conn, struct vum_transport *transport,
		   void (*event)(struct vum_device *dev, enum vum_event event))
{
	static struct lock_class_key key;

	vum_ids_init(&conn->ids);
	lockdep_set_class_and_name(&vum_conn_lock_of(conn), &key, "vum_conn");
	INIT_LIST_HEAD(&conn->out);
	INIT_LIST_HEAD(&conn->commands);
	vum_servers_init(&conn->servers);
	init_waitqueue_head(&conn->helper_wait);
	init_waitqueue_head(&conn->changed);
	conn->transport = transport;
	conn->path = transport->ops->path;
	conn->event = event;
	conn->state = VUM_STATE_DETACHED;
}

/**
 * vum_conn_exit - free what a connection has, when the device's last reference goes
 * @conn: connection
 */
void vum_conn_exit(struct vum_conn *conn)
{
	vum_ids_exit(&conn->ids);
	mem_cgroup_put(conn->memcg);
	put_pid(conn->server);
	vum_servers_exit(&conn->servers);
	free_percpu(conn->latency);
}
