// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: sending requests to the server, and waiting for their replies.
 */

#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/timekeeping.h>

#include "device.h"
#include "request.h"
#include "trace.h"

/* Polling for less than this is not worth while. */
#define VUM_SPIN_MIN_NS	2000

/**
 * vum_req_queue - queue a request for the server
 * @dev: device
 * @req: request; on success the connection has a reference of its own, if it needs one
 *
 * Requests reach the server in the order in which they were queued. If the
 * kernel has the server's socket, the request is sent at once where possible.
 *
 * Return: 0; -EIO if no server is attached, or not the one that @req->session is
 * for, or if the reply may bring descriptors and there is no helper; -EPROBE_DEFER
 * if a server is being attached and @req is a consumer's: call
 * vum_conn_wait_settled() and try again; -EBUSY if VUM_IDS_MAX requests wait for their
 * replies; -ENOMEM.
 */
int vum_req_queue(struct vum_device *dev, struct vum_req *req)
{
	struct vum_conn *conn = &dev->conn;
	int ret;

	req->queued_at = ktime_get_ns();
	vum_conn_lock(conn);
	ret = vum_conn_enqueue(conn, req);
	if (ret) {
		vum_conn_unlock(conn);
		return min(ret, 0);
	}
	trace_vum_submit(dev, req);
	conn->transport->ops->queue(conn, req);
	/* Tell sparse that the lock has been released. */
	__release(&vum_conn_lock_of(conn));
	return 0;
}

/* End a request whose waiter no longer waits for the reply. */
static void vum_req_abort(struct vum_device *dev, struct vum_req *req, int error)
{
	struct vum_conn *conn = &dev->conn;
	bool won = false;
	u32 session;

	vum_conn_lock(conn);
	session = conn->session;
	if (req->state != VUM_REQ_DONE) {
		won = true;
		vum_conn_finish(dev, req, error);
	}
	vum_conn_unlock(conn);
	if (!won)
		return;
	vum_req_put(req);
	if (error == -ETIMEDOUT) {
		req->error = -EIO;
		vum_conn_break(dev, session,
			       "no reply to command %u within timeout_ms",
			       req->msg.hdr.cmd);
	}
}

/* The error in a reply, as a negative errno; -EIO if no consumer may see it. */
static int vum_reply_errno(const struct vfio_user_header *hdr)
{
	if (!(hdr->flags & VFIO_USER_F_ERROR))
		return 0;
	/* Errors from 512 on, such as ERESTARTSYS, are for use inside the kernel. */
	if (hdr->error_no == 0 || hdr->error_no >= 512)
		return -EIO;
	return -(int)hdr->error_no;
}

