/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: which servers are taken, by the licence that they declare.
 */
#ifndef VUM_LICENSE_H
#define VUM_LICENSE_H

#include <linux/types.h>

struct vum_device;

/**
 * enum vum_license_policy - which servers may serve a device
 * @VUM_LICENSE_ANY: all of them
 * @VUM_LICENSE_DECLARED: those that declare a licence, by an SPDX expression
 * @VUM_LICENSE_GPL: those whose licence is compatible with GPL-2.0
 * @VUM_LICENSE_POLICIES: the number of these
 */
enum vum_license_policy {
	VUM_LICENSE_ANY,
	VUM_LICENSE_DECLARED,
	VUM_LICENSE_GPL,
	VUM_LICENSE_POLICIES,
};

/* Names in vfio_user/license_policy. */
extern const char *const vum_license_policy_names[];

bool vum_license_check(struct vum_device *dev, u32 session);

#endif /* VUM_LICENSE_H */
