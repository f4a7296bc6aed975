// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"

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
	err = ctl_mdev_path(path, sizeof(path), args->uuid, "vfio_user/handover");
	if (err)
		return refused(args, err, "");
	/* Not by connecting: there are servers that exit when their first client hangs up. */
	if (*args->socket == '/' && (stat(args->socket, &st) || !S_ISSOCK(st.st_mode)))
		return refused(args, -ENOTCONN, "no server listens there");
	err = ctl_write_file(path, args->socket);
	ctl_read_line(path, result, sizeof(result));
	if (err)
		return refused(args, err, strncmp(result, "failed: ", 8) ? "" : result + 8);
	printf("%s: %s: %s\n", args->uuid, args->socket,
	       *result ? result : "set, for nobody has the mdev open");
	return EXIT_SUCCESS;
}
