// SPDX-License-Identifier: GPL-2.0
/* Messages in and out of the socket, with their descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "private.h"
#include "../../helper/command-name.h"

/* Messages taken in one go, so that timers and eventfds get their turn too. */
#define RX_BATCH	32

/* Room for a message's structs beside max_data_xfer_size bytes of data. */
#define RX_SLACK	4096

/**
 * struct vus_out - a message on its way out
 * @next: in struct vus_server
 * @size: bytes in @data
 * @sent: how many of them are gone
 * @fds: go with the first byte; ours
 * @nr_fds: entries in @fds; 0 once they are gone
 * @data: the message
 */
struct vus_out {
	struct vus_out *next;
	size_t size;
	size_t sent;
	int fds[VUS_MAX_FDS];
	unsigned int nr_fds;
	__u8 data[];
};

/* Ancillary data in a buffer that is aligned as it has to be. */
union ancillary {
	struct cmsghdr align;
	char buf[CMSG_SPACE(VUS_MAX_FDS * sizeof(int))];
};

/* One line about a message, if the operator asked for it. */
void vus_trace(const struct vus_server *srv, const char *dir,
	       const struct vfio_user_header *hdr, unsigned int nr_fds)
{
	const char *name;

	if (!srv->opt.verbose)
		return;
	name = vum_command_name(hdr->cmd);
	vus_log("%s %s(%u) id %u size %u flags %#x errno %u fds %u", dir,
		name ? name : "?", hdr->cmd, hdr->msg_id, hdr->msg_size,
		hdr->flags, hdr->error_no, nr_fds);
}

static void take_fds(struct vus_rx *rx, struct msghdr *mh)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t i, n;

		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd),
			       sizeof(fd));
			if (rx->nr_fds < VUS_MAX_FDS) {
				rx->fds[rx->nr_fds++] = fd;
			} else {
				close(fd);
				rx->fds_lost = true;
			}
		}
	}
	if (mh->msg_flags & MSG_CTRUNC)
		rx->fds_lost = true;
}

/*
 * Never asks for more than what belongs to the current message: descriptors
 * belong to bytes, and this is what keeps them with the right message.
 */
static ssize_t receive_some(struct vus_server *srv, void *buf, size_t want)
{
	union ancillary anc;
	struct iovec iov = { .iov_base = buf, .iov_len = want };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = anc.buf,
		.msg_controllen = sizeof(anc.buf),
	};
	ssize_t n;

	do {
		n = recvmsg(srv->conn, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		vus_hangup(srv);
		return -1;
	}
	take_fds(&srv->rx, &mh);
	return n;
}

static void rx_reset(struct vus_rx *rx)
{
	unsigned int i;

	for (i = 0; i < rx->nr_fds; i++) {
		if (rx->fds[i] >= 0)
			close(rx->fds[i]);
	}
	free(rx->payload);
	rx->payload = NULL;
	rx->got = 0;
	rx->nr_fds = 0;
	rx->fds_lost = false;
}

static bool header_ok(const struct vus_server *srv)
{
	const struct vfio_user_header *hdr = &srv->rx.hdr;
	size_t max = sizeof(*hdr) + RX_SLACK + srv->opt.max_data_xfer_size;

	if (hdr->msg_size >= sizeof(*hdr) && hdr->msg_size <= max)
		return true;
	vus_log("client sent a message of %u bytes", hdr->msg_size);
	return false;
}

/* Return: true if there is a whole message in @srv->rx. */
static bool receive_message(struct vus_server *srv)
{
	struct vus_rx *rx = &srv->rx;
	const size_t head = sizeof(rx->hdr);
	ssize_t n;

	while (rx->got < head) {
		n = receive_some(srv, (__u8 *)&rx->hdr + rx->got,
				 head - rx->got);
		if (n <= 0)
			return false;
		rx->got += (size_t)n;
		if (rx->got < head)
			continue;
		if (!header_ok(srv)) {
			vus_hangup(srv);
			return false;
		}
		rx->payload = vus_alloc(rx->hdr.msg_size - head);
	}
	while (rx->got < rx->hdr.msg_size) {
		n = receive_some(srv, (__u8 *)rx->payload + (rx->got - head),
				 rx->hdr.msg_size - rx->got);
		if (n <= 0)
			return false;
		rx->got += (size_t)n;
	}
	return true;
}

