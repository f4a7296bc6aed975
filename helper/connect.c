// SPDX-License-Identifier: GPL-2.0
/*
 * A device's way to its server: open the channel, connect to the server's socket,
 * exchange VERSION, attach, and then carry messages. Whenever anything of this fails
 * or ends, begin again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "channel.h"
#include "device-private.h"
#include "version.h"

#define DELAY_MIN_MS		50
#define DELAY_MAX_MS		1000
#define VERSION_PATIENCE_MS	5000
/* How often to look whether a server has read what it was sent: nothing tells. */
#define FULL_MS			10
/* An attachment that lasted this long clears the delay of earlier failures. */
#define GOOD_MS			1000
/* After one that lasted this long, messages are logged anew: see device_say(). */
#define FORGIVEN_MS		10000

/* The text that each server has to repeat, or NULL. */
static const char *pledge;

static bool open_channel(struct device *d);
static void device_connect(struct device *d);

/*
 * The end of a connection
 */

static void close_socket(struct device *d)
{
	watch_close(&d->sock);
	relay_reset(&d->relay);
	d->relay.sock = -1;
	d->linked = false;
	timer_stop(&d->timer);
}

static void close_channel(struct device *d)
{
	watch_close(&d->chan);
	d->relay.chan = -1;
}

void device_close(struct device *d)
{
	close_socket(d);
	close_channel(d);
	device_log_close(d);
	d->state = DEVICE_DEAD;
}

static void set_peer(struct device *d, const struct ucred *peer)
{
	d->peer = *peer;
	if (peer->pid)
		snprintf(d->server, sizeof(d->server), "pid %d", peer->pid);
	else
		snprintf(d->server, sizeof(d->server), "pid unknown");
}

static void try_later(struct device *d)
{
	unsigned int delay = d->delay * 2;

	if (delay < DELAY_MIN_MS)
		delay = DELAY_MIN_MS;
	d->delay = delay > DELAY_MAX_MS ? DELAY_MAX_MS : delay;
	timer_start(&d->timer, d->delay);
}

/* Keep the channel open, which tells the kernel that there is a helper. */
static void lose_server(struct device *d)
{
	close_socket(d);
	d->state = DEVICE_CONNECTING;
	try_later(d);
}

void device_restart(struct device *d)
{
	close_socket(d);
	close_channel(d);
	if (!open_channel(d))
		return;
	/* Only the server is given time; the kernel had its helper back at once. */
	if (d->delay)
		try_later(d);
	else
		device_connect(d);
}

/* Make the next attempt wait: what ended early may end early each time. */
static void slow_down(struct device *d)
{
	if (!d->delay)
		d->delay = DELAY_MIN_MS / 2;
}

static void end_attachment(struct device *d)
{
	uint64_t lasted = now_ms() - d->attached_at;

	if (lasted >= GOOD_MS)
		d->delay = 0;
	else
		slow_down(d);
	if (lasted >= FORGIVEN_MS)
		device_unsay(d);
}

static void hung_up(struct device *d)
{
	if (d->state != DEVICE_ATTACHED) {
		channel_end(d->relay.chan, true, VERSION_HANGUP);
		device_say(d, LOG_LEVEL_WARNING, "the server at %s hung up instead of answering "
			   "VERSION; trying again: its own log may say why", d->path);
		return;
	}
	/* The kernel's event then tells of it, see device_detached(). */
	channel_end(d->relay.chan, false, VUM_WHY_HANGUP);
}

