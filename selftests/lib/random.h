/* SPDX-License-Identifier: GPL-2.0 */
/* Random numbers that come again with the same seed. */
#ifndef VUM_LIB_RANDOM_H
#define VUM_LIB_RANDOM_H

#include <stdint.h>

/* Any seed but 0. */
void random_seed(uint64_t seed);
uint64_t random_64(void);
/* From 0 to below @n, which is not 0. */
uint32_t random_below(uint32_t n);

#endif /* VUM_LIB_RANDOM_H */
