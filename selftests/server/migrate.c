// SPDX-License-Identifier: GPL-2.0
/*
 * Live migration: the states of VFIO's version 2, and the stream of data in which a
 * device's state goes to another server.
 *
 * The stream is one or more snapshots, each after a struct snapshot. In PRE_COPY a
 * snapshot is sent that serves nothing but to be early; the last one counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include "private.h"

#define SNAPSHOT_MAGIC	0x53554d56	/* "VMUS" */

/* More than any device of the tests has. */
#define SNAPSHOT_MAX	(1UL << 30)

struct snapshot {
	__u32 magic;
	__u32 reserved;
	__u64 size;
};

/**
 * struct vus_mig - how far the migration is
 * @state: enum vfio_user_mig_state
 * @data: the stream, from the first byte that has not been sent, or all that has come
 * @size: bytes in @data
 * @at: with a stream that goes out: bytes that have been sent
 * @room: bytes that fit into @data
 * @target: the state that the device is on its way to, while it stops
 * @reply: what the client waits for meanwhile, or NULL
 */
struct vus_mig {
	__u32 state;
	__u8 *data;
	size_t size;
	size_t at;
	size_t room;
	__u32 target;
	struct vus_reply *reply;
};

static void drop_data(struct vus_mig *mig)
{
	free(mig->data);
	mig->data = NULL;
	mig->size = 0;
	mig->at = 0;
	mig->room = 0;
}

static int append(struct vus_mig *mig, const void *data, size_t size)
{
	if (size > SNAPSHOT_MAX - mig->size)
		return -EFBIG;
	if (mig->room < mig->size + size) {
		size_t room = 2 * (mig->size + size);
		__u8 *more = realloc(mig->data, room);

		if (!more)
			return -ENOMEM;
		mig->data = more;
		mig->room = room;
	}
	if (size)
		memcpy(mig->data + mig->size, data, size);
	mig->size += size;
	return 0;
}

/* Append a snapshot to the stream that goes out. */
static int save(struct vus_server *srv)
{
	struct vus_mig *mig = srv->mig;
	struct snapshot head = { .magic = SNAPSHOT_MAGIC };
	void *state = NULL;
	size_t size = 0;
	int ret = srv->dev->migration->save(srv->dev->opaque, &state, &size);

	head.size = size;
	if (!ret)
		ret = append(mig, &head, sizeof(head));
	if (!ret)
		ret = append(mig, state, size);
	free(state);
	return ret;
}

/* Find the last snapshot of the stream that has come. */
static const void *last_snapshot(const struct vus_mig *mig, size_t *size)
{
	const void *last = NULL;
	struct snapshot head;
	size_t at = 0;

	while (at < mig->size) {
		if (mig->size - at < sizeof(head))
			return NULL;
		memcpy(&head, mig->data + at, sizeof(head));
		at += sizeof(head);
		if (head.magic != SNAPSHOT_MAGIC || head.reserved ||
		    head.size > mig->size - at)
			return NULL;
		last = mig->data + at;
		*size = head.size;
		at += head.size;
	}
	return last;
}

static int load(struct vus_server *srv)
{
	size_t size = 0;
	const void *last = last_snapshot(srv->mig, &size);
	void *state;
	int ret;

	/* As QEMU does with a device that the snapshot which it loads does not know. */
	if (!srv->mig->size)
		return 0;
	if (!last) {
		vus_log("migration: the data are no state, or not all of one");
		return -EINVAL;
	}
	/* Aligned for any struct. */
	state = malloc(size ? size : 1);
	if (!state)
		return -ENOMEM;
	memcpy(state, last, size);
	ret = srv->dev->migration->load(srv->dev->opaque, state, size);
	free(state);
	return ret;
}

/* The next state on the way; ERROR if there is none. */
static __u32 next_state(__u32 from, __u32 to)
{
	switch (from) {
	case VFIO_USER_STATE_RUNNING:
		return to == VFIO_USER_STATE_PRE_COPY ? to : VFIO_USER_STATE_STOP;
	case VFIO_USER_STATE_PRE_COPY:
		return to == VFIO_USER_STATE_STOP_COPY ? to : VFIO_USER_STATE_RUNNING;
	case VFIO_USER_STATE_STOP:
		return to == VFIO_USER_STATE_PRE_COPY ? VFIO_USER_STATE_RUNNING : to;
	case VFIO_USER_STATE_STOP_COPY:
		return to == VFIO_USER_STATE_PRE_COPY ? VFIO_USER_STATE_ERROR :
							  VFIO_USER_STATE_STOP;
	case VFIO_USER_STATE_RESUMING:
		return VFIO_USER_STATE_STOP;
	default:
		return VFIO_USER_STATE_ERROR;
	}
}

