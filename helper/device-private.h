/* SPDX-License-Identifier: GPL-2.0 */
/* Between device.c (which devices there are) and connect.c (what becomes of one). */
#ifndef HELPER_DEVICE_PRIVATE_H
#define HELPER_DEVICE_PRIVATE_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "log.h"
#include "loop.h"
#include "relay.h"

#define UUID_LEN 36

/* How many messages are remembered so as not to be repeated. */
#define NR_SAID 8

/**
 * enum device_state - how far it has come
 * @DEVICE_OPENING: has no channel yet
 * @DEVICE_CONNECTING: has a channel, no server
 * @DEVICE_NEGOTIATING: has a server, whose VERSION reply is awaited
 * @DEVICE_ATTACHED: carries messages, or what of them the kernel cannot
 * @DEVICE_DEAD: waits for devices_reap()
 */
enum device_state {
	DEVICE_OPENING,
	DEVICE_CONNECTING,
	DEVICE_NEGOTIATING,
	DEVICE_ATTACHED,
	DEVICE_DEAD,
};

/**
 * struct device - one mdev
 * @link: in the list of devices, or of dead ones
 * @seen: by the sweep that is under way
 * @linked: DEVICE_ATTACHED: the kernel has the server's socket, and needs us
 *	for descriptors only
 * @waiting: the operator has been told that there is no server yet
 * @delay: the last wait before a new attempt, ms; 0 if all went well
 * @attached_at: now_ms() of that
 * @peer: who the server is
 * @timer: next attempt; DEVICE_NEGOTIATING: patience with the server
 * @said: hashes of messages, a ring
 */
struct device {
	TAILQ_ENTRY(device) link;
	char uuid[UUID_LEN + 1];
	char *path;
	enum device_state state;
	bool seen;
	bool linked;
	bool waiting;
	unsigned int delay;
	uint64_t attached_at;
	struct ucred peer;
	struct watch chan;
	struct watch sock;
	struct timer timer;
	struct relay relay;
	uint32_t said[NR_SAID];
	unsigned int nr_said;
};

void device_init(struct device *d);

/* Open the channel, and on from there. */
void device_open(struct device *d);

/* Give up channel and connection and begin again. */
void device_restart(struct device *d);

/* Give up everything. */
void device_close(struct device *d);

/* The kernel says that it is gone. */
void device_forget(struct device *d);

__attribute__((format(printf, 3, 4)))
void device_log(struct device *d, enum log_level level, const char *fmt, ...);

/* As device_log(), but says the same thing only once. */
__attribute__((format(printf, 3, 4)))
void device_say(struct device *d, enum log_level level, const char *fmt, ...);

/* From now on everything is new again. */
void device_unsay(struct device *d);

#endif /* HELPER_DEVICE_PRIVATE_H */
