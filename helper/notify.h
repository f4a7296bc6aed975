/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HELPER_NOTIFY_H
#define HELPER_NOTIFY_H

/* Send @state to the service manager, if there is one; see sd_notify(3). */
void notify_manager(const char *state);

#endif /* HELPER_NOTIFY_H */
