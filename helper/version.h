/* SPDX-License-Identifier: GPL-2.0 */
/* VFIO_USER_VERSION: the one message that the daemon itself has with a server. */
#ifndef HELPER_VERSION_H
#define HELPER_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As in the specification, its defaults filled in, cut to what we can use. */
struct version_caps {
	uint16_t minor;
	uint32_t max_msg_fds;
	uint32_t max_data_xfer_size;
	uint32_t max_dma_maps;
	uint64_t pgsizes;
};

#define VERSION_REQUEST_MAX 256

/* Returns the size of the message. */
size_t version_request(uint8_t buf[VERSION_REQUEST_MAX]);

/*
 * Reads the answer to version_request(). @msg is one message as the header's
 * size delimits it. If the server is not acceptable, returns false with the
 * reason in @why.
 */
bool version_reply(const uint8_t *msg, size_t size, struct version_caps *caps,
		   char *why, size_t why_size);

#endif /* HELPER_VERSION_H */
