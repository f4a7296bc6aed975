// SPDX-License-Identifier: GPL-2.0
/* Commands from us to the client, and the answers to them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

/**
 * struct vus_pending - a command of ours without an answer yet
 * @next: in struct vus_server
 * @id: its message id
 * @cmd: what it asks for
 * @done: whom to tell
 * @opaque: for @done
 */
struct vus_pending {
	struct vus_pending *next;
	__u16 id;
	__u16 cmd;
	vus_done_fn done;
	void *opaque;
};

static bool id_in_use(const struct vus_server *srv, __u16 id)
{
	const struct vus_pending *p;

	for (p = srv->pending; p; p = p->next) {
		if (p->id == id)
			return true;
	}
	return false;
}

/**
 * vus_command() - send a command to the client
 * @srv: the server
 * @cmd: VFIO_USER_DMA_READ or VFIO_USER_DMA_WRITE, or nonsense
 * @payload: follows the header
 * @size: bytes in @payload
 * @done: called once: with 0 and the reply's payload, with the errno of an
 *	error reply, or with ECONNRESET if the connection is lost first. NULL
 *	if nobody cares.
 * @opaque: handed to @done
 *
 * @done may be called before this function returns.
 */
void vus_command(struct vus_server *srv, __u16 cmd, const void *payload,
		 size_t size, vus_done_fn done, void *opaque)
{
	struct vfio_user_header hdr = {
		.cmd = cmd,
		.msg_size = (__u32)(sizeof(hdr) + size),
		.flags = VFIO_USER_F_TYPE_COMMAND,
	};
	struct vus_pending *p;
	__u8 *buf;

	if (srv->conn < 0) {
		if (done)
			done(opaque, ECONNRESET, NULL, 0);
		return;
	}
	while (id_in_use(srv, srv->next_id))
		srv->next_id++;
	hdr.msg_id = srv->next_id++;
	p = vus_alloc(sizeof(*p));
	p->id = hdr.msg_id;
	p->cmd = cmd;
	p->done = done;
	p->opaque = opaque;
	p->next = srv->pending;
	srv->pending = p;

	buf = vus_alloc(hdr.msg_size);
	memcpy(buf, &hdr, sizeof(hdr));
	if (size)
		memcpy(buf + sizeof(hdr), payload, size);
	vus_send_raw(srv, buf, hdr.msg_size, NULL, 0);
	free(buf);
}

static void finish(struct vus_pending *p, int err, const void *payload,
		   size_t size)
{
	if (p->done)
		p->done(p->opaque, err, payload, size);
	free(p);
}

/* A reply has come in. */
void vus_command_answered(struct vus_server *srv, const struct vus_msg *msg)
{
	struct vus_pending **link;

	for (link = &srv->pending; *link; link = &(*link)->next) {
		struct vus_pending *p = *link;
		int err = 0;

		if (p->id != msg->hdr.msg_id)
			continue;
		*link = p->next;
		if (p->cmd != msg->hdr.cmd)
			err = EPROTO;
		else if (msg->hdr.flags & VFIO_USER_F_ERROR)
			err = msg->hdr.error_no ? (int)msg->hdr.error_no : EIO;
		finish(p, err, msg->payload, msg->size);
		return;
	}
	vus_log("client answered a command that was never sent (id %u)",
		msg->hdr.msg_id);
}

/* The connection is gone: no more answers. */
void vus_commands_abort(struct vus_server *srv)
{
	while (srv->pending) {
		struct vus_pending *p = srv->pending;

		srv->pending = p->next;
		finish(p, ECONNRESET, NULL, 0);
	}
}
