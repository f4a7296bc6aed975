// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: VFIO_DEVICE_IOEVENTFD, by which a signal of the consumer's eventfd
 * becomes a write to a region.
 *
 * If the server has an eventfd of its own for that write, the module signals that
 * one, and sends no message. Else it sends a posted write.
 */

#include <linux/eventfd.h>
#include <linux/nospec.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "request.h"

/* vfio-pci has the same limit. */
#define VUM_IOEVENTFD_MAX	1000

/* KVM_IOEVENTFD_FLAG_DATAMATCH; some architectures hide KVM's header from modules. */
#define VUM_IO_FD_DATAMATCH	BIT(0)

/**
 * struct vum_ioeventfd - a write that the consumer causes by an eventfd
 * @node: in dev->ioeventfds.list
 * @dev: device
 * @virqfd: the consumer's eventfd, as VFIO watches it; VFIO sets this to NULL when
 *	the eventfd is closed
 * @where: region, offset and size of the write
 * @data: the value to write
 * @source: the consumer's eventfd, with a reference
 * @server: the server's eventfd for this write, with a reference, or NULL
 * @session: the attachment that @server is from
 * @missed: it was signalled while the device was handed to another server; conn's lock
 *	guards this
 * @last: the last write that was queued, with a reference, or NULL. While it is the
 *	last message in conn->out, it need not be repeated
 */
struct vum_ioeventfd {
	struct list_head node;
	struct vum_device *dev;
	struct virqfd *virqfd;
	struct vfio_user_region_access where;
	u64 data;
	struct eventfd_ctx *source;
	struct eventfd_ctx *server;
	u32 session;
	bool missed;
	struct vum_req *last;
};

static bool vum_ioeventfd_direct(const struct vum_ioeventfd *io)
{
	return io->server && READ_ONCE(io->session) == READ_ONCE(io->dev->conn.session);
}

/* Is @io's write the last message in conn->out? */
static bool vum_ioeventfd_queued(const struct vum_ioeventfd *io)
{
	struct vum_conn *conn = &io->dev->conn;
	bool queued;

	vum_conn_lock(conn);
	queued = io->last && io->last->session == conn->session &&
		 io->last->state == VUM_REQ_QUEUED &&
		 list_is_last(&io->last->node, &conn->out);
	vum_conn_unlock(conn);
	return queued;
}

/* Returns false if the device has been paused before the write was queued. */
static bool vum_ioeventfd_write(struct vum_ioeventfd *io)
{
	struct vfio_user_region_access *payload;
	struct vum_req *req;
	int ret;

	if (vum_ioeventfd_queued(io))
		return true;
	req = vum_req_alloc_nofail(VUM_REQ_POSTED, VFIO_USER_REGION_WRITE,
				   sizeof(io->where) + io->where.count);
	payload = (void *)req->msg.payload;
	*payload = io->where;
	memcpy(payload->data, &io->data, io->where.count);
	req->session = READ_ONCE(io->dev->conn.session);
	req->echo = sizeof(io->where);
	req->reply_min = sizeof(io->where);
	req->reply_max = req->reply_min;
	ret = vum_req_queue(io->dev, req);
	if (!ret) {
		vum_req_put(io->last);
		io->last = req;
		return true;
	}
	/*
	 * Without a server there is no device to write to. A server that is attached
	 * must not go on as if nothing had been written.
	 */
	if (ret != -EIO && ret != -EPROBE_DEFER)
		vum_conn_break(io->dev, req->session,
			       "cannot send it the write of an ioeventfd: error %d",
			       ret);
	vum_req_put(req);
	return ret != -EPROBE_DEFER || !READ_ONCE(io->dev->conn.paused);
}

/*
 * Signal the server's eventfd, or note that this is for later, since the device is being
 * handed to another server. With conn's lock held, so that no signal is late for the state
 * that this server saves. Returns false if a message is to be sent instead.
 */
