/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the doors "channel" and "socket" have in common: a helper and its server in one
 * process, and beside it a consumer that has the device open and uses it.
 */
#ifndef VUM_FUZZ_SERVER_H
#define VUM_FUZZ_SERVER_H

#include "fuzz.h"

/* Fuzzes what comes by the channel, or by the socket that the kernel has taken. */
void server_fuzz(const char *name, bool by_socket);

#endif /* VUM_FUZZ_SERVER_H */
