/* SPDX-License-Identifier: GPL-2.0 */
/* A file whose contents never come, as behind a network filesystem that hangs. */
#ifndef VUM_LIB_STUCKFS_H
#define VUM_LIB_STUCKFS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * While a pin of its pages is under way, the process that has mapped the file for DMA
 * can neither fork nor change its mappings, nor exit.
 */

/**
 * struct stuckfs - a FUSE filesystem with one file, and its daemon
 * @daemon: process; once it is killed, or after a minute, the file's contents are an
 *	I/O error
 * @fd: the file
 */
struct stuckfs {
	pid_t daemon;
	int fd;
};

/* The case is skipped if the kernel has no FUSE. */
void stuckfs_up(struct stuckfs *fs, size_t size);

#endif /* VUM_LIB_STUCKFS_H */
