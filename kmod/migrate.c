// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: live migration, VFIO's version 2, for servers that can save and load
 * the state of their device.
 *
 * Each arc of VFIO's state machine is one SET of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE at
 * the server, and the consumer's reads and writes of the data file are MIG_DATA_READ and
 * MIG_DATA_WRITE. One of these is under way at a time. A device whose server goes away in
 * any state but RUNNING is in ERROR, which only a reset ends.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "migrate.h"
#include "request.h"

/**
 * struct vum_mig_file - a data file: a session in which a state is saved or loaded
 * @dev: device, with a reference
 * @session: the attachment whose server saves or loads
 * @over: the device has left the states in which data flow; conn's lock guards it
 * @busy: bit 0: a task reads or writes, and may wait for its own memory or for the server,
 *	so that data keep their order; what follows belongs to it
 * @lost: some of the data got neither to the consumer nor to the server
 * @cut: the server's last reply had less than it was asked for
 * @drained: the server has no more
 * @bytes: number of bytes that have been read
 */
struct vum_mig_file {
	struct vum_device *dev;
	u32 session;
	bool over;
	unsigned long busy;
	bool lost;
	bool cut;
	bool drained;
	u64 bytes;
};

/*
 * Set bit 0 of @busy, alone. The task may be frozen while it waits, so it holds no lock.
 * Returns 0; -EINTR if it is being killed.
 */
static int vum_mig_claim(struct vum_device *dev, unsigned long *busy)
{
	if (wait_event_state(dev->conn.changed, !test_and_set_bit_lock(0, busy),
			     (TASK_KILLABLE | TASK_FREEZABLE)))
		return -EINTR;
	return 0;
}

static void vum_mig_release_claim(struct vum_device *dev, unsigned long *busy)
{
	clear_bit_unlock(0, busy);
	/* Pairs with the barrier of whoever begins to wait. */
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
	vum_mig_release_claim(dev, &dev->mig.busy);
}

/* Do data flow in this state? */
static bool vum_mig_flows(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_STOP_COPY || state == VUM_MIG_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_RESUMING;
}

static void vum_mig_enter(struct vum_device *dev, enum vfio_device_mig_state state)
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

/*
 * Messages
 */

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

