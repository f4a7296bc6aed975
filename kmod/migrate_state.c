// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the state of a device that is migrated, and what servers are told and
 * asked of it.
 */

#include <linux/slab.h>

#include "compat.h"
#include "device.h"
#include "migrate_state.h"
#include "request.h"

/**
 * vum_mig_claim - set a bit that no other task has set, or wait until it is clear
 * @dev: device
 * @busy: bit 0 is set
 *
 * Context: may be frozen while it waits, so the caller holds no lock.
 * Return: 0; -EINTR if the caller is being killed.
 */
int vum_mig_claim(struct vum_device *dev, unsigned long *busy)
{
	if (wait_event_state(dev->conn.changed, !test_and_set_bit_lock(0, busy),
			     (TASK_KILLABLE | TASK_FREEZABLE)))
		return -EINTR;
	return 0;
}

/**
 * vum_mig_unclaim - clear a bit that vum_mig_claim() has set
 * @dev: device
 * @busy: bit 0 is cleared
 */
void vum_mig_unclaim(struct vum_device *dev, unsigned long *busy)
{
	clear_bit_unlock(0, busy);
	/* Pairs with the barrier of the task that is about to wait, in prepare_to_wait(). */
	smp_mb__after_atomic();
	wake_up_all(&dev->conn.changed);
}

/**
 * vum_mig_begin - begin what must not be under way twice: a change of state, data, a reset
 * @dev: device
 *
 * Return: 0; -EINTR if the caller is being killed.
 */
int vum_mig_begin(struct vum_device *dev)
{
	return vum_mig_claim(dev, &dev->mig.busy);
}

/**
 * vum_mig_end - end what vum_mig_begin() has begun
 * @dev: device
 */
void vum_mig_end(struct vum_device *dev)
{
	vum_mig_unclaim(dev, &dev->mig.busy);
}

/**
 * vum_mig_flows - find out whether data flow in a state
 * @state: the state
 */
bool vum_mig_flows(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_STOP_COPY || state == VUM_MIG_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_RESUMING;
}

/**
 * vum_mig_enter - note that the device is in a state
 * @dev: device, whose connection is locked
 * @state: the state
 */
void vum_mig_enter(struct vum_device *dev, enum vfio_device_mig_state state)
{
	struct vum_mig *mig = &dev->mig;

	vum_conn_assert_held(&dev->conn);
	mig->state = state;
	if (!mig->file || vum_mig_flows(state))
		return;
	if (mig->file->bytes)
		WRITE_ONCE(mig->bytes, mig->file->bytes);
	mig->file->over = true;
	mig->file = NULL;
}

/**
 * vum_mig_state - get the state that the device is in
 * @dev: device, whose connection is locked
 *
 * A server that came later knows nothing of what its predecessor was told.
 */
enum vfio_device_mig_state vum_mig_state(struct vum_device *dev)
{
	struct vum_mig *mig = &dev->mig;

	vum_conn_assert_held(&dev->conn);
	if (mig->state != VFIO_DEVICE_STATE_RUNNING &&
	    !vum_conn_current(&dev->conn, mig->session))
		vum_mig_enter(dev, VFIO_DEVICE_STATE_ERROR);
	return mig->state;
}

/**
 * vum_mig_call - send a request to the server of one attachment, and wait
 * @dev: device
 * @session: the attachment
 * @req: request
 *
 * Return: as vum_req_call().
 */
int vum_mig_call(struct vum_device *dev, u32 session, struct vum_req *req)
{
	req->session = session;
	/* Consumers wait for it: all of it has to be over in time. */
	if (req->kind == VUM_REQ_HANDOVER)
		req->timeout_ms = vum_handover_left(&dev->handover);
	return vum_req_call(dev, req);
}

/* Make a request about the state of a device, with room for one if @set. */
static struct vum_req *vum_mig_new(enum vum_req_kind kind, bool set)
{
	size_t size = sizeof(struct vfio_user_mig_device_state);
	struct vfio_user_device_feature *feature;
	struct vum_req *req;

	/* A device must not fail for want of so little. */
	req = vum_req_alloc_nofail(kind, VFIO_USER_DEVICE_FEATURE,
				   sizeof(*feature) + (set ? size : 0));
	feature = (void *)req->msg.payload;
	feature->argsz = sizeof(*feature) + size;
	feature->flags = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE |
			 (set ? VFIO_DEVICE_FEATURE_SET : VFIO_DEVICE_FEATURE_GET);
	/* A server may repeat in its reply what it has been told. */
	req->reply_max = feature->argsz;
	return req;
}

static struct vum_req *vum_mig_new_tell(enum vum_req_kind kind, u32 state)
{
	struct vum_req *req = vum_mig_new(kind, true);
	struct vfio_user_device_feature *feature = (void *)req->msg.payload;

