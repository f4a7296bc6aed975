// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the life of a request.
 *
 * Queued, handed over, answered or aborted. A request is found by
 * its id under the channel's lock, since the answer, the waiter's death and
 * the end of the attachment race each other; whoever moves it to DONE has
 * won, and the others find nothing to do.
 */

#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/timekeeping.h>

#include "sock.h"
#include "trace.h"

/* To spin for less than this is not worth while. */
#define VUM_SPIN_MIN_NS	2000
/* Posted writes that may wait to be sent at a time. */
#define VUM_MAX_POSTED	64

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

/* An id, and thereby a place among those in flight. Under the lock. */
static int vum_req_number(struct vum_channel *ch, struct vum_req *req)
{
	int ret = vum_inflight_add(ch, req);

	if (ret)
		return ret;
	/* The lock may have been dropped for a while. */
	ret = vum_gate(ch, req);
	if (ret) {
		vum_inflight_remove(ch, req->msg.hdr.msg_id);
		return ret;
	}
	if (req->kind == VUM_REQ_ASYNC)
		ch->nr_async++;
	return 0;
}

/* Under the lock. */
static int vum_req_enqueue(struct vum_channel *ch, struct vum_req *req)
{
	int ret = vum_gate(ch, req);

	if (ret)
		return ret;
	/* No helper is there to receive what the reply may bring. */
	if (ch->link && req->reply_fds && !ch->used)
		return -EIO;
	if (req->kind == VUM_REQ_POSTED && ch->nr_posted < VUM_MAX_POSTED) {
		req->msg.hdr.flags = VFIO_USER_F_NO_REPLY;
		ch->nr_posted++;
	} else {
		/* With too many unsent, this is waited for, and all before it. */
		if (req->kind == VUM_REQ_POSTED)
			req->kind = VUM_REQ_CONSUMER;
		ret = vum_req_number(ch, req);
		if (ret)
			return ret;
	}
	req->state = VUM_REQ_QUEUED;
	refcount_inc(&req->ref);
	ch->stats.requests++;
	return 0;
}

/**
 * vum_req_queue - queue a request for the server
 * @dev: device
 * @req: the request; on success the channel has a reference of its own
 *
 * Requests reach the server in the order in which they were queued. If the
 * kernel has the server's socket, it is sent at once where that is possible.
 *
 * Returns 0; -EIO if no server is attached, or another than the one that
 * @req->session was made for; -EPROBE_DEFER if one is being attached and @req
 * is a consumer's: vum_wait_settled() and try again; -EBUSY if 65536 requests
 * wait for their replies; -ENOMEM.
 */
int vum_req_queue(struct vum_device *dev, struct vum_req *req)
{
	struct vum_channel *ch = &dev->ch;
	int ret;

	req->queued_at = ktime_get_ns();
	vum_lock(ch);
	ret = vum_req_enqueue(ch, req);
	if (ret) {
		vum_unlock(ch);
		return ret;
	}
	trace_vum_submit(dev, req);
	if (ch->link) {
		vum_sock_queue(ch->link, req);
		return 0;
	}
	list_add_tail(&req->node, &ch->out);
	vum_unlock(ch);
	wake_up_poll(&ch->readers, EPOLLIN);
	return 0;
}

/**
 * vum_req_sent - a message is being sent; under the lock
 * @ch: channel
 * @req: the message, on no queue any more; the caller gets a reference on it
 */
void vum_req_sent(struct vum_channel *ch, struct vum_req *req)
{
	req->state = VUM_REQ_SENT;
	if (req->kind == VUM_REQ_ANSWER) {
		ch->nr_answers--;
	} else if (req->kind == VUM_REQ_POSTED) {
		ch->nr_posted--;
	} else {
		if (req->reply_fds)
			ch->fds_wanted++;
		refcount_inc(&req->ref);
	}
}

/**
 * vum_req_take - take the oldest message off the queue; under the lock
 * @ch: channel, whose queue is not empty
 *
 * Returns it, with a reference for the caller.
 */
struct vum_req *vum_req_take(struct vum_channel *ch)
{
	struct vum_req *req = list_first_entry(&ch->out, struct vum_req, node);

	list_del(&req->node);
	vum_req_sent(ch, req);
	return req;
}

/* How long it took goes to the statistics. */
static void vum_req_clock(struct vum_channel *ch, const struct vum_req *req)
{
	struct vum_latency __percpu *latency = READ_ONCE(ch->latency);
	unsigned int bucket;
	u64 units;

	if (!latency)
		return;
	units = (ktime_get_ns() - req->queued_at) >> VUM_LATENCY_SHIFT;
	bucket = min_t(unsigned int, fls64(units), VUM_LATENCY_BUCKETS - 1);
	this_cpu_inc(latency->count[req->msg.hdr.cmd][bucket]);
}

