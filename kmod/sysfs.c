// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: attributes in sysfs: those of an mdev, in vfio_user/, and those of
 * the parent device.
 */

#include <linux/sysfs.h>

#include "device.h"
#include "dma_evict.h"
#include "sysfs.h"
#include "work.h"

static struct vum_device *vum_from_dev(struct device *device)
{
	return dev_get_drvdata(device);
}

static ssize_t socket_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct vum_device *dev = vum_from_dev(device);
	ssize_t ret;

	vum_conn_lock(&dev->conn);
	ret = sysfs_emit(buf, "%s\n", dev->socket);
	vum_conn_unlock(&dev->conn);
	return ret;
}

/* Read an absolute path and, perhaps, the end of its line. Returns 0 or an error. */
static int vum_socket_parse(const char *buf, char socket[UNIX_PATH_MAX])
{
	size_t len = strcspn(buf, "\n");

	if (len == 0 || buf[0] != '/' || (buf[len] && buf[len + 1]))
		return -EINVAL;
	if (len >= UNIX_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(socket, buf, len);
	socket[len] = '\0';
	return 0;
}

/* Another socket means another device, so it is fixed while this one is open. */
static ssize_t socket_store(struct device *device,
			    struct device_attribute *attr, const char *buf,
			    size_t count)
{
	struct vum_device *dev = vum_from_dev(device);
	char socket[UNIX_PATH_MAX];
	bool stopped = false;
	LIST_HEAD(dead);
	int ret;

	ret = vum_socket_parse(buf, socket);
	if (ret)
		return ret;
	vum_conn_lock(&dev->conn);
	if (!strcmp(dev->socket, socket)) {
		;
	} else if (dev->open) {
		ret = -EBUSY;
	} else {
		stopped = vum_conn_readdress(dev, socket, &dead);
	}
	vum_conn_unlock(&dev->conn);
	if (stopped)
		vum_conn_stopped(dev, &dead);
	return ret ?: count;
}
static DEVICE_ATTR_RW(socket);

/* Hand the device to the server on another socket, while it is in use. */
static ssize_t handover_store(struct device *device, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	char socket[UNIX_PATH_MAX];
	int ret;

	ret = vum_socket_parse(buf, socket) ?: vum_handover(vum_from_dev(device), socket);
	return ret ?: count;
}

/* What came of the last one: "paused for N us", or why it failed. */
static ssize_t handover_show(struct device *device, struct device_attribute *attr, char *buf)
{
	const struct vum_handover *ho = &vum_from_dev(device)->handover;

	if (smp_load_acquire(&ho->runs))
		return sysfs_emit(buf, "under way\n");
	if (ho->ret)
		return sysfs_emit(buf, "failed: %s\n", ho->why);
	return ho->socket[0] ? sysfs_emit(buf, "paused for %lld us\n", ho->pause_us) : 0;
}
static DEVICE_ATTR_RW(handover);

static ssize_t state_show(struct device *device, struct device_attribute *attr,
			  char *buf)
{
	struct vum_device *dev = vum_from_dev(device);

	return sysfs_emit(buf, "%s\n",
			  vum_state_names[READ_ONCE(dev->conn.state)]);
}

/* Detach the server without killing it: to stop it, or to attach it another way. */
static ssize_t state_store(struct device *device, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	struct vum_device *dev = vum_from_dev(device);

	if (!sysfs_streq(buf, vum_state_names[VUM_STATE_DETACHED]))
		return -EINVAL;
	vum_conn_end(dev, READ_ONCE(dev->conn.session), "detached by way of vfio_user/state");
	return count;
}
static DEVICE_ATTR_RW(state);

/* The content is "pid uid gid", or nothing while no server is attached. */
static ssize_t server_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct vum_device *dev = vum_from_dev(device);
	struct vum_conn *conn = &dev->conn;
	ssize_t ret = 0;

	vum_conn_lock(conn);
	if (vum_conn_alive(conn))
		ret = sysfs_emit(buf, "%d %u %u\n", conn->peer.server_pid,
				 conn->peer.server_uid, conn->peer.server_gid);
	vum_conn_unlock(conn);
	return ret;
}
static DEVICE_ATTR_RO(server);

static ssize_t vum_u32_store(u32 *attr, u32 max, const char *buf, size_t count)
{
	u32 value;
	int ret = kstrtou32(buf, 0, &value);

	if (ret)
		return ret;
	if (value > max)
		return -ERANGE;
	WRITE_ONCE(*attr, value);
	return count;
}

static ssize_t attach_timeout_ms_show(struct device *device,
				      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vum_from_dev(device)->attach_timeout_ms));
}