/* Do what an arc is about. Returns 0, a negative errno, or -EINPROGRESS. */
static int arc(struct vus_server *srv, __u32 from, __u32 to)
{
	const struct vus_migration *ops = srv->dev->migration;
	bool runs = from == VFIO_USER_STATE_RUNNING || from == VFIO_USER_STATE_PRE_COPY;
	int ret;

	switch (to) {
	case VFIO_USER_STATE_STOP:
		if (from == VFIO_USER_STATE_RESUMING)
			ret = load(srv);
		else
			ret = runs ? ops->stop(srv->dev->opaque) : 0;
		if (ret != -EINPROGRESS)
			drop_data(srv->mig);
		return ret;
	case VFIO_USER_STATE_STOP_COPY:
		ret = runs ? ops->stop(srv->dev->opaque) : 0;
		return ret ? ret : save(srv);
	case VFIO_USER_STATE_PRE_COPY:
		return save(srv);
	case VFIO_USER_STATE_RUNNING:
		drop_data(srv->mig);
		return runs ? 0 : ops->run(srv->dev->opaque);
	default:
		return 0;
	}
}

static bool state_exists(const struct vus_server *srv, __u32 state)
{
	return state == VFIO_USER_STATE_STOP || state == VFIO_USER_STATE_RUNNING ||
	       state == VFIO_USER_STATE_STOP_COPY ||
	       state == VFIO_USER_STATE_RESUMING ||
	       (state == VFIO_USER_STATE_PRE_COPY &&
		srv->dev->migration->flags & VFIO_USER_MIGRATION_PRE_COPY);
}

/* Go on to mig->target. Returns 0, a negative errno, or -EINPROGRESS. */
static int go_on(struct vus_server *srv)
{
	struct vus_mig *mig = srv->mig;
	int ret = 0;

	while (!ret && mig->state != mig->target) {
		__u32 next = next_state(mig->state, mig->target);

		if (next == VFIO_USER_STATE_ERROR)
			return -EINVAL;
		ret = arc(srv, mig->state, next);
		if (!ret)
			mig->state = next;
		else if (mig->state == VFIO_USER_STATE_RESUMING)
			mig->state = VFIO_USER_STATE_ERROR;
	}
	return ret;
}

static struct vus_reply *answer(const struct vus_msg *msg, const void *data, size_t size)
{
	const struct vfio_user_device_feature *in = msg->payload;
	struct vus_reply *reply = vus_reply_new(msg, sizeof(*in) + size);
	struct vfio_user_device_feature *out = vus_reply_payload(reply);

	*out = (struct vfio_user_device_feature){
		.argsz = (__u32)(sizeof(*out) + size), .flags = in->flags,
	};
	if (size)
		memcpy(out->data, data, size);
	return reply;
}

static struct vus_reply *set_state(struct vus_server *srv, const struct vus_msg *msg)
{
	const struct vfio_user_device_feature *in = msg->payload;
	struct vfio_user_mig_device_state state;
	struct vus_mig *mig = srv->mig;
	int ret;

	if (msg->size < sizeof(*in) + sizeof(state))
		return vus_reply_error(msg, EINVAL);
	memcpy(&state, in->data, sizeof(state));
	if (!state_exists(srv, state.device_state))
		return vus_reply_error(msg, EINVAL);
	if (mig->reply)
		return vus_reply_error(msg, EBUSY);
	if (srv->opt.stay_stopped && mig->state != VFIO_USER_STATE_RUNNING &&
	    state.device_state == VFIO_USER_STATE_RUNNING)
		return vus_reply_error(msg, EIO);
	mig->target = state.device_state;
	ret = go_on(srv);
	if (ret == -EINPROGRESS) {
		mig->reply = answer(msg, &state, sizeof(state));
		return NULL;
	}
	return ret ? vus_reply_error(msg, -ret) : answer(msg, &state, sizeof(state));
}

/**
 * vus_mig_feature() - answer a VFIO_DEVICE_FEATURE that is about migration
 * @srv: the server
 * @msg: the command, at least as long as struct vfio_user_device_feature
 * @reply: set to the reply, or to NULL if it will be sent later
 *
 * Return: false if it is about something else, or the device cannot be migrated
 */
bool vus_mig_feature(struct vus_server *srv, const struct vus_msg *msg,
		     struct vus_reply **reply)
{
	const struct vfio_user_device_feature *in = msg->payload;
	__u32 feature = in->flags & VFIO_DEVICE_FEATURE_MASK;
	bool set = in->flags & VFIO_DEVICE_FEATURE_SET;
	struct vfio_user_mig_device_state state = { .data_fd = -1 };

