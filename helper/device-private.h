/* SPDX-License-Identifier: GPL-2.0 */
/*
 * struct device, which three files share: device.c (the list of devices) calls
 * connect.c (one device's way to its server), and both call device-log.c.
 */
#ifndef HELPER_DEVICE_PRIVATE_H
#define HELPER_DEVICE_PRIVATE_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "log.h"
#include "loop.h"
#include "relay.h"

#define UUID_LEN 36

/* Why a server is refused that has no fault in its VERSION reply, since there is none. */
#define VERSION_UNANSWERED	"it does not answer VERSION"
#define VERSION_HANGUP		"it hung up instead of answering VERSION"

/* How many messages device_say() remembers for each device: as many as there are. */
#define NR_SAID 24

/**
 * struct said - a message of device_say()
 * @fmt: its format, which stands for it
 * @hash: of its last text
 * @since: when @lines began to count, as now_ms()
 * @lines: how often it was logged since then
 * @held: how often it was not, since it had been so often
 * @held_text: the last of these, or NULL
 * @level: the level of that
 * @stale: something has changed since it was said last
 */
struct said {
	const char *fmt;
	uint32_t hash;
	uint64_t since;
	unsigned int lines;
	unsigned int held;
	char *held_text;
	enum log_level level;
	bool stale;
};

/**
 * enum device_state - how far a device has come
 * @DEVICE_OPENING: the channel is not open yet
 * @DEVICE_CONNECTING: the channel is open, no server has been found
 * @DEVICE_NEGOTIATING: a server has been found and owes its VERSION reply
 * @DEVICE_ATTACHED: the server is attached; the helper carries all messages, or,
 *	if @linked, lends the kernel its descriptors
 * @DEVICE_DEAD: all is closed; devices_reap() will free the device
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
 * @link: entry in device.c's list of devices, or of dead ones
 * @path: of the server's socket
 * @seen: the sweep that is under way has listed the mdev
 * @served: the kernel has found the server in order
 * @linked: in DEVICE_ATTACHED: the data path is "kernel": the kernel has the
 *	server's socket, and the helper only calls VUM_CARRY
 * @waiting: the log has said that there is no server yet
 * @delay: the last wait before an attempt, in ms; 0 after a success
 * @attached_at: when the server was attached, as now_ms()
 * @peer: pid, uid and gid of the process that has answered VERSION; a pid of 0 if it
 *	has none in this PID namespace
 * @server: its pid for the log
 * @timer: time of the next attempt; in DEVICE_NEGOTIATING, of giving up on the
 *	server; in DEVICE_ATTACHED, of trying VUM_CARRY again
 * @gone: called when the mdev is gone or cannot be served; calls device_close()
 * @said: the last messages of device_say()
 * @held_timer: time to log which of these came more often
 */
struct device {
	TAILQ_ENTRY(device) link;
	char uuid[UUID_LEN + 1];
	char *path;
	enum device_state state;
	bool seen;
	bool served;
	bool linked;
	bool waiting;
	unsigned int delay;
	uint64_t attached_at;
	struct ucred peer;
	char server[24];
	struct watch chan;
	struct watch sock;
	struct timer timer;
	struct relay relay;
	void (*gone)(struct device *d);
	struct said said[NR_SAID];
	struct timer held_timer;
};

/* connect.c */

void device_init(struct device *d, void (*gone)(struct device *d));

/* Open the channel, then find a server and attach it. */
void device_open(struct device *d);

/* Close channel and connection, then begin again as device_open(). */
void device_restart(struct device *d);

/* Close channel and connection for good: the state is DEVICE_DEAD. */
void device_close(struct device *d);

/* device-log.c */

__attribute__((format(printf, 3, 4)))
void device_log(struct device *d, enum log_level level, const char *fmt, ...);

/*
 * Log as device_log(), but at level debug what has been said and still holds. Of what comes
 * and goes again and again, three are logged, then the last of each minute with a count.
 * Messages are told apart by @fmt, since a server has a hand in their texts.
 */
__attribute__((format(printf, 3, 4)))
void device_say(struct device *d, enum log_level level, const char *fmt, ...);

/* Log what device_say() has held back: the timer's function. */
void device_say_held(struct device *d);

/* Free what the functions above have allocated. */
void device_log_close(struct device *d);

/* Tell device_say() that things have changed: what it has said may be true anew. */
void device_unsay(struct device *d);

#endif /* HELPER_DEVICE_PRIVATE_H */
