// SPDX-License-Identifier: GPL-2.0
/* Loads from a BAR of vum-puppet's that nobody has mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../devices/puppet.h"
#include "bench.h"

#define OFFSET	0x40

static int open_in(const char *dir, const char *name, int flags)
{
	char file[256];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	fd = open(file, flags | O_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
	return fd;
}

/* The device has no driver that would have switched its memory on. */
static int enable(const char *dir)
{
	int fd = open_in(dir, "enable", O_WRONLY);
	int ret = -1;

	if (fd < 0)
		return -1;
	if (write(fd, "1", 1) == 1)
		ret = 0;
	else
		fprintf(stderr, "%s: enable: %s\n", dir, strerror(errno));
	close(fd);
	return ret;
}

/**
 * bench_read_open() - map the BAR
 * @path: the path; its @where is the device's directory in sysfs
 *
 * Return: 0, or -1 after having said why not.
 */
int bench_read_open(struct bench_path *path)
{
	uint8_t *bar;
	int fd;

	if (enable(path->where))
		return -1;
	fd = open_in(path->where, "resource1", O_RDWR);
	if (fd < 0)
		return -1;
	bar = mmap(NULL, PUPPET_BAR1_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		fprintf(stderr, "%s: mmap: %s\n", path->where, strerror(errno));
	close(fd);
	if (bar == MAP_FAILED)
		return -1;
	path->word = (const volatile uint32_t *)(bar + OFFSET);
	path->expected = OFFSET ^ PUPPET_PATTERN;
	return 0;
}

static int read_block(struct bench_path *path, const struct bench_row *row,
		      uint32_t *ns)
{
	unsigned int i;

	for (i = 0; i < row->count; i++) {
		uint64_t start = bench_now();
		uint32_t word = *path->word;

		ns[i] = (uint32_t)(bench_now() - start);
		if (word != path->expected) {
			fprintf(stderr, "%s: read %#x instead of %#x\n",
				path->name, word, path->expected);
			return -1;
		}
	}
	return 0;
}

const struct bench_row bench_read_rows[] = {
	{ .name = "guest-read", .count = 100, .block = read_block },
	{ 0 },
};
