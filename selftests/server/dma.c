// SPDX-License-Identifier: GPL-2.0
/* Client memory, as announced by DMA_MAP. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "private.h"

#define KNOWN_FLAGS	(VFIO_USER_F_DMA_REGION_READ | \
			 VFIO_USER_F_DMA_REGION_WRITE | \
			 VFIO_USER_F_DMA_REGION_MMAP | \
			 VFIO_USER_F_DMA_REGION_FILE_IO)

/* libvfio-user's DMA_UNMAP flag, the same as VFIO_DMA_UNMAP_FLAG_ALL. */
#define UNMAP_ALL	(1U << 1)

/**
 * struct vus_window - a piece of client memory
 * @next: in struct vus_server
 * @addr: IOVA of the first byte
 * @size: bytes
 * @prot: PROT_READ, PROT_WRITE
 * @fd: the file it lives in, or -1
 * @offset: where @addr is in @fd
 * @map: start of the mapping, or NULL if there is none
 * @map_size: bytes of the mapping
 * @mem: where @addr is within the mapping
 */
struct vus_window {
	struct vus_window *next;
	__u64 addr;
	__u64 size;
	int prot;
	int fd;
	__u64 offset;
	void *map;
	size_t map_size;
	__u8 *mem;
};

static void window_free(struct vus_window *win)
{
	if (win->map)
		munmap(win->map, win->map_size);
	if (win->fd >= 0)
		close(win->fd);
	free(win);
}

/* The offset need not be on a page, the mapping has to be. */
static int window_mmap(struct vus_window *win)
{
	const __u64 skip = win->offset & ((__u64)sysconf(_SC_PAGESIZE) - 1);
	void *map;

	win->map_size = win->size + skip;
	map = mmap(NULL, win->map_size, win->prot, MAP_SHARED | MAP_NORESERVE,
		   win->fd, (off_t)(win->offset - skip));
	if (map == MAP_FAILED)
		return -errno;
	win->map = map;
	win->mem = (__u8 *)map + skip;
	return 0;
}

static bool map_ok(const struct vus_msg *msg)
{
	const struct vfio_user_dma_map *in = msg->payload;

	return msg->size == sizeof(*in) && in->argsz >= sizeof(*in) &&
	       !(in->flags & ~KNOWN_FLAGS) && msg->nr_fds <= 1 &&
	       in->size && in->addr <= UINT64_MAX - (in->size - 1) &&
	       in->offset <= INT64_MAX && in->size <= INT64_MAX;
}

static bool overlaps(const struct vus_server *srv, __u64 addr, __u64 size)
{
	const struct vus_window *win;

	for (win = srv->windows; win; win = win->next) {
		if (addr <= win->addr + (win->size - 1) &&
		    win->addr <= addr + (size - 1))
			return true;
	}
	return false;
}

/* VFIO_USER_DMA_MAP */
struct vus_reply *vus_dma_map(struct vus_server *srv,
			      const struct vus_msg *msg)
{
	const struct vfio_user_dma_map *in = msg->payload;
	struct vus_window *win;
	int err = 0;

	if (!map_ok(msg))
		return vus_reply_error(msg, EINVAL);
	if (overlaps(srv, in->addr, in->size))
		return vus_reply_error(msg, EEXIST);
	win = vus_alloc(sizeof(*win));
	win->addr = in->addr;
	win->size = in->size;
	win->prot = (in->flags & VFIO_USER_F_DMA_REGION_READ ? PROT_READ : 0) |
		    (in->flags & VFIO_USER_F_DMA_REGION_WRITE ? PROT_WRITE : 0);
	win->fd = -1;
	win->offset = in->offset;
	if (msg->nr_fds && srv->opt.dma != VUS_DMA_MESSAGE) {
		win->fd = msg->fds[0];
		msg->fds[0] = -1;
		if (srv->opt.dma == VUS_DMA_MMAP &&
		    !(in->flags & VFIO_USER_F_DMA_REGION_FILE_IO))
			err = window_mmap(win);
	}
	if (err) {
		window_free(win);
		return vus_reply_error(msg, -err);
	}
	win->next = srv->windows;
	srv->windows = win;
	if (srv->dev->mapped)
		srv->dev->mapped(srv->dev->opaque, win->addr, win->size);
	return vus_reply_new(msg, 0);
}

/* Return: 0 or an errno. Only exactly what was mapped can be unmapped. */
static int unmap_one(struct vus_server *srv, __u64 addr, __u64 size)
{
	struct vus_window **link;

	for (link = &srv->windows; *link; link = &(*link)->next) {
		struct vus_window *win = *link;

		if (win->addr != addr || win->size != size)
			continue;
		*link = win->next;
		window_free(win);
		return 0;
	}
	return ENOENT;
}

