/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of guest-bench share with each other. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/aio_abi.h>

#define BENCH_MAX_PATHS		4
#define BENCH_MAX_DEPTH		16
#define BENCH_MAX_SAMPLES	(1U << 18)
#define BENCH_MAX_BLOCKS	(1U << 12)

/**
 * struct bench_disk - a disk, open for direct I/O
 * @fd: the block device
 * @ctx: where its I/O is submitted
 * @size: bytes
 * @next: offset of the next sequential access
 * @random: state of the generator of offsets
 * @buf: a buffer for each I/O in flight
 */
struct bench_disk {
	int fd;
	aio_context_t ctx;
	uint64_t size;
	uint64_t next;
	uint64_t random;
	void *buf[BENCH_MAX_DEPTH];
};

/**
 * struct bench_path - one of the ways to the same kind of device
 * @name: as it is in the results
 * @where: the device: a directory in sysfs, or a block device
 * @word: guest-read: what is read
 * @expected: guest-read: what it has to be
 * @disk: disk rows
 * @ns: how long each access took
 * @nr_ns: entries in @ns
 * @block_ns: how long each block of accesses took
 * @nr_blocks: entries in @block_ns
 */
struct bench_path {
	const char *name;
	const char *where;
	const volatile uint32_t *word;
	uint32_t expected;
	struct bench_disk disk;

	uint32_t *ns;
	size_t nr_ns;
	uint64_t *block_ns;
	size_t nr_blocks;
};

/**
 * struct bench_row - something to be measured on each path
 * @name: as it is in the results
 * @rate: the result is accesses per second, not their duration
 * @count: accesses in a block
 * @block: does @count accesses and says in @ns how long each took; return 0,
 *	or -1 after having said why not
 * @size: disk rows: bytes of an access
 * @depth: disk rows: how many are in flight
 * @write: disk rows: it writes
 * @random: disk rows: offsets are random
 */
struct bench_row {
	const char *name;
	bool rate;
	unsigned int count;
	int (*block)(struct bench_path *path, const struct bench_row *row,
		     uint32_t *ns);
	uint32_t size;
	unsigned int depth;
	bool write;
	bool random;
};

/* bench_clock.c */
int bench_clock_init(void);
uint64_t bench_now(void);

/* bench_read.c */
extern const struct bench_row bench_read_rows[];
int bench_read_open(struct bench_path *path);

/* bench_disk.c */
extern const struct bench_row bench_disk_rows[];
int bench_disk_open(struct bench_path *path);

/* bench_result.c */
void bench_result(struct bench_path *path, const struct bench_row *row,
		  const char *clock);
void bench_result_load(struct bench_path *path, uint64_t ns);

/* bench_load.c */
int bench_load(char **phases, int nr_phases, struct bench_path *paths,
	       unsigned int nr_paths);

#endif /* BENCH_H */
