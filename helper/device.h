/* SPDX-License-Identifier: GPL-2.0 */
/* The mdevs that the daemon serves, each on its way to a server. */
#ifndef HELPER_DEVICE_H
#define HELPER_DEVICE_H

#include <stdbool.h>

/*
 * Serve an mdev, or learn that it is (still) there. @path of NULL stands for
 * the default. If the path is a new one, goes over to that.
 */
void device_present(const char *uuid, const char *path);

void device_absent(const char *uuid);

/* The kernel says why it has ended an attachment. */
void device_broken(const char *uuid, const char *reason);

/* Between these two, device_present() for each mdev; the others go. */
void devices_sweep_begin(void);
void devices_sweep_end(void);

/* All of them go. */
void devices_close(void);

/* For loop_run(): frees what went. */
void devices_reap(void);

#endif /* HELPER_DEVICE_H */
