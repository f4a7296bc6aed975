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
#include <linux/slab.h>

#include "device.h"
#include "handover.h"
#include "work.h"

/* A state that is larger than this is no device's of which a guest could stand the pause. */
#define VUM_HANDOVER_MAX	SZ_256M

/* How often it is looked whether requests are still under way, in microseconds. */
#define VUM_HANDOVER_LOOK_US	200

/**
 * struct vum_handover_order - one handover
 * @dev: device
 * @session: the attachment whose server hands over
 * @old_socket: where that server listens
 * @begun: when consumers' requests began to wait
 * @saved: when all of the state was there
 */
struct vum_handover_order {
	struct vum_device *dev;
	u32 session;
	char old_socket[UNIX_PATH_MAX];
	ktime_t begun;
	ktime_t saved;
};

static void vum_handover_drop_state(struct vum_handover *ho)
{
	struct vum_req *req, *next;

	list_for_each_entry_safe(req, next, &ho->state, node)
		vum_req_put(req);
	INIT_LIST_HEAD(&ho->state);
	ho->bytes = 0;
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

static void vum_handover_go_on(struct vum_handover_order *order)
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
	vum_ioeventfd_catch_up(dev);
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
	unsigned long end = jiffies + msecs_to_jiffies(READ_ONCE(dev->attach_timeout_ms));

	while (vum_handover_busy(&dev->conn)) {
		if (time_after(jiffies, end))
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

/* Read all of the state. Returns 0, or an error. */
static int vum_handover_read(struct vum_device *dev, u32 session)
{
	const size_t len = vum_mig_chunk(dev, SIZE_MAX);
	struct vum_handover *ho = &dev->handover;
	const struct vfio_user_mig_data *data;
	struct vum_req *req;
	u32 size;

	do {
		req = vum_mig_fetch(dev, VUM_REQ_HANDOVER, session, len);
		if (IS_ERR(req))
			return PTR_ERR(req);
		data = (const void *)req->reply->payload;
		size = data->size;
		ho->bytes += size;
		list_add_tail(&req->node, &ho->state);
		if (ho->bytes > VUM_HANDOVER_MAX)
			return -EFBIG;
	} while (size == len);
	return 0;
}

/* Stop the device and get its state, or leave it running. Returns 0, or an error. */
static int vum_handover_save(struct vum_device *dev, u32 session)
{
	int ret = vum_handover_drain(dev);

	if (ret)
		return ret;
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_STOP) ?:
	      vum_handover_tell(dev, session, VFIO_USER_STATE_STOP_COPY) ?:
	      vum_handover_read(dev, session);
	if (ret && vum_handover_tell(dev, session, VFIO_USER_STATE_RUNNING))
		vum_conn_break(dev, session,
			       "it stopped the device to hand it over, and cannot go on");
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
 * vum_handover_load - have a new attachment's server load the state that waits for it
 * @dev: device
 * @session: the attachment, whose server has been told neither of memory nor of
 *	interrupts: a server whose device runs with a state of its own, such as that which
 *	it has handed over last, must not get at either
 *
 * Return: NULL, also if there is no such state; or what is wrong with the server.
 */
const char *vum_handover_load(struct vum_device *dev, u32 session)
{
	struct vum_handover *ho = &dev->handover;
	const struct vfio_user_mig_data *data;
	struct vum_req *req;
	int ret;

	if (!READ_ONCE(ho->waits))
		return NULL;
	if (!dev->mig.able)
		return "server cannot load the state of another";
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_RESUMING);
	list_for_each_entry(req, &ho->state, node) {
		data = (const void *)req->reply->payload;
		ret = ret ?: vum_handover_write(dev, session, data->data, data->size);
	}
	return vum_handover_flaw(ret);
}

/**
 * vum_handover_run - have the server run that has loaded a state
 * @dev: device
 * @session: the attachment, which is about to be in working order
 *
 * Return: as vum_handover_load().
 */
const char *vum_handover_run(struct vum_device *dev, u32 session)
{
	struct vum_handover *ho = &dev->handover;
	int ret;

	if (!READ_ONCE(ho->waits))
		return NULL;
	ret = vum_handover_tell(dev, session, VFIO_USER_STATE_STOP) ?:
	      vum_handover_tell(dev, session, VFIO_USER_STATE_RUNNING);
	vum_conn_lock(&dev->conn);
	if (!ret)
		ho->loaded = session;
	vum_conn_unlock(&dev->conn);
	return vum_handover_flaw(ret);
}

/* Has an attachment after @session come into working order, or ended? */
static bool vum_handover_settled(struct vum_device *dev, u32 session)
{
	struct vum_conn *conn = &dev->conn;
	bool settled;

	vum_conn_lock(conn);
	/* If the helper is at it once more, the first time has ended already. */
	settled = conn->dead || conn->session - session > 1 ||
		  (conn->session != session && conn->state != VUM_STATE_ATTACHING);
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
	if (closed && dev->open) {
		vum_conn_unlock(conn);
		return false;
	}
	strscpy(dev->socket, socket, sizeof(dev->socket));
	conn->reason[0] = '\0';
	stopped = vum_conn_stop(dev, *session, VUM_STATE_DETACHED, &dead);
	/* As in sysfs.c: CHANGED first, or the helper would try the old socket. */
	vum_conn_event(dev, VUM_EVENT_CHANGED);
	if (stopped)
		vum_conn_event(dev, VUM_EVENT_DETACHED);
	vum_conn_unlock(conn);
	if (stopped)
		vum_conn_stopped(dev, &dead);
	return true;
}

/* Attach the server at @socket, and have it load the state. Returns 0, or an error. */
static int vum_handover_attach(struct vum_device *dev, const char *socket)
{
	long left = msecs_to_jiffies(READ_ONCE(dev->attach_timeout_ms));
	struct vum_handover *ho = &dev->handover;
	struct vum_conn *conn = &dev->conn;
	int ret = -ENOTCONN;
	u32 session;

	vum_handover_connect(dev, socket, false, &session);
	left = wait_event_timeout(conn->changed, vum_handover_settled(dev, session), left);
	vum_conn_lock(conn);
	if (conn->state == VUM_STATE_ATTACHED && ho->loaded == conn->session)
		ret = 0;
	else if (conn->reason[0])
		strscpy(ho->why, conn->reason, sizeof(ho->why));
	else
		snprintf(ho->why, sizeof(ho->why), left ? "it went away" :
			 "no answer within attach_timeout_ms");
	vum_conn_unlock(conn);
	return ret;
}

/*
 * The whole
 */

/* May the device be handed over now? Returns 0, or an error, and why. */
static int vum_handover_check(struct vum_handover_order *order, const char **why)
{
	struct vum_device *dev = order->dev;
	struct vum_conn *conn = &dev->conn;
	int ret = 0;

	vum_conn_lock(conn);
	if (conn->state != VUM_STATE_ATTACHED) {
		ret = -ENOTCONN;
		*why = "no server is attached";
	} else if (!dev->mig.able) {
		ret = -EOPNOTSUPP;
		*why = "the server cannot save the device's state";
	} else if (vum_mig_state(dev) != VFIO_DEVICE_STATE_RUNNING) {
		ret = -EBUSY;
		*why = "the device is being migrated";
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
		   ktime_us_delta(order->saved, order->begun), ho->bytes);
}

/* With the state at hand, which is not lost as long as either server takes it. */
static int vum_handover_swap(struct vum_handover_order *order)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	char why[sizeof(ho->why)];
	int ret;

	WRITE_ONCE(ho->waits, true);
	ret = vum_handover_attach(dev, ho->socket);
	if (!ret) {
		vum_handover_tell_success(order);
	} else {
		strscpy(why, ho->why, sizeof(why));
		vum_err(dev, "not handed over to %s: %s\n", ho->socket, why);
		if (vum_handover_attach(dev, order->old_socket)) {
			vum_err(dev, "and the server on %s does not go on: %s; the device's state is lost\n",
				order->old_socket, ho->why);
			vum_irq_error(dev);
			ret = -EREMOTEIO;
		}
		strscpy(ho->why, why, sizeof(ho->why));
	}
	WRITE_ONCE(ho->waits, false);
	return ret;
}

