/* SPDX-License-Identifier: GPL-2.0 */
/* The names of vfio-user's commands, as in its specification. */
#ifndef HELPER_COMMAND_NAME_H
#define HELPER_COMMAND_NAME_H

#include <stdint.h>

/* Returns the name of an enum vfio_user_command, or NULL if it is unknown. */
const char *vum_command_name(uint32_t cmd);

#endif /* HELPER_COMMAND_NAME_H */
