// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: receiving from the server's socket.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "link.h"

/* The files that came with a control message, out of this process's table. */
static int vum_link_collect(struct vum_link *link, const struct cmsghdr *cmsg,
			    const int __user *fds)
{
	u32 nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;
	struct file *file;
	int fd;

	if (!link->files)
		link->files = kvcalloc(VUM_MAX_MSG_FDS, sizeof(*link->files),
				       GFP_KERNEL_ACCOUNT);
	for (i = 0; i < nr; i++) {
		if (get_user(fd, fds + i))
			return -EFAULT;
		file = fget(fd);
		close_fd(fd);
		if (file && link->files && link->nr_files < VUM_MAX_MSG_FDS) {
			link->files[link->nr_files++] = file;
			continue;
		}
		link->lost_files = true;
		if (file)
			fput(file);
	}
	return 0;
}

/* @used bytes of control messages have been received. */
static int vum_link_control(struct vum_link *link, const struct vum_carrier *carrier,
			    size_t used)
{
	struct cmsghdr cmsg;
	size_t at = 0;
	int ret = 0;

	while (!ret && used - at >= sizeof(cmsg)) {
		if (copy_from_user(&cmsg, carrier->control + at, sizeof(cmsg)))
			return -EFAULT;
		if (cmsg.cmsg_len < sizeof(cmsg) || cmsg.cmsg_len > used - at)
			return -EFAULT;
		if (cmsg.cmsg_level == SOL_SOCKET && cmsg.cmsg_type == SCM_RIGHTS)
			ret = vum_link_collect(link, &cmsg, carrier->control + at +
					       CMSG_LEN(0));
		at += CMSG_ALIGN(cmsg.cmsg_len);
		if (at > used)
			break;
	}
	return ret;
}

/*
 * With @carrier, nothing is read beyond the message, so that descriptors belong
 * to it.
 */
static struct kvec vum_link_where(struct vum_link *link, bool carrier)
{
	struct kvec vec = {
		.iov_base = vum_msg_bytes(&link->in) + link->got,
		.iov_len = VUM_LINK_ROOM - link->got,
	};

	if (link->big) {
		vec.iov_base = vum_msg_bytes(link->big) + link->have;
		vec.iov_len = link->big->size - link->have;
	} else if (carrier) {
		vec.iov_len = (link->got < sizeof(link->in.hdr) ?
			       sizeof(link->in.hdr) : link->in.hdr.msg_size) -
			      link->got;
	}
	return vec;
}

/* Returns how many bytes there were; 0: the server has hung up; or an error. */
static int vum_link_receive(struct vum_link *link, const struct vum_carrier *carrier)
{
	struct kvec vec = vum_link_where(link, carrier);
	struct socket *sock = link->sock;
	struct msghdr msg = { .msg_flags = MSG_CMSG_CLOEXEC };
	int ret, flaw = 0;

	if (carrier) {
		msg.msg_control_is_user = true;
		msg.msg_control_user = carrier->control;
		msg.msg_controllen = carrier->size;
	}
	/* As vum_link_sendmsg(). */
	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
	ret = READ_ONCE(sock->ops)->recvmsg(sock, &msg, vec.iov_len,
					    MSG_DONTWAIT);
	if (ret < 0)
		return ret;
	if (carrier)
		flaw = vum_link_control(link, carrier,
					carrier->size - msg.msg_controllen);
	if (msg.msg_flags & MSG_CTRUNC)
		link->lost_files = true;
	if (link->big)
		link->have += ret;
	else
		link->got += ret;
	return flaw ?: ret;
}

/* @size bytes of what has been read are dealt with. */
static void vum_link_consume(struct vum_link *link, u32 size)
{
	link->got -= size;
	if (link->got)
		memmove(vum_msg_bytes(&link->in),
			vum_msg_bytes(&link->in) + size, link->got);
}

/* The message at hand is longer, or has files: it gets memory of its own. */
static int vum_link_grow(struct vum_link *link, u32 size)
{
	struct vum_msg *big = vum_msg_alloc(size);

	if (!big)
		return -ENOMEM;
	link->have = min(size, link->got);
	memcpy(vum_msg_bytes(big), vum_msg_bytes(&link->in), link->have);
	vum_link_consume(link, link->have);
	link->big = big;
	return 0;
}

/* A server's command that nobody could answer now is not even looked at. */
static bool vum_link_is_stuck(struct vum_link *link, const struct vfio_user_header *hdr)
{
	bool command = (hdr->flags & VFIO_USER_F_TYPE_MASK) ==
		       VFIO_USER_F_TYPE_COMMAND;
	const struct vum_channel *ch = vum_link_channel(link);

	WRITE_ONCE(link->stuck, command && vum_answers_full(ch));
	if (!link->stuck)
		return false;
	/* Whoever makes room from here on sees that; who did just before, not. */
	smp_mb();
	if (!vum_answers_full(ch))
		WRITE_ONCE(link->stuck, false);
	return link->stuck;
}

