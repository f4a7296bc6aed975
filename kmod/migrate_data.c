// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the data file, by which a consumer reads and writes the state of a
 * device that is migrated: MIG_DATA_READ and MIG_DATA_WRITE.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "migrate_data.h"
#include "migrate_state.h"

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
		/* The server may have sent data that no task has received. */
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
	vum_mig_unclaim(f->dev, &f->busy);
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
		/* The server may have got the data, or not. */
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
	vum_mig_unclaim(f->dev, &f->busy);
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

/**
 * vum_mig_open - open a data file of the state that the device is about to enter
 * @dev: device, on which the file has a reference
 * @load: to load a state, not to save one
 *
 * Return: the file, or an error pointer.
 */
struct file *vum_mig_open(struct vum_device *dev, bool load)
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
