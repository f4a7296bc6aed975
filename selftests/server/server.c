// SPDX-License-Identifier: GPL-2.0
/* A server's socket, its connection, and the loop that waits for both. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private.h"

/* What devices have to do is asked so often, at most, between two looks at the sockets. */
#define WORK_TURNS	16

/**
 * struct vus_watch - a descriptor that the loop looks after
 * @next: in struct vus_server
 * @fd: the descriptor
 * @events: for poll(); with 0 not even a hang-up is reported
 * @dead: to be freed when the loop is not walking the list
 * @fn: what to call
 * @opaque: for @fn
 */
struct vus_watch {
	struct vus_watch *next;
	int fd;
	short events;
	bool dead;
	vus_watch_fn fn;
	void *opaque;
};

/**
 * vus_alloc() - calloc() that cannot fail
 * @size: bytes
 *
 * Return: zeroed memory. A test server out of memory has no better way to say
 * so than to die.
 */
void *vus_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p) {
		vus_log("out of memory");
		abort();
	}
	return p;
}

/**
 * vus_watch_fd() - have a descriptor polled
 * @srv: the server
 * @fd: the descriptor; stays the caller's
 * @events: as for poll()
 * @fn: called with what poll() says
 * @opaque: handed to @fn
 *
 * Return: a handle for vus_watch_events() and vus_unwatch().
 */
struct vus_watch *vus_watch_fd(struct vus_server *srv, int fd, short events,
			       vus_watch_fn fn, void *opaque)
{
	struct vus_watch *watch = vus_alloc(sizeof(*watch));

	watch->fd = fd;
	watch->events = events;
	watch->fn = fn;
	watch->opaque = opaque;
	watch->next = srv->watches;
	srv->watches = watch;
	return watch;
}

/**
 * vus_watch_events() - change what a descriptor is polled for
 * @watch: from vus_watch_fd()
 * @events: 0 takes it out of the poll altogether
 */
void vus_watch_events(struct vus_watch *watch, short events)
{
	watch->events = events;
}

/**
 * vus_unwatch() - stop polling a descriptor; its function is not called again
 * @watch: from vus_watch_fd()
 */
void vus_unwatch(struct vus_watch *watch)
{
	watch->dead = true;
	watch->events = 0;
}

static void sweep_watches(struct vus_server *srv, bool all)
{
	struct vus_watch **link = &srv->watches;

	while (*link) {
		struct vus_watch *watch = *link;

		if (watch->dead || all) {
			*link = watch->next;
			free(watch);
		} else {
			link = &watch->next;
		}
	}
}

/* Is somebody still serving there? A dead server's socket refuses. */
static bool socket_alive(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = !connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) ||
		errno == EAGAIN;
	close(fd);
	return alive;
}

static int listen_on(struct vus_server *srv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = srv->opt.socket;
	struct stat st;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		vus_log("%s: path too long for a socket", path);
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
		if (socket_alive(&sa)) {
			vus_log("%s: another server is listening", path);
			return -1;
		}
		unlink(path);
	}
	srv->listener = socket(AF_UNIX,
			       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (srv->listener < 0 ||
	    bind(srv->listener, (struct sockaddr *)&sa, sizeof(sa)) ||
	    stat(path, &st) || listen(srv->listener, 16)) {
		vus_log("%s: %s", path, strerror(errno));
		return -1;
	}
	srv->sock_dev = st.st_dev;
	srv->sock_ino = st.st_ino;
	fprintf(stderr, "listening on %s\n", path);
	return 0;
}

/* Go on in a child, which dies with this process if that is to wait. */
static int go_on_in_child(struct vus_server *srv, bool wait)
{
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		vus_log("fork: %s", strerror(errno));
		return -1;
	}
	srv->opt.fork = VUS_FORK_NEVER;
	if (!pid)
		return wait ? prctl(PR_SET_PDEATHSIG, SIGKILL) : 0;
	if (wait)
		waitpid(pid, &status, 0);
	_exit(EXIT_SUCCESS);
}

/* 2048 vectors are 2048 descriptors; the usual soft limit is 1024. */
static void raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/**
 * vus_create() - make a server and start to listen
 * @opt: from vus_parse()
 * @dev: the device; has to outlive the server
 *
 * Return: the server, or NULL after having said why.
 */