/* Returns 0, or -EAGAIN if it is not complete, or cannot be taken now. */
static int vum_link_deliver_big(struct vum_link *link)
{
	struct vum_msg *msg = link->big;

	if (link->have < msg->size || vum_link_is_stuck(link, &msg->hdr))
		return -EAGAIN;
	link->big = NULL;
	swap(msg->files, link->files);
	swap(msg->nr_files, link->nr_files);
	swap(msg->lost_files, link->lost_files);
	return vum_incoming(link->dev, link->session, msg);
}

static int vum_link_deliver_small(struct vum_link *link)
{
	u32 size = link->in.hdr.msg_size;
	int ret;

	if (link->got < size || vum_link_is_stuck(link, &link->in.hdr))
		return -EAGAIN;
	link->in.size = size;
	/* They came with the last bytes that were read. */
	link->in.lost_files = link->lost_files && link->got == size;
	if (link->in.lost_files)
		link->lost_files = false;
	ret = vum_incoming_small(link->dev, link->session, &link->in);
	vum_link_consume(link, size);
	return ret;
}

/* Every message that is complete. Returns 0, or why nothing more can be read. */
static int vum_link_deliver(struct vum_link *link)
{
	u32 size;
	int ret = 0;

	while (!ret) {
		if (link->big) {
			ret = vum_link_deliver_big(link);
			continue;
		}
		if (link->got < sizeof(link->in.hdr))
			return 0;
		size = link->in.hdr.msg_size;
		if (size < sizeof(link->in.hdr) || size > VUM_MAX_MSG_SIZE) {
			vum_session_break(link->dev, link->session,
					  "message says it is %u bytes long (id %u, command %u)",
					  size, link->in.hdr.msg_id,
					  link->in.hdr.cmd);
			return -EPROTO;
		}
		if (size - sizeof(link->in.hdr) > VUM_SMALL_PAYLOAD || link->files)
			ret = vum_link_grow(link, size);
		else
			ret = vum_link_deliver_small(link);
	}
	return ret == -EAGAIN && !link->stuck ? 0 : ret;
}

/* There is more, but others have their turn first. */
static void vum_link_pass_on(struct vum_link *link)
{
	struct vum_channel *ch = vum_link_channel(link);

	vum_lock(ch);
	vum_link_kick(link);
	vum_unlock(ch);
}

/* Read and deliver what there is, within reason. Returns why that ended. */
static int vum_link_drain(struct vum_link *link, const struct vum_carrier *carrier)
{
	struct vum_channel *ch = vum_link_channel(link);
	unsigned int budget = VUM_LINK_BUDGET;
	int ret;

	do {
		ret = vum_link_deliver(link);
		/* Nothing complete is left lying in the buffer from here on. */
		if (ret || !vum_link_has_data(link))
			return ret;
		if (!carrier && READ_ONCE(ch->fds_wanted)) {
			wake_up_poll(&ch->readers, EPOLLIN);
			return 0;
		}
		if (!budget--) {
			vum_link_pass_on(link);
			return 0;
		}
		ret = vum_link_receive(link, carrier) ?: -EPIPE;
	} while (ret > 0);
	/* There was something, but no data: it would be there for ever. */
	return ret == -EAGAIN ? -EBADMSG : ret;
}

/* With the lock, which is dropped. Returns 0, or an error that is not the server's. */
static int vum_link_read_locked(struct vum_link *link, const struct vum_carrier *carrier)
{
	int ret = vum_link_drain(link, carrier);

	mutex_unlock(&link->rx);
	switch (ret) {
	case 0:
	case -EAGAIN:
	case -EPROTO:
		return 0;
	case -EBADMSG:
		vum_session_break(link->dev, link->session, "out-of-band data");
		return 0;
	case -EPIPE:
	case -ECONNRESET:
		vum_session_end(link->dev, link->session);
		return 0;
	default:
		vum_session_break(link->dev, link->session,
				  "cannot receive from it: error %d", ret);
		return ret;
	}
}

/**
 * vum_link_read - take what the server has said
 * @link: from where
 * @carrier: the helper's, for descriptors; or NULL
 *
 * The socket is never waited for; the lock may be, by somebody who can be killed.
 *
 * Returns 0; -EINTR; or why it could not be received, and the attachment has
 * ended.
 */
int vum_link_read(struct vum_link *link, const struct vum_carrier *carrier)
{
	if (!vum_link_current(link))
		return 0;
	if (mutex_lock_killable(&link->rx))
		return -EINTR;
	return vum_link_read_locked(link, carrier);
}

/**
 * vum_link_try_read - the same, if nobody else is at it
 * @link: from where
 *
 * Returns false if somebody is.
 */
bool vum_link_try_read(struct vum_link *link)
{
	if (!vum_link_current(link))
		return true;
	if (!mutex_trylock(&link->rx))
		return false;
	vum_link_read_locked(link, NULL);
	return true;
}
