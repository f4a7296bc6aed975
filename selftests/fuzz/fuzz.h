/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer for the module's doors: makes inputs of those that are known, and keeps what
 * reaches a block of the module that none has reached before. A door says what the bytes
 * of an input mean. See fuzz.sh for how it is started, and what becomes of the findings.
 */
#ifndef VUM_FUZZ_H
#define VUM_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/test.h"

/* The longest input, in bytes. */
#define FUZZ_MAX	1024U

/**
 * struct fuzz_input - an input that is being read
 * @at: the next byte
 * @left: bytes that are left; reading beyond them gives zeros
 */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
uint64_t fuzz_u64(struct fuzz_input *in);
void fuzz_bytes(struct fuzz_input *in, void *to, size_t size);

/* A number of which those are likely that make a difference: 0, 1, powers of two, limits. */
uint64_t fuzz_number(struct fuzz_input *in);

/* Overwrites some bytes of a message, as the input says, or none. */
void fuzz_spoil(struct fuzz_input *in, void *msg, size_t size);

/**
 * struct fuzz_door - what is fuzzed
 * @name: of its corpus
 * @op: does the next thing that an input says; may leave the device in any state
 */
struct fuzz_door {
	const char *name;
	void (*op)(struct fuzz_input *in);
};

/*
 * Runs the corpus that is in $VUM_FUZZ_CORPUS/<name>, one file for each input, and then inputs
 * of its own for $VUM_FUZZ_SECONDS. Prints a line "found <name> <hex>" for each that is worth
 * keeping. Fails the case if the kernel has something to object to.
 */
void fuzz_loop(const struct fuzz_door *door);

#endif /* VUM_FUZZ_H */
