// SPDX-License-Identifier: GPL-2.0
/* A file whose contents never come. See stuckfs.h. */

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stuckfs.h"
#include "test.h"
#include "world.h"

#define STUCK_DIR	"/run/stuck"
#define STUCK_FILE	2
#define STUCK_SECONDS	60

static void reply(int fuse, uint64_t unique, int error, const void *data, size_t size)
{
	char buf[512];
	struct fuse_out_header *out = (void *)buf;

	*out = (struct fuse_out_header) {
		.len = (uint32_t)(sizeof(*out) + size), .error = error, .unique = unique,
	};
	memcpy(out + 1, data, size);
	if (write(fuse, buf, out->len) < 0)
		_exit(EXIT_FAILURE);
}

static struct fuse_attr attr_of(uint64_t node, size_t size)
{
	return (struct fuse_attr) {
		.ino = node, .nlink = 1, .size = node == STUCK_FILE ? size : 0,
		.mode = node == STUCK_FILE ? S_IFREG | 0600 : S_IFDIR | 0700,
	};
}

static void answer(int fuse, const struct fuse_in_header *in, size_t size)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
	};
	struct fuse_entry_out entry = {
		.nodeid = STUCK_FILE, .entry_valid = 1000, .attr_valid = 1000,
		.attr = attr_of(STUCK_FILE, size),
	};
	struct fuse_attr_out attr = {
		.attr_valid = 1000, .attr = attr_of(in->nodeid, size),
	};
	struct fuse_open_out opened = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fuse, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(fuse, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(fuse, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fuse, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
	case FUSE_FORGET:
		break;
	default:
		reply(fuse, in->unique, -ENOSYS, "", 0);
	}
}

static void __attribute__((noreturn)) serve(int fuse, size_t size)
{
	static char buf[65536];

	/* Whoever waits for the file cannot be cleared away before this process. */
	alarm(STUCK_SECONDS);
	while (read(fuse, buf, sizeof(buf)) > 0)
		answer(fuse, (const struct fuse_in_header *)buf, size);
	_exit(EXIT_SUCCESS);
}

void stuckfs_up(struct stuckfs *fs, size_t size)
{
	char options[128];
	int fuse;

	if (system("modprobe -q fuse") || access("/dev/fuse", R_OK))
		test_skip("this kernel has no FUSE");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	CHECK(fuse >= 0);
	mkdir(STUCK_DIR, 0700);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	CHECK(!mount("stuck", STUCK_DIR, "fuse", MS_NOSUID | MS_NODEV, options));
	fs->daemon = fork();
	CHECK(fs->daemon >= 0);
	if (!fs->daemon)
		serve(fuse, size);
	close(fuse);
	fs->fd = open(STUCK_DIR "/file", O_RDWR | O_CLOEXEC);
	CHECK(fs->fd >= 0);
	/* The mount stays until the file is closed, and needs no name for that. */
	CHECK(!umount2(STUCK_DIR, MNT_DETACH));
}
