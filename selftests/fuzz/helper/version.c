// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer: a server's reply to VERSION. The first byte of an input says whether the header
 * is an input's, too (bit 0), or a good one, and whether the version is (bit 1), and a NUL
 * at the end (bit 2): by chance, none would ever get as far as the JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "../../../helper/version.h"
#include <vfio_user.h>
#include <vfio_user_mdev.h>

#define PLEDGE "I serve"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Would the module take what is said of the licence? */
static bool license_fits(const struct version_caps *caps)
{
	if (!memchr(caps->license, 0, sizeof(caps->license)))
		return false;
	for (const char *p = caps->license; *p; p++)
		if (*p < ' ' || *p > '~')
			return false;
	return caps->license[0] || caps->license_kind == LICENSE_UNREADABLE;
}

/* Make the message that an input means, in memory that ends where the message does. */
static uint8_t *make_message(const uint8_t *data, size_t left, uint8_t how, size_t *size)
{
	const struct vfio_user_version version = { .major = VFIO_USER_MAJOR };
	struct vfio_user_header hdr = {
		.cmd = VFIO_USER_VERSION, .flags = VFIO_USER_F_TYPE_REPLY,
	};
	size_t at = how & 1 ? 0 : sizeof(hdr);
	uint8_t *msg;

	if (at && !(how & 2))
		at += sizeof(version);
	*size = at + left + !(how & 4);
	msg = *size < sizeof(hdr) ? NULL : calloc(1, *size);
	if (!msg)
		return NULL;
	if (at > sizeof(hdr))
		memcpy(msg + sizeof(hdr), &version, sizeof(version));
	memcpy(msg + at, data, left);
	if (!at)
		memcpy(&hdr, msg, sizeof(hdr));
	hdr.msg_size = (uint32_t)*size;
	memcpy(msg, &hdr, sizeof(hdr));
	return msg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct version_caps caps;
	char why[192] = "";
	uint8_t *msg;
	bool good;

	msg = size ? make_message(data + 1, size - 1, data[0], &size) : NULL;
	if (!msg)
		return -1;
	good = version_reply(msg, size, size & 1 ? PLEDGE : NULL, &caps, why, sizeof(why));
	/* What the kernel would refuse, or a refusal without a word. */
	if (good ? !caps.max_msg_fds || caps.max_data_xfer_size < 8 ||
		   caps.max_data_xfer_size > VUM_MAX_DATA_XFER_SIZE ||
		   caps.minor > VFIO_USER_MINOR || !license_fits(&caps) : !*why)
		abort();
	free(msg);
	return 0;
}
