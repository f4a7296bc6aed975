// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "channel.h"

static int channel_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

int channel_open(const char *uuid)
{
	char path[sizeof(VUM_CHANNEL_DIR) + 64];
	int fd;

	if (snprintf(path, sizeof(path), "%s%s", VUM_CHANNEL_DIR, uuid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int channel_api_version(int fd)
{
	return channel_ioctl(fd, VUM_GET_API_VERSION, NULL);
}

int channel_attach(int fd, const struct vum_attach *attach)
{
	return channel_ioctl(fd, VUM_ATTACH, (void *)attach);
}

int channel_resume(int fd, struct vum_attach *attach)
{
	*attach = (struct vum_attach) {
		.argsz = sizeof(*attach),
		.api_version = VUM_API_VERSION,
	};
	return channel_ioctl(fd, VUM_RESUME, attach);
}

int channel_end(int fd, bool broken, const char *why)
{
	char text[VUM_MAX_TEXT];
	struct vum_end end = {
		.argsz = sizeof(end),
		.flags = broken ? VUM_END_BROKEN : 0,
		.reason = (uintptr_t)text,
	};

	snprintf(text, sizeof(text), "%s", why);
	return channel_ioctl(fd, VUM_END, &end);
}

int channel_carry(int fd)
{
	_Alignas(struct cmsghdr) char buf[CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int))];
	struct vum_carry carry = {
		.argsz = sizeof(carry),
		.size = sizeof(buf),
		.buf = (uintptr_t)buf,
	};

	return channel_ioctl(fd, VUM_CARRY, &carry);
}

int channel_recv(int fd, void *buf, size_t *size, int *fds, unsigned int *nr_fds)
{
	struct vum_message m = {
		.argsz = sizeof(m),
		.buf = (uintptr_t)buf,
		.size = (uint32_t)*size,
		.fds = (uintptr_t)fds,
		.nr_fds = *nr_fds,
	};
	int ret = channel_ioctl(fd, VUM_RECV, &m);

	*size = m.size;
	*nr_fds = m.nr_fds;
	return ret;
}

int channel_send(int fd, const void *buf, size_t size, const int *fds, unsigned int nr_fds)
{
	struct vum_message m = {
		.argsz = sizeof(m),
		.buf = (uintptr_t)buf,
		.size = (uint32_t)size,
		.fds = (uintptr_t)fds,
		.nr_fds = nr_fds,
	};

	return channel_ioctl(fd, VUM_SEND, &m);
}

int channel_why(int fd)
{
	/* With no room for a message, VUM_RECV takes none. */
	struct vum_message m = { .argsz = sizeof(m) };
	int ret = channel_ioctl(fd, VUM_RECV, &m);

	return ret == -ENODEV ? -ENODEV : -EPIPE;
}