	*(struct vfio_user_mig_device_state *)feature->data =
		(struct vfio_user_mig_device_state) {
			.device_state = state, .data_fd = -1,
		};
	return req;
}

/**
 * vum_mig_ask - ask a server for the state of its device
 * @dev: device
 * @kind: kind of the request
 * @session: the attachment whose server it is
 * @state: set to the state, unless there is an error
 *
 * Return: as vum_req_call().
 */
int vum_mig_ask(struct vum_device *dev, enum vum_req_kind kind, u32 session, u32 *state)
{
	struct vum_req *req = vum_mig_new(kind, false);
	const struct vfio_user_mig_device_state *mig;
	const struct vfio_user_device_feature *feature;
	int ret;

	req->reply_min = req->reply_max;
	ret = vum_mig_call(dev, session, req);
	if (!ret) {
		feature = (const void *)req->reply->payload;
		mig = (const void *)feature->data;
		*state = mig->device_state;
	}
	vum_req_put(req);
	return ret;
}

/**
 * vum_mig_tell - tell a server the state that it has to go to
 * @dev: device
 * @kind: kind of the request
 * @session: the attachment whose server it is
 * @state: the state
 *
 * Return: as vum_req_call().
 */
int vum_mig_tell(struct vum_device *dev, enum vum_req_kind kind, u32 session, u32 state)
{
	struct vum_req *req = vum_mig_new_tell(kind, state);
	int ret = vum_mig_call(dev, session, req);

	vum_req_put(req);
	return ret;
}

/**
 * vum_mig_tell_async - tell the present server a state, without waiting for its reply
 * @dev: device
 * @state: the state
 */
void vum_mig_tell_async(struct vum_device *dev, u32 state)
{
	vum_req_queue_async(dev, vum_mig_new_tell(VUM_REQ_ASYNC, state));
}

/**
 * vum_mig_chunk - choose how many bytes go into one message
 * @dev: device
 * @len: number of bytes that there are, or that are wanted
 *
 * Return: @len or, if that is too much, what was negotiated less the header.
 */
size_t vum_mig_chunk(const struct vum_device *dev, size_t len)
{
	size_t max = min_t(size_t, READ_ONCE(dev->conn.peer.max_data_xfer_size),
			   VUM_MAX_DATA_XFER_SIZE);

	/* Servers of devices with registers only may take as few as 8. */
	max -= min(max - 1, sizeof(struct vfio_user_mig_data));
	return min(len, max);
}

/**
 * vum_mig_fetch - read from a server's state
 * @dev: device
 * @kind: VUM_REQ_CONSUMER or VUM_REQ_HANDOVER
 * @session: the attachment whose server it is
 * @len: number of bytes to ask for, from vum_mig_chunk()
 *
 * Return: the request, whose reply is a struct vfio_user_mig_data with as many bytes as
 * that says; or an error pointer, as vum_req_call(), or -ENOMEM.
 */
struct vum_req *vum_mig_fetch(struct vum_device *dev, enum vum_req_kind kind, u32 session,
			      size_t len)
{
	struct vfio_user_mig_data *data;
	struct vum_req *req;
	u32 room;
	int ret;

	req = vum_req_alloc(kind, VFIO_USER_MIG_DATA_READ, sizeof(*data));
	if (!req)
		return ERR_PTR(-ENOMEM);
	data = (void *)req->msg.payload;
	data->argsz = sizeof(*data) + len;
	data->size = len;
	req->reply_min = sizeof(*data);
	req->reply_max = sizeof(*data) + len;
	ret = vum_mig_call(dev, session, req);
	if (ret)
		goto err;
	data = (void *)req->reply->payload;
	room = req->reply->size - sizeof(req->reply->hdr) - sizeof(*data);
	/* libvfio-user's reply is as long as it may be, whatever the size it names. */
	if (data->size <= room)
		return req;
	vum_conn_break(dev, session, "migration data are cut short: %u bytes of %u", room,
		       data->size);
	ret = -EIO;
err:
	vum_req_put(req);
	return ERR_PTR(ret);
}

/**
 * vum_mig_new_write - make a request that writes to a server's state
 * @kind: VUM_REQ_CONSUMER or VUM_REQ_HANDOVER
 * @len: number of bytes, from vum_mig_chunk(), for the caller to put at vum_mig_data()
 *
 * Return: the request, or NULL if there is no memory.
 */
struct vum_req *vum_mig_new_write(enum vum_req_kind kind, size_t len)
{
	struct vfio_user_mig_data *data;
	struct vum_req *req;

	req = vum_req_alloc(kind, VFIO_USER_MIG_DATA_WRITE, sizeof(*data) + len);
	if (!req)
		return NULL;
	data = (void *)req->msg.payload;
	data->argsz = sizeof(*data) + len;
	data->size = len;
	/* The specification wants no payload, but there may be one. */
	req->reply_max = sizeof(*data) + len;
	return req;
}