/* Ask the server for its state, or with VFIO_DEVICE_FEATURE_SET, tell it one. */
static int vum_mig_ask(struct vum_device *dev, enum vum_req_kind kind, u32 session,
		       u32 how, u32 *state)
{
	struct vfio_user_mig_device_state *mig;
	struct vfio_user_device_feature *feature;
	bool set = how == VFIO_DEVICE_FEATURE_SET;
	struct vum_req *req;
	int ret;

	/* A device must not fail for want of so little. */
	req = vum_req_alloc_nofail(kind, VFIO_USER_DEVICE_FEATURE,
				   sizeof(*feature) + (set ? sizeof(*mig) : 0));
	feature = (void *)req->msg.payload;
	feature->argsz = sizeof(*feature) + sizeof(*mig);
	feature->flags = how | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	if (set)
		*(struct vfio_user_mig_device_state *)feature->data =
			(struct vfio_user_mig_device_state) {
				.device_state = *state, .data_fd = -1,
			};
	req->reply_max = sizeof(*feature) + sizeof(*mig);
	req->reply_min = set ? 0 : req->reply_max;
	ret = vum_mig_call(dev, session, req);
	if (!ret && !set) {
		feature = (void *)req->reply->payload;
		mig = (void *)feature->data;
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
	return vum_mig_ask(dev, kind, session, VFIO_DEVICE_FEATURE_SET, &state);
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

/*
 * The data file
 */

/* Returns 0; -ENODEV if no more data flow by this file; or -EIO if some are lost. */
static int vum_mig_file_check(struct vum_mig_file *f, enum vfio_device_mig_state *state)
{
	struct vum_conn *conn = &f->dev->conn;
	bool over;

	vum_conn_lock(conn);
	*state = vum_mig_state(f->dev);
	over = f->over;
	vum_conn_unlock(conn);
	if (over)
		return -ENODEV;
	return f->lost ? -EIO : 0;
}

/*
 * Note what came of a request for @len bytes. Returns the request with its data; NULL if
 * there are no more; or an error pointer. libvfio-user's devices may have more after a
 * reply with less than was asked for, although the specification calls that the end: so
 * the end is a reply with nothing, or a refusal of what the specification has no need for.
 */
static struct vum_req *vum_mig_note_read(struct vum_mig_file *f, struct vum_req *req, size_t len,
					 enum vfio_device_mig_state state)
{
	const struct vfio_user_mig_data *data;
	u32 size = 0;

	if (!IS_ERR(req)) {
		data = (const void *)req->reply->payload;
		size = data->size;
	} else if (!f->cut || req == ERR_PTR(-EIO) || req == ERR_PTR(-EINTR)) {
		/* Nobody knows whether the server has sent what nobody takes any more. */
		f->lost |= req == ERR_PTR(-EINTR);
		return req;
	}
	WRITE_ONCE(f->cut, size < len);
	f->drained = !size;
	f->bytes += size;
	if (size)
		return req;
	if (!IS_ERR(req))
		vum_req_put(req);
	/* In PRE_COPY, there may be more later. */
	return state == VFIO_DEVICE_STATE_STOP_COPY ? NULL : ERR_PTR(-ENOMSG);
}

/* Ask the server for data. Returns as vum_mig_note_read(). */
static struct vum_req *vum_mig_read_ahead(struct vum_mig_file *f, size_t len)
{
	enum vfio_device_mig_state state;
	struct vum_req *req;
	int ret = vum_mig_begin(f->dev);

	if (ret)
		return ERR_PTR(ret);
	ret = vum_mig_file_check(f, &state);
	if (ret) {
		req = ERR_PTR(ret);
	} else if (f->drained && state == VFIO_DEVICE_STATE_STOP_COPY) {
		req = NULL;
	} else {
		req = vum_mig_fetch(f->dev, VUM_REQ_CONSUMER, f->session, len);
		/* Before the state can change, by which there may be more. */
		req = vum_mig_note_read(f, req, len, state);
	}
	vum_mig_end(f->dev);
	return req;
}

static ssize_t vum_mig_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct vum_mig_file *f = file->private_data;
	const struct vfio_user_mig_data *data;
	struct vum_req *req;
	ssize_t ret = 0;

	if (!len)
		return 0;
	if (vum_mig_claim(f->dev, &f->busy))
		return -EINTR;
	req = vum_mig_read_ahead(f, vum_mig_chunk(f->dev, len));
	if (IS_ERR(req)) {
		ret = PTR_ERR(req);
	} else if (req) {
		data = (const void *)req->reply->payload;
		ret = data->size;
		/* The device is not kept from others while this waits. */
		if (copy_to_user(buf, data->data, data->size)) {
			f->lost = true;
			ret = -EFAULT;
		}
		vum_req_put(req);
	}
	vum_mig_release_claim(f->dev, &f->busy);
	return ret;
}

/* Hand a request with data to the server. Returns 0 or an error. */
static int vum_mig_write_on(struct vum_mig_file *f, struct vum_req *req)
{
	enum vfio_device_mig_state state;
	int ret = vum_mig_begin(f->dev);

	if (ret)
		return ret;
	ret = vum_mig_file_check(f, &state);
	if (!ret) {
		ret = vum_mig_call(f->dev, f->session, req);
		/* Nobody knows whether the server has got it. */
		if (ret == -EINTR)
			f->lost = true;
	}
	vum_mig_end(f->dev);
	return ret;
}

/* Returns the number of bytes that the server has taken, or an error. */
static ssize_t vum_mig_write_once(struct vum_mig_file *f, const char __user *buf, size_t len)
{
	struct vum_req *req;
	ssize_t ret = -EFAULT;

	len = vum_mig_chunk(f->dev, len);
	req = vum_mig_new_write(VUM_REQ_CONSUMER, len);
	if (!req)
		return -ENOMEM;
	/* The device is not kept from others while this waits. */
	if (!copy_from_user(vum_mig_data(req), buf, len))
		ret = vum_mig_write_on(f, req);
	vum_req_put(req);
	return ret ?: len;
}

static ssize_t vum_mig_write(struct file *file, const char __user *buf, size_t len,
			     loff_t *pos)
{
	struct vum_mig_file *f = file->private_data;
	ssize_t ret = 0;
	size_t done = 0;

	if (vum_mig_claim(f->dev, &f->busy))
		return -EINTR;
	while (done < len && ret >= 0) {
		ret = vum_mig_write_once(f, buf + done, len - done);
		if (ret > 0)
			done += ret;
	}
	vum_mig_release_claim(f->dev, &f->busy);
	return done ?: ret;
}

/* vfio-user has no way to ask how much there is: say whether there is any. */
static long vum_mig_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_precopy_info __user *to = (void __user *)arg;
	unsigned long minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);
	struct vum_mig_file *f = file->private_data;
	enum vfio_device_mig_state state;
	struct vfio_precopy_info info;
	int ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(&info, to, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = vum_mig_file_check(f, &state);
	if (ret)
		return ret;
	if (state != VUM_MIG_PRE_COPY)
		return -EINVAL;
	info.flags = 0;
	info.initial_bytes = READ_ONCE(f->cut) ? 0 : vum_mig_chunk(f->dev, SIZE_MAX);
	info.dirty_bytes = 0;
	return copy_to_user(to, &info, minsz) ? -EFAULT : 0;
}