static bool vum_ioeventfd_signal(struct vum_ioeventfd *io)
{
	struct vum_conn *conn = &io->dev->conn;
	bool done = true;

	vum_conn_lock(conn);
	if (conn->paused)
		io->missed = true;
	else if (vum_ioeventfd_direct(io))
		vum_eventfd_signal(io->server);
	else
		done = false;
	vum_conn_unlock(conn);
	return done;
}

static void vum_ioeventfd_thread(void *opaque, void *unused)
{
	struct vum_ioeventfd *io = opaque;

	/* The device may be paused between the two. */
	while (!vum_ioeventfd_signal(io))
		if (vum_ioeventfd_write(io))
			return;
}

/*
 * Has @io been signalled in vain? Or may it have been, in @session, whose server may not
 * have looked at its eventfd before it saved the device's state? One signal too many does
 * no harm, as an eventfd may always be signalled for no reason.
 */
static bool vum_ioeventfd_take_missed(struct vum_ioeventfd *io, u32 session)
{
	bool missed;

	vum_conn_lock(&io->dev->conn);
	missed = io->missed || (session && io->server && io->session == session);
	io->missed = false;
	vum_conn_unlock(&io->dev->conn);
	return missed;
}

/* Does entry @fd of the server's reply stand for this write? */
static bool vum_ioeventfd_match(const struct vum_ioeventfd *io,
				const struct vfio_user_sub_region_ioeventfd *fd)
{
	return fd->type == VFIO_USER_IO_FD_TYPE_IOEVENTFD &&
	       fd->offset == io->where.offset &&
	       (!fd->size || fd->size == io->where.count) &&
	       (!(fd->flags & VUM_IO_FD_DATAMATCH) || fd->datamatch == io->data);
}

static void vum_ioeventfd_take(struct vum_ioeventfd *io, const struct vum_msg *reply)
{
	u32 size = reply->size - sizeof(reply->hdr), i, at;
	struct {
		struct vfio_user_region_io_fds head;
		struct vfio_user_sub_region_ioeventfd fds[];
	} const *answer = (const void *)reply->payload;

	for (i = 0; i < answer->head.count; i++) {
		if (struct_size(answer, fds, i + 1) > size)
			return;
		at = answer->fds[i].fd_index;
		if (!vum_ioeventfd_match(io, &answer->fds[i]) || at >= reply->nr_files)
			continue;
		at = array_index_nospec(at, reply->nr_files);
		io->server = eventfd_ctx_fileget(reply->files[at]);
		if (IS_ERR(io->server))
			io->server = NULL;
		return;
	}
}

/* Ask for the server's eventfd. Returns 0, even if it has none; -ENOMEM; -EINTR. */
static int vum_ioeventfd_ask(struct vum_ioeventfd *io)
{
	struct vfio_user_region_io_fds ask = {
		.argsz = vum_conn_argsz(&io->dev->conn),
		.index = io->where.region,
	};
	struct vum_req *req;
	int ret;

	req = vum_req_alloc(VUM_REQ_CONSUMER, VFIO_USER_DEVICE_GET_REGION_IO_FDS,
			    sizeof(ask));
	if (!req)
		return -ENOMEM;
	memcpy(req->msg.payload, &ask, sizeof(ask));
	req->reply_min = sizeof(ask);
	req->reply_max = VUM_MAX_INFO;
	req->reply_fds = VUM_MAX_MSG_FDS;
	io->session = READ_ONCE(io->dev->conn.session);
	ret = vum_optional_call(io->dev, req, VUM_OPTIONAL_IO_FDS);
	if (!ret)
		vum_ioeventfd_take(io, req->reply);
	else if (req->reply)
		vum_conn_note(io->dev, io->session,
			      "no eventfd of the server's: GET_REGION_IO_FDS: error %d", ret);
	vum_req_put(req);
	return ret == -EINTR ? ret : 0;
}

/**
 * vum_ioeventfd_catch_up - make the writes that had to wait
 * @dev: device, which is no longer paused
 * @session: the attachment of the server that has handed the device over, or 0
 *
 * By signalling the consumer's eventfd once more: so no write of an ioeventfd's is made
 * by two tasks at a time.
 */
