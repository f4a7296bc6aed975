// SPDX-License-Identifier: GPL-2.0
/* See fuzz.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/random.h"
#include "../lib/world.h"
#include "fuzz.h"
#include "kcov.h"

#define MAX_INPUTS	4096U
/* An input says no more than this. */
#define MAX_OPS		10U
/* So many inputs are run between two looks at the kernel's complaints. */
#define ROUND		64U

struct input {
	size_t size;
	uint8_t data[FUZZ_MAX];
};

static struct input corpus[MAX_INPUTS];
static unsigned int nr_inputs;
static struct input last[ROUND];

/*
 * Reading an input
 */

void fuzz_bytes(struct fuzz_input *in, void *to, size_t size)
{
	size_t nr = size < in->left ? size : in->left;

	memset(to, 0, size);
	memcpy(to, in->at, nr);
	in->at += nr;
	in->left -= nr;
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

uint64_t fuzz_number(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	switch (how >> 6) {
	case 0:
		return how & 63;
	case 1:
		return 1ULL << (how & 63);
	case 2:
		return (1ULL << (how & 63)) - 1;
	default:
		return how & 32 ? fuzz_u16(in) : fuzz_u64(in);
	}
}

void fuzz_spoil(struct fuzz_input *in, void *msg, size_t size)
{
	uint8_t nr = fuzz_u8(in);

	/* Most messages are to stay whole, or nothing gets far. */
	if (nr < 192 || !size)
		return;
	for (nr &= 7; nr; nr--) {
		size_t at = fuzz_u16(in) % size;

		((uint8_t *)msg)[at] = fuzz_u8(in);
	}
}

/*
 * Making an input
 */

static void insert(struct input *x, size_t at, const uint8_t *data, size_t size)
{
	size = size < FUZZ_MAX - x->size ? size : FUZZ_MAX - x->size;
	memmove(x->data + at + size, x->data + at, x->size - at);
	memmove(x->data + at, data, size);
	x->size += size;
}

static void delete(struct input *x, size_t at, size_t size)
{
	size = size < x->size - at ? size : x->size - at;
	memmove(x->data + at, x->data + at + size, x->size - at - size);
	x->size -= size;
}

static void mutate_once(struct input *x)
{
	static const uint8_t special[] = { 0, 1, 0x7f, 0x80, 0xff, 0xc1, 0xc2 };
	const struct input *other = &corpus[random_below(nr_inputs)];
	size_t at = random_below((uint32_t)x->size + 1);
	size_t from = random_below((uint32_t)other->size + 1);
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(random_64() >> 32);
	switch (random_below(7)) {
	case 0:
		insert(x, at, bytes, 1 + random_below(sizeof(bytes)));
		break;
	case 1:
		delete(x, at, 1 + random_below(8));
		break;
	case 2:
		insert(x, at, other->data + from,
		       random_below((uint32_t)(other->size - from) + 1));
		break;
	case 3:
		if (at < x->size)
			x->data[at] ^= (uint8_t)(1U << (bytes[0] & 7));
		break;
	case 4:
		if (at < x->size)
			x->data[at] = special[random_below(sizeof(special))];
		break;
	case 5:
		if (at < x->size)
			x->data[at] = (uint8_t)(x->data[at] + bytes[0] % 9 - 4);
		break;
	default:
		if (at < x->size)
			x->data[at] = bytes[0];
	}
}

static void make_input(struct input *x)
{
	*x = corpus[random_below(nr_inputs)];
	for (size_t nr = 1 + random_below(6); nr; nr--)
		mutate_once(x);
}

/*
 * The loop
 */

static void print_input(const char *what, const char *door, const struct input *x)
{
	printf("%s %s ", what, door);
	for (size_t i = 0; i < x->size; i++)
		printf("%02x", x->data[i]);
	printf("\n");
	fflush(stdout);
}

/* Returns whether the input has reached anything new. */
static bool run_input(const struct fuzz_door *door, const struct input *x)
{
	struct fuzz_input in = { x->data, x->size };

	kcov_begin();
	for (unsigned int i = 0; i < MAX_OPS && in.left; i++)
		door->op(&in);
	return kcov_end() != 0;
}

static void load_corpus(const char *name)
{
	const char *top = getenv("VUM_FUZZ_CORPUS");
	char path[512];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", top ? top : "selftests/fuzz/corpus", name);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) && nr_inputs < MAX_INPUTS) {
		struct input *x = &corpus[nr_inputs];
		ssize_t size;
		int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);

		size = fd < 0 ? -1 : read(fd, x->data, sizeof(x->data));
		if (size > 0) {
			x->size = (size_t)size;
			nr_inputs++;
		}
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

/* A warning or worse taints the kernel. */
static unsigned long tainted(void)
{
	char text[32];

	CHECK_EQ(read_file("/proc/sys/kernel/tainted", text, sizeof(text)), 0);
	return strtoul(text, NULL, 10);
}

static void check_kernel(const char *name, unsigned long before, unsigned int nr)
{
	if (tainted() == before)
		return;
	for (unsigned int i = 0; i < nr; i++)
		print_input("suspect", name, &last[i]);
	FAIL("the kernel objects to one of these %u inputs: see its log", nr);
}

static void run_corpus(const struct fuzz_door *door, unsigned long taint)
{
	for (unsigned int i = 0; i < nr_inputs; i++) {
		alarm(60);
		run_input(door, &corpus[i]);
		last[0] = corpus[i];
		check_kernel(door->name, taint, 1);
	}
	test_say("fuzz: %s: %u inputs of the corpus reach %u blocks", door->name, nr_inputs,
		 kcov_blocks());
}

static void keep(const struct fuzz_door *door, const struct input *x)
{
	print_input("found", door->name, x);
	if (nr_inputs < MAX_INPUTS)
		corpus[nr_inputs++] = *x;
	else
		corpus[random_below(MAX_INPUTS)] = *x;
}

void fuzz_loop(const struct fuzz_door *door)
{
	long long end, next = 0, now = test_now_ms();
	unsigned long taint = tainted(), nr = 0;
	unsigned long seed = test_number("VUM_FUZZ_SEED", (unsigned long)now * 2654435761UL) | 1;

	random_seed(seed);
	test_say("fuzz: %s: VUM_FUZZ_SEED=%#lx", door->name, seed);
	kcov_up();
	load_corpus(door->name);
	if (!nr_inputs)
		corpus[nr_inputs++].size = 1;
	run_corpus(door, taint);
	end = test_now_ms() + 1000LL * (long long)test_number("VUM_FUZZ_SECONDS", 60);
	while (now < end) {
		struct input *x = &last[nr % ROUND];

		if (!(nr % ROUND)) {
			check_kernel(door->name, taint, nr ? ROUND : 0);
			alarm(60);
			now = test_now_ms();
		}
		make_input(x);
		if (run_input(door, x))
			keep(door, x);
		nr++;
		if (now < next)
			continue;
		next = now + 30000;
		test_say("fuzz: %s: %lu executions, %u blocks, %u inputs", door->name, nr,
			 kcov_blocks(), nr_inputs);
	}
	check_kernel(door->name, taint, nr < ROUND ? (unsigned int)nr : ROUND);
	test_say("fuzz: %s: %lu executions, %u blocks, %u inputs in all", door->name, nr,
		 kcov_blocks(), nr_inputs);
	CHECK(nr && kcov_blocks());
}