static int vum_mig_release(struct inode *inode, struct file *file)
{
	struct vum_mig_file *f = file->private_data;
	struct vum_device *dev = f->dev;

	vum_conn_lock(&dev->conn);
	if (dev->mig.file == f)
		dev->mig.file = NULL;
	vum_conn_unlock(&dev->conn);
	kfree(f);
	vfio_put_device(&dev->vdev);
	return 0;
}

static const struct file_operations vum_mig_saving = {
	.owner		= THIS_MODULE,
	.read		= vum_mig_read,
	.unlocked_ioctl	= vum_mig_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= vum_mig_release,
};

static const struct file_operations vum_mig_loading = {
	.owner		= THIS_MODULE,
	.write		= vum_mig_write,
	.release	= vum_mig_release,
};

static struct file *vum_mig_open(struct vum_device *dev, bool load)
{
	struct vum_mig_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!f)
		return ERR_PTR(-ENOMEM);
	f->dev = dev;
	f->session = dev->mig.session;
	file = anon_inode_getfile("[vfio-user-mdev-migration]",
				  load ? &vum_mig_loading : &vum_mig_saving, f,
				  load ? O_WRONLY : O_RDONLY);
	if (IS_ERR(file)) {
		kfree(f);
		return file;
	}
	get_device(&dev->vdev.device);
	stream_open(file->f_inode, file);
	return file;
}

/*
 * States
 */

/* The server has failed to leave @cur. Is it still there? */
static void vum_mig_failed(struct vum_device *dev, enum vfio_device_mig_state cur)
{
	u32 state;

	/* The next server's device runs. */
	if (cur == VFIO_DEVICE_STATE_RUNNING && !vum_conn_current(&dev->conn, dev->mig.session))
		return;
	if (!vum_mig_ask(dev, VUM_REQ_CONSUMER, dev->mig.session, VFIO_DEVICE_FEATURE_GET,
			 &state) && state == cur)
		return;
	vum_conn_lock(&dev->conn);
	vum_mig_enter(dev, VFIO_DEVICE_STATE_ERROR);
	vum_conn_unlock(&dev->conn);
	vum_err(dev, "migration failed: server cannot leave state %u, nor stay in it; reset the device\n",
		cur);
}

