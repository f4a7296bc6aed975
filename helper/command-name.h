/* SPDX-License-Identifier: GPL-2.0 */
/* What vfio-user's specification calls its commands. */
#ifndef HELPER_COMMAND_NAME_H
#define HELPER_COMMAND_NAME_H

#include <stdint.h>

/* enum vfio_user_command; NULL if it is none that we know. */
const char *vum_command_name(uint32_t cmd);

#endif /* HELPER_COMMAND_NAME_H */