void vum_ioeventfd_catch_up(struct vum_device *dev, u32 session)
{
	struct vum_ioeventfd *io;

	mutex_lock(&dev->ioeventfds.lock);
	list_for_each_entry(io, &dev->ioeventfds.list, node)
		if (vum_ioeventfd_take_missed(io, session))
			vum_eventfd_signal(io->source);
	mutex_unlock(&dev->ioeventfds.lock);
}

static void vum_ioeventfd_free(struct vum_ioeventfd *io)
{
	/* Even if @virqfd is NULL by now, this waits until VFIO is done with it. */
	vfio_virqfd_disable(&io->virqfd);
	if (io->server)
		eventfd_ctx_put(io->server);
	eventfd_ctx_put(io->source);
	vum_req_put(io->last);
	kfree(io);
}

static struct vum_ioeventfd *vum_ioeventfd_new(struct vum_device *dev,
					       const struct vfio_user_region_access *where,
					       u64 data, int fd)
{
	struct vum_ioeventfd *io = kzalloc(sizeof(*io), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!io)
		return ERR_PTR(-ENOMEM);
	io->source = eventfd_ctx_fdget(fd);
	if (IS_ERR(io->source)) {
		ret = PTR_ERR(io->source);
		kfree(io);
		return ERR_PTR(ret);
	}
	io->dev = dev;
	io->where = *where;
	io->data = data;
	ret = vum_ioeventfd_ask(io);
	if (!ret)
		ret = vfio_virqfd_enable(io, NULL, vum_ioeventfd_thread, NULL,
					 &io->virqfd, fd);
	if (!ret)
		return io;
	vum_ioeventfd_free(io);
	return ERR_PTR(ret);
}

static struct vum_ioeventfd *vum_ioeventfd_find(struct vum_device *dev,
						const struct vfio_user_region_access *where,
						u64 data, unsigned int *nr)
{
	struct vum_ioeventfd *io;

	*nr = 0;
	list_for_each_entry(io, &dev->ioeventfds.list, node) {
		if (!memcmp(&io->where, where, sizeof(*where)) && io->data == data)
			return io;
		++*nr;
	}
	return NULL;
}

/*
 * Have @io send messages if the server's eventfd for it is the one that @other listens to:
 * a signal of @io's would be one of @other's, which may cause one of @io's again.
 */
static void vum_ioeventfd_part(struct vum_ioeventfd *io, const struct vum_ioeventfd *other)
{
	if (io->server != other->source || !vum_ioeventfd_direct(other))
		return;
	vum_conn_note(io->dev, io->session,
		      "no eventfd of the server's: it is one of the consumer's ioeventfds");
	/* No attachment has this number. */
	WRITE_ONCE(io->session, 0);
}

/*
 * A server may return an eventfd that the consumer has given it for an interrupt, and
 * that is an ioeventfd as well: signals would go round for ever. Circles over several
 * devices are not looked for: the consumer has to take part in them, and could as well
 * signal for ever by itself.
 */
static void vum_ioeventfd_link(struct vum_device *dev, struct vum_ioeventfd *io)
{
	struct vum_ioeventfd *other;

	lockdep_assert_held(&dev->ioeventfds.lock);
	list_add(&io->node, &dev->ioeventfds.list);
	vum_conn_bypass(&dev->conn);
	list_for_each_entry(other, &dev->ioeventfds.list, node) {
		vum_ioeventfd_part(io, other);
		vum_ioeventfd_part(other, io);
	}
	/* It was not in the list when vum_ioeventfd_catch_up() went through that. */
	if (!READ_ONCE(dev->conn.paused) && vum_ioeventfd_take_missed(io, 0))
		vum_eventfd_signal(io->source);
}

/*
 * The lock is not held while the server is asked. If two tasks set the same write at
 * the same time, the later one finds the other's in the list.
 */