static void tell_end(struct device *d, enum relay_end end)
{
	switch (end) {
	case RELAY_HANGUP:
		hung_up(d);
		break;
	case RELAY_BAD_SERVER:
		device_say(d, LOG_LEVEL_ERROR, "the server at %s (%s) is refused: %s; trying "
			   "again: mend or replace the server", d->path, d->server,
			   d->relay.why);
		channel_end(d->relay.chan, true, d->relay.why);
		break;
	case RELAY_REFUSED:
		device_say(d, LOG_LEVEL_ERROR, "the server at %s (%s) broke the vfio-user "
			   "protocol: dropped; trying again: \"vfio-user-mdevctl show %s\" and the "
			   "kernel's log say how", d->path, d->server, d->uuid);
		break;
	case RELAY_DETACHED:
		/* device_detached() and device_broken() tell why. */
		device_log(d, LOG_LEVEL_DEBUG, "the kernel ended the attachment to the server at "
			   "%s (%s); trying again", d->path, d->server);
		break;
	default:
		device_say(d, LOG_LEVEL_ERROR, "%s; dropped the server at %s, trying again",
			   d->relay.why, d->path);
		channel_end(d->relay.chan, false, d->relay.why);
	}
}

static void device_ended(struct device *d, enum relay_end end)
{
	bool attached = d->state == DEVICE_ATTACHED;

	if (end == RELAY_GONE) {
		d->gone(d);
		return;
	}
	tell_end(d, end);
	if (attached)
		end_attachment(d);
	/*
	 * The kernel may have ended the attachment because the path has changed, and
	 * the event that tells the new path is still to come.
	 */
	if (!attached || end == RELAY_DETACHED)
		slow_down(d);
	/* The other ends will probably recur, so wait for the longest time. */
	if (end != RELAY_HANGUP && end != RELAY_DETACHED)
		d->delay = DELAY_MAX_MS;
	/* An opener of the channel can attach only once, so open it anew. */
	if (attached || end == RELAY_DETACHED)
		device_restart(d);
	else
		lose_server(d);
}

/*
 * Messages
 */

/* Read from either side only when all that came from it has been passed on. */
static void update_watches(struct device *d)
{
	const struct relay *r = &d->relay;
	bool attached = d->state == DEVICE_ATTACHED;

	watch_set(&d->chan, (attached && !r->out ? (uint32_t)EPOLLIN : 0U) |
			    (attached && r->blocked ? (uint32_t)EPOLLOUT : 0U));
	watch_set(&d->sock, (r->blocked ? 0U : (uint32_t)EPOLLIN) |
			    (r->out && !r->full ? (uint32_t)EPOLLOUT : 0U));
	if (r->full)
		timer_start(&d->timer, FULL_MS);
}

static void carried(struct device *d, enum relay_end end)
{
	if (end)
		device_ended(d, end);
	else
		update_watches(d);
}

static void carry(struct device *d)
{
	int ret = channel_carry(d->relay.chan);

	if (ret == -EMFILE) {
		device_say(d, LOG_LEVEL_ERROR, "fewer than %u file descriptors left, which a "
			   "message may need; waiting: raise the limit (LimitNOFILE= in the unit, "
			   "ulimit -n)", VUM_MAX_MSG_FDS);
		watch_set(&d->chan, 0);
		timer_start(&d->timer, DELAY_MAX_MS);
		return;
	}
	carried(d, ret ? relay_channel_error(&d->relay, "VUM_CARRY", ret) : RELAY_GOES_ON);
}

/* The channel has a message for the server, or takes one of the server's again. */
static enum relay_end pass_on(struct relay *r, uint32_t events)
{
	enum relay_end end = RELAY_GOES_ON;

	if (r->blocked && (events & EPOLLOUT))
		end = relay_unblock(r);
	if (!end && !r->out && (events & EPOLLIN))
		end = relay_to_server(r);
	return end;
}

static void on_channel(struct watch *w, uint32_t events)
{
	struct device *d = container_of(w, struct device, chan);
	struct relay *r = &d->relay;

	if (events & (EPOLLHUP | EPOLLERR))
		device_ended(d, relay_channel_error(r, "poll", channel_why(w->fd)));
	else if (d->linked)
		carry(d);
	else if (d->state == DEVICE_ATTACHED)
		carried(d, pass_on(r, events));
}

