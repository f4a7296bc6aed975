/* SPDX-License-Identifier: GPL-2.0 */
/* Which blocks of the module the calling thread has reached: by KCOV. */
#ifndef VUM_FUZZ_KCOV_H
#define VUM_FUZZ_KCOV_H

/* The case is skipped if the kernel has no KCOV. */
void kcov_up(void);
void kcov_begin(void);
/* How many blocks were reached since kcov_begin() that had not been reached before. */
unsigned int kcov_end(void);
unsigned int kcov_blocks(void);

#endif /* VUM_FUZZ_KCOV_H */
