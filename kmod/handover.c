// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: handing a device that is in use from one server to another.
 *
 * What migration does between hosts happens on one: the server that is attached stops the
 * device and is asked for its state, another one is attached and loads it, as attach.c
 * brings any new attachment into working order. Consumers' requests wait meanwhile. If the
 * other server cannot be had or does not take the state, the first one is attached again
 * and gets its state back.
 */

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "device.h"
#include "handover.h"
#include "migrate_state.h"
#include "work.h"

/* A state takes no more memory than this, in bytes: no guest could stand the pause. */
#define VUM_HANDOVER_MAX	SZ_256M

/* How often it is looked whether requests are still under way, in microseconds. */
#define VUM_HANDOVER_LOOK_US	200

/* The least time for either half of a handover, in milliseconds: the attribute may be 0. */
#define VUM_HANDOVER_MS		1000U

/**
 * struct vum_handover_order - one handover
 * @dev: device
 * @session: the attachment whose server hands over
 * @old_socket: where that server listens
 * @saved: the state, with a reference
 * @begun: when consumers' requests began to wait
 * @read: when all of the state was there
 */
struct vum_handover_order {
	struct vum_device *dev;
	u32 session;
	char old_socket[UNIX_PATH_MAX];
	struct vum_saved *saved;
	ktime_t begun;
	ktime_t read;
};

/* What follows has to be over in time, as when a server is attached. */
static void vum_handover_set_clock(struct vum_device *dev)
{
	u32 ms = max(READ_ONCE(dev->attach_timeout_ms), VUM_HANDOVER_MS);

	WRITE_ONCE(dev->handover.until, jiffies + msecs_to_jiffies(ms));
}

/*
 * The state
 */

static struct vum_saved *vum_saved_new(void)
{
	struct vum_saved *saved = kzalloc(sizeof(*saved), GFP_KERNEL);

	if (saved) {
		refcount_set(&saved->ref, 1);
		INIT_LIST_HEAD(&saved->reqs);
	}
	return saved;
}

/**
 * vum_saved_put - put a reference on a state
 * @saved: state, or NULL
 */
void vum_saved_put(struct vum_saved *saved)
{
	struct vum_req *req, *next;

	if (!saved || !refcount_dec_and_test(&saved->ref))
		return;
	list_for_each_entry_safe(req, next, &saved->reqs, node)
		vum_req_put(req);
	kfree(saved);
}

/**
 * vum_handover_saved - get the state that the server of a new attachment is to load
 * @dev: device
 *
 * Return: the state, with a reference for the caller; or NULL.
 */
struct vum_saved *vum_handover_saved(struct vum_device *dev)
{
	struct vum_saved *saved;

	vum_conn_lock(&dev->conn);
	saved = dev->handover.saved;
	if (saved)
		refcount_inc(&saved->ref);
	vum_conn_unlock(&dev->conn);
	return saved;
}

/* Let the next attachments' servers load the state, the first that can. */
static void vum_handover_offer(struct vum_device *dev, struct vum_saved *saved)
{
	vum_conn_lock(&dev->conn);
	refcount_inc(&saved->ref);
	dev->handover.saved = saved;
	dev->handover.loaded = 0;
	vum_conn_unlock(&dev->conn);
}

/*
 * Consumers
 */

/* Let consumers' requests wait, and no store to a mapped region go to the old server. */
static void vum_handover_pause(struct vum_device *dev)
{
	vum_conn_lock(&dev->conn);
	WRITE_ONCE(dev->conn.paused, true);
	vum_conn_unlock(&dev->conn);
	vum_region_mmap_pause(dev);
}

/* @swapped: the device has another server than when it was paused. */
static void vum_handover_go_on(struct vum_handover_order *order, bool swapped)
{
	struct vum_device *dev = order->dev;
	struct vum_conn *conn = &dev->conn;

	vum_conn_lock(conn);
	/* Where the state is lost, an access that has begun does not go on. */
	if (conn->session != order->session && conn->session != dev->handover.loaded)
		conn->since = conn->session;
	WRITE_ONCE(conn->paused, false);
	vum_conn_unlock(conn);
	wake_up_all(&conn->changed);
	vum_ioeventfd_catch_up(dev, swapped ? order->session : 0);
}

