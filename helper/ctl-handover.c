// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

#define ATTRIBUTE "/sys/bus/mdev/devices/%s/vfio_user/handover"

/* Returns 0 or -errno. */
static int write_attribute(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Reads a line, without its end, or "" if there is none. */
static void read_attribute(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static int refused(const struct ctl_args *args, int err, const char *why)
{
	switch (err) {
	case -ENOENT:
		fprintf(stderr, "vfio-user-mdevctl: %s: there is no such mdev\n", args->uuid);
		break;
	case -EACCES:
	case -EPERM:
		fprintf(stderr, "vfio-user-mdevctl: only root can hand over an mdev\n");
		break;
	case -EINVAL:
	case -ENAMETOOLONG:
		fprintf(stderr, "vfio-user-mdevctl: %s: not an absolute path of at most 107 bytes\n",
			args->socket);
		break;
	default:
		fprintf(stderr, "vfio-user-mdevctl: %s is not handed over to %s: %s\n", args->uuid,
			args->socket, *why ? why : strerror(-err));
	}
	return EXIT_FAILURE;
}

int ctl_handover(struct vum_nl *nl, const struct ctl_args *args)
{
	char path[PATH_MAX], result[256];
	struct stat st;
	int err;

	(void)nl;
	if (strchr(args->uuid, '/'))
		return refused(args, -ENOENT, "");
	/* Not by connecting: there are servers that exit when their first client hangs up. */
	if (*args->socket == '/' && (stat(args->socket, &st) || !S_ISSOCK(st.st_mode)))
		return refused(args, -ENOTCONN, "no server listens there");
	snprintf(path, sizeof(path), ATTRIBUTE, args->uuid);
	err = write_attribute(path, args->socket);
	read_attribute(path, result, sizeof(result));
	if (err)
		return refused(args, err, strncmp(result, "failed: ", 8) ? "" : result + 8);
	printf("%s: %s: %s\n", args->uuid, args->socket,
	       *result ? result : "set, for nobody has the mdev open");
	return EXIT_SUCCESS;
}