struct vus_server *vus_create(const struct vus_options *opt,
			      const struct vus_device *dev)
{
	struct vus_server *srv = vus_alloc(sizeof(*srv));

	srv->opt = *opt;
	srv->dev = dev;
	srv->listener = -1;
	srv->conn = -1;
	srv->out_tail = &srv->out;
	raise_fd_limit();
	vus_irq_init(srv);
	vus_mig_init(srv);
	srv->signals = open_signals();
	if (srv->signals < 0 || vus_dma_init() || listen_on(srv) ||
	    (opt->fork == VUS_FORK_LISTEN && go_on_in_child(srv, true))) {
		vus_destroy(srv);
		return NULL;
	}
	return srv;
}

static void accept_client(struct vus_server *srv)
{
	int fd = accept4(srv->listener, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	srv->conn = fd;
	srv->hung_up = false;
	srv->negotiated = false;
	srv->misread = false;
	srv->client_max_fds = VFIO_USER_DEFAULT_MAX_MSG_FDS;
	srv->client_max_xfer = VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE;
	if (srv->opt.verbose)
		vus_log("client connected");
	if (srv->dev->connected)
		srv->dev->connected(srv->dev->opaque);
}

static void drop_client(struct vus_server *srv)
{
	if (srv->conn < 0)
		return;
	if (srv->opt.verbose)
		vus_log("client gone");
	close(srv->conn);
	srv->conn = -1;
	srv->hung_up = false;
	vus_wire_reset(srv);
	vus_commands_abort(srv);
	vus_irq_forget(srv);
	vus_dma_forget(srv);
	vus_dirty_stop(srv);
	if (srv->dev->disconnected)
		srv->dev->disconnected(srv->dev->opaque);
	vus_mig_reset(srv);
	if (srv->opt.once)
		srv->quit = true;
}

/**
 * vus_hangup() - close the connection once the current message is dealt with
 * @srv: the server
 */
void vus_hangup(struct vus_server *srv)
{
	srv->hung_up = true;
}

/**
 * vus_stop_reading() - play dead: never touch a socket again
 * @srv: the server
 *
 * The process stays, its timers and other descriptors are still served, but to
 * its client it looks hung.
 */
void vus_stop_reading(struct vus_server *srv)
{
	srv->deaf = true;
}

/* The first entries of a server's in every poll; watches come after them. */
enum { SLOT_SIGNAL, SLOT_SOCKET, NR_SLOTS };

/**
 * struct pollset - what is polled for all servers, one server after the other
 * @p: the entries
 * @nr: how many
 * @room: for how many there is room
 */
struct pollset {
	struct pollfd *p;
	size_t nr;
	size_t room;
};

static void pollset_make_room(struct pollset *set, size_t nr)
{
	if (set->nr + nr <= set->room)
		return;
	set->room = 2 * (set->nr + nr);
	set->p = realloc(set->p, set->room * sizeof(*set->p));
	if (!set->p) {
		vus_log("out of memory");
		abort();
	}
}

static void pollset_add(struct pollset *set, struct vus_server *srv)
{
	const struct vus_watch *watch;
	struct pollfd *p;
	size_t n = NR_SLOTS;

	for (watch = srv->watches; watch; watch = watch->next)
		n++;
	pollset_make_room(set, n);
	p = set->p + set->nr;
	srv->polled = set->nr;
	srv->nr_polled = n;
	set->nr += n;
	p[SLOT_SIGNAL] = (struct pollfd){ .fd = srv->signals, .events = POLLIN };
	/* With replies stuck, more requests would only make more of them. */
	p[SLOT_SOCKET] = (struct pollfd){
		.fd = srv->conn >= 0 ? srv->conn : srv->listener,
		.events = srv->out ? POLLOUT : POLLIN,
	};
	if (srv->deaf)
		p[SLOT_SOCKET].fd = -1;
	n = NR_SLOTS;
	for (watch = srv->watches; watch; watch = watch->next, n++) {
		p[n] = (struct pollfd){
			.fd = watch->events ? watch->fd : -1, .events = watch->events,
		};
	}
}

static void serve_socket(struct vus_server *srv, short revents)
{
	if (!revents)
		return;
	if (srv->conn < 0) {
		accept_client(srv);
		return;
	}
	if (srv->out)
		vus_flush(srv);
	else
		vus_receive(srv);
}

static void serve_watches(struct vus_server *srv, const struct pollfd *p,
			  size_t n)
{
	/*
	 * New watches go to the front of the list, and none is freed before the
	 * sweep: those that were polled are the last n, in the same order.
	 */
	struct vus_watch *watch;
	size_t i, now = 0;

	for (watch = srv->watches; watch; watch = watch->next)
		now++;
	watch = srv->watches;
	for (i = n; i < now; i++)
		watch = watch->next;
	for (i = 0; i < n && watch; i++, watch = watch->next) {
		if (!p[i].revents || !watch->events)
			continue;
		if (p[i].revents & POLLNVAL)
			watch->events = 0;
		else
			watch->fn(watch->opaque, watch->fd, p[i].revents);
	}
}

/* Return: how much the busiest of them has to do. */
static enum vus_work work_once(struct vus_server *const *servers, unsigned int nr)
{
	enum vus_work most = VUS_WORK_NONE;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct vus_device *dev = servers[i]->dev;
		enum vus_work more = dev->work ? dev->work(dev->opaque) : VUS_WORK_NONE;

		most = more > most ? more : most;
	}
	return most;
}

