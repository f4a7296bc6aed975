/* SPDX-License-Identifier: GPL-2.0 */
/* VFIO_USER_VERSION: the only message that the helper itself has with a server. */
#ifndef HELPER_VERSION_H
#define HELPER_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The server's capabilities, with defaults filled in, limited to what can be used. */
struct version_caps {
	uint16_t minor;
	uint32_t max_msg_fds;
	uint32_t max_data_xfer_size;
	uint32_t max_dma_maps;
	uint64_t pgsizes;
	bool migration;
};

#define VERSION_REQUEST_MAX 256

/* Write a request to @buf and return its size. */
size_t version_request(uint8_t buf[VERSION_REQUEST_MAX]);

/*
 * Parse the reply to version_request(). @msg is one message, with a whole header and
 * as long as that says. Returns false, with the reason in @why, if the server is not
 * acceptable.
 */
bool version_reply(const uint8_t *msg, size_t size, struct version_caps *caps,
		   char *why, size_t why_size);

#endif /* HELPER_VERSION_H */
