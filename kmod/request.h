/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: sending requests to the server, and waiting for their replies.
 */
#ifndef VUM_REQUEST_H
#define VUM_REQUEST_H

#include "message.h"

int vum_req_queue(struct vum_device *dev, struct vum_req *req);
int vum_req_wait(struct vum_device *dev, struct vum_req *req);
int vum_req_call(struct vum_device *dev, struct vum_req *req);
void vum_req_queue_async(struct vum_device *dev, struct vum_req *req);
void vum_req_async(struct vum_device *dev, u16 cmd, const void *payload,
		   size_t size);
void vum_req_answer(struct vum_device *dev, struct vum_msg *cmd, int error,
		    struct vum_req *req);

#endif /* VUM_REQUEST_H */