static ssize_t attach_timeout_ms_store(struct device *device,
				       struct device_attribute *attr,
				       const char *buf, size_t count)
{
	return vum_u32_store(&vum_from_dev(device)->attach_timeout_ms,
			    VUM_ATTACH_TIMEOUT_MAX, buf, count);
}
static DEVICE_ATTR_RW(attach_timeout_ms);

static ssize_t timeout_ms_show(struct device *device,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vum_from_dev(device)->timeout_ms));
}

static ssize_t timeout_ms_store(struct device *device,
				struct device_attribute *attr,
				const char *buf, size_t count)
{
	return vum_u32_store(&vum_from_dev(device)->timeout_ms, INT_MAX, buf,
			    count);
}
static DEVICE_ATTR_RW(timeout_ms);

static ssize_t dma_mode_show(struct device *device,
			     struct device_attribute *attr, char *buf)
{
	struct vum_dma *dma = &vum_from_dev(device)->dma;

	return sysfs_emit(buf, "%s\n",
			  vum_dma_mode_names[READ_ONCE(dma->mode)]);
}

/* The mode is for the next server; the present one has been told. */
static ssize_t dma_mode_store(struct device *device,
			      struct device_attribute *attr, const char *buf,
			      size_t count)
{
	struct vum_dma *dma = &vum_from_dev(device)->dma;
	int mode = __sysfs_match_string(vum_dma_mode_names, VUM_DMA_MODES, buf);

	if (mode < 0)
		return mode;
	WRITE_ONCE(dma->mode, mode);
	return count;
}
static DEVICE_ATTR_RW(dma_mode);

static ssize_t dma_aperture_show(struct device *device,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vum_from_dev(device)->dma.aperture));
}

static ssize_t dma_announce_show(struct device *device,
				 struct device_attribute *attr, char *buf)
{
	bool exact = READ_ONCE(vum_from_dev(device)->announce.exact);

	return sysfs_emit(buf, "%s\n", exact ? "exact" : "aperture");
}

static ssize_t dma_announce_store(struct device *device,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct vum_device *dev = vum_from_dev(device);

	if (sysfs_streq(buf, "exact"))
		WRITE_ONCE(dev->announce.exact, true);
	else if (sysfs_streq(buf, "aperture"))
		WRITE_ONCE(dev->announce.exact, false);
	else
		return -EINVAL;
	vum_announce_later(dev);
	return count;
}
static DEVICE_ATTR_RW(dma_announce);

/* The aperture is for the next server. */
static ssize_t dma_aperture_store(struct device *device,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	u8 bits;
	int ret = kstrtou8(buf, 0, &bits);

	if (ret)
		return ret;
	if (bits < VUM_DMA_APERTURE_MIN || bits > VUM_DMA_APERTURE_MAX)
		return -ERANGE;
	WRITE_ONCE(vum_from_dev(device)->dma.aperture, bits);
	return count;
}
static DEVICE_ATTR_RW(dma_aperture);

static ssize_t dma_fault_show(struct device *device,
			      struct device_attribute *attr, char *buf)
{
	bool sigbus = READ_ONCE(vum_from_dev(device)->dma.sigbus);

	return sysfs_emit(buf, "%s\n", sigbus ? "sigbus" : "absorb");
}

static ssize_t dma_fault_store(struct device *device,
			       struct device_attribute *attr, const char *buf,
			       size_t count)
{
	struct vum_dma *dma = &vum_from_dev(device)->dma;

	if (sysfs_streq(buf, "sigbus"))
		WRITE_ONCE(dma->sigbus, true);
	else if (sysfs_streq(buf, "absorb"))
		WRITE_ONCE(dma->sigbus, false);
	else
		return -EINVAL;
	return count;
}
static DEVICE_ATTR_RW(dma_fault);

static ssize_t dma_fault_timeout_ms_show(struct device *device,
					 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vum_from_dev(device)->dma.fault_timeout_ms));
}

static ssize_t dma_fault_timeout_ms_store(struct device *device,
					  struct device_attribute *attr,
					  const char *buf, size_t count)
{
	return vum_u32_store(&vum_from_dev(device)->dma.fault_timeout_ms, INT_MAX,
			     buf, count);
}
static DEVICE_ATTR_RW(dma_fault_timeout_ms);

static ssize_t dma_max_pinned_show(struct device *device,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  READ_ONCE(vum_from_dev(device)->dma.evict.max_pinned));
}

static ssize_t dma_max_pinned_store(struct device *device,
				    struct device_attribute *attr, const char *buf,
				    size_t count)
{
	u64 bytes;
	int ret = kstrtou64(buf, 0, &bytes);

	if (ret)
		return ret;
	if (bytes && bytes < VUM_DMA_MAX_PINNED_MIN)
		return -ERANGE;
	vum_evict_set_max(vum_from_dev(device), bytes);
	return count;
}
static DEVICE_ATTR_RW(dma_max_pinned);

static ssize_t posted_writes_show(struct device *device,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vum_from_dev(device)->posted_writes));
}

