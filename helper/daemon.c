// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdevd: keep the list of devices equal to the module's list of mdevs,
 * by its netlink events. connect.c attaches each device to its server.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "channel.h"
#include "device.h"
#include "log.h"
#include "loop.h"
#include "netlink.h"
#include "notify.h"
#include "options.h"
#include "relay.h"

#define DUMP_ATTEMPTS 8

static struct {
	struct options options;
	struct vum_nl nl;
	struct watch nl_watch;
	struct watch signal_watch;
	bool refused;	/* a module of another version */
} vumd;

/* The kernel's log is to say as well why this mdev has no helper. */
static void tell_module(const char *uuid)
{
	struct vum_attach attach;
	int fd = channel_open(uuid);

	if (fd < 0)
		return;
	channel_resume(fd, &attach);
	close(fd);
}

static bool check_version(const struct vum_info *info)
{
	if (info->api_version == VUM_API_VERSION)
		return true;
	if (vumd.refused)
		return false;
	vumd.refused = true;
	tell_module(info->uuid);
	log_msg(LOG_LEVEL_ERROR, "the module vfio_user_mdev speaks interface version %u, this "
		"helper %u: install the two from the same release%s", info->api_version,
		VUM_API_VERSION, vumd.options.wait ?
		"; waiting for another module to be loaded" : "");
	if (!vumd.options.wait)
		loop_stop(EXIT_FAILURE);
	return false;
}

static void on_listed(const struct vum_info *info, void *arg)
{
	(void)arg;
	if (check_version(info) && options_want(&vumd.options, info->uuid))
		device_present(info->uuid, info->socket);
}

struct attached {
	const struct vum_info *info;
	bool told;
};

/* The first is the present one, unless it has gone already. */
static void on_served(const struct vum_past_server *server, void *arg)
{
	struct attached *attached = arg;

	if (attached->told)
		return;
	attached->told = true;
	device_attached(attached->info->uuid, server->pid, server->uid, server->exe,
			server->license);
}

static void on_event(const struct vum_info *info, void *arg)
{
	const char *name = vum_event_name(info->event);
	struct attached attached = { info, false };

	log_msg(LOG_LEVEL_DEBUG, "%s: kernel event \"%s\"", info->uuid, name ? name : "unknown");
	switch (info->event) {
	case VUM_EVENT_CREATED:
	case VUM_EVENT_CHANGED:
		on_listed(info, arg);
		break;
	case VUM_EVENT_REMOVED:
		device_absent(info->uuid);
		break;
	case VUM_EVENT_BROKEN:
		device_broken(info->uuid, info->reason);
		break;
	case VUM_EVENT_OPEN_FAILED:
		device_open_failed(info->uuid, info->reason);
		break;
	case VUM_EVENT_ATTACHED:
		vum_nl_servers(&vumd.nl, info->uuid, on_served, &attached);
		break;
	case VUM_EVENT_DETACHED:
		device_detached(info->uuid, info->reason);
		break;
	default:
		break;
	}
}

/* Ask for all mdevs and make the list of devices match, whatever events were lost. */
static int reconcile(void)
{
	int err = -EINTR;

	devices_sweep_begin();
	for (int i = 0; i < DUMP_ATTEMPTS && err == -EINTR; i++)
		err = vum_nl_dump(&vumd.nl, on_listed, NULL);
	if (!err)
		devices_sweep_end();
	/* Mdevs came and went during each dump: events tell what the dumps did not. */
	return err == -EINTR ? 0 : err;
}

/* Join before the dump: an mdev that appears after the dump is told as an event. */
static int follow_module(void)
{
	int err = vum_nl_resolve(&vumd.nl);

	if (!err)
		err = vum_nl_join(&vumd.nl);
	if (!err)
		err = reconcile();
	return err;
}