static void on_socket(struct watch *w, uint32_t events)
{
	struct device *d = container_of(w, struct device, sock);
	enum relay_end end = RELAY_GOES_ON;

	if (d->relay.out && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		end = relay_flush(&d->relay);
	if (!end && !d->relay.blocked && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		end = relay_from_server(&d->relay);
	/* A relay that is blocked does not read the socket, and so misses its end. */
	if (!end && d->relay.blocked && (events & EPOLLHUP))
		end = RELAY_HANGUP;
	carried(d, end);
}

/*
 * The way to an attachment
 */

static void wrong_version(struct device *d, int theirs)
{
	if (theirs)
		device_log(d, LOG_LEVEL_ERROR, "the module speaks interface version %d, this helper "
			   "%d: install the two from the same release", theirs, VUM_API_VERSION);
	else
		device_log(d, LOG_LEVEL_ERROR, "the module refuses interface version %d of this "
			   "helper: install the two from the same release", VUM_API_VERSION);
	loop_stop(1);
}

static uint32_t attach_flags(const struct version_caps *caps)
{
	uint32_t flags = VUM_ATTACH_SOCKET;

	if (caps->migration)
		flags |= VUM_ATTACH_MIGRATION;
	if (caps->write_multiple)
		flags |= VUM_ATTACH_WRITE_MULTI;
	if (caps->license_kind != LICENSE_UNREADABLE)
		flags |= VUM_ATTACH_LICENSE;
	if (caps->license_kind == LICENSE_GPL)
		flags |= VUM_ATTACH_GPL;
	return flags;
}

static enum relay_end device_attach(struct device *d, const struct version_caps *caps)
{
	const struct vum_attach attach = {
		.argsz = sizeof(attach),
		.api_version = VUM_API_VERSION,
		.max_msg_fds = caps->max_msg_fds,
		.max_data_xfer_size = caps->max_data_xfer_size,
		.max_dma_maps = caps->max_dma_maps,
		.pgsizes = caps->pgsizes,
		.minor = caps->minor,
		.server_pid = d->peer.pid,
		.server_uid = d->peer.uid,
		.server_gid = d->peer.gid,
		.flags = attach_flags(caps),
		.socket = d->relay.sock,
		.license = caps->license[0] ? (uintptr_t)caps->license : 0,
	};
	int ret;

	/* The kernel may take the socket and close the descriptor. */
	watch_remove(&d->sock);
	ret = channel_attach(d->relay.chan, &attach);
	if (ret == 1) {
		d->linked = true;
		d->relay.sock = -1;
		return RELAY_GOES_ON;
	}
	if (watch_add(&d->sock, attach.socket, EPOLLIN)) {
		close(attach.socket);
		return RELAY_DETACHED;
	}
	if (!ret)
		return RELAY_GOES_ON;
	if (ret == -EPROTONOSUPPORT) {
		wrong_version(d, 0);
		return RELAY_GONE;
	}
	/*
	 * A new opener of the channel can attach, or resume what there is; or can attach
	 * once the consumer of a device that has failed has closed it.
	 */
	if (ret == -EISCONN || ret == -EREMOTEIO)
		return RELAY_DETACHED;
	return relay_channel_error(&d->relay, "VUM_ATTACH", ret);
}

/* The relay's sink for a server's first message, the VERSION reply. */
static enum relay_end on_version(struct relay *r, const uint8_t *msg, size_t size,
				 const int *fds, unsigned int nr_fds)
{
	struct device *d = container_of(r, struct device, relay);
	struct version_caps caps;
	enum relay_end end;
	int off = 0;

	(void)fds;
	(void)nr_fds;	/* VERSION has none; the relay closes what came */
	if (!version_reply(msg, size, pledge, &caps, r->why, sizeof(r->why)))
		return RELAY_BAD_SERVER;
	set_peer(d, &r->sender);
	setsockopt(r->sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	end = device_attach(d, &caps);
	if (end)
		return end;

	timer_stop(&d->timer);
	d->state = DEVICE_ATTACHED;
	d->attached_at = now_ms();
	r->sink = relay_to_channel;
	r->exact = false;
	/* Once the kernel has found the server in order, device_attached() tells. */
	device_log(d, LOG_LEVEL_DEBUG, "attaching the server at %s (%s): vfio-user 0.%u, "
		   "max_msg_fds %u, max_data_xfer_size %u, max_dma_maps %u, pgsizes %#llx, "
		   "licence %s", d->path, d->server, caps.minor, caps.max_msg_fds,
		   caps.max_data_xfer_size, caps.max_dma_maps,
		   (unsigned long long)caps.pgsizes,
		   caps.license[0] ? caps.license : "not declared");
	return RELAY_GOES_ON;
}

static bool send_version(int fd)
{
	size_t size;
	uint8_t *request = version_request(pledge, &size);
	/* A new socket has room for a small message as a whole. */
	bool sent = request && send(fd, request, size, MSG_NOSIGNAL) == (ssize_t)size;

	free(request);
	return sent;
}

/* Send VERSION on @fd, a connected socket, which this function takes over. */
static void device_negotiate(struct device *d, int fd)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	int ret, on = 1;

	/* Until there is an answer: the process that called listen(). */
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	set_peer(d, &peer);
	/* Have the kernel say which process answers, since listen() may be systemd's. */
	d->relay.sender = (struct ucred) { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (!send_version(fd)) {
		hung_up(d);
		close(fd);
		lose_server(d);
		return;
	}
	ret = watch_add(&d->sock, fd, EPOLLIN);
	if (ret) {
		device_say(d, LOG_LEVEL_ERROR, "epoll: %s; trying again", strerror(-ret));
		close(fd);
		lose_server(d);
		return;
	}
	d->relay.sock = fd;
	d->relay.sink = on_version;
	d->relay.exact = true;
	d->state = DEVICE_NEGOTIATING;
	timer_start(&d->timer, VERSION_PATIENCE_MS);
}

static void no_server(struct device *d, int err)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
	case ENOTDIR:
	case EAGAIN:	/* a server listens but does not accept */
		if (!d->waiting)
			device_log(d, LOG_LEVEL_INFO, "waiting for a server at %s", d->path);
		d->waiting = true;
		break;
	default:
		device_say(d, LOG_LEVEL_ERROR, "cannot connect to %s: %s; trying again: check the "
			   "mdev's vfio_user/socket, and who may use that path", d->path,
			   strerror(err));
	}
	try_later(d);
}

static void device_connect(struct device *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(d->path);
	int fd;

	if (len >= sizeof(addr.sun_path)) {
		device_say(d, LOG_LEVEL_ERROR, "the socket's path %s is longer than the %zu bytes "
			   "that are possible: write a shorter one to the mdev's vfio_user/socket",
			   d->path, sizeof(addr.sun_path) - 1);
		return;
	}
	memcpy(addr.sun_path, d->path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		device_say(d, LOG_LEVEL_ERROR, "socket: %s; trying again: raise the limit of open "
			   "files (LimitNOFILE= in the unit, ulimit -n)", strerror(errno));
		try_later(d);
		return;
	}
	/* connect() of AF_UNIX succeeds or fails at once; it is never in progress. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int err = errno;

		close(fd);
		no_server(d, err);
		return;
	}
	if (d->waiting) {
		/* That there was no server is not a failure of this one. */
		d->waiting = false;
		d->delay = 0;
		device_log(d, LOG_LEVEL_INFO, "found a server at %s", d->path);
	}
	device_negotiate(d, fd);
}

