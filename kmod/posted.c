// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: posted writes that wait go together in one message, REGION_WRITE_MULTI,
 * to servers that have the capability "write_multiple". A message costs the server a wake-up
 * and two system calls, whatever is in it.
 */

#include <linux/list.h>

#include "message.h"
#include "posted.h"
#include "../uapi/vfio_user_mdev.h"

/**
 * vum_posted_most - get the number of writes that one message may have
 * @peer: what was negotiated
 *
 * Return: the number, from 2 on; or 0 if the server takes single writes only.
 */
u32 vum_posted_most(const struct vum_attach *peer)
{
	u32 room = peer->max_data_xfer_size - sizeof(struct vfio_user_write_multi);
	u32 most = min_t(u32, room / sizeof(struct vfio_user_write_single), VUM_MAX_POSTED);

	return peer->flags & VUM_ATTACH_WRITE_MULTI && most > 1 ? most : 0;
}

/**
 * vum_posted_writes - count the writes in a message
 * @req: message of kind VUM_REQ_POSTED
 *
 * Return: the number.
 */
u32 vum_posted_writes(const struct vum_req *req)
{
	const struct vfio_user_write_multi *multi = (const void *)req->msg.payload;

	return req->msg.hdr.cmd == VFIO_USER_REGION_WRITE_MULTI ? multi->wr_cnt : 1;
}

static void vum_posted_append(struct vum_req *multi, const struct vum_req *req)
{
	const struct vfio_user_region_access *access = (const void *)req->msg.payload;
	struct vfio_user_write_multi *writes = (void *)multi->msg.payload;
	struct vfio_user_write_single *single = &writes->wrs[writes->wr_cnt++];

	single->offset = access->offset;
	single->region = access->region;
	single->count = access->count;
	single->data = 0;
	memcpy(&single->data, access->data, access->count);
	multi->msg.size += sizeof(*single);
	multi->msg.hdr.msg_size = multi->msg.size;
}

/*
 * Make a message for several writes of a queued one, which it replaces. Returns NULL, and
 * leaves all as it is, if memory is not at hand: the caller holds a lock.
 */
static struct vum_req *vum_posted_widen(struct vum_req *req)
{
	struct vum_req *multi;

	multi = vum_req_alloc_now(VUM_REQ_POSTED, VFIO_USER_REGION_WRITE_MULTI,
				  sizeof(struct vfio_user_write_multi) +
				  VUM_MAX_POSTED * sizeof(struct vfio_user_write_single));
	if (!multi)
		return NULL;
	multi->gathers = true;
	multi->session = req->session;
	multi->state = VUM_REQ_QUEUED;
	multi->queued_at = req->queued_at;
	multi->msg.hdr.flags = req->msg.hdr.flags;
	multi->msg.hdr.msg_id = req->msg.hdr.msg_id;
	multi->msg.size = sizeof(multi->msg.hdr) + sizeof(struct vfio_user_write_multi);
	vum_posted_append(multi, req);
	list_replace(&req->node, &multi->node);
	req->state = VUM_REQ_DONE;
	vum_req_put(req);
	return multi;
}

/**
 * vum_posted_add - add a posted write to the last message that waits, if that is one, too
 * @out: messages that wait, the last of which is no longer alone in its message
 * @req: the write, which stays the caller's
 * @peer: what was negotiated
 *
 * Context: the connection's lock is held, which guards @out.
 * Return: true if the write goes with that message.
 */
bool vum_posted_add(struct list_head *out, const struct vum_req *req,
		    const struct vum_attach *peer)
{
	struct vum_req *last;

	if (list_empty(out) || !req->gathers)
		return false;
	last = list_last_entry(out, struct vum_req, node);
	if (!last->gathers || vum_posted_writes(last) >= vum_posted_most(peer))
		return false;
	if (last->msg.hdr.cmd != VFIO_USER_REGION_WRITE_MULTI)
		last = vum_posted_widen(last);
	if (!last)
		return false;
	vum_posted_append(last, req);
	return true;
}