/* Go from one state to the next. Returns a data file if one begins; NULL; or an error. */
static struct file *vum_mig_arc(struct vum_device *dev, enum vfio_device_mig_state cur,
				enum vfio_device_mig_state next)
{
	bool begins = vum_mig_flows(next) && !vum_mig_flows(cur);
	struct file *file = NULL;
	struct vum_mig *mig = &dev->mig;
	int ret;

	if (begins)
		file = vum_mig_open(dev, next == VFIO_DEVICE_STATE_RESUMING);
	if (IS_ERR(file))
		return file;
	ret = vum_mig_tell(dev, VUM_REQ_CONSUMER, mig->session, next);
	if (ret) {
		if (file)
			fput(file);
		vum_mig_failed(dev, cur);
		return ERR_PTR(ret);
	}
	vum_conn_lock(&dev->conn);
	/* What was left when the device stopped is still to come. */
	if (mig->file)
		mig->file->drained = false;
	vum_mig_enter(dev, next);
	if (begins)
		mig->file = file->private_data;
	vum_conn_unlock(&dev->conn);
	return file;
}

/* VFIO installs the data file's descriptor, and drops what is an error. */
static struct file *vum_mig_set(struct vfio_device *vdev, enum vfio_device_mig_state new)
{
	struct vum_device *dev = vum_from_vfio(vdev);
	enum vfio_device_mig_state cur, next;
	struct vum_mig *mig = &dev->mig;
	struct file *file = NULL;
	int ret = vum_mig_begin(dev);

	if (ret)
		return ERR_PTR(ret);
	vum_conn_lock(&dev->conn);
	cur = vum_mig_state(dev);
	if (cur == VFIO_DEVICE_STATE_RUNNING)
		mig->session = dev->conn.session;
	vum_conn_unlock(&dev->conn);
	/* Only a reset ends that; and VFIO warns of whoever asks for the way out of it. */
	if (cur == VFIO_DEVICE_STATE_ERROR && cur != new)
		file = ERR_PTR(-EINVAL);
	/* Since the device was opened, another server may have been attached that way. */
	if (cur == VFIO_DEVICE_STATE_RUNNING && cur != new &&
	    READ_ONCE(dev->dma.announced) == VUM_DMA_SHARE)
		file = ERR_PTR(-EOPNOTSUPP);
	for (; cur != new && !file; cur = next) {
		ret = vfio_mig_get_next_state(vdev, cur, new, &next);
		file = ret ? ERR_PTR(ret) : vum_mig_arc(dev, cur, next);
	}
	vum_mig_end(dev);
	return file;
}

static int vum_mig_get(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	vum_conn_lock(&dev->conn);
	*state = vum_mig_state(dev);
	vum_conn_unlock(&dev->conn);
	return 0;
}

/*
 * vfio-user has no way to ask: as much as the last time, or what one message carries.
 * Not every kernel wants to know.
 */
static int __maybe_unused
vum_mig_data_size(struct vfio_device *vdev, unsigned long *bytes)
{
	struct vum_device *dev = vum_from_vfio(vdev);

	*bytes = max_t(u64, READ_ONCE(dev->mig.bytes), vum_mig_chunk(dev, SIZE_MAX));
	return 0;
}

static const struct vfio_migration_ops vum_mig_ops = {
	.migration_set_state	= vum_mig_set,
	.migration_get_state	= vum_mig_get,
	VUM_OPS_MIG_DATA_SIZE(vum_mig_data_size)
};

/**
 * vum_mig_offer - let consumers migrate the device as far as its server can
 * @dev: device, whose connection is locked
 * @flags: VFIO_MIGRATION_*, as the server has them; 0: it cannot
 *
 * A consumer that has the device open has asked for the flags, and goes by them.
 */
