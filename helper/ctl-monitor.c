// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctl.h"

struct monitor {
	bool json;
	bool bad;
};

/* Format the time as RFC 3339 does, with milliseconds. */
static void format_now(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;
	char date[32], zone[8];

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	/* strftime() says +0100 where +01:00 is wanted. */
	snprintf(buf, size, "%s.%03ld%.3s:%s", date, ts.tv_nsec / 1000000, zone, zone + 3);
}

static const char *event_name(const struct vum_info *info)
{
	const char *name = vum_event_name(info->event);

	return name ? name : "unknown";
}

static void print_line(const struct vum_info *info, const char *now)
{
	printf("%s  %s  %s", now, info->uuid, event_name(info));
	switch (info->event) {
	case VUM_EVENT_CREATED:
	case VUM_EVENT_CHANGED:
		printf("  socket=%s", info->socket ? info->socket : "-");
		break;
	case VUM_EVENT_ATTACHED:
		printf("  pid=%u uid=%u license=\"%s\" socket=%s", info->server_pid,
		       info->server_uid, info->server_license ? info->server_license : "",
		       info->socket ? info->socket : "-");
		break;
	case VUM_EVENT_BROKEN:
	case VUM_EVENT_DETACHED:
	case VUM_EVENT_OPEN_FAILED:
		printf("  reason=\"%s\"", info->reason ? info->reason : "");
		break;
	default:
		break;
	}
	putchar('\n');
}

static void print_json(const struct vum_info *info, const char *now)
{
	struct json_object *o = json_object_new_object();
	struct json_object *device = ctl_json(info);

	ctl_json_add_text(o, "time", now);
	ctl_json_add_text(o, "event", event_name(info));
	json_object_object_foreach(device, key, value)
		ctl_json_add(o, key, json_object_get(value));
	json_object_put(device);
	ctl_json_print(o, false);
}

static void on_event(const struct vum_info *info, void *arg)
{
	struct monitor *monitor = arg;
	char now[64];

	if (!ctl_check_version(info)) {
		monitor->bad = true;
		return;
	}
	format_now(now, sizeof(now));
	if (monitor->json)
		print_json(info, now);
	else
		print_line(info, now);
	fflush(stdout);
}

static int follow(struct vum_nl *nl, const struct monitor *monitor, int signals)
{
	struct pollfd fds[] = {
		{ .fd = vum_nl_fd(nl), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
		/* Without .events, poll() still tells that stdout's reader has gone. */
		{ .fd = STDOUT_FILENO, .events = 0 },
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return ctl_fail("monitor: poll", -errno);
		if (fds[1].revents || fds[2].revents)
			return EXIT_SUCCESS;
		if (fds[0].revents && vum_nl_hear(nl))
			fputs("vfio-user-mdevctl: monitor: events were lost: \"vfio-user-mdevctl "
			      "list\" shows how things are\n", stderr);
		if (monitor->bad)
			return EXIT_FAILURE;
		if (ferror(stdout))
			return ctl_fail("monitor: stdout", -EIO);
	}
}

int ctl_monitor(struct vum_nl *nl, const struct ctl_args *args)
{
	struct monitor monitor = { .json = args->json };
	int signals, err, code;

	nl->on_event = on_event;
	nl->arg = &monitor;
	err = vum_nl_listen(nl);
	if (!err)
		err = vum_nl_join(nl);
	if (err)
		return ctl_fail("monitor", err);
	signals = ctl_open_signals();
	if (signals < 0)
		return ctl_fail("monitor: signalfd", signals);
	code = follow(nl, &monitor, signals);
	close(signals);
	return code;
}
