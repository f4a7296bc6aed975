// SPDX-License-Identifier: GPL-2.0
/* Files in sysfs: an mdev's attributes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

int ctl_mdev_path(char *path, size_t size, const char *uuid, const char *file)
{
	if (strchr(uuid, '/'))
		return -ENOENT;
	snprintf(path, size, "/sys/bus/mdev/devices/%s/%s", uuid, file);
	return 0;
}

int ctl_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	/* Of an empty text, sysfs would see nothing. */
	if (!*text)
		text = "\n";
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

void ctl_read_line(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}
