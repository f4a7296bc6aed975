/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HELPER_UUID_H
#define HELPER_UUID_H

#include <stdbool.h>

/* Is @s a UUID, such as 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001, in either case? */
bool is_uuid(const char *s);

#endif /* HELPER_UUID_H */
