// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "channel.h"
#include "relay.h"
#include "../uapi/vfio_user.h"

/*
 * Bytes to read from a socket while the size of the message is not known. This also
 * bounds what one device does before the others have their turn.
 */
#define READ_AHEAD 16384

#define HEADER_SIZE sizeof(struct vfio_user_header)

/**
 * struct message - a buffer for messages, of which the last may be incomplete
 * @room: bytes that @data has room for
 * @len: bytes in @data
 * @off: to the server: bytes of these that the socket has taken
 * @nr_fds: number of @fds
 * @fds: descriptors, owned; they belong to the message that the last byte is part of
 * @data: the bytes
 */
struct message {
	size_t room;
	size_t len;
	size_t off;
	unsigned int nr_fds;
	int fds[VUM_MAX_MSG_FDS];
	uint8_t data[];
};

/*
 * All devices share this buffer, since nothing stays in it between two calls. It has
 * room for the longest message; pages that no message has reached take no memory.
 */
static struct message *scratch;

static struct message *message_new(size_t room)
{
	struct message *m = malloc(sizeof(*m) + room);

	if (m) {
		m->room = room;
		m->len = 0;
		m->off = 0;
		m->nr_fds = 0;
	}
	return m;
}

static void message_close_fds(struct message *m)
{
	while (m->nr_fds)
		close(m->fds[--m->nr_fds]);
}

static void message_free(struct message *m)
{
	if (!m)
		return;
	message_close_fds(m);
	free(m);
}

static void message_move_fds(struct message *to, struct message *from)
{
	memcpy(to->fds, from->fds, from->nr_fds * sizeof(from->fds[0]));
	to->nr_fds = from->nr_fds;
	from->nr_fds = 0;
}

int relay_init(void)
{
	scratch = message_new(VUM_MAX_MSG_SIZE);
	return scratch ? 0 : -ENOMEM;
}

void relay_exit(void)
{
	message_free(scratch);
	scratch = NULL;
}

void relay_reset(struct relay *r)
{
	message_free(r->in);
	message_free(r->out);
	r->in = NULL;
	r->out = NULL;
	r->lent = 0;
	r->full = false;
	r->blocked = false;
}

static enum relay_end no_memory(struct relay *r)
{
	snprintf(r->why, sizeof(r->why), "out of memory");
	return RELAY_TROUBLE;
}

enum relay_end relay_channel_error(struct relay *r, const char *what, int err)
{
	switch (err) {
	case -EPROTO:
		return RELAY_REFUSED;
	case -EPIPE:
		return RELAY_DETACHED;
	case -ENODEV:
		return RELAY_GONE;
	case -EMFILE:
		snprintf(r->why, sizeof(r->why), "%s: out of file descriptors: raise the "
			 "limit (LimitNOFILE= in the unit, ulimit -n)", what);
		return RELAY_TROUBLE;
	default:
		snprintf(r->why, sizeof(r->why), "%s: %s: see the kernel's log", what,
			 strerror(-err));
		return RELAY_TROUBLE;
	}
}

/* To the server */

/* Keep the rest of @m in r->out, since scratch is used for the next message. */
static enum relay_end keep_out(struct relay *r, struct message *m)
{
	if (m == r->out)
		return RELAY_GOES_ON;
	r->out = message_new(m->len - m->off);
	if (!r->out)
		return no_memory(r);
	r->out->len = m->len - m->off;
	memcpy(r->out->data, m->data + m->off, r->out->len);
	message_move_fds(r->out, m);
	return RELAY_GOES_ON;
}

static enum relay_end socket_error(struct relay *r, const char *what)
{
	if (errno == EPIPE || errno == ECONNRESET)
		return RELAY_HANGUP;
	snprintf(r->why, sizeof(r->why), "%s: %s", what, strerror(errno));
	return RELAY_TROUBLE;
}

/*
 * May so many more descriptors be sent? The kernel counts descriptors that no process has
 * received yet against this process's user, who has a limit for all devices together. On
 * the other data path, kmod/sock_send.c does the same.
 */
static bool may_lend(struct relay *r, unsigned int nr)
{
	int unread;

	if (!ioctl(r->sock, SIOCOUTQ, &unread) && !unread)
		r->lent = 0;
	return r->lent + nr <= VUM_MAX_MSG_FDS;
}

static enum relay_end send_out(struct relay *r, struct message *m)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(m->fds))];
	} control;
	struct iovec iov = { m->data + m->off, m->len - m->off };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t fds_size = m->nr_fds * sizeof(m->fds[0]);
	ssize_t n;

	r->full = m->nr_fds && !may_lend(r, m->nr_fds);
	if (r->full)
		return keep_out(r, m);
	if (fds_size) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(fds_size);
		memset(control.buf, 0, msg.msg_controllen);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fds_size);
		memcpy(CMSG_DATA(&control.align), m->fds, fds_size);
	}

	n = sendmsg(r->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return keep_out(r, m);
		return socket_error(r, "sending to the server");
	}

	/* The descriptors went with the first byte. */
	r->lent += m->nr_fds;
	message_close_fds(m);
	m->off += (size_t)n;
	if (m->off < m->len)
		return keep_out(r, m);
	if (m == r->out) {
		message_free(m);
		r->out = NULL;
	}
	return RELAY_GOES_ON;
}