static void refuse_fds(struct vus_server *srv, const struct vus_msg *msg)
{
	const __u32 asked = VFIO_USER_F_TYPE_MASK | VFIO_USER_F_NO_REPLY;
	struct vus_reply *reply;

	vus_log("client sent %u descriptors, %u were announced%s", msg->nr_fds,
		srv->opt.max_msg_fds,
		srv->rx.fds_lost ? "; some are lost" : "");
	if ((msg->hdr.flags & asked) != VFIO_USER_F_TYPE_COMMAND)
		return;
	reply = vus_reply_error(msg, EMFILE);
	vus_send_reply(srv, reply);
	free(reply);
}

static void handle_message(struct vus_server *srv)
{
	struct vus_rx *rx = &srv->rx;
	struct vus_msg msg = {
		.hdr = rx->hdr,
		.payload = rx->payload,
		.size = rx->hdr.msg_size - sizeof(rx->hdr),
		.fds = rx->fds,
		.nr_fds = rx->nr_fds,
	};

	vus_trace(srv, "<-", &msg.hdr, msg.nr_fds);
	if (rx->fds_lost || rx->nr_fds > srv->opt.max_msg_fds)
		refuse_fds(srv, &msg);
	else
		vus_dispatch(srv, &msg);
	rx_reset(rx);
}

/* Take what is there, and return when nothing is. */
void vus_receive(struct vus_server *srv)
{
	int i;

	for (i = 0; i < RX_BATCH; i++) {
		if (srv->hung_up || srv->deaf || srv->out)
			break;
		if (!receive_message(srv))
			break;
		handle_message(srv);
	}
}

static void out_free(struct vus_out *out)
{
	unsigned int i;

	for (i = 0; i < out->nr_fds; i++)
		close(out->fds[i]);
	free(out);
}

static ssize_t send_some(struct vus_server *srv, struct vus_out *out)
{
	union ancillary anc;
	struct iovec iov = {
		.iov_base = out->data + out->sent,
		.iov_len = out->size - out->sent,
	};
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (out->nr_fds) {
		size_t len = out->nr_fds * sizeof(int);
		struct cmsghdr *cmsg;

		memset(&anc, 0, sizeof(anc));
		mh.msg_control = anc.buf;
		mh.msg_controllen = CMSG_SPACE(len);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(cmsg), out->fds, len);
	}
	do {
		n = sendmsg(srv->conn, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Send what the socket takes; the loop comes back for the rest. */
void vus_flush(struct vus_server *srv)
{
	while (srv->out) {
		struct vus_out *out = srv->out;
		ssize_t n = send_some(srv, out);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			vus_hangup(srv);
			return;
		}
		while (out->nr_fds)
			close(out->fds[--out->nr_fds]);
		out->sent += (size_t)n;
		if (out->sent < out->size)
			continue;
		srv->out = out->next;
		if (!srv->out)
			srv->out_tail = &srv->out;
		out_free(out);
	}
}

/**
 * vus_send_raw() - send bytes, whatever they are
 * @srv: the server
 * @buf: the bytes; copied
 * @size: how many
 * @fds: descriptors to go with them; duplicated
 * @nr_fds: entries in @fds
 *
 * Without a client the bytes go nowhere.
 */
void vus_send_raw(struct vus_server *srv, const void *buf, size_t size,
		  const int *fds, unsigned int nr_fds)
{
	struct vus_out *out;
	unsigned int i;

	if (srv->conn < 0 || !size)
		return;
	out = vus_alloc(sizeof(*out) + size);
	out->size = size;
	memcpy(out->data, buf, size);
	for (i = 0; i < nr_fds && i < VUS_MAX_FDS; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			vus_log("cannot send descriptor %d", fds[i]);
		else
			out->fds[out->nr_fds++] = fd;
	}
	if (srv->opt.verbose && size >= sizeof(struct vfio_user_header)) {
		struct vfio_user_header hdr;

		memcpy(&hdr, buf, sizeof(hdr));
		vus_trace(srv, "->", &hdr, out->nr_fds);
	}
	*srv->out_tail = out;
	srv->out_tail = &out->next;
	vus_flush(srv);
}

/**
 * vus_send_reply() - send a reply
 * @srv: the server
 * @reply: stays the caller's
 */
void vus_send_reply(struct vus_server *srv, const struct vus_reply *reply)
{
	vus_send_raw(srv, reply->data, reply->size, &reply->fd,
		     reply->fd >= 0 ? 1 : 0);
}

/* The connection is gone: forget half of a message either way. */
void vus_wire_reset(struct vus_server *srv)
{
	rx_reset(&srv->rx);
	while (srv->out) {
		struct vus_out *out = srv->out;

		srv->out = out->next;
		out_free(out);
	}
	srv->out_tail = &srv->out;
}
