// SPDX-License-Identifier: GPL-2.0
/* Direct I/O to a disk, some of it in flight all the time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench.h"

#define SMALL	(4U << 10)
#define LARGE	(64U << 10)

/**
 * struct flight - the I/Os of a block that are in flight
 * @iocbs: one for each buffer
 * @start: when each was submitted
 * @idle: numbers of those that are not in flight
 * @nr_idle: entries in @idle
 */
struct flight {
	struct iocb iocbs[BENCH_MAX_DEPTH];
	uint64_t start[BENCH_MAX_DEPTH];
	unsigned int idle[BENCH_MAX_DEPTH];
	unsigned int nr_idle;
};

static int complain(const struct bench_path *path, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", path->where, what, strerror(err));
	return -1;
}

static int get_buffers(struct bench_disk *disk)
{
	unsigned int i;
	uint8_t *all;

	all = mmap(NULL, (size_t)LARGE * BENCH_MAX_DEPTH,
		   PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (all == MAP_FAILED)
		return -1;
	for (i = 0; i < BENCH_MAX_DEPTH; i++)
		disk->buf[i] = all + (size_t)LARGE * i;
	return 0;
}

/**
 * bench_disk_open() - get a disk ready
 * @path: the path; its @where is the block device
 *
 * Return: 0, or -1 after having said why not.
 */
int bench_disk_open(struct bench_path *path)
{
	struct bench_disk *disk = &path->disk;

	disk->fd = open(path->where, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk->fd < 0)
		return complain(path, "open", errno);
	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size))
		return complain(path, "size", errno);
	if (disk->size < LARGE)
		return complain(path, "size", ENOSPC);
	if (get_buffers(disk))
		return complain(path, "memory", errno);
	if (syscall(SYS_io_setup, BENCH_MAX_DEPTH, &disk->ctx))
		return complain(path, "io_setup", errno);
	/* The same for all, so that all do the same. */
	disk->random = 88172645463325252U;
	return 0;
}

/* Marsaglia's xorshift64: good enough to jump about on a disk. */
static uint64_t next_random(struct bench_disk *disk)
{
	disk->random ^= disk->random << 13;
	disk->random ^= disk->random >> 7;
	disk->random ^= disk->random << 17;
	return disk->random;
}

static uint64_t next_offset(struct bench_disk *disk,
			    const struct bench_row *row)
{
	uint64_t slots = disk->size / row->size;
	uint64_t offset;

	if (row->random)
		return next_random(disk) % slots * row->size;
	offset = disk->next % (slots * row->size);
	disk->next = offset + row->size;
	return offset;
}

static void prepare(struct bench_disk *disk, const struct bench_row *row,
		    struct iocb *iocb, unsigned int i)
{
	*iocb = (struct iocb){
		.aio_data = i,
		.aio_lio_opcode = row->write ? IOCB_CMD_PWRITE :
					       IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)disk->fd,
		.aio_buf = (uintptr_t)disk->buf[i],
		.aio_nbytes = row->size,
		.aio_offset = (int64_t)next_offset(disk, row),
	};
}

/* Return: 0, or -1. As many as there is room for, but no more than @max. */
static int submit(struct bench_path *path, const struct bench_row *row,
		  struct flight *flight, unsigned int max, unsigned int *nr)
{
	struct iocb *list[BENCH_MAX_DEPTH];
	unsigned int i, n = flight->nr_idle < max ? flight->nr_idle : max;
	uint64_t now;

	*nr = n;
	if (!n)
		return 0;
	for (i = 0; i < n; i++) {
		unsigned int slot = flight->idle[--flight->nr_idle];

		list[i] = &flight->iocbs[slot];
		prepare(&path->disk, row, list[i], slot);
	}
	now = bench_now();
	for (i = 0; i < n; i++)
		flight->start[list[i]->aio_data] = now;
	if (syscall(SYS_io_submit, path->disk.ctx, n, list) != (long)n)
		return complain(path, "io_submit", errno);
	return 0;
}

/* Return: how many have come back, or -1. */
static int reap(const struct bench_path *path, const struct bench_row *row,
		struct flight *flight, uint32_t *ns)
{
	struct io_event events[BENCH_MAX_DEPTH];
	uint64_t now;
	long i, n;

	n = syscall(SYS_io_getevents, path->disk.ctx, 1, row->depth, events,
		    NULL);
	if (n < 1)
		return complain(path, "io_getevents", errno);
	now = bench_now();
	for (i = 0; i < n; i++) {
		unsigned int slot = (unsigned int)events[i].data;

		if (events[i].res != row->size)
			return complain(path, row->name,
					events[i].res < 0 ?
					(int)-events[i].res : EIO);
		ns[i] = (uint32_t)(now - flight->start[slot]);
		flight->idle[flight->nr_idle++] = slot;
	}
	return (int)n;
}

/* A block ends with nothing in flight: the next one is another path's. */
static int disk_block(struct bench_path *path, const struct bench_row *row,
		      uint32_t *ns)
{
	struct flight flight = { .nr_idle = row->depth };
	unsigned int i, nr, submitted = 0, done = 0;

	for (i = 0; i < row->depth; i++)
		flight.idle[i] = i;
	while (done < row->count) {
		int n;

		if (submit(path, row, &flight, row->count - submitted, &nr))
			return -1;
		submitted += nr;
		n = reap(path, row, &flight, ns + done);
		if (n < 0)
			return -1;
		done += (unsigned int)n;
	}
	return 0;
}

#define DISK_ROW(_name, _size, _depth, _write, _random)			\
	{								\
		.name = "disk-" _name "-qd" #_depth, .rate = true,	\
		.count = (_depth) == 1 ? 8 : 64, .block = disk_block,	\
		.size = (_size), .depth = (_depth),			\
		.write = (_write), .random = (_random),			\
	}

const struct bench_row bench_disk_rows[] = {
	DISK_ROW("randread-4k", SMALL, 1, false, true),
	DISK_ROW("randread-4k", SMALL, 16, false, true),
	DISK_ROW("randwrite-4k", SMALL, 1, true, true),
	DISK_ROW("randwrite-4k", SMALL, 16, true, true),
	DISK_ROW("seqread-64k", LARGE, 1, false, false),
	DISK_ROW("seqread-64k", LARGE, 16, false, false),
	{ 0 },
};
