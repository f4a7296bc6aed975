/* SPDX-License-Identifier: GPL-2.0 */
/* A server that answers every request in the plainest way, as a basis for what is spoiled. */
#ifndef VUM_FUZZ_MODEL_H
#define VUM_FUZZ_MODEL_H

#include <stddef.h>

#define MODEL_ROOM	8192U

/* Returns the size of the reply, 0 if the message wants none; at most MODEL_ROOM. */
size_t model_reply(const void *msg, size_t size, void *reply);

#endif /* VUM_FUZZ_MODEL_H */
