/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: messages from the server.
 */
#ifndef VUM_INCOMING_H
#define VUM_INCOMING_H

#include "message.h"

int vum_incoming_begin(struct vum_device *dev, u32 session,
		       const struct vfio_user_header *hdr, u32 *held);
int vum_incoming(struct vum_device *dev, u32 session, struct vum_msg *msg);
int vum_incoming_small(struct vum_device *dev, u32 session, struct vum_msg *msg);

#endif /* VUM_INCOMING_H */