static void on_family(bool there, void *arg)
{
	int err;

	(void)arg;
	if (!there) {
		log_msg(LOG_LEVEL_INFO, "module vfio_user_mdev was unloaded; waiting for it");
		vumd.refused = false;
		devices_close();
		return;
	}
	err = follow_module();
	if (err)
		log_msg(LOG_LEVEL_ERROR, "module vfio_user_mdev was loaded, but: %s",
			vum_nl_strerror(err));
	else
		log_msg(LOG_LEVEL_INFO, "module vfio_user_mdev was loaded");
}

static void on_netlink(struct watch *w, uint32_t events)
{
	int err;

	(void)w;
	(void)events;
	if (!vum_nl_hear(&vumd.nl))
		return;
	log_msg(LOG_LEVEL_INFO, "events from the kernel were lost; asking for all mdevs instead");
	/* The module itself may have come or gone. */
	err = follow_module();
	if (err == -ENOENT)
		devices_close();
	else if (err)
		log_msg(LOG_LEVEL_ERROR, "netlink: %s: mdevs that came or went are not noticed: "
			"restart me", vum_nl_strerror(err));
}

static void on_signal(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_msg(LOG_LEVEL_INFO, "signal \"%s\": stopping", strsignal((int)info.ssi_signo));
	loop_stop(EXIT_SUCCESS);
}

static int watch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* NOLINT(bugprone-signal-handler): stderr's reader may go */
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	vumd.signal_watch.fn = on_signal;
	return watch_add(&vumd.signal_watch, fd, EPOLLIN);
}

/* A device takes up to two descriptors, and a message up to 64 more. */
static void raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_msg(LOG_LEVEL_WARNING, "setrlimit(RLIMIT_NOFILE): %s: the limit of open files "
			"stays as it is", strerror(errno));
}

static int start_netlink(void)
{
	int err;

	vumd.nl.on_event = on_event;
	vumd.nl.on_family = on_family;
	err = vum_nl_open(&vumd.nl);
	if (!err)
		err = vum_nl_listen(&vumd.nl);
	if (err) {
		log_msg(LOG_LEVEL_ERROR, "netlink: %s: is CONFIG_NET missing in this kernel, or "
			"AF_NETLINK forbidden?", strerror(-err));
		return err;
	}
	vumd.nl_watch.fn = on_netlink;
	err = watch_add(&vumd.nl_watch, vum_nl_fd(&vumd.nl), EPOLLIN);
	if (err) {
		log_msg(LOG_LEVEL_ERROR, "epoll: %s", strerror(-err));
		return err;
	}

	err = follow_module();
	if (err == -ENOENT && vumd.options.wait) {
		log_msg(LOG_LEVEL_INFO, "waiting for module vfio_user_mdev to be loaded");
		return 0;
	}
	if (err)
		log_msg(LOG_LEVEL_ERROR, "%s", vum_nl_strerror(err));
	return err;
}

static int run(void)
{
	int err, code;

	/* Said now, and not of each mdev that comes. */
	if (geteuid()) {
		log_msg(LOG_LEVEL_ERROR, "not permitted: the channels in %s belong to root: run me as "
			"root", VUM_CHANNEL_DIR);
		return EXIT_FAILURE;
	}
	raise_nofile();
	err = loop_init(vumd.options.poll_us);
	if (!err)
		err = watch_signals();
	if (!err)
		err = relay_init();
	if (err) {
		log_msg(LOG_LEVEL_ERROR, "cannot start: %s", strerror(-err));
		return EXIT_FAILURE;
	}
	devices_pledge(vumd.options.pledge);
	if (start_netlink())
		return EXIT_FAILURE;

	log_msg(LOG_LEVEL_DEBUG, "version " VUM_RELEASE " is ready");
	notify_manager("READY=1");
	code = loop_run(devices_reap);
	notify_manager("STOPPING=1");
	return code;
}

int main(int argc, char **argv)
{
	int code;

	log_init();
	vumd.nl_watch.fd = -1;
	vumd.signal_watch.fd = -1;
	code = options_parse(&vumd.options, argc, argv);
	if (code < 0)
		code = run();

	devices_close();
	devices_reap();
	watch_close(&vumd.signal_watch);
	vum_nl_close(&vumd.nl);
	options_free(&vumd.options);
	relay_exit();
	return code;
}
