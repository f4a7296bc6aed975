// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the ids of requests in flight.
 *
 * The first ids have a plain table, since they serve nearly every access, and an
 * xarray takes several hundred instructions to find, to take and to free one.
 */

#include <linux/nospec.h>

#include "ids.h"

/**
 * vum_ids_add - give a request an id
 * @ids: ids, locked; the lock may be dropped for a while
 * @req: request
 *
 * Return: 0; -EBUSY if all are taken; -ENOMEM.
 */
int vum_ids_add(struct vum_ids *ids, struct vum_req *req)
{
	u32 id;
	int ret;

	vum_ids_assert_held(ids);
	if (~ids->taken) {
		id = ffz(ids->taken);
		ids->taken |= BIT(id);
		ids->first[id] = req;
		req->msg.hdr.msg_id = id;
		return 0;
	}
	ret = __xa_alloc(&ids->others, &id, req, XA_LIMIT(VUM_IDS_FIRST, VUM_IDS_MAX - 1),
			 GFP_KERNEL_ACCOUNT);
	req->msg.hdr.msg_id = id;
	return ret;
}

/**
 * vum_ids_retain - keep a request's id taken until the server's reply comes
 * @ids: ids, locked
 * @req: request, which the id no longer stands for
 */
void vum_ids_retain(struct vum_ids *ids, const struct vum_req *req)
{
	void *value = xa_mk_value(req->msg.hdr.cmd);
	u16 id = req->msg.hdr.msg_id;

	vum_ids_assert_held(ids);
	if (id < VUM_IDS_FIRST)
		ids->first[id] = value;
	else
		__xa_store(&ids->others, id, value, 0);
}

/**
 * vum_ids_next - find the first id that is taken from some id on
 * @ids: ids, locked
 * @id: where to begin; set to the id
 *
 * Return: as vum_ids_find(); NULL if there is none.
 */
void *vum_ids_next(struct vum_ids *ids, unsigned long *id)
{
	vum_ids_assert_held(ids);
	if (*id < VUM_IDS_FIRST) {
		*id = find_next_bit(&ids->taken, VUM_IDS_FIRST, *id);
		if (*id < VUM_IDS_FIRST)
			return ids->first[*id];
	}
	return xa_find(&ids->others, id, U16_MAX, XA_PRESENT);
}

/**
 * vum_ids_find - find what has an id
 * @ids: ids, locked
 * @id: msg_id of a reply
 *
 * Return: a request; the command, as an xarray value, of a request whose waiter has
 * gone; or NULL.
 */
void *vum_ids_find(struct vum_ids *ids, u16 id)
{
	vum_ids_assert_held(ids);
	if (id >= VUM_IDS_FIRST)
		return xa_load(&ids->others, id);
	return ids->first[array_index_nospec(id, VUM_IDS_FIRST)];
}

/**
 * vum_ids_free - let an id be used again
 * @ids: ids, locked
 * @id: an id in use
 */
void vum_ids_free(struct vum_ids *ids, u16 id)
{
	vum_ids_assert_held(ids);
	if (id < VUM_IDS_FIRST) {
		ids->taken &= ~BIT(id);
		ids->first[id] = NULL;
	} else {
		__xa_erase(&ids->others, id);
	}
}

void vum_ids_init(struct vum_ids *ids)
{
	xa_init_flags(&ids->others, XA_FLAGS_ALLOC);
}

void vum_ids_exit(struct vum_ids *ids)
{
	xa_destroy(&ids->others);
}
