// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer: what a server sends, in pieces and with descriptors, to a helper that reads
 * one message or many, and whose channel takes a message or is busy.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../helper/relay.h"
#include <vfio_user.h>
#include <vfio_user_mdev.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Which calls of the sink find the channel busy: a bit for each, from the input. */
static uint8_t busy;

static enum relay_end sink(struct relay *r, const uint8_t *msg, size_t size, const int *fds,
			   unsigned int nr_fds)
{
	struct vfio_user_header hdr;

	(void)r;
	memcpy(&hdr, msg, sizeof(hdr));
	if (size < sizeof(hdr) || hdr.msg_size != size || nr_fds > VUM_MAX_MSG_FDS)
		abort();
	for (unsigned int i = 0; i < nr_fds; i++)
		if (fcntl(fds[i], F_GETFD) < 0)
			abort();
	busy = (uint8_t)(busy >> 1 | busy << 7);
	return busy & 1 ? RELAY_BUSY : RELAY_GOES_ON;
}

/* One piece, with so many descriptors of @fd. */
static void send_piece(int sock, const uint8_t *data, size_t size, int fd, unsigned int nr)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(15 * sizeof(int))];
	} control;
	struct iovec iov = { (void *)data, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nr * sizeof(int));
		for (unsigned int i = 0; i < nr; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &fd, sizeof(int));
	}
	sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum relay_end read_on(struct relay *r)
{
	enum relay_end end = RELAY_GOES_ON;

	if (r->blocked)
		end = relay_unblock(r);
	if ((!end || end == RELAY_BUSY) && !r->blocked)
		end = relay_from_server(r);
	return end == RELAY_BUSY ? RELAY_GOES_ON : end;
}

static void serve(struct relay *r, int server, const uint8_t *data, size_t size)
{
	enum relay_end end = RELAY_GOES_ON;

	while (!end && size >= 2) {
		size_t piece = data[0], nr = data[1] >= 0xe0 ? data[1] & 15 : 0;

		data += 2;
		size -= 2;
		piece = piece < size ? piece : size;
		send_piece(server, data, piece, server, (unsigned int)nr);
		data += piece;
		size -= piece;
		end = read_on(r);
	}
	for (int i = 0; !end && i < 8; i++)
		end = read_on(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct relay r = { .chan = -1, .sink = sink };
	static bool ready;
	int pair[2], first;

	if (size < 2)
		return -1;
	/* Once for all inputs: nothing stays in its buffer. */
	if (!ready && relay_init())
		abort();
	ready = true;
	first = dup(0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	close(first);
	r.sock = pair[0];
	r.exact = data[0] & 1;
	busy = data[1];
	serve(&r, pair[1], data + 2, size - 2);
	relay_reset(&r);
	close(pair[0]);
	close(pair[1]);
	/* Whatever came as a descriptor is closed again. */
	if (dup(0) != first)
		abort();
	close(first);
	return 0;
}
