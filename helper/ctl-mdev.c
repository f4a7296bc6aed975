// SPDX-License-Identifier: GPL-2.0
/*
 * create, set, remove: what can be done to an mdev by hand in sysfs, with messages that say
 * what is wrong. mdevctl does the same for mdevs that are to survive a reboot.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "uuid.h"

#define CREATE	"/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create"

/* What the attributes in vfio_user/ take that can be set. */
static const struct attribute {
	const char *name;
	const char *takes;
} attributes[] = {
	{ "attach_timeout_ms", "milliseconds, 0 to 60000" },
	{ "data_path", "auto, kernel or relay" },
	{ "dma_announce", "exact or aperture" },
	{ "dma_aperture", "a number of bits" },
	{ "dma_fault", "absorb or sigbus" },
	{ "dma_fault_timeout_ms", "milliseconds; 0: for ever" },
	{ "dma_max_pinned", "bytes, 65536 or more; 0: no bound" },
	{ "dma_mode", "auto, mmap, file, message, none or share" },
	{ "license_policy", "any, declared or gpl" },
	{ "optional_commands", "device_feature and get_region_io_fds, none, one or both" },
	{ "poll_us", "microseconds, 0 to 10000" },
	{ "posted_writes", "0 or 1" },
	{ "socket", "an absolute path of up to 107 bytes, while the device is not open" },
	{ "timeout_ms", "milliseconds; 0: for ever" },
};

static const struct attribute *find_attribute(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (strlen(attributes[i].name) == len && !memcmp(attributes[i].name, name, len))
			return &attributes[i];
	return NULL;
}

static int no_attribute(const char *setting)
{
	fprintf(stderr, "vfio-user-mdevctl: %s: not NAME=VALUE with one of these names:", setting);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		fprintf(stderr, " %s", attributes[i].name);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

/* Are these settings? Before any is made. Returns an exit code. */
static int check_settings(const struct ctl_args *args)
{
	for (int i = 0; i < args->nr_settings; i++) {
		const char *equals = strchr(args->settings[i], '=');
		size_t len = equals ? (size_t)(equals - args->settings[i]) : 0;

		if (!find_attribute(args->settings[i], len))
			return no_attribute(args->settings[i]);
	}
	return EXIT_SUCCESS;
}

static int set_one(const char *uuid, const char *setting)
{
	size_t len = strcspn(setting, "=");
	const struct attribute *attr = find_attribute(setting, len);
	char file[64], path[256];
	int err;

	snprintf(file, sizeof(file), "vfio_user/%s", attr->name);
	err = ctl_mdev_path(path, sizeof(path), uuid, file);
	if (!err)
		err = ctl_write_file(path, setting + len + 1);
	if (!err)
		return EXIT_SUCCESS;
	if (err == -ENOENT)
		err = -ENODEV;
	if (err == -EBUSY)
		fprintf(stderr, "vfio-user-mdevctl: %s: a consumer has %s open, and the socket of an "
			"open device is fixed: see handover\n", setting, uuid);
	else if (err == -EINVAL || err == -ERANGE || err == -ENAMETOOLONG)
		fprintf(stderr, "vfio-user-mdevctl: %s: %s takes %s\n", setting, attr->name,
			attr->takes);
	else
		return ctl_fail(setting, err);
	return EXIT_FAILURE;
}

static int set_socket(const char *uuid, const char *socket)
{
	char setting[256];

	snprintf(setting, sizeof(setting), "socket=%s", socket);
	return set_one(uuid, setting);
}

static int set_all(const char *uuid, const struct ctl_args *args)
{
	int code = EXIT_SUCCESS;

	for (int i = 0; !code && i < args->nr_settings; i++)
		code = set_one(uuid, args->settings[i]);
	return code;
}

int ctl_set(struct vum_nl *nl, const struct ctl_args *args)
{
	int code = check_settings(args);

	(void)nl;
	return code ? code : set_all(args->uuid, args);
}

/* Returns 0 or -errno. */
static int remove_mdev(const char *uuid)
{
	char path[256];
	int err = ctl_mdev_path(path, sizeof(path), uuid, "remove");

	if (!err)
		err = ctl_write_file(path, "1");
	return err == -ENOENT ? -ENODEV : err;
}

static void on_removing(const struct vum_info *info, void *arg)
{
	(void)arg;
	if (info->open)
		fprintf(stderr, "vfio-user-mdevctl: %s is in use: its consumer is asked to let go, "
			"which may take until it ends\n", info->uuid);
}

int ctl_remove(struct vum_nl *nl, const struct ctl_args *args)
{
	/* Only the module's own mdevs are removed by this tool. */
	int err = vum_nl_get(nl, args->uuid, on_removing, NULL);

	if (!err)
		err = remove_mdev(args->uuid);
	return err ? ctl_fail(args->uuid, err) : EXIT_SUCCESS;
}

static int create_failed(const char *uuid, int err)
{
	const char *what = err == -EEXIST ? "exists already" :
			   err == -EINVAL ? "not a UUID, such as 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" :
			   err == -EUSERS ? "there are as many mdevs as the module's max_instances" :
			   NULL;

	if (!what)
		return ctl_fail(uuid, err);
	fprintf(stderr, "vfio-user-mdevctl: %s: %s\n", uuid, what);
	return EXIT_FAILURE;
}

/*
 * The mdev's UUID as the kernel writes it, in lower case: that which was given, or a new one.
 * Returns 0; -EINVAL if what was given is none; -EIO if the kernel makes none.
 */
static int choose_uuid(const char *given, char uuid[64])
{
	if (!given)
		ctl_read_line("/proc/sys/kernel/random/uuid", uuid, 64);
	else
		snprintf(uuid, 64, "%s", given);
	for (char *p = uuid; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (is_uuid(uuid))
		return 0;
	return given ? -EINVAL : -EIO;
}

int ctl_create(struct vum_nl *nl, const struct ctl_args *args)
{
	char uuid[64];
	int err, code;

	(void)nl;
	code = check_settings(args);
	if (code)
		return code;
	err = choose_uuid(args->uuid, uuid);
	if (!err)
		err = ctl_write_file(CREATE, uuid);
	if (err)
		return create_failed(args->uuid ? args->uuid : "create", err);
	code = args->socket ? set_socket(uuid, args->socket) : EXIT_SUCCESS;
	code = code ? code : set_all(uuid, args);
	if (code)
		remove_mdev(uuid);
	else
		puts(uuid);
	return code;
}