static int vum_ioeventfd_add(struct vum_device *dev,
			     const struct vfio_user_region_access *where,
			     u64 data, int fd)
{
	struct vum_ioeventfd *io = vum_ioeventfd_new(dev, where, data, fd);
	unsigned int nr;
	int ret = 0;

	if (IS_ERR(io))
		return PTR_ERR(io);
	mutex_lock(&dev->ioeventfds.lock);
	if (vum_ioeventfd_find(dev, where, data, &nr))
		ret = -EEXIST;
	else if (nr >= VUM_IOEVENTFD_MAX)
		ret = -ENOSPC;
	else
		vum_ioeventfd_link(dev, io);
	mutex_unlock(&dev->ioeventfds.lock);
	if (ret)
		vum_ioeventfd_free(io);
	return ret;
}

static int vum_ioeventfd_del(struct vum_device *dev,
			     const struct vfio_user_region_access *where, u64 data)
{
	struct vum_ioeventfd *io;
	unsigned int nr;

	mutex_lock(&dev->ioeventfds.lock);
	io = vum_ioeventfd_find(dev, where, data, &nr);
	if (io)
		list_del(&io->node);
	mutex_unlock(&dev->ioeventfds.lock);
	if (!io)
		return -ENODEV;
	vum_ioeventfd_free(io);
	return 0;
}

/* Find the word of a BAR at @pos. Returns 0; -EINVAL if it cannot be written. */
static int vum_ioeventfd_where(struct vum_device *dev, u64 pos, u32 count,
			       struct vfio_user_region_access *where)
{
	u64 index = pos >> VUM_REGION_SHIFT;
	const struct vum_region *region;

	if (index >= PCI_STD_NUM_BARS)
		return -EINVAL;
	region = &dev->shape->regions[array_index_nospec(index, PCI_STD_NUM_BARS)];
	where->offset = pos & (BIT_ULL(VUM_REGION_SHIFT) - 1);
	where->region = index;
	where->count = count;
	if (!(region->flags & VFIO_REGION_INFO_FLAG_WRITE) ||
	    where->offset >= region->size || count > region->size - where->offset)
		return -EINVAL;
	return 0;
}

/**
 * vum_ioeventfd_set - carry out VFIO_DEVICE_IOEVENTFD
 * @dev: device, open
 * @arg: the ioctl's argument
 *
 * Return: as vfio-pci: 0; -EFAULT; -EINVAL; -EEXIST if the same ioeventfd exists;
 * -ENODEV if there is none to be removed; -ENOSPC beyond 1000; -ENOMEM. Also -EINTR
 * if the caller is being killed while it waits for the server.
 */
long vum_ioeventfd_set(struct vum_device *dev,
		       struct vfio_device_ioeventfd __user *arg)
{
	struct vfio_user_region_access where = {};
	struct vfio_device_ioeventfd set;
	u32 count;
	u64 data;
	int ret;

	if (copy_from_user(&set, arg, offsetofend(typeof(set), fd)))
		return -EFAULT;
	count = set.flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	if (set.argsz < offsetofend(typeof(set), fd) || set.flags != count ||
	    hweight8(count) != 1 || set.fd < -1)
		return -EINVAL;
	ret = vum_ioeventfd_where(dev, set.offset, count, &where);
	if (ret)
		return ret;
	data = count == sizeof(u64) ? set.data : set.data & (BIT_ULL(8 * count) - 1);
	return set.fd < 0 ? vum_ioeventfd_del(dev, &where, data) :
			    vum_ioeventfd_add(dev, &where, data, set.fd);
}

/**
 * vum_ioeventfd_release - remove all ioeventfds of a consumer that closes the device
 * @dev: device
 */
void vum_ioeventfd_release(struct vum_device *dev)
{
	struct vum_ioeventfd *io, *next;
	LIST_HEAD(all);

	/* A handover goes on even if the device is closed. */
	mutex_lock(&dev->ioeventfds.lock);
	list_splice_init(&dev->ioeventfds.list, &all);
	mutex_unlock(&dev->ioeventfds.lock);
	list_for_each_entry_safe(io, next, &all, node)
		vum_ioeventfd_free(io);
}
