/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Receive the VERSION reply, and on the data path "relay" carry messages between
 * channel and socket. Of a message only the size and the descriptors are looked at.
 *
 * While a message waits in one direction, its source is not read. Buffers exist only
 * while something waits in them.
 */
#ifndef HELPER_RELAY_H
#define HELPER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/**
 * enum relay_end - whether and why the relay has come to an end
 * @RELAY_GOES_ON: it has not
 * @RELAY_BUSY: from a sink only: the message has to wait for relay_unblock()
 * @RELAY_HANGUP: the server closed the connection
 * @RELAY_BAD_SERVER: the server sent what cannot be carried; relay.why says what
 * @RELAY_REFUSED: the kernel says that the server broke the protocol
 * @RELAY_DETACHED: the kernel has ended the attachment
 * @RELAY_GONE: the mdev is gone
 * @RELAY_TROUBLE: this process or machine has a problem; relay.why says which
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
 * struct relay - a device's channel and socket, and what waits between them
 * @chan: descriptor of the channel, or -1
 * @sock: descriptor of the connected stream socket, or -1
 * @out: the rest of a message that the socket has not taken yet, or NULL
 * @lent: descriptors that were sent since the server had last read everything
 * @full: @out waits for the server to read everything
 * @in: a message that is not complete, or messages that @sink has not taken yet, or
 *	NULL
 * @blocked: @sink was busy: do not call relay_from_server()
 * @exact: read nothing beyond the present message: the kernel reads the next one if
 *	it takes the socket
 * @sender: with SO_PASSCRED set on @sock: the process that has sent the last data
 * @sink: takes a message from the server; relay_to_channel() once attached. The
 *	descriptors stay the caller's
 * @why: a text for the log, see enum relay_end
 */
struct relay {
	int chan;
	int sock;
	struct message *out;
	unsigned int lent;
	bool full;
	struct message *in;
	bool blocked;
	bool exact;
	struct ucred sender;
	enum relay_end (*sink)(struct relay *r, const uint8_t *msg, size_t size,
			       const int *fds, unsigned int nr_fds);
	char why[192];
};

/* To be called once per process. */
int relay_init(void);
void relay_exit(void);

/* Carry one message from the channel to the socket. @out must be NULL. */
enum relay_end relay_to_server(struct relay *r);

/* Send more of @out, which must not be NULL. With @full set, nothing tells when. */
enum relay_end relay_flush(struct relay *r);

/* Pass on what had to wait, since the channel takes messages of the server's again. */
enum relay_end relay_unblock(struct relay *r);

/* Call recvmsg() on the socket once and pass complete messages to the sink. */
enum relay_end relay_from_server(struct relay *r);

/* Pass a message to the channel; a sink. */
enum relay_end relay_to_channel(struct relay *r, const uint8_t *msg, size_t size,
				const int *fds, unsigned int nr_fds);

/* Translate -errno from the channel; @what names the call, for @why. */
enum relay_end relay_channel_error(struct relay *r, const char *what, int err);

/* Drop everything that waits. */
void relay_reset(struct relay *r);

#endif /* HELPER_RELAY_H */
