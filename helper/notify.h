/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HELPER_NOTIFY_H
#define HELPER_NOTIFY_H

/* Tells the service manager, if there is one; sd_notify(3) has the words. */
void notify_manager(const char *state);

#endif /* HELPER_NOTIFY_H */
