/* SPDX-License-Identifier: GPL-2.0 */
/* The mdevs that the helper serves. */
#ifndef HELPER_DEVICE_H
#define HELPER_DEVICE_H

#include <stdbool.h>

/*
 * Serve an mdev, which may be served already. @path is that of the server's socket,
 * NULL for the default. If it has changed, connect to the new one.
 */
void device_present(const char *uuid, const char *path);

/* Stop serving an mdev, which is gone. */
void device_absent(const char *uuid);

/* Log why the kernel has ended an attachment. */
void device_broken(const char *uuid, const char *reason);

/* Drop all devices for which device_present() is not called between these two. */
void devices_sweep_begin(void);
void devices_sweep_end(void);

/* Drop all devices. */
void devices_close(void);

/* Free the devices that were dropped. To be called after a round of the loop. */
void devices_reap(void);

#endif /* HELPER_DEVICE_H */