enum relay_end relay_flush(struct relay *r)
{
	return send_out(r, r->out);
}

static enum relay_end deliver(struct relay *r, struct message *m);

enum relay_end relay_to_server(struct relay *r)
{
	enum relay_end end;
	int ret;

	scratch->off = 0;
	scratch->len = scratch->room;
	scratch->nr_fds = VUM_MAX_MSG_FDS;
	ret = channel_recv(r->chan, scratch->data, &scratch->len, scratch->fds, &scratch->nr_fds);
	if (ret) {
		scratch->nr_fds = 0;
		if (ret == -EAGAIN)
			return RELAY_GOES_ON;
		return relay_channel_error(r, "VUM_RECV", ret);
	}

	end = send_out(r, scratch);
	message_close_fds(scratch);
	return end;
}

enum relay_end relay_unblock(struct relay *r)
{
	r->blocked = false;
	return deliver(r, r->in);
}

/* From the server */

enum relay_end relay_to_channel(struct relay *r, const uint8_t *msg, size_t size,
				const int *fds, unsigned int nr_fds)
{
	int ret = channel_send(r->chan, msg, size, fds, nr_fds);

	if (!ret)
		return RELAY_GOES_ON;
	if (ret == -EAGAIN)
		return RELAY_BUSY;
	return relay_channel_error(r, "VUM_SEND", ret);
}

/*
 * Keep what @m holds from @at on in r->in, for more bytes or for when the sink takes
 * it. The buffer is as large as the message that is to be completed, so that nothing
 * beyond that message is read.
 */
static enum relay_end keep_in(struct relay *r, struct message *m, size_t at, size_t need)
{
	size_t left = m->len - at;
	struct message *rest = NULL;

	if (left && m == r->in && !at && m->room >= need)
		return RELAY_GOES_ON;
	if (left) {
		rest = message_new(left > need ? left : need);
		if (!rest)
			return no_memory(r);
		memcpy(rest->data, m->data + at, left);
		rest->len = left;
		message_move_fds(rest, m);
	}
	message_free(r->in);
	r->in = rest;
	return RELAY_GOES_ON;
}

static enum relay_end bad_size(struct relay *r, const struct vfio_user_header *h)
{
	snprintf(r->why, sizeof(r->why), "message %u (command %u) says it is %u bytes long; "
		 "%zu to %u are possible", h->msg_id, h->cmd, h->msg_size, HEADER_SIZE,
		 VUM_MAX_MSG_SIZE);
	return RELAY_BAD_SERVER;
}

/* Pass each complete message in @m, which may be r->in, to the sink; keep the rest. */
static enum relay_end deliver(struct relay *r, struct message *m)
{
	size_t at = 0, need = HEADER_SIZE;

	while (m->len - at >= HEADER_SIZE) {
		struct vfio_user_header h;
		enum relay_end end;
		bool last;

		memcpy(&h, m->data + at, sizeof(h));
		if (h.msg_size < HEADER_SIZE || h.msg_size > VUM_MAX_MSG_SIZE)
			return bad_size(r, &h);
		need = h.msg_size;
		if (m->len - at < need)
			break;
		last = m->len - at == need;
		end = r->sink(r, m->data + at, need, m->fds, last ? m->nr_fds : 0);
		if (end == RELAY_BUSY) {
			r->blocked = true;
			break;
		}
		if (end)
			return end;
		if (last)
			message_close_fds(m);
		at += need;
		need = HEADER_SIZE;
	}
	return keep_in(r, m, at, need);
}

static void take_sender(struct relay *r, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&r->sender, CMSG_DATA(c), sizeof(r->sender));
}

/* Move descriptors from @msg to @m. Returns false if there was no room for all. */
static bool take_fds(struct message *m, struct msghdr *msg)
{
	bool fit = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t nr;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (m->nr_fds < VUM_MAX_MSG_FDS) {
				m->fds[m->nr_fds++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit && !(msg->msg_flags & MSG_CTRUNC);
}

/*
 * recvmsg() stops after the first sendmsg() that has descriptors, so they belong to
 * the message whose bytes come last. This is wrong only for a server that puts two
 * messages and descriptors into one sendmsg().
 */
static enum relay_end receive(struct relay *r, struct message *m, size_t room)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(m->fds)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { m->data + m->len, room };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(r->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return RELAY_BUSY;
		return socket_error(r, "receiving from the server");
	}
	take_sender(r, &msg);
	if (!take_fds(m, &msg)) {
		snprintf(r->why, sizeof(r->why), "a message has more than %u file descriptors, or "
			 "more than this process may have open (ulimit -n)", VUM_MAX_MSG_FDS);
		return RELAY_BAD_SERVER;
	}
	if (!n)
		return RELAY_HANGUP;
	m->len += (size_t)n;
	return RELAY_GOES_ON;
}

enum relay_end relay_from_server(struct relay *r)
{
	struct message *m = r->in;
	enum relay_end end;

	if (m) {
		end = receive(r, m, m->room - m->len);
	} else {
		m = scratch;
		m->len = 0;
		end = receive(r, m, r->exact ? HEADER_SIZE : READ_AHEAD);
	}
	if (!end)
		end = deliver(r, m);
	/* Descriptors are left in scratch only after an error. */
	message_close_fds(scratch);
	return end == RELAY_BUSY ? RELAY_GOES_ON : end;
}