static void no_channel(struct device *d, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		/* The mdev is coming or going, unless this takes long. */
		if (d->delay >= DELAY_MAX_MS)
			device_say(d, LOG_LEVEL_WARNING, "%s%s is not there although the mdev is: "
				   "is devtmpfs mounted on /dev?", VUM_CHANNEL_DIR, d->uuid);
		break;
	case -EBUSY:
		device_say(d, LOG_LEVEL_WARNING, "%s%s is in use: another helper serves this mdev; "
			   "trying again", VUM_CHANNEL_DIR, d->uuid);
		break;
	default:
		device_say(d, LOG_LEVEL_ERROR, "cannot open %s%s: %s; trying again%s",
			   VUM_CHANNEL_DIR, d->uuid, strerror(-err),
			   err == -EACCES || err == -EPERM ? ": run me as root" :
			   err == -EMFILE ? ": raise the limit of open files (ulimit -n)" : "");
	}
	try_later(d);
}

/*
 * Take over an attachment that another helper has left behind. Returns 0; -ENOTCONN
 * if there is none, and a server has to be found; or another error.
 */
static int resume(struct device *d)
{
	struct vum_attach attach;
	struct ucred peer;
	int ret = channel_resume(d->relay.chan, &attach);

	if (ret)
		return ret;
	peer = (struct ucred) { attach.server_pid, attach.server_uid, attach.server_gid };
	set_peer(d, &peer);
	d->state = DEVICE_ATTACHED;
	d->linked = true;
	d->attached_at = now_ms();
	device_log(d, LOG_LEVEL_INFO, "took over the attachment to the server at %s (%s)",
		   d->path, d->server);
	update_watches(d);
	return 0;
}

