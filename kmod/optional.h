/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: commands that a server need not know.
 */
#ifndef VUM_OPTIONAL_H
#define VUM_OPTIONAL_H

#include "message.h"

/**
 * enum vum_optional - commands that a server need not know
 * @VUM_OPTIONAL_FEATURE: VFIO_USER_DEVICE_FEATURE
 * @VUM_OPTIONAL_IO_FDS: VFIO_USER_DEVICE_GET_REGION_IO_FDS
 * @VUM_NR_OPTIONAL: number of these
 *
 * The bits of dev->optional_commands, in which those are set that are sent.
 */
enum vum_optional {
	VUM_OPTIONAL_FEATURE,
	VUM_OPTIONAL_IO_FDS,
	VUM_NR_OPTIONAL,
};

extern const char *const vum_optional_names[];

int vum_optional_call(struct vum_device *dev, struct vum_req *req,
		      enum vum_optional which);

#endif /* VUM_OPTIONAL_H */