/* Several turns, because a poll is a system call, and its price rises with the servers. */
static enum vus_work work(struct vus_server *const *servers, unsigned int nr)
{
	enum vus_work most = VUS_WORK_MORE;
	int turn;

	for (turn = 0; turn < WORK_TURNS && most == VUS_WORK_MORE; turn++)
		most = work_once(servers, nr);
	return most;
}

/* Return: whether it has been told to stop. */
static bool serve(struct vus_server *srv, const struct pollfd *p)
{
	if (p[SLOT_SIGNAL].revents)
		return true;
	serve_socket(srv, p[SLOT_SOCKET].revents);
	serve_watches(srv, p + NR_SLOTS, srv->nr_polled - NR_SLOTS);
	if (srv->opt.fork == VUS_FORK_VERSION && srv->negotiated && !srv->out)
		go_on_in_child(srv, false);
	if (srv->hung_up)
		drop_client(srv);
	sweep_watches(srv, false);
	return srv->quit;
}

/**
 * vus_run() - serve until told to stop
 * @servers: the servers, which take turns
 * @nr: how many
 *
 * Return: 0, or -1 if they cannot go on.
 */
int vus_run(struct vus_server *const *servers, unsigned int nr)
{
	struct pollset set = { 0 };
	bool quit = false;
	unsigned int i;

	while (!quit) {
		/* First of all: it may send messages and watch descriptors. */
		bool wait = work(servers, nr) == VUS_WORK_NONE;

		set.nr = 0;
		for (i = 0; i < nr; i++)
			pollset_add(&set, servers[i]);
		if (poll(set.p, set.nr, wait ? -1 : 0) < 0) {
			if (errno == EINTR)
				continue;
			vus_log("poll: %s", strerror(errno));
			break;
		}
		for (i = 0; i < nr && !quit; i++)
			quit = serve(servers[i], set.p + servers[i]->polled);
	}
	free(set.p);
	return quit ? 0 : -1;
}

/* Not if a successor has put its own socket there meanwhile. */
static void unlink_socket(const struct vus_server *srv)
{
	struct stat st;

	if (!stat(srv->opt.socket, &st) && st.st_dev == srv->sock_dev &&
	    st.st_ino == srv->sock_ino)
		unlink(srv->opt.socket);
}

/**
 * vus_destroy() - close everything, free everything
 * @srv: the server
 */
void vus_destroy(struct vus_server *srv)
{
	drop_client(srv);
	if (srv->listener >= 0) {
		unlink_socket(srv);
		close(srv->listener);
	}
	if (srv->signals >= 0)
		close(srv->signals);
	vus_irq_free(srv);
	vus_mig_free(srv);
	sweep_watches(srv, true);
	free(srv);
}