static ssize_t posted_writes_store(struct device *device,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (ret)
		return ret;
	WRITE_ONCE(vum_from_dev(device)->posted_writes, on);
	return count;
}
static DEVICE_ATTR_RW(posted_writes);

static ssize_t data_path_show(struct device *device,
			      struct device_attribute *attr, char *buf)
{
	struct vum_device *dev = vum_from_dev(device);

	return sysfs_emit(buf, "%s\n",
			  vum_data_path_names[READ_ONCE(dev->data_path)]);
}

/* The path is for the next server. */
static ssize_t data_path_store(struct device *device,
			       struct device_attribute *attr, const char *buf,
			       size_t count)
{
	struct vum_device *dev = vum_from_dev(device);
	int path = __sysfs_match_string(vum_data_path_names, VUM_PATHS, buf);

	if (path < 0)
		return path;
	WRITE_ONCE(dev->data_path, path);
	return count;
}
static DEVICE_ATTR_RW(data_path);

static ssize_t license_policy_show(struct device *device, struct device_attribute *attr,
				   char *buf)
{
	struct vum_device *dev = vum_from_dev(device);

	return sysfs_emit(buf, "%s\n",
			  vum_license_policy_names[READ_ONCE(dev->license_policy)]);
}

/* The policy is for the next server. */
static ssize_t license_policy_store(struct device *device, struct device_attribute *attr,
				    const char *buf, size_t count)
{
	int policy = __sysfs_match_string(vum_license_policy_names, VUM_LICENSE_POLICIES, buf);

	if (policy < 0)
		return policy;
	WRITE_ONCE(vum_from_dev(device)->license_policy, policy);
	return count;
}
static DEVICE_ATTR_RW(license_policy);

static ssize_t poll_us_show(struct device *device, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(vum_from_dev(device)->poll_us));
}

static ssize_t poll_us_store(struct device *device, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	return vum_u32_store(&vum_from_dev(device)->poll_us, VUM_POLL_MAX_US,
			     buf, count);
}
static DEVICE_ATTR_RW(poll_us);

static ssize_t optional_commands_show(struct device *device,
				      struct device_attribute *attr, char *buf)
{
	struct vum_device *dev = vum_from_dev(device);
	unsigned int i;
	int len = 0;

	for (i = 0; i < VUM_NR_OPTIONAL; i++)
		if (test_bit(i, &dev->optional_commands))
			len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "",
					     vum_optional_names[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}

/* The content is a list of names, separated by spaces. */
static ssize_t optional_commands_store(struct device *device,
				       struct device_attribute *attr,
				       const char *buf, size_t count)
{
	char words[64], *rest = words, *word;
	unsigned long set = 0;
	int i;

	if (strscpy(words, buf, sizeof(words)) < 0)
		return -EINVAL;
	while ((word = strsep(&rest, " \n"))) {
		if (!*word)
			continue;
		i = __sysfs_match_string(vum_optional_names, VUM_NR_OPTIONAL, word);
		if (i < 0)
			return i;
		set |= BIT(i);
	}
	WRITE_ONCE(vum_from_dev(device)->optional_commands, set);
	return count;
}
static DEVICE_ATTR_RW(optional_commands);

static struct attribute *vum_mdev_attrs[] = {
	&dev_attr_socket.attr,
	&dev_attr_handover.attr,
	&dev_attr_state.attr,
	&dev_attr_server.attr,
	&dev_attr_attach_timeout_ms.attr,
	&dev_attr_timeout_ms.attr,
	&dev_attr_posted_writes.attr,
	&dev_attr_optional_commands.attr,
	&dev_attr_license_policy.attr,
	&dev_attr_data_path.attr,
	&dev_attr_poll_us.attr,
	&dev_attr_dma_mode.attr,
	&dev_attr_dma_announce.attr,
	&dev_attr_dma_aperture.attr,
	&dev_attr_dma_fault.attr,
	&dev_attr_dma_fault_timeout_ms.attr,
	&dev_attr_dma_max_pinned.attr,
	NULL,
};

static const struct attribute_group vum_mdev_group = {
	.name = "vfio_user",
	.attrs = vum_mdev_attrs,
};

const struct attribute_group *vum_mdev_groups[] = {
	&vum_mdev_group,
	NULL,
};

/* The number of all devices' messages in memory; 0 once all of them are freed. */
static ssize_t live_messages_show(struct device *device,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", vum_live_messages());
}
static DEVICE_ATTR_RO(live_messages);

static struct attribute *vum_parent_attrs[] = {
	&dev_attr_live_messages.attr,
	NULL,
};

static const struct attribute_group vum_parent_group = {
	.attrs = vum_parent_attrs,
};

const struct attribute_group *vum_parent_groups[] = {
	&vum_parent_group,
	NULL,
};
