// SPDX-License-Identifier: GPL-2.0
/* The list of devices, one for each mdev that the helper serves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "device-private.h"
#include "../uapi/vfio_user_mdev.h"

TAILQ_HEAD(device_list, device);

static struct device_list devices = TAILQ_HEAD_INITIALIZER(devices);
static struct device_list dead = TAILQ_HEAD_INITIALIZER(dead);

static struct device *device_find(const char *uuid)
{
	struct device *d;

	TAILQ_FOREACH(d, &devices, link)
		if (!strcmp(d->uuid, uuid))
			return d;
	return NULL;
}

static char *path_or_default(const char *uuid, const char *path)
{
	char *copy;

	if (path)
		return strdup(path);
	if (asprintf(&copy, "%s%s%s", VUM_SOCKET_DIR, uuid, VUM_SOCKET_SUFFIX) < 0)
		return NULL;
	return copy;
}

/* Events of the loop's present round may still point to @d, so it is freed later. */
static void device_forget(struct device *d)
{
	device_close(d);
	TAILQ_REMOVE(&devices, d, link);
	TAILQ_INSERT_TAIL(&dead, d, link);
	device_log(d, LOG_LEVEL_DEBUG, "is gone");
}

static void device_add(const char *uuid, char *path)
{
	size_t len = strlen(uuid);
	struct device *d;

	if (len > UUID_LEN) {
		log_msg(LOG_LEVEL_ERROR, "%s: longer than a uuid: not served", uuid);
		free(path);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		log_msg(LOG_LEVEL_ERROR, "%s: out of memory: not served", uuid);
		free(path);
		return;
	}
	memcpy(d->uuid, uuid, len);
	d->path = path;
	d->seen = true;
	device_init(d, device_forget);
	TAILQ_INSERT_TAIL(&devices, d, link);
	device_log(d, LOG_LEVEL_DEBUG, "is there; its server's socket is %s", path);
	device_open(d);
}

static void device_go_over(struct device *d, char *path)
{
	device_log(d, LOG_LEVEL_INFO, "its server's socket is now %s", path);
	free(d->path);
	d->path = path;
	d->delay = 0;
	d->waiting = false;
	device_unsay(d);
	device_restart(d);
}

void device_present(const char *uuid, const char *path)
{
	struct device *d = device_find(uuid);
	char *copy = path_or_default(uuid, path);

	if (d)
		d->seen = true;
	if (!copy) {
		log_msg(LOG_LEVEL_ERROR, "%s: out of memory", uuid);
		return;
	}
	if (!d)
		device_add(uuid, copy);
	else if (strcmp(d->path, copy) != 0)
		device_go_over(d, copy);
	else
		free(copy);
}

void device_absent(const char *uuid)
{
	struct device *d = device_find(uuid);

	if (d)
		device_forget(d);
}

/* What was said of the server, and what follows now, is news from here on. */
static void lost_server(struct device *d)
{
	if (d->served)
		device_unsay(d);
	d->served = false;
}

static bool device_told(const struct device *d, const char *reason)
{
	return !strncmp(reason, d->relay.why, strlen(reason)) ||
	       !strcmp(reason, VERSION_HANGUP) || !strcmp(reason, VERSION_UNANSWERED);
}

void device_broken(const char *uuid, const char *reason)
{
	struct device *d = device_find(uuid);

	if (!d)
		return;
	lost_server(d);
	/* What this helper has told the kernel, it has told the operator as well. */
	if (!reason || !device_told(d, reason))
		device_say(d, LOG_LEVEL_WARNING, "broken: %s",
			   reason ? reason : "the kernel does not say why");
}

void device_attached(const char *uuid, uint32_t pid, uint32_t uid, const char *exe,
		     const char *license)
{
	struct device *d = device_find(uuid);
	char number[16] = "unknown";

	if (!d)
		return;
	d->served = true;
	if (pid)
		snprintf(number, sizeof(number), "%u", pid);
	device_say(d, LOG_LEVEL_INFO, "attached to the server at %s (pid %s, uid %u, %s), which "
		   "declares %s%s", d->path, number, uid, exe && *exe ? exe : "unknown executable",
		   license && *license ? "the licence " : "no licence", license ? license : "");
}

void device_open_failed(const char *uuid, const char *why)
{
	struct device *d = device_find(uuid);

	if (!d)
		return;
	/* Each consumer's failure is news. */
	device_unsay(d);
	if (d->state == DEVICE_ATTACHED)
		device_say(d, LOG_LEVEL_ERROR, "a consumer could not open the device (\"No such "
			   "device\"): the server at %s (%s) does not answer: restart it", d->path,
			   d->server);
	else
		device_say(d, LOG_LEVEL_ERROR, "a consumer could not open the device (\"No such "
			   "device\"): no server is attached at %s%s%s: start one there, or change "
			   "vfio_user/socket", d->path, why ? ": " : "", why ? why : "");
}

void device_detached(const char *uuid, const char *reason)
{
	struct device *d = device_find(uuid);

	if (!d)
		return;
	lost_server(d);
	if (reason && !strcmp(reason, VUM_WHY_HANGUP))
		device_say(d, LOG_LEVEL_WARNING, "the server at %s hung up: accesses fail until "
			   "it is back; start it again if it does not come by itself", d->path);
	else
		device_say(d, LOG_LEVEL_INFO, "the attachment to the server has ended: %s",
			   reason ? reason : "the kernel does not say why");
}

void devices_sweep_begin(void)
{
	struct device *d;

	TAILQ_FOREACH(d, &devices, link)
		d->seen = false;
}

static void devices_drop(bool all)
{
	struct device *d = TAILQ_FIRST(&devices);

	while (d) {
		struct device *next = TAILQ_NEXT(d, link);

		if (all || !d->seen)
			device_forget(d);
		d = next;
	}
}

void devices_sweep_end(void)
{
	devices_drop(false);
}

void devices_close(void)
{
	devices_drop(true);
}

void devices_reap(void)
{
	struct device *d;

	while ((d = TAILQ_FIRST(&dead))) {
		TAILQ_REMOVE(&dead, d, link);
		free(d->path);
		free(d);
	}
}