/* Is a consumer's request under way to the server, or an answer to it? */
static bool vum_handover_busy(struct vum_conn *conn)
{
	unsigned long id = 0;
	void *entry;
	bool busy;

	vum_conn_lock(conn);
	busy = !list_empty(&conn->out) || conn->nr_async;
	for (; !busy && (entry = vum_ids_next(&conn->ids, &id)); id++)
		busy = !xa_is_value(entry);
	vum_conn_unlock(conn);
	return busy;
}

/* Wait until what consumers had asked for is done. Returns 0 or -ETIMEDOUT. */
static int vum_handover_drain(struct vum_device *dev)
{
	while (vum_handover_busy(&dev->conn)) {
		if (time_after(jiffies, dev->handover.until))
			return -ETIMEDOUT;
		usleep_range(VUM_HANDOVER_LOOK_US / 2, VUM_HANDOVER_LOOK_US);
	}
	return 0;
}

/*
 * The old server
 */

static int vum_handover_tell(struct vum_device *dev, u32 session, u32 state)
{
	return vum_mig_tell(dev, VUM_REQ_HANDOVER, session, state);
}

/* Add a reply to the state, or put it. Returns its size, or an error. */
static ssize_t vum_handover_keep(struct vum_saved *saved, struct vum_req *req)
{
	const struct vfio_user_mig_data *data = (const void *)req->reply->payload;
	u32 size = data->size;

	if (!size) {
		vum_req_put(req);
		return 0;
	}
	list_add_tail(&req->node, &saved->reqs);
	saved->bytes += size;
	saved->memory += sizeof(*req) + req->reply->size;
	return saved->memory > VUM_HANDOVER_MAX ? -EFBIG : size;
}

/*
 * Read all of the state. Returns 0, or an error. As vum_mig_note_read() says, a reply with
 * less than was asked for need not be the last, but may.
 */
static int vum_handover_read(struct vum_handover_order *order)
{
	const size_t len = vum_mig_chunk(order->dev, SIZE_MAX);
	struct vum_req *req;
	ssize_t size = len;
	bool cut = false;

	while (size > 0) {
		req = vum_mig_fetch(order->dev, VUM_REQ_HANDOVER, order->session, len);
		if (IS_ERR(req))
			return cut && req != ERR_PTR(-EIO) ? 0 : PTR_ERR(req);
		size = vum_handover_keep(order->saved, req);
		cut = size < len;
		if (size > 0 && time_after(jiffies, order->dev->handover.until))
			return -ETIMEDOUT;
	}
	return size;
}

/* Stop the device and get its state, or leave it running. Returns 0, or an error. */
static int vum_handover_save(struct vum_handover_order *order)
{
	struct vum_device *dev = order->dev;
	u32 session = order->session;
	int ret = vum_handover_drain(dev);

	if (ret)
		return ret;
	WRITE_ONCE(dev->handover.stopped, true);
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_STOP) ?:
	      vum_handover_tell(dev, session, VFIO_USER_STATE_STOP_COPY) ?:
	      vum_handover_read(order);
	if (!ret)
		return 0;
	vum_handover_set_clock(dev);
	if (vum_handover_tell(dev, session, VFIO_USER_STATE_RUNNING))
		vum_conn_break(dev, session,
			       "it stopped the device to hand it over, and cannot go on");
	WRITE_ONCE(dev->handover.stopped, false);
	vum_announce_catch_up(dev);
	return ret;
}

/*
 * The new server
 */

/* Write a part of the state, in pieces that the new server takes. */
static int vum_handover_write(struct vum_device *dev, u32 session, const u8 *data, size_t len)
{
	struct vum_req *req;
	size_t n;
	int ret;

	for (; len; data += n, len -= n) {
		n = vum_mig_chunk(dev, len);
		req = vum_mig_new_write(VUM_REQ_HANDOVER, n);
		if (!req)
			return -ENOMEM;
		memcpy(vum_mig_data(req), data, n);
		ret = vum_mig_call(dev, session, req);
		vum_req_put(req);
		if (ret)
			return ret;
	}
	return 0;
}

