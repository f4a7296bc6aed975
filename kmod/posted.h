/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: posted writes that wait go together in one message.
 */
#ifndef VUM_POSTED_H
#define VUM_POSTED_H

#include <linux/types.h>

struct list_head;
struct vum_attach;
struct vum_req;

/* Posted writes that may wait to be sent at a time. */
#define VUM_MAX_POSTED	64

u32 vum_posted_most(const struct vum_attach *peer);
u32 vum_posted_writes(const struct vum_req *req);
bool vum_posted_add(struct list_head *out, const struct vum_req *req,
		    const struct vum_attach *peer);

#endif /* VUM_POSTED_H */
