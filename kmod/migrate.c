// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: live migration, VFIO's version 2, for servers that can save and load
 * the state of their device.
 *
 * Each arc of VFIO's state machine is one SET of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE at
 * the server (migrate_state.c), and the consumer's reads and writes of the data file are
 * MIG_DATA_READ and MIG_DATA_WRITE (migrate_data.c). One of these is under way at a time.
 * A device whose server goes away in any state but RUNNING is in ERROR, which only a reset
 * ends.
 */

#include <linux/file.h>

#include "compat.h"
#include "device.h"
#include "migrate.h"
#include "migrate_data.h"
#include "migrate_state.h"
#include "request.h"

/* The server has not gone from @cur to the next state. Unless it is still in @cur: ERROR. */
static void vum_mig_failed(struct vum_device *dev, enum vfio_device_mig_state cur)
{
	u32 state;

	/* Another server has been attached since, and its device runs. */
	if (cur == VFIO_DEVICE_STATE_RUNNING && !vum_conn_current(&dev->conn, dev->mig.session))
		return;
	if (!vum_mig_ask(dev, VUM_REQ_CONSUMER, dev->mig.session, &state) &&
	    state == cur)
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
	/* Only a reset ends ERROR; and vfio_mig_get_next_state() warns if asked for another way. */
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
	int ret = reset(dev);

	if (!ret)
		ret = vum_mig_ask(dev, VUM_REQ_CONSUMER, session, &state);
	if (ret || state != VFIO_DEVICE_STATE_RUNNING) {
		ret = vum_mig_tell(dev, VUM_REQ_CONSUMER, session, VFIO_DEVICE_STATE_RUNNING);
		ret = ret ?: reset(dev);
	}
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
 * vum_mig_stopped - find out whether a device does not run, as far as its consumer knows
 * @dev: device
 */
bool vum_mig_stopped(struct vum_device *dev)
{
	bool stopped;

	vum_conn_lock(&dev->conn);
	stopped = vum_mig_state(dev) != VFIO_DEVICE_STATE_RUNNING;
	vum_conn_unlock(&dev->conn);
	return stopped;
}

/**
 * vum_mig_close - have a stopped device be ready for the next consumer
 * @dev: device that is being closed, whose server reaches no memory any more
 *
 * The server has been told to reset the device. If it refuses that of one that does not
 * run, it takes this, and the reset that follows.
 */
void vum_mig_close(struct vum_device *dev)
{
	bool able;

	vum_conn_lock(&dev->conn);
	able = dev->mig.able;
	vum_mig_enter(dev, VFIO_DEVICE_STATE_RUNNING);
	vum_conn_unlock(&dev->conn);
	if (able)
		vum_mig_tell_async(dev, VFIO_DEVICE_STATE_RUNNING);
}

void vum_mig_init(struct vum_device *dev)
{
	dev->mig.state = VFIO_DEVICE_STATE_RUNNING;
}
