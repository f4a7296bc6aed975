// SPDX-License-Identifier: GPL-2.0
/* The DMA window as a server has it. See window.h. */

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "window.h"

/* What it is called in /proc. */
#define WINDOW_NAME	"vfio-user-dma"

void window_world(struct world *w, const char *dma_fault)
{
	static bool helper;

	world_mdev(w);
	world_attr_set(w, "dma_fault", dma_fault);
	world_attr_try(w, "dma_announce", "aperture");
	world_server(w, NULL);
	if (!helper)
		world_helper(w, NULL);
	helper = true;
	world_wait_state(w, "attached");
}

/* The number of the window in another process, or -1. */
static int find_window(pid_t pid)
{
	char path[64], link[PATH_MAX], target[PATH_MAX];
	struct dirent *e;
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	CHECK(dir);
	while (found < 0 && (e = readdir(dir))) {
		ssize_t n;

		snprintf(link, sizeof(link), "%s/%s", path, e->d_name);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strstr(target, WINDOW_NAME))
			found = (int)strtol(e->d_name, NULL, 10);
	}
	closedir(dir);
	return found;
}

static __thread sigjmp_buf * volatile guard;

static void access_failed(int sig)
{
	if (guard)
		siglongjmp(*guard, sig == SIGBUS ? EFAULT : EACCES);
	signal(sig, SIG_DFL);
}

static void catch_signals(void)
{
	const struct sigaction sa = {
		.sa_handler = access_failed,
		/* The handler does not return, so nobody would unblock it. */
		.sa_flags = SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

/* So that what a server can do with it need not be taught to a server. */
int window_take(const struct world *w)
{
	int pidfd = (int)syscall(SYS_pidfd_open, w->server, 0);
	int number = find_window(w->server);
	int fd;

	catch_signals();
	CHECK(pidfd >= 0);
	if (number < 0)
		FAIL("the server has no window");
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	CHECK(fd >= 0);
	close(pidfd);
	return fd;
}

void *window_map(int window, uint64_t iova, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, window,
		       (off_t)iova);

	CHECK(p != MAP_FAILED);
	return p;
}

int window_load(const volatile uint32_t *p, uint32_t *value)
{
	sigjmp_buf env;
	int error = sigsetjmp(env, 0);

	if (!error) {
		guard = &env;
		*value = *p;
	}
	guard = NULL;
	return error;
}

bool window_loads(const volatile uint32_t *p, uint32_t want)
{
	uint32_t value = 0;

	return !window_load(p, &value) && value == want;
}

int window_store(volatile uint32_t *p, uint32_t value)
{
	sigjmp_buf env;
	int error = sigsetjmp(env, 0);

	if (!error) {
		guard = &env;
		*p = value;
	}
	guard = NULL;
	return error;
}

void consumer_map(const struct consumer *c, void *vaddr, uint64_t iova,
		  size_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)vaddr,
		.iova = iova, .size = size,
	};

	CHECK(!ioctl(c->container, VFIO_IOMMU_MAP_DMA, &m));
}

void consumer_unmap(const struct consumer *c, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = iova, .size = size,
	};

	CHECK(!ioctl(c->container, VFIO_IOMMU_UNMAP_DMA, &u));
	CHECK_EQ(u.size, size);
}

uint32_t *remote_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/**
 * struct order - what the consumer is to do
 * @what: map, unmap, be limited, or be told of errors
 * @flags: VFIO_DMA_MAP_FLAG_*, or the number of an eventfd
 * @vaddr: at the same place in both processes
 * @iova: for the device
 * @size: bytes
 */
struct order {
	enum { MAP, UNMAP, LIMIT, ERRORS } what;
	uint32_t flags;
	void *vaddr;
	uint64_t iova;
	uint64_t size;
};

void window_limit_memory(size_t size)
{
	struct rlimit limit = { size, size };

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!setuid(65534));
}

static void want_errors(const struct consumer *c, int32_t fd)
{
	CHECK(!irq_set_eventfds(c, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &fd));
}

static void __attribute__((noreturn)) consume(const struct world *w, int orders)
{
	struct consumer c;
	struct order o;
	char done = 0;

	consumer_open(&c, w);
	CHECK_EQ(write(orders, &done, 1), 1);
	while (read(orders, &o, sizeof(o)) == sizeof(o)) {
		if (o.what == MAP)
			consumer_map(&c, o.vaddr, o.iova, o.size, o.flags);
		else if (o.what == UNMAP)
			consumer_unmap(&c, o.iova, o.size);
		else if (o.what == LIMIT)
			window_limit_memory(o.size);
		else
			want_errors(&c, (int32_t)o.flags);
		CHECK_EQ(write(orders, &done, 1), 1);
	}
	consumer_close(&c);
	_exit(EXIT_SUCCESS);
}

static void wait_done(const struct remote *r)
{
	char done;

	CHECK_EQ(read(r->orders, &done, 1), 1);
}

void remote_open(struct remote *r, const struct world *w)
{
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	r->pid = fork();
	CHECK(r->pid >= 0);
	if (!r->pid) {
		close(pair[0]);
		consume(w, pair[1]);
	}
	close(pair[1]);
	r->orders = pair[0];
	wait_done(r);
}

static void order(const struct remote *r, const struct order *o)
{
	CHECK_EQ(write(r->orders, o, sizeof(*o)), sizeof(*o));
	wait_done(r);
}

void remote_map(const struct remote *r, void *vaddr, uint64_t iova,
		size_t size, uint32_t flags)
{
	order(r, &(struct order){ MAP, flags, vaddr, iova, size });
}

void remote_unmap(const struct remote *r, uint64_t iova, size_t size)
{
	order(r, &(struct order){ UNMAP, 0, NULL, iova, size });
}

void remote_limit_memory(const struct remote *r, size_t size)
{
	order(r, &(struct order){ .what = LIMIT, .size = size });
}

void remote_want_errors(const struct remote *r, int eventfd)
{
	order(r, &(struct order){ .what = ERRORS, .flags = (uint32_t)eventfd });
}

void remote_close(struct remote *r)
{
	int status;

	close(r->orders);
	CHECK_EQ(waitpid(r->pid, &status, 0), r->pid);
	CHECK_EQ(status, 0);
}
