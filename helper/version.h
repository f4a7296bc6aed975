/* SPDX-License-Identifier: GPL-2.0 */
/* VFIO_USER_VERSION: the only message that the helper itself has with a server. */
#ifndef HELPER_VERSION_H
#define HELPER_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "license.h"
#include "../uapi/vfio_user_mdev.h"

/* The server's capabilities, with defaults filled in, limited to what can be used. */
struct version_caps {
	uint16_t minor;
	uint32_t max_msg_fds;
	uint32_t max_data_xfer_size;
	uint32_t max_dma_maps;
	uint64_t pgsizes;
	bool migration;
	bool write_multiple;
	/* What it declares, printable; empty if it declares none. */
	char license[VUM_MAX_TEXT];
	enum license license_kind;
};

/* The longest text that a server may be asked to repeat, in bytes. */
#define VERSION_PLEDGE_MAX 2048

/*
 * Return a request, for free(), and its size in @size; NULL if there is no memory. @pledge is
 * the text that the server has to repeat, or NULL.
 */
uint8_t *version_request(const char *pledge, size_t *size);

/*
 * Parse the reply to version_request(). @msg is one message, with a whole header and
 * as long as that says; @pledge is the request's. Returns false, with the reason in @why, if
 * the server is not acceptable.
 */
bool version_reply(const uint8_t *msg, size_t size, const char *pledge,
		   struct version_caps *caps, char *why, size_t why_size);

#endif /* HELPER_VERSION_H */
