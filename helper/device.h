/* SPDX-License-Identifier: GPL-2.0 */
/* The mdevs that the helper serves. */
#ifndef HELPER_DEVICE_H
#define HELPER_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Serve an mdev, which may be served already. @path is that of the server's socket,
 * NULL for the default. If it has changed, connect to the new one.
 */
void device_present(const char *uuid, const char *path);

/* Stop serving an mdev, which is gone. */
void device_absent(const char *uuid);

/* Log why the kernel has ended an attachment. */
void device_broken(const char *uuid, const char *reason);

/* Log that a server is attached, and which; a @pid of 0 is not known. */
void device_attached(const char *uuid, uint32_t pid, uint32_t uid, const char *exe,
		     const char *license);

/*
 * Log that a consumer could not open the device, which is told just "No such device". @why is
 * the reason if the server was refused or has gone, or NULL.
 */
void device_open_failed(const char *uuid, const char *why);

/* Log how an attachment has ended by which no party has done wrong. */
void device_detached(const char *uuid, const char *reason);

/* From now on, attach only servers that repeat @text in VERSION; NULL: all servers. */
void devices_pledge(const char *text);

/* Drop all devices for which device_present() is not called between these two. */
void devices_sweep_begin(void);
void devices_sweep_end(void);

/* Drop all devices. */
void devices_close(void);

/* Free the devices that were dropped. To be called after a round of the loop. */
void devices_reap(void);

#endif /* HELPER_DEVICE_H */