static const char *vum_handover_flaw(int ret)
{
	if (ret == -ENOMEM)
		return "out of memory while attaching";
	return ret ? "server does not take the state of the other one" : NULL;
}

/**
 * vum_handover_load - have a new attachment's server load a state
 * @dev: device
 * @session: the attachment, whose server has been told neither of memory nor of
 *	interrupts: a server whose device runs with a state of its own, such as that which
 *	it has handed over last, must not get at either
 * @saved: the state, or NULL
 *
 * Return: NULL, also if there is no state; or what is wrong with the server.
 */
const char *vum_handover_load(struct vum_device *dev, u32 session,
			      const struct vum_saved *saved)
{
	const struct vfio_user_mig_data *data;
	struct vum_req *req;
	int ret;

	if (!saved)
		return NULL;
	if (!dev->mig.able)
		return "server cannot load the state of another";
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_RESUMING);
	list_for_each_entry(req, &saved->reqs, node) {
		data = (const void *)req->reply->payload;
		ret = ret ?: vum_handover_write(dev, session, data->data, data->size);
	}
	return vum_handover_flaw(ret);
}

/**
 * vum_handover_run - have the server run that has loaded a state
 * @dev: device
 * @session: the attachment, which is about to be in working order
 * @saved: the state, or NULL
 *
 * Once the server runs, the state is its own, and no other one may have it.
 *
 * Return: as vum_handover_load().
 */
const char *vum_handover_run(struct vum_device *dev, u32 session,
			     const struct vum_saved *saved)
{
	struct vum_handover *ho = &dev->handover;
	struct vum_saved *done = NULL;
	bool taken;
	int ret;

	if (!saved)
		return NULL;
	vum_conn_lock(&dev->conn);
	ho->taken = ho->saved == saved && vum_conn_current(&dev->conn, session);
	taken = ho->taken;
	vum_conn_unlock(&dev->conn);
	if (!taken)
		return "server is too late to take the state of the other one";
	/* Not by way of STOP, in which servers refuse what they are told of memory. */
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_RUNNING);
	vum_conn_lock(&dev->conn);
	ho->taken = false;
	if (!ret) {
		ho->loaded = session;
		swap(ho->saved, done);
	}
	vum_conn_unlock(&dev->conn);
	wake_up_all(&dev->conn.changed);
	vum_saved_put(done);
	return vum_handover_flaw(ret);
}

/*
 * Has a server loaded the state, and is it attached? Or, unless others are to be tried as
 * well, has the attachment after @session ended, or the helper refused the server? If the
 * helper is at it once more, it has.
 */
static bool vum_handover_settled(struct vum_device *dev, u32 session, bool insist)
{
	struct vum_conn *conn = &dev->conn;
	bool settled;

	vum_conn_lock(conn);
	settled = conn->dead ||
		  (dev->handover.loaded && conn->state != VUM_STATE_ATTACHING);
	if (!insist && conn->session == session)
		settled |= conn->state == VUM_STATE_BROKEN;
	else if (!insist)
		settled |= conn->session - session > 1 ||
			   conn->state != VUM_STATE_ATTACHING;
	vum_conn_unlock(conn);
	return settled;
}

/*
 * Have the helper connect to another socket, but with @closed only if no consumer has the
 * device open. Returns whether it shall, and the last attachment before that.
 */
static bool vum_handover_connect(struct vum_device *dev, const char *socket, bool closed,
				 u32 *session)
{
	struct vum_conn *conn = &dev->conn;
	LIST_HEAD(dead);
	bool stopped;

	vum_conn_lock(conn);
	*session = conn->session;
	if (conn->dead || (closed && dev->open)) {
		vum_conn_unlock(conn);
		return false;
	}
	conn->reason[0] = '\0';
	stopped = vum_conn_readdress(dev, socket, &dead);
	WRITE_ONCE(conn->state, VUM_STATE_DETACHED);
	vum_conn_unlock(conn);
	if (stopped)
		vum_conn_stopped(dev, &dead);
	return true;
}

