// SPDX-License-Identifier: GPL-2.0
/* libFuzzer: a server's reply to VERSION. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfio_user_header hdr;
	struct version_caps caps;
	char why[192] = "";
	uint8_t *msg;
	bool good;

	if (size < sizeof(hdr))
		return -1;
	/* A copy of its own, so that a read beyond its end is seen. */
	msg = malloc(size);
	if (!msg)
		return -1;
	memcpy(msg, data, size);
	memcpy(&hdr, msg, sizeof(hdr));
	hdr.msg_size = (uint32_t)size;
	memcpy(msg, &hdr, sizeof(hdr));
	good = version_reply(msg, size, size & 1 ? PLEDGE : NULL, &caps, why, sizeof(why));
	/* What the kernel would refuse, or a refusal without a word. */
	if (good ? !caps.max_msg_fds || caps.max_data_xfer_size < 8 ||
		   caps.max_data_xfer_size > VUM_MAX_DATA_XFER_SIZE ||
		   caps.minor > VFIO_USER_MINOR || !license_fits(&caps) : !*why)
		abort();
	free(msg);
	return 0;
}