/* VFIO_USER_DMA_UNMAP */
struct vus_reply *vus_dma_unmap(struct vus_server *srv,
				const struct vus_msg *msg)
{
	const struct vfio_user_dma_unmap *in = msg->payload;
	struct vus_reply *reply;
	int err = 0;

	if (msg->size != sizeof(*in) || in->argsz < sizeof(*in))
		return vus_reply_error(msg, EINVAL);
	if (!in->flags)
		err = unmap_one(srv, in->addr, in->size);
	else if (in->flags == UNMAP_ALL && !in->addr && !in->size)
		vus_dma_forget(srv);
	else
		err = EINVAL;
	if (err)
		return vus_reply_error(msg, err);
	reply = vus_reply_new(msg, sizeof(*in));
	*(struct vfio_user_dma_unmap *)vus_reply_payload(reply) = *in;
	return reply;
}

/* The client is gone, and its memory with it. */
void vus_dma_forget(struct vus_server *srv)
{
	while (srv->windows) {
		struct vus_window *win = srv->windows;

		srv->windows = win->next;
		window_free(win);
	}
}

/**
 * vus_dma_list() - what has the client announced?
 * @srv: the server
 * @list: out: the latest first
 * @max: room in @list
 *
 * Return: how many there are.
 */
unsigned int vus_dma_list(const struct vus_server *srv,
			  struct vus_announced *list, unsigned int max)
{
	const struct vus_window *win;
	unsigned int n = 0;

	for (win = srv->windows; win; win = win->next, n++) {
		if (n < max)
			list[n] = (struct vus_announced){ win->addr, win->size,
							  win->prot };
	}
	return n;
}

/**
 * vus_dma_ptr() - client memory as memory
 * @srv: the server
 * @addr: IOVA
 * @size: bytes
 * @prot: PROT_READ, PROT_WRITE
 *
 * Return: where it is mapped, or NULL if all of it is not in one window that
 * is mapped and allows @prot. Good until the callback that asked returns.
 */
void *vus_dma_ptr(struct vus_server *srv, __u64 addr, __u64 size, int prot)
{
	const struct vus_window *win;

	for (win = srv->windows; win; win = win->next) {
		if (addr < win->addr || addr - win->addr >= win->size)
			continue;
		if (size > win->size - (addr - win->addr) || !win->mem ||
		    (win->prot & prot) != prot)
			return NULL;
		return win->mem + (addr - win->addr);
	}
	return NULL;
}

/**
 * vus_dma_take_hold() - find out whether the kernel can take hold of client memory
 * @srv: the server
 * @addr: IOVA
 *
 * vmsplice() takes hold of the page itself, as direct I/O does.
 *
 * Return: 0, or a negative errno: -EFAULT if the kernel cannot, or there is no memory.
 */
int vus_dma_take_hold(struct vus_server *srv, __u64 addr)
{
	struct iovec iov = { vus_dma_ptr(srv, addr, 1, PROT_READ), 1 };
	int ends[2], err = 0;

	if (!iov.iov_base)
		return -EFAULT;
	if (pipe(ends))
		return -errno;
	if (vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK) < 0)
		err = -errno;
	close(ends[0]);
	close(ends[1]);
	return err;
}

/**
 * vus_dma_find() - how to reach client memory
 * @srv: the server
 * @addr: IOVA
 * @size: bytes
 * @prot: PROT_READ, PROT_WRITE
 * @piece: out: how, for the first of those bytes
 *
 * A client that announces no memory at all decides by itself what to do with
 * our messages.
 *
 * Return: 0, or -EFAULT if @addr is in no window that allows @prot.
 */
int vus_dma_find(struct vus_server *srv, __u64 addr, __u64 size, int prot,
		 struct vus_piece *piece)
{
	const struct vus_window *win;
	__u64 skip;

	*piece = (struct vus_piece){ .size = size, .fd = -1 };
	if (!srv->windows)
		return 0;
	for (win = srv->windows; win; win = win->next) {
		skip = addr - win->addr;
		if (addr >= win->addr && skip < win->size)
			break;
	}
	if (!win || (win->prot & prot) != prot)
		return -EFAULT;
	if (size > win->size - skip)
		piece->size = win->size - skip;
	if (win->mem) {
		piece->mem = win->mem + skip;
	} else if (win->fd >= 0) {
		piece->fd = win->fd;
		piece->offset = win->offset + skip;
	}
	return 0;
}