/**
 * vum_req_finish - a request is answered or aborted; under the lock
 * @ch: channel
 * @req: in flight, and no longer in @ch->inflight
 * @error: 0, or why there is no reply
 *
 * The caller puts the reference that was the channel's.
 */
void vum_req_finish(struct vum_channel *ch, struct vum_req *req, int error)
{
	struct task_struct *waiter = req->task;

	if (req->state == VUM_REQ_QUEUED) {
		list_del(&req->node);
	} else if (req->reply_fds) {
		ch->fds_wanted--;
		if (ch->link)
			vum_sock_go_on(ch->link);
	}
	req->error = error;
	if (req->kind == VUM_REQ_ASYNC)
		ch->nr_async--;
	if (error) {
		ch->stats.aborted++;
		trace_vum_abort(container_of(ch, struct vum_device, ch), req);
	} else {
		vum_req_clock(ch, req);
	}
	/*
	 * Seen without the lock, by a task that may then go on and exit; but not
	 * be freed, since the lock's holder is an RCU reader.
	 */
	smp_store_release(&req->state, VUM_REQ_DONE);
	if (waiter && waiter != current)
		wake_up_process(waiter);
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
			vum_inflight_remove(ch, req->msg.hdr.msg_id);
		else
			vum_inflight_retain(ch, req);
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

/* Look again and again for so long. Returns whether it is done. */
static bool vum_req_spin(const struct vum_channel *ch, const struct vum_req *req,
			 u64 start)
{
	u64 end = start + READ_ONCE(ch->spin_ns);

	while (!vum_req_done(req)) {
		/* As KVM: not while the CPU is of use to somebody, above all the server. */
		if (local_clock() >= end || !single_task_running() ||
		    need_resched() || signal_pending(current))
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * As KVM's halt polling and the block layer's: a wait of which no more than @max
 * had to be spun is reason to spin longer the next time, any other is reason to
 * spin less.
 */
static void vum_req_adapt(struct vum_channel *ch, u64 max, u64 waited)
{
	u64 spin = READ_ONCE(ch->spin_ns);

	if (waited > max)
		spin /= 2;
	else if (waited > spin)
		spin = min(max, max_t(u64, 2 * spin, VUM_SPIN_MIN_NS));
	WRITE_ONCE(ch->spin_ns, spin < VUM_SPIN_MIN_NS ? 0 : min(spin, max));
}

/* Sleeps until something happens to @req. */
static void vum_req_sleep(const struct vum_channel *ch, const struct vum_req *req,
			  long left)
{
	/*
	 * Here a client that sends and receives by itself would leave the kernel
	 * and come back, and so let a server run that waits for this CPU; most
	 * often the answer is there then, and nobody has to fall asleep.
	 */
	if (READ_ONCE(ch->link) && !single_task_running()) {
		schedule();
		if (vum_req_done(req))
			return;
	}
	set_current_state(TASK_KILLABLE);
	if (!vum_req_done(req) && !fatal_signal_pending(current))
		schedule_timeout(left);
	__set_current_state(TASK_RUNNING);
}

static void vum_req_pause(struct vum_device *dev, const struct vum_req *req, long left)
{
	u64 max = READ_ONCE(dev->poll_us) * NSEC_PER_USEC;
	u64 start;

	if (!max) {
		vum_req_sleep(&dev->ch, req, left);
		return;
	}
	start = local_clock();
	if (!vum_req_spin(&dev->ch, req, start))
		vum_req_sleep(&dev->ch, req, left);
	vum_req_adapt(&dev->ch, max, local_clock() - start);
}

/**
 * vum_req_wait - wait for the reply
 * @dev: device
 * @req: a queued request, with the caller as its @task
 *
 * Returns 0 with @req->reply; the server's error; -EIO if the server went away
 * or ran into timeout_ms; -EINTR if the caller is being killed.
 */
int vum_req_wait(struct vum_device *dev, struct vum_req *req)
{
	struct vum_channel *ch = &dev->ch;
	u32 ms = READ_ONCE(dev->timeout_ms);
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	long left = MAX_SCHEDULE_TIMEOUT;

	WRITE_ONCE(ch->waiter, current);
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
	if (READ_ONCE(ch->waiter) == current)
		WRITE_ONCE(ch->waiter, NULL);
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

	req->task = current;
	while ((ret = vum_req_queue(dev, req)) == -EPROBE_DEFER) {
		ret = vum_wait_settled(dev);
		if (ret)
			return ret;
	}
	if (ret || req->kind == VUM_REQ_POSTED)
		return ret;
	return vum_req_wait(dev, req);
}
