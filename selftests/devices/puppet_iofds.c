// SPDX-License-Identifier: GPL-2.0
/* Parts of BAR0 for which the puppet has eventfds: a write may be a signal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>

#include "puppet_priv.h"

/* What BAR0 has; another region has none. */
static void offer(struct puppet *puppet, const struct vus_msg *msg)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_region_io_fds head;
		struct vfio_user_sub_region_ioeventfd fds[3];
	} reply = {
		.hdr = msg->hdr,
		.head = { .argsz = sizeof(reply) - sizeof(reply.hdr), .count = 2 },
		.fds = {
			{ .offset = PUPPET_IO_FD_ANY, .size = 4 },
			{ .offset = PUPPET_IO_FD_MATCH, .size = 4, .fd_index = 1,
			  .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
			  .datamatch = PUPPET_IO_FD_DATA },
			{ .offset = PUPPET_IO_FD_IRQ, .size = 4, .fd_index = 2 },
		},
	};
	const int fds[3] = {
		puppet->io_fds[0], puppet->io_fds[1],
		vus_irq_trigger_fd(puppet->srv, VFIO_PCI_MSIX_IRQ_INDEX, 0),
	};

	reply.hdr.flags = VFIO_USER_F_TYPE_REPLY;
	reply.hdr.msg_size = sizeof(reply);
	if (fds[2] >= 0)
		reply.head.count = 3;
	vus_send_raw(puppet->srv, &reply, sizeof(reply), fds, reply.head.count);
}

static void refuse(struct puppet *puppet, const struct vus_msg *msg)
{
	struct vus_reply *reply = vus_reply_error(msg, EINVAL);

	vus_send_reply(puppet->srv, reply);
	free(reply);
}

/**
 * puppet_offer_io_fds() - answer VFIO_USER_DEVICE_GET_REGION_IO_FDS
 * @puppet: the puppet
 * @msg: a message
 *
 * Return: whether it was one for BAR0.
 */
bool puppet_offer_io_fds(struct puppet *puppet, const struct vus_msg *msg)
{
	const struct vfio_user_region_io_fds *in = msg->payload;

	if (msg->hdr.cmd != VFIO_USER_DEVICE_GET_REGION_IO_FDS ||
	    msg->size < sizeof(*in) || in->index != VFIO_PCI_BAR0_REGION_INDEX)
		return false;
	if (!vus_argsz_fits(puppet->srv, in->argsz, sizeof(*in))) {
		refuse(puppet, msg);
		return true;
	}
	for (int i = 0; i < 2; i++)
		if (!puppet->io_fds[i])
			puppet->io_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	offer(puppet, msg);
	return true;
}

/**
 * puppet_io_fd_hits() - how often have they been signalled?
 * @puppet: the puppet
 */
__u32 puppet_io_fd_hits(struct puppet *puppet)
{
	__u64 n;

	for (int i = 0; i < 2; i++)
		if (puppet->io_fds[i] > 0 &&
		    read(puppet->io_fds[i], &n, sizeof(n)) == sizeof(n))
			puppet->io_fd_hits += (__u32)n;
	return puppet->io_fd_hits;
}
