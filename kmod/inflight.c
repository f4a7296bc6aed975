// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: requests in flight, by id.
 *
 * An id whose waiter has gone while the server had the request stays taken until
 * the reply comes: in place of the request there is a value, its command. All of
 * this is under the channel's lock.
 *
 * The first ids have a plain table, since they serve nearly every access, and an
 * xarray takes several hundred instructions to find, to take and to free one.
 */

#include <linux/nospec.h>

#include "vum.h"

/**
 * vum_inflight_add - find an id for a request
 * @ch: channel
 * @req: request; its header's msg_id is set
 *
 * The lock may be dropped for a while.
 *
 * Returns 0; -EBUSY if all are taken; -ENOMEM.
 */
int vum_inflight_add(struct vum_channel *ch, struct vum_req *req)
{
	struct vum_inflight *in = &ch->inflight;
	u32 id;
	int ret;

	if (~in->taken) {
		id = ffz(in->taken);
		in->taken |= BIT(id);
		in->first[id] = req;
		req->msg.hdr.msg_id = id;
		return 0;
	}
	ret = __xa_alloc(&in->others, &id, req,
			 XA_LIMIT(VUM_INFLIGHT_FIRST, U16_MAX), GFP_KERNEL_ACCOUNT);
	req->msg.hdr.msg_id = id;
	return ret;
}

/**
 * vum_inflight_find - what has this id?
 * @ch: channel
 * @id: id
 *
 * Returns a request; a value, see above; or NULL.
 */
void *vum_inflight_find(struct vum_channel *ch, u16 id)
{
	struct vum_inflight *in = &ch->inflight;

	if (id >= VUM_INFLIGHT_FIRST)
		return xa_load(&in->others, id);
	return in->first[array_index_nospec(id, VUM_INFLIGHT_FIRST)];
}

void vum_inflight_remove(struct vum_channel *ch, u16 id)
{
	struct vum_inflight *in = &ch->inflight;

	if (id < VUM_INFLIGHT_FIRST) {
		in->taken &= ~BIT(id);
		in->first[id] = NULL;
	} else {
		__xa_erase(&in->others, id);
	}
}

/**
 * vum_inflight_retain - let the id be taken until its reply comes
 * @ch: channel
 * @req: the request that has it, and has not any longer
 */
void vum_inflight_retain(struct vum_channel *ch, const struct vum_req *req)
{
	struct vum_inflight *in = &ch->inflight;
	void *value = xa_mk_value(req->msg.hdr.cmd);
	u16 id = req->msg.hdr.msg_id;

	if (id < VUM_INFLIGHT_FIRST)
		in->first[id] = value;
	else
		__xa_store(&in->others, id, value, 0);
}

/**
 * vum_inflight_next - go through all that is in flight
 * @ch: channel
 * @id: where to begin; set to the id of what is found
 *
 * Returns as vum_inflight_find(), NULL after the last.
 */
void *vum_inflight_next(struct vum_channel *ch, unsigned long *id)
{
	struct vum_inflight *in = &ch->inflight;

	if (*id < VUM_INFLIGHT_FIRST) {
		*id = find_next_bit(&in->taken, VUM_INFLIGHT_FIRST, *id);
		if (*id < VUM_INFLIGHT_FIRST)
			return in->first[*id];
	}
	return xa_find(&in->others, id, U16_MAX, XA_PRESENT);
}

void vum_inflight_init(struct vum_channel *ch)
{
	xa_init_flags(&ch->inflight.others, XA_FLAGS_ALLOC);
}

void vum_inflight_exit(struct vum_channel *ch)
{
	xa_destroy(&ch->inflight.others);
}
