// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: guest-move DISK HOPS
 *
 * In a guest that is moved: keeps a disk busy with 16 requests at a time, and checks each
 * block that it reads against what it wrote there last. Asks to be moved HOPS times, one
 * after the other, by a line "MOVE" to which the answer is a line "MOVED". In the end it
 * reads all of the disk again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK		4096U
#define NR_WORKERS	16U
#define NR_BLOCKS	512U

/* So many requests between two hops, at least. */
#define OPS_PER_HOP	200UL

/**
 * struct worker - has a part of the disk, and one request at a time
 * @thread: its thread
 * @first: the first of its NR_BLOCKS blocks
 * @written: how often each has been written
 * @seed: of its random numbers
 * @ops: requests so far
 */
struct worker {
	pthread_t thread;
	uint32_t first;
	uint32_t written[NR_BLOCKS];
	uint32_t seed;
	unsigned long ops;
};

static struct worker workers[NR_WORKERS];
static int disk;
static int stop;

static void fail(const char *what, uint32_t block)
{
	printf("block %u: %s: %s\n", block, what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint32_t next_random(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 17;
	w->seed ^= w->seed << 5;
	return w->seed;
}

static uint32_t word_of(uint32_t block, uint32_t times, uint32_t i)
{
	return (block * 2654435761U ^ times * 2246822519U) + i;
}

static void write_block(struct worker *w, uint32_t *buf, uint32_t i)
{
	uint32_t block = w->first + i;

	w->written[i]++;
	for (uint32_t j = 0; j < BLOCK / 4; j++)
		buf[j] = word_of(block, w->written[i], j);
	if (pwrite(disk, buf, BLOCK, (off_t)block * BLOCK) != BLOCK)
		fail("cannot be written", block);
}

static void check_block(struct worker *w, uint32_t *buf, uint32_t i)
{
	uint32_t block = w->first + i;

	if (!w->written[i])
		return;
	if (pread(disk, buf, BLOCK, (off_t)block * BLOCK) != BLOCK)
		fail("cannot be read", block);
	errno = 0;
	for (uint32_t j = 0; j < BLOCK / 4; j++)
		if (buf[j] != word_of(block, w->written[i], j))
			fail("is not what was written", block);
}

static uint32_t *new_buffer(void)
{
	uint32_t *buf = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buf == MAP_FAILED)
		fail("no memory", 0);
	return buf;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t *buf = new_buffer();

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint32_t i = next_random(w) % NR_BLOCKS;

		if (next_random(w) & 1)
			write_block(w, buf, i);
		else
			check_block(w, buf, i);
		__atomic_fetch_add(&w->ops, 1, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		check_block(w, buf, i);
	return NULL;
}

static unsigned long all_ops(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < NR_WORKERS; i++)
		sum += __atomic_load_n(&workers[i].ops, __ATOMIC_RELAXED);
	return sum;
}

static void do_some(unsigned long ops)
{
	ops += all_ops();
	while (all_ops() < ops)
		usleep(100000);
}

/* The terminal is read, too: what is no answer is the rest of this guest's script. */
static void be_moved(void)
{
	char line[16] = "";
	size_t n = 0;

	printf("MOVE\n");
	while (strcmp(line, "MOVED\n") != 0) {
		if (n == sizeof(line) - 1 || (n && line[n - 1] == '\n'))
			n = 0;
		if (read(STDOUT_FILENO, line + n, 1) != 1)
			fail("no answer", 0);
		line[++n] = '\0';
	}
}

int main(int argc, char **argv)
{
	int hops = argc > 2 ? atoi(argv[2]) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	disk = argc > 1 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
	if (disk < 0)
		fail("no disk", 0);
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		workers[i].first = i * NR_BLOCKS;
		workers[i].seed = i + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			fail("no thread", 0);
	}
	while (hops--) {
		do_some(OPS_PER_HOP);
		be_moved();
	}
	do_some(OPS_PER_HOP);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	printf("%lu requests, and all that was written was found\n", all_ops());
	return EXIT_SUCCESS;
}
