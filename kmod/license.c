// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: which servers are taken, by the licence that they declare.
 *
 * A server says in its VERSION reply under which licence it is. The helper reads that,
 * and finds out what it means. Whether it is true, no program can tell: what a server
 * declares is kept and shown, so that a false declaration is on record.
 */

#include <linux/kernel.h>
#include <linux/module.h>

#include "device.h"

static bool vum_taint;
module_param_named(taint, vum_taint, bool, 0644);
MODULE_PARM_DESC(taint, "taint the kernel ('U') when a server attaches that declares no licence compatible with the GPL (default N)");

const char *const vum_license_policy_names[] = {
	[VUM_LICENSE_ANY]	= "any",
	[VUM_LICENSE_DECLARED]	= "declared",
	[VUM_LICENSE_GPL]	= "gpl",
};

static bool vum_license_suits(enum vum_license_policy policy, u32 flags)
{
	switch (policy) {
	case VUM_LICENSE_DECLARED:
		return flags & VUM_ATTACH_LICENSE;
	case VUM_LICENSE_GPL:
		return flags & VUM_ATTACH_GPL;
	default:
		return true;
	}
}

static void vum_license_refuse(struct vum_device *dev, u32 session,
			       enum vum_license_policy policy, u32 flags, const char *license)
{
	const char *name = vum_license_policy_names[policy];

	if (!*license)
		vum_conn_break(dev, session, "it declares no licence, and license_policy is %s",
			       name);
	else if (!(flags & VUM_ATTACH_LICENSE))
		vum_conn_break(dev, session,
			       "license_policy is %s, and what it declares is no SPDX expression: %s",
			       name, license);
	else
		vum_conn_break(dev, session,
			       "license_policy is %s, and its licence is not compatible with GPL-2.0: %s",
			       name, license);
}

static void vum_license_taint(struct vum_device *dev, s32 pid, u32 flags,
			      const char *license)
{
	if (!READ_ONCE(vum_taint) || flags & VUM_ATTACH_GPL || dev->tainted)
		return;
	/* Once for each device: a server may come and go all the time. */
	dev->tainted = true;
	pr_notice("%s: server (pid %d) declares %s%s, no licence compatible with the GPL: the kernel is tainted, as taint=1 says\n",
		  dev->uuid, pid, *license ? "" : "nothing", license);
	add_taint(TAINT_USER, LOCKDEP_STILL_OK);
}

/**
 * vum_license_check - refuse a server whose licence is not as vfio_user/license_policy wants
 * @dev: device
 * @session: the attachment, which ends if its server is refused
 *
 * Return: true if the server is taken, false also if the attachment has ended.
 */
bool vum_license_check(struct vum_device *dev, u32 session)
{
	enum vum_license_policy policy = READ_ONCE(dev->license_policy);
	struct vum_conn *conn = &dev->conn;
	char license[VUM_MAX_TEXT];
	u32 flags;
	s32 pid;

	vum_conn_lock(conn);
	if (!vum_conn_current(conn, session)) {
		vum_conn_unlock(conn);
		return false;
	}
	strscpy(license, vum_servers_last(&conn->servers)->license, sizeof(license));
	flags = conn->peer.flags;
	pid = conn->peer.server_pid;
	vum_conn_unlock(conn);
	if (!vum_license_suits(policy, flags)) {
		vum_license_refuse(dev, session, policy, flags, license);
		return false;
	}
	vum_license_taint(dev, pid, flags, license);
	return true;
}
