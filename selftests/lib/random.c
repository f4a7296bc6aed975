// SPDX-License-Identifier: GPL-2.0
/* See random.h: xorshift64*. */
#include "random.h"

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed;
}

uint64_t random_64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random_64() >> 32) % n;
}