void vum_mig_offer(struct vum_device *dev, u64 flags)
{
	const struct vfio_migration_ops *ops;

	vum_conn_assert_held(&dev->conn);
	flags &= VUM_MIG_FLAGS;
	if (!(flags & VFIO_MIGRATION_STOP_COPY))
		flags = 0;
	dev->mig.able = flags;
	if (dev->open)
		return;
	/* VFIO counts what is pinned as dirty, and has no part in what is shared. */
	if (READ_ONCE(dev->dma.mode) == VUM_DMA_SHARE)
		flags = 0;
	ops = flags ? &vum_mig_ops : NULL;
	WRITE_ONCE(dev->vdev.migration_flags, flags);
	WRITE_ONCE(dev->vdev.mig_ops, ops);
}

/*
 * Reset the device by @reset, where the state is not RUNNING. The specification says that
 * a reset makes it so, but servers, such as libvfio-user, refuse a reset of a device that
 * does not run, or leave the state as it is.
 */
static int vum_mig_reset_hard(struct vum_device *dev, int (*reset)(struct vum_device *dev))
{
	u32 session = READ_ONCE(dev->conn.session), state = VFIO_DEVICE_STATE_ERROR;
	int ret;

	vum_mig_tell(dev, VUM_REQ_CONSUMER, session, VFIO_DEVICE_STATE_RUNNING);
	ret = reset(dev) ?: vum_mig_ask(dev, VUM_REQ_CONSUMER, session,
					VFIO_DEVICE_FEATURE_GET, &state);
	if (!ret && state != VFIO_DEVICE_STATE_RUNNING)
		ret = -EIO;
	vum_conn_lock(&dev->conn);
	vum_mig_enter(dev, ret ? VFIO_DEVICE_STATE_ERROR : VFIO_DEVICE_STATE_RUNNING);
	vum_conn_unlock(&dev->conn);
	return ret;
}

/**
 * vum_mig_reset - reset the device, by which its state becomes RUNNING
 * @dev: device
 * @reset: sends the request and waits for the reply; returns 0 or an error
 *
 * Return: as @reset; -EIO if the server's device does not run after that; -EINTR if the
 * caller is being killed.
 */
int vum_mig_reset(struct vum_device *dev, int (*reset)(struct vum_device *dev))
{
	int ret = vum_mig_begin(dev);
	bool hard;

	if (ret)
		return ret;
	vum_conn_lock(&dev->conn);
	/* A server that knows no states may have come in place of one that does. */
	hard = vum_mig_state(dev) != VFIO_DEVICE_STATE_RUNNING && dev->mig.able;
	vum_conn_unlock(&dev->conn);
	if (hard) {
		ret = vum_mig_reset_hard(dev, reset);
	} else {
		ret = reset(dev);
		vum_conn_lock(&dev->conn);
		if (!ret)
			vum_mig_enter(dev, VFIO_DEVICE_STATE_RUNNING);
		vum_conn_unlock(&dev->conn);
	}
	vum_mig_end(dev);
	return ret;
}

/**
 * vum_mig_close - have the device run again, since its consumer is gone
 * @dev: device that is being closed; the server has been told nothing of that as yet,
 *	which it might refuse in another state
 */
void vum_mig_close(struct vum_device *dev)
{
	struct {
		struct vfio_user_device_feature feature;
		struct vfio_user_mig_device_state mig;
	} set = {
		.feature.argsz = sizeof(set),
		.feature.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		.mig.device_state = VFIO_DEVICE_STATE_RUNNING,
		.mig.data_fd = -1,
	};
	bool runs;

	vum_conn_lock(&dev->conn);
	runs = vum_mig_state(dev) == VFIO_DEVICE_STATE_RUNNING || !dev->mig.able;
	vum_mig_enter(dev, VFIO_DEVICE_STATE_RUNNING);
	vum_conn_unlock(&dev->conn);
	if (!runs)
		vum_req_async(dev, VFIO_USER_DEVICE_FEATURE, &set, sizeof(set));
}

void vum_mig_init(struct vum_device *dev)
{
	dev->mig.state = VFIO_DEVICE_STATE_RUNNING;
}
