/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the data path "relay", by which the helper carries messages.
 */
#ifndef VUM_RELAY_H
#define VUM_RELAY_H

#include "transport.h"

struct file;
struct vum_message;

extern struct vum_transport vum_relay;

int vum_relay_recv(struct file *file, struct vum_message *room);
int vum_relay_send(struct file *file, const struct vum_message *m);

#endif /* VUM_RELAY_H */