static int vum_handover_execute(struct vum_handover_order *order)
{
	struct vum_device *dev = order->dev;
	struct vum_handover *ho = &dev->handover;
	const char *why = "";
	int ret = vum_handover_check(order, &why);

	if (ret) {
		strscpy(ho->why, why, sizeof(ho->why));
		return ret;
	}
	order->begun = ktime_get();
	vum_handover_pause(dev);
	ret = vum_handover_save(dev, order->session);
	order->saved = ktime_get();
	if (!ret)
		ret = vum_handover_swap(order);
	else
		snprintf(ho->why, sizeof(ho->why),
			 "the server does not save the device's state: error %d", ret);
	vum_handover_go_on(order);
	vum_handover_drop_state(ho);
	return ret;
}

/* A worker does it, since it has to come to its end even if who asked for it is killed. */
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
	kfree(order);
	ho->ret = ret;
	smp_store_release(&ho->runs, false);
	wake_up_all(&dev->conn.changed);
	vfio_put_device(&dev->vdev);
}

/**
 * vum_handover - hand the device to the server on another socket
 * @dev: device
 * @socket: path of that socket, which may be the present one's, where another server
 *	listens by now
 *
 * If no consumer has the device open, it simply gets another socket.
 *
 * Return: 0; -EBUSY if the device is being handed over or migrated; -EOPNOTSUPP if the
 * server cannot save its state; -ENOTCONN if no server is attached, or the other one
 * cannot be had or does not take the state, and the first one goes on; -EREMOTEIO if
 * that does not, either; -ETIMEDOUT if a request of a consumer's is not answered;
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
	INIT_LIST_HEAD(&dev->handover.state);
	INIT_WORK(&dev->handover.work, vum_handover_work);
}