/* Poll for conn->spin_ns after @start. Returns true if @req is done. */
static bool vum_req_spin(const struct vum_conn *conn, const struct vum_req *req,
			 u64 start)
{
	u64 end = start + READ_ONCE(conn->spin_ns);

	while (!vum_req_done(req)) {
		/* As KVM: stop when the server or another task can use this CPU. */
		if (local_clock() >= end || !single_task_running() ||
		    need_resched() || signal_pending(current))
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * Adapt the time that is spent polling, as KVM's halt polling and the block layer
 * do: after a wait that polling for up to @max would have covered, poll for longer
 * the next time; after a longer wait, poll for less.
 */
static void vum_req_adapt(struct vum_conn *conn, u64 max, u64 waited)
{
	u64 spin = READ_ONCE(conn->spin_ns);

	if (waited > max)
		spin /= 2;
	else if (waited > spin)
		spin = min(max, max_t(u64, 2 * spin, VUM_SPIN_MIN_NS));
	WRITE_ONCE(conn->spin_ns, spin < VUM_SPIN_MIN_NS ? 0 : min(spin, max));
}

/* Sleep, for @left jiffies at most, until @req is done or the task is killed. */
static void vum_req_sleep(const struct vum_conn *conn, const struct vum_req *req,
			  long left)
{
	/*
	 * Let a server run that waits for this CPU, as a client with a socket of its
	 * own does when it leaves the kernel between sending and receiving. Most
	 * often the reply is there afterwards, and the task need not fall asleep.
	 */
	if (READ_ONCE(conn->path) == VUM_PATH_KERNEL && !single_task_running()) {
		schedule();
		if (vum_req_done(req))
			return;
	}
	/* The task may be frozen here, since the caller holds no lock that others wait for. */
	set_current_state(TASK_KILLABLE | TASK_FREEZABLE);
	if (!vum_req_done(req) && !fatal_signal_pending(current))
		schedule_timeout(left);
	__set_current_state(TASK_RUNNING);
}

static void vum_req_pause(struct vum_device *dev, const struct vum_req *req, long left)
{
	u64 max = READ_ONCE(dev->poll_us) * NSEC_PER_USEC;
	u64 start;

	if (!max) {
		vum_req_sleep(&dev->conn, req, left);
		return;
	}
	start = local_clock();
	if (!vum_req_spin(&dev->conn, req, start))
		vum_req_sleep(&dev->conn, req, left);
	vum_req_adapt(&dev->conn, max, local_clock() - start);
}

/**
 * vum_req_wait - wait for the reply to a request
 * @dev: device
 * @req: a queued request, with the caller as its @task
 *
 * Return: 0 with @req->reply; the server's error; -EIO if the server went away, or
 * was detached since it ran into timeout_ms; -EINTR if the caller is being killed.
 */
int vum_req_wait(struct vum_device *dev, struct vum_req *req)
{
	struct vum_conn *conn = &dev->conn;
	u32 ms = req->timeout_ms ?: READ_ONCE(dev->timeout_ms);
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	long left = MAX_SCHEDULE_TIMEOUT;

	WRITE_ONCE(conn->waiter, current);
	while (!vum_req_done(req)) {
		if (ms)
			left = end - jiffies;
		if (fatal_signal_pending(current))
			vum_req_abort(dev, req, -EINTR);
		else if (left <= 0)
			vum_req_abort(dev, req, -ETIMEDOUT);
		else
			vum_req_pause(dev, req, left);
	}
	if (READ_ONCE(conn->waiter) == current)
		WRITE_ONCE(conn->waiter, NULL);
	vum_region_mmap_look(dev);
	if (req->error)
		return req->error;
	return vum_reply_errno(&req->reply->hdr);
}

/**
 * vum_req_queue_async - send a request that has been made, without waiting for its reply
 * @dev: device
 * @req: request of kind VUM_REQ_ASYNC, whose reference this takes over
 *
 * If the request cannot be queued, the server is detached, since it would go on as
 * if nothing had happened.
 */
void vum_req_queue_async(struct vum_device *dev, struct vum_req *req)
{
	u16 cmd = req->msg.hdr.cmd;
	int ret = vum_req_queue(dev, req);

	vum_req_put(req);
	if (ret && ret != -EIO)
		vum_conn_break(dev, READ_ONCE(dev->conn.session),
			       "cannot send it command %u: error %d", cmd, ret);
}

/**
 * vum_req_async - send a request without waiting for its reply
 * @dev: device
 * @cmd: enum vfio_user_command
 * @payload: what follows the header
 * @size: bytes of @payload
 *
 * See vum_req_queue_async().
 */
void vum_req_async(struct vum_device *dev, u16 cmd, const void *payload,
		   size_t size)
{
	struct vum_req *req = vum_req_alloc(VUM_REQ_ASYNC, cmd, size);

	memcpy(req->msg.payload, payload, size);
	vum_req_queue_async(dev, req);
}

/**
 * vum_req_call - queue a consumer's request and wait for its reply, if any
 * @dev: device
 * @req: the request, of kind VUM_REQ_CONSUMER, VUM_REQ_POSTED or VUM_REQ_HANDOVER
 *
 * Return: as vum_req_queue() or vum_req_wait(), but never -EPROBE_DEFER.
 */
int vum_req_call(struct vum_device *dev, struct vum_req *req)
{
	int ret;

	req->task = current;
	while ((ret = vum_req_queue(dev, req)) == -EPROBE_DEFER) {
		ret = vum_conn_wait_settled(&dev->conn);
		if (ret)
			return ret;
	}
	if (ret || req->kind == VUM_REQ_POSTED)
		return ret;
	return vum_req_wait(dev, req);
}

/**
 * vum_req_answer - answer a command of the server, if it asks for a reply
 * @dev: device
 * @cmd: the command; only the attachment that it came by gets the answer
 * @error: 0 or a negative errno
 * @req: message of kind VUM_REQ_ANSWER, with the payload if there is no @error;
 *	the caller's reference is taken over
 */
void vum_req_answer(struct vum_device *dev, struct vum_msg *cmd, int error,
		    struct vum_req *req)
{
	struct vum_conn *conn = &dev->conn;
	bool reply = !(cmd->hdr.flags & VFIO_USER_F_NO_REPLY);

	req->msg.session = cmd->session;
	req->msg.hdr.msg_id = cmd->hdr.msg_id;
	req->msg.hdr.flags = VFIO_USER_F_TYPE_REPLY;
	if (error) {
		req->msg.size = sizeof(req->msg.hdr);
		req->msg.hdr.msg_size = req->msg.size;
		req->msg.hdr.flags |= VFIO_USER_F_ERROR;
		req->msg.hdr.error_no = -error;
	}

	vum_conn_lock(conn);
	if (reply && vum_conn_current(conn, cmd->session)) {
		swap(req->msg.held, cmd->held);
		conn->transport->ops->queue(conn, req);
		/* Tell sparse that the lock has been released. */
		__release(&vum_conn_lock_of(conn));
		return;
	}
	vum_conn_let_go(conn, cmd);
	vum_conn_unlock(conn);
	vum_req_put(req);
}
