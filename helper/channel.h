/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system calls on /dev/vfio-user/<uuid>. Everything returns 0 or more, or
 * -errno as <uapi/vfio_user_mdev.h> says. Tests put a fake in this place.
 */
#ifndef HELPER_CHANNEL_H
#define HELPER_CHANNEL_H

#include <stddef.h>

#include "../uapi/vfio_user_mdev.h"

/* Returns a non-blocking descriptor. */
int channel_open(const char *uuid);

/* Returns the module's VUM_API_VERSION. */
int channel_api_version(int fd);

/* Returns 0: carry messages; 1: the kernel has taken the socket. */
int channel_attach(int fd, const struct vum_attach *attach);

/* Take over what another helper attached; @attach says what that is. */
int channel_resume(int fd, struct vum_attach *attach);

/* Lend the kernel our descriptors for what it has to send and receive. */
int channel_carry(int fd);

/*
 * In: the room at @buf and @fds. Out: what was received. The caller closes the
 * descriptors.
 */
int channel_recv(int fd, void *buf, size_t *size, int *fds, unsigned int *nr_fds);

int channel_send(int fd, const void *buf, size_t size, const int *fds, unsigned int nr_fds);

/* Why the attachment has ended: -EPIPE or -ENODEV. Takes no message. */
int channel_why(int fd);

#endif /* HELPER_CHANNEL_H */