/* Returns true if the channel is open and a server has to be found. */
static bool open_channel(struct device *d)
{
	int fd = channel_open(d->uuid);
	int ret;

	d->state = DEVICE_OPENING;
	if (fd < 0) {
		no_channel(d, fd);
		return false;
	}
	ret = channel_api_version(fd);
	if (ret >= 0 && ret != VUM_API_VERSION) {
		close(fd);
		wrong_version(d, ret);
		return false;
	}
	if (ret >= 0)
		ret = watch_add(&d->chan, fd, 0);
	if (ret) {
		close(fd);
		no_channel(d, ret);
		return false;
	}
	d->relay.chan = fd;
	ret = resume(d);
	if (ret == -ENOTCONN) {
		d->state = DEVICE_CONNECTING;
		return true;
	}
	if (ret) {
		close_channel(d);
		device_say(d, LOG_LEVEL_ERROR, "cannot take over the attachment to the server "
			   "at %s: %s; trying again", d->path, strerror(-ret));
		try_later(d);
	}
	return false;
}

void device_open(struct device *d)
{
	if (open_channel(d))
		device_connect(d);
}

static void on_timer(struct timer *t)
{
	struct device *d = container_of(t, struct device, timer);

	switch (d->state) {
	case DEVICE_OPENING:
		device_open(d);
		break;
	case DEVICE_CONNECTING:
		device_connect(d);
		break;
	case DEVICE_NEGOTIATING:
		channel_end(d->relay.chan, true, VERSION_UNANSWERED);
		device_say(d, LOG_LEVEL_WARNING, "the server at %s (%s) does not answer VERSION; "
			   "trying again: is it stuck, or busy with another client?", d->path,
			   d->server);
		lose_server(d);
		break;
	case DEVICE_ATTACHED:
		/* Of carry(), which ran out of descriptors; or of a server that does not read. */
		if (d->relay.full)
			carried(d, relay_flush(&d->relay));
		else
			update_watches(d);
		break;
	default:
		break;
	}
}

static void on_held_timer(struct timer *t)
{
	device_say_held(container_of(t, struct device, held_timer));
}

void devices_pledge(const char *text)
{
	pledge = text;
}

void device_init(struct device *d, void (*gone)(struct device *d))
{
	d->chan.fd = -1;
	d->chan.fn = on_channel;
	d->sock.fd = -1;
	d->sock.fn = on_socket;
	d->timer.fn = on_timer;
	d->held_timer.fn = on_held_timer;
	d->relay.chan = -1;
	d->relay.sock = -1;
	d->gone = gone;
}
