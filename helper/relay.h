/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Carries messages between a channel and a socket. Of a message it knows the
 * size in the header and the descriptors that came with it, nothing more.
 *
 * At most one message waits in each direction: while one does, its source is
 * not read. Buffers exist only while something waits in them.
 */
#ifndef HELPER_RELAY_H
#define HELPER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * enum relay_end - why there is nothing left to carry
 * @RELAY_GOES_ON: there is
 * @RELAY_BUSY: only from a sink: not now, ask again after relay_to_server()
 * @RELAY_HANGUP: the server closed the connection
 * @RELAY_BAD_SERVER: the server sent what cannot be carried; relay.why
 * @RELAY_REFUSED: the kernel says that the server broke the protocol
 * @RELAY_DETACHED: the kernel has ended the attachment
 * @RELAY_GONE: the mdev is gone
 * @RELAY_TROUBLE: this process or machine has a problem; relay.why
 */
enum relay_end {
	RELAY_GOES_ON,
	RELAY_BUSY,
	RELAY_HANGUP,
	RELAY_BAD_SERVER,
	RELAY_REFUSED,
	RELAY_DETACHED,
	RELAY_GONE,
	RELAY_TROUBLE,
};

struct message;

/**
 * struct relay - one connection
 * @chan: channel
 * @sock: stream socket, connected
 * @out: what the socket would not take yet
 * @in: a message that is not complete, or what @sink would not take yet
 * @blocked: @sink was busy: do not call relay_from_server()
 * @exact: nothing is read beyond a message: the rest may be for somebody else
 * @sink: where messages from the server go, relay_to_channel() once attached.
 *	The descriptors stay the caller's.
 * @why: a text for the log
 */
struct relay {
	int chan;
	int sock;
	struct message *out;
	struct message *in;
	bool blocked;
	bool exact;
	enum relay_end (*sink)(struct relay *r, const uint8_t *msg, size_t size,
			       const int *fds, unsigned int nr_fds);
	char why[192];
};

/* Once per process. */
int relay_init(void);
void relay_exit(void);

/* One message from the channel to the socket. Not while @out is set. */
enum relay_end relay_to_server(struct relay *r);

/* The socket takes data again. Only while @out is set. */
enum relay_end relay_flush(struct relay *r);

/* One recvmsg() from the socket, and all that is complete to the sink. */
enum relay_end relay_from_server(struct relay *r);

/* A sink. */
enum relay_end relay_to_channel(struct relay *r, const uint8_t *msg, size_t size,
				const int *fds, unsigned int nr_fds);

/* What an errno from the channel means; @what names the call. */
enum relay_end relay_channel_error(struct relay *r, const char *what, int err);

/* Forgets everything that waits. */
void relay_reset(struct relay *r);

#endif /* HELPER_RELAY_H */
