/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system calls on the channel, /dev/vfio-user/<uuid>. Functions return 0 or
 * more, or -errno as uapi/vfio_user_mdev.h says.
 */
#ifndef HELPER_CHANNEL_H
#define HELPER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "../uapi/vfio_user_mdev.h"

/* Returns a non-blocking descriptor of the channel. */
int channel_open(const char *uuid);

/* Returns the module's VUM_API_VERSION. */
int channel_api_version(int fd);

/* Returns 0: the helper carries messages; 1: the kernel has taken the socket. */
int channel_attach(int fd, const struct vum_attach *attach);

/* Take over the attachment of a helper that has gone; it is stored in @attach. */
int channel_resume(int fd, struct vum_attach *attach);

/*
 * Tell the kernel why the attachment ends, or why the server that was found is not attached:
 * with @broken, the server is at fault. Of @why, VUM_MAX_TEXT bytes count.
 */
int channel_end(int fd, bool broken, const char *why);

/* Have the kernel send and receive, in this process, what carries descriptors. */
int channel_carry(int fd);

/*
 * Take the next message for the server. *@size and *@nr_fds are the room at @buf and
 * @fds, then what was received. The caller closes the descriptors.
 */
int channel_recv(int fd, void *buf, size_t *size, int *fds, unsigned int *nr_fds);

/* Pass on a message from the server. The descriptors stay the caller's. */
int channel_send(int fd, const void *buf, size_t size, const int *fds, unsigned int nr_fds);

/* Returns why the attachment has ended: -EPIPE or -ENODEV. Takes no message. */
int channel_why(int fd);

#endif /* HELPER_CHANNEL_H */