/* No server is to have the state from here on, unless one has it. Returns whether one has. */
static bool vum_handover_withdraw(struct vum_device *dev)
{
	struct vum_handover *ho = &dev->handover;
	struct vum_saved *saved = NULL;
	bool loaded, taken;

	do {
		/* A server that is told to run has no more time for its answer than this. */
		wait_event(dev->conn.changed, !READ_ONCE(ho->taken));
		vum_conn_lock(&dev->conn);
		loaded = ho->loaded;
		taken = ho->taken;
		if (!taken)
			swap(ho->saved, saved);
		vum_conn_unlock(&dev->conn);
	} while (taken);
	vum_saved_put(saved);
	return loaded;
}

/*
 * Attach the server at @socket, and have it load the state: with @insist by all attempts
 * that the helper makes in time, else by the first. Returns 0, or an error.
 */
static int vum_handover_attach(struct vum_handover_order *order, const char *socket,
			       bool insist)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	struct vum_conn *conn = &dev->conn;
	u32 session;
	long left;

	vum_handover_set_clock(dev);
	/* Before the next server is there to be told of memory. */
	WRITE_ONCE(ho->stopped, false);
	vum_handover_offer(dev, order->saved);
	if (!vum_handover_connect(dev, socket, false, &session)) {
		vum_handover_withdraw(dev);
		strscpy(ho->why, "the mdev is being removed", sizeof(ho->why));
		return -ENOTCONN;
	}
	left = wait_event_timeout(conn->changed, vum_handover_settled(dev, session, insist),
				  msecs_to_jiffies(vum_handover_left(ho)));
	if (vum_handover_withdraw(dev))
		return 0;
	vum_conn_lock(conn);
	if (conn->reason[0])
		strscpy(ho->why, conn->reason, sizeof(ho->why));
	else
		snprintf(ho->why, sizeof(ho->why), left ? "it went away" :
			 "no answer within attach_timeout_ms");
	vum_conn_unlock(conn);
	return -ENOTCONN;
}

/*
 * The whole
 */

/* Why can the device not be handed over now? Returns 0, or an error, and why. */
static int vum_handover_check(struct vum_handover_order *order, const char **why)
{
	struct vum_device *dev = order->dev;
	struct vum_conn *conn = &dev->conn;
	int ret = 0;

	vum_conn_lock(conn);
	if (conn->state != VUM_STATE_ATTACHED) {
		ret = -ENOTCONN;
		*why = "no server is attached";
	} else if (!conn->helper) {
		ret = -ENOTCONN;
		*why = "there is no helper that could attach another server";
	} else if (!dev->mig.able || !test_bit(VUM_OPTIONAL_FEATURE, &dev->optional_commands)) {
		ret = -EOPNOTSUPP;
		*why = "the server cannot save the device's state";
	} else if (vum_mig_state(dev) != VFIO_DEVICE_STATE_RUNNING) {
		ret = -EBUSY;
		*why = "the device is being migrated";
	} else if (!strcmp(dev->socket, dev->handover.socket)) {
		ret = -EEXIST;
		*why = "the present server has that socket, and could not be attached again";
	}
	order->session = conn->session;
	strscpy(order->old_socket, dev->socket, sizeof(order->old_socket));
	vum_conn_unlock(conn);
	return ret;
}

static void vum_handover_tell_success(struct vum_handover_order *order)
{
	struct vum_handover *ho = &order->dev->handover;
	ktime_t now = ktime_get();

	ho->pause_us = ktime_us_delta(now, order->begun);
	vum_notice(order->dev,
		   "handed over from %s to %s: paused for %lld us, %lld of them to save %llu bytes\n",
		   order->old_socket, ho->socket, ho->pause_us,
		   ktime_us_delta(order->read, order->begun), order->saved->bytes);
}

/* Neither server goes on. End what is still under way, which would end in another state. */
static void vum_handover_lost(struct vum_handover_order *order, const char *why)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	char also[sizeof(ho->why)];

	vum_conn_end(dev, READ_ONCE(dev->conn.session), "it lacks the device's state");
	/* Not rate-limited, since nothing else tells it. */
	pr_err("%s: the device's state is lost: server on %s: %s; server on %s: %s\n",
	       dev->uuid, ho->socket, why, order->old_socket, ho->why);
	vum_irq_error(dev);
	strscpy(also, ho->why, sizeof(also));
	snprintf(ho->why, sizeof(ho->why),
		 "%.40s; nor does the present one go on (%.24s): the state is lost", why, also);
}

