/* SPDX-License-Identifier: GPL-2.0 */
/* Included first by every file of the module: the compiler's calls go to vum_cover.c. */
#ifndef __ASSEMBLY__
asm(".weakref __sanitizer_cov_trace_pc, vum_cover_trace_pc");
#endif
