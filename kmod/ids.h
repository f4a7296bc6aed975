/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the ids of requests in flight.
 */
#ifndef VUM_IDS_H
#define VUM_IDS_H

#include <linux/xarray.h>

#include "message.h"

/*
 * Requests that wait for a reply at a time: the threads of a consumer, and all of its
 * mappings and their parts, twice over; see VUM_CONTAINER_MAX and VUM_CONTAINER_PARTS.
 */
#define VUM_IDS_MAX	16384
#define VUM_IDS_FIRST	BITS_PER_LONG
/* The id of all posted writes, which no request that waits for a reply ever has. */
#define VUM_ID_POSTED	VUM_IDS_MAX

/**
 * struct vum_ids - requests in flight by their msg_id
 * @taken: ids below VUM_IDS_FIRST that are in use, as a bitmap
 * @first: the entries of these ids
 * @others: the entries of the ids beyond; its lock is the connection's lock
 *
 * An entry is a request, or, while the server still owes a reply to a request whose
 * waiter has gone, the command as an xarray value.
 */
struct vum_ids {
	unsigned long taken;
	void *first[VUM_IDS_FIRST];
	struct xarray others;
};

#define vum_ids_assert_held(ids) lockdep_assert_held(&(ids)->others.xa_lock)

int vum_ids_add(struct vum_ids *ids, struct vum_req *req);
void vum_ids_retain(struct vum_ids *ids, const struct vum_req *req);
void *vum_ids_next(struct vum_ids *ids, unsigned long *id);
void *vum_ids_find(struct vum_ids *ids, u16 id);
void vum_ids_free(struct vum_ids *ids, u16 id);
void vum_ids_init(struct vum_ids *ids);
void vum_ids_exit(struct vum_ids *ids);

#endif /* VUM_IDS_H */