/* With the state at hand, which is not lost as long as either server takes it. */
static int vum_handover_swap(struct vum_handover_order *order)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	char why[sizeof(ho->why)];
	int ret;

	ret = vum_handover_attach(order, ho->socket, false);
	if (!ret) {
		vum_handover_tell_success(order);
		return 0;
	}
	strscpy(why, ho->why, sizeof(why));
	vum_err(dev, "not handed over to %s: %s\n", ho->socket, why);
	if (vum_handover_attach(order, order->old_socket, true)) {
		vum_handover_lost(order, why);
		return -EREMOTEIO;
	}
	strscpy(ho->why, why, sizeof(ho->why));
	return ret;
}

static int vum_handover_execute(struct vum_handover_order *order)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	const char *why = "out of memory";
	int ret = -ENOMEM;

	order->saved = vum_saved_new();
	if (order->saved)
		ret = vum_handover_check(order, &why);
	if (ret) {
		strscpy(ho->why, why, sizeof(ho->why));
		return ret;
	}
	order->begun = ktime_get();
	vum_handover_set_clock(dev);
	vum_handover_pause(dev);
	ret = vum_handover_save(order);
	order->read = ktime_get();
	if (ret) {
		snprintf(ho->why, sizeof(ho->why),
			 "the server does not save the device's state: error %d", ret);
		vum_handover_go_on(order, false);
		return ret;
	}
	ret = vum_handover_swap(order);
	vum_handover_go_on(order, true);
	return ret;
}

/* A worker does it, since a handover has to end even if the task that asked for it is killed. */
static void vum_handover_work(struct work_struct *work)
{
	struct vum_handover *ho = container_of(work, struct vum_handover, work);
	struct vum_device *dev = container_of(ho, struct vum_device, handover);
	struct vum_handover_order *order = kzalloc(sizeof(*order), GFP_KERNEL | __GFP_NOFAIL);
	int ret;

	order->dev = dev;
	ho->why[0] = '\0';
	/* A worker is never killed, so this does not fail. */
	ret = vum_mig_begin(dev);
	if (!ret) {
		ret = vum_handover_execute(order);
		vum_mig_end(dev);
	}
	vum_saved_put(order->saved);
	kfree(order);
	ho->ret = ret;
	smp_store_release(&ho->runs, false);
	wake_up_all(&dev->conn.changed);
	vfio_put_device(&dev->vdev);
}

/**
 * vum_handover - hand the device to the server on another socket
 * @dev: device
 * @socket: path of that socket, which is not the present one's
 *
 * If no consumer has the device open, it simply gets another socket.
 *
 * Return: 0; -EBUSY if the device is being handed over or migrated; -EOPNOTSUPP if the
 * server cannot save its state; -EEXIST if @socket is the present one's; -ENOTCONN if no
 * server is attached, or there is no helper, or the other server cannot be had or does
 * not take the state, and the first one goes on; -EREMOTEIO if that does not, either;
 * -ETIMEDOUT if a request of a consumer's is not answered, or the state takes too long;
 * -EINTR if the caller is being killed, and a worker goes on; or an error of the
 * server's. dev->handover.why says more.
 */
int vum_handover(struct vum_device *dev, const char *socket)
{
	struct vum_handover *ho = &dev->handover;
	struct vum_conn *conn = &dev->conn;
	bool open, runs;
	u32 session;

	vum_conn_lock(conn);
	open = dev->open;
	runs = ho->runs;
	if (open && !runs) {
		ho->runs = true;
		strscpy(ho->socket, socket, sizeof(ho->socket));
	}
	vum_conn_unlock(conn);
	if (runs)
		return -EBUSY;
	if (!open)
		return vum_handover_connect(dev, socket, true, &session) ? 0 : -EBUSY;
	get_device(&dev->vdev.device);
	vum_work_queue_server(&ho->work);
	if (wait_event_killable(conn->changed, !smp_load_acquire(&ho->runs)))
		return -EINTR;
	return ho->ret;
}

void vum_handover_init(struct vum_device *dev)
{
	INIT_WORK(&dev->handover.work, vum_handover_work);
}