	if (!srv->dev->migration || (feature != VFIO_DEVICE_FEATURE_MIGRATION &&
				     feature != VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		return false;
	state.device_state = srv->mig->state;
	if (set && feature == VFIO_DEVICE_FEATURE_MIGRATION)
		*reply = vus_reply_error(msg, EINVAL);
	else if (in->flags & VFIO_DEVICE_FEATURE_PROBE)
		*reply = answer(msg, NULL, 0);
	else if (set)
		*reply = set_state(srv, msg);
	else if (feature == VFIO_DEVICE_FEATURE_MIGRATION)
		*reply = answer(msg, &srv->dev->migration->flags,
				sizeof(srv->dev->migration->flags));
	else
		*reply = answer(msg, &state, sizeof(state));
	return true;
}

/**
 * vus_mig_stopped() - the device has come to rest
 * @srv: the server, whose device's stop() has returned -EINPROGRESS
 */
void vus_mig_stopped(struct vus_server *srv)
{
	struct vus_mig *mig = srv->mig;
	struct vus_reply *reply = mig->reply;
	int ret;

	if (!reply)
		return;
	mig->reply = NULL;
	ret = go_on(srv);
	if (ret) {
		struct vfio_user_header *hdr = vus_reply_header(reply);

		hdr->flags |= VFIO_USER_F_ERROR;
		hdr->error_no = (__u32)-ret;
		reply->size = sizeof(*hdr);
		hdr->msg_size = (__u32)reply->size;
	}
	vus_send_reply(srv, reply);
	free(reply);
}

/* VFIO_USER_MIG_DATA_READ */
struct vus_reply *vus_mig_read(struct vus_server *srv, const struct vus_msg *msg)
{
	const struct vfio_user_mig_data *in = msg->payload;
	struct vus_mig *mig = srv->mig;
	struct vfio_user_mig_data *out;
	struct vus_reply *reply;
	size_t size;

	if (!srv->dev->migration || msg->size < sizeof(*in) ||
	    in->size > srv->client_max_xfer || in->argsz < sizeof(*in) + in->size ||
	    (mig->state != VFIO_USER_STATE_PRE_COPY &&
	     mig->state != VFIO_USER_STATE_STOP_COPY))
		return vus_reply_error(msg, EINVAL);
	size = mig->size - mig->at < in->size ? mig->size - mig->at : in->size;
	reply = vus_reply_new(msg, sizeof(*out) + size);
	out = vus_reply_payload(reply);
	out->argsz = (__u32)(sizeof(*out) + size);
	out->size = (__u32)size;
	if (size)
		memcpy(out->data, mig->data + mig->at, size);
	mig->at += size;
	return reply;
}

/* VFIO_USER_MIG_DATA_WRITE */
struct vus_reply *vus_mig_write(struct vus_server *srv, const struct vus_msg *msg)
{
	const struct vfio_user_mig_data *in = msg->payload;
	int ret;

	if (!srv->dev->migration || msg->size < sizeof(*in) ||
	    in->size > srv->opt.max_data_xfer_size ||
	    msg->size != sizeof(*in) + in->size || in->argsz != msg->size ||
	    srv->mig->state != VFIO_USER_STATE_RESUMING)
		return vus_reply_error(msg, EINVAL);
	ret = append(srv->mig, in->data, in->size);
	return ret ? vus_reply_error(msg, -ret) : vus_reply_new(msg, 0);
}

/**
 * vus_mig_reset() - the device has been reset, or its client has gone: it runs
 * @srv: the server
 */
void vus_mig_reset(struct vus_server *srv)
{
	struct vus_mig *mig = srv->mig;

	if (!mig || srv->opt.keep_state || srv->opt.stay_stopped)
		return;
	drop_data(mig);
	free(mig->reply);
	mig->reply = NULL;
	if (mig->state != VFIO_USER_STATE_RUNNING &&
	    mig->state != VFIO_USER_STATE_PRE_COPY)
		srv->dev->migration->run(srv->dev->opaque);
	mig->state = VFIO_USER_STATE_RUNNING;
	mig->target = mig->state;
}

/**
 * vus_mig_refuses() - is a command not to be executed in this state?
 * @srv: the server
 * @cmd: the command
 */
bool vus_mig_refuses(const struct vus_server *srv, __u16 cmd)
{
	if (!srv->opt.keep_state || (srv->mig->state != VFIO_USER_STATE_STOP &&
				     srv->mig->state != VFIO_USER_STATE_STOP_COPY))
		return false;
	return cmd != VFIO_USER_VERSION && cmd != VFIO_USER_REGION_READ &&
	       cmd != VFIO_USER_REGION_WRITE && cmd != VFIO_USER_DEVICE_FEATURE &&
	       cmd != VFIO_USER_MIG_DATA_READ;
}

void vus_mig_init(struct vus_server *srv)
{
	if (!srv->dev->migration)
		return;
	srv->mig = vus_alloc(sizeof(*srv->mig));
	srv->mig->state = VFIO_USER_STATE_RUNNING;
}

void vus_mig_free(struct vus_server *srv)
{
	if (!srv->mig)
		return;
	drop_data(srv->mig);
	free(srv->mig->reply);
	free(srv->mig);
}
