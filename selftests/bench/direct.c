// SPDX-License-Identifier: GPL-2.0
/* A direct client. See direct.h. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "direct.h"
#include "../lib/test.h"

/**
 * struct access - a region access of 4 bytes, whole
 * @hdr: header
 * @at: what it is about
 * @value: not in the command to read, nor in the answer to a write
 */
struct access {
	struct vfio_user_header hdr;
	struct vfio_user_region_access at;
	uint32_t value;
};

/* The struct may end with padding. */
#define WITHOUT_VALUE	offsetof(struct access, value)
#define WITH_VALUE	(WITHOUT_VALUE + sizeof(uint32_t))

static void send_all(const struct direct *d, void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK_EQ(sendmsg(d->sock, &msg, MSG_NOSIGNAL), size);
}

static void receive_all(const struct direct *d, void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK_EQ(recvmsg(d->sock, &msg, 0), size);
}

static struct vfio_user_header header(struct direct *d, uint16_t cmd,
				      size_t payload)
{
	return (struct vfio_user_header){
		.msg_id = ++d->id,
		.cmd = cmd,
		.msg_size = (uint32_t)(sizeof(struct vfio_user_header) + payload),
	};
}

static void check_reply(const struct direct *d,
			const struct vfio_user_header *hdr)
{
	if (hdr->msg_id != d->id || hdr->flags != VFIO_USER_F_TYPE_REPLY)
		FAIL("answer %u, flags %#x, errno %u, to message %u",
		     hdr->msg_id, hdr->flags, hdr->error_no, d->id);
}

uint32_t direct_read32(struct direct *d, uint32_t region, uint64_t offset)
{
	struct access access = {
		.hdr = header(d, VFIO_USER_REGION_READ, sizeof(access.at)),
		.at = { .offset = offset, .region = region, .count = 4 },
	};

	send_all(d, &access, WITHOUT_VALUE);
	receive_all(d, &access, WITH_VALUE);
	check_reply(d, &access.hdr);
	return access.value;
}

static void send_write(struct direct *d, struct access *access, uint32_t region,
		       uint64_t offset, uint32_t value, uint32_t flags)
{
	*access = (struct access){
		.hdr = header(d, VFIO_USER_REGION_WRITE,
			      WITH_VALUE - sizeof(access->hdr)),
		.at = { .offset = offset, .region = region, .count = 4 },
		.value = value,
	};
	access->hdr.flags |= flags;
	send_all(d, access, WITH_VALUE);
}

void direct_write32(struct direct *d, uint32_t region, uint64_t offset,
		    uint32_t value)
{
	struct access access;

	send_write(d, &access, region, offset, value, 0);
	receive_all(d, &access, WITHOUT_VALUE);
	check_reply(d, &access.hdr);
}

void direct_post32(struct direct *d, uint32_t region, uint64_t offset,
		   uint32_t value)
{
	struct access access;

	send_write(d, &access, region, offset, value, VFIO_USER_F_NO_REPLY);
}

/* Room for one descriptor. */
union one_fd {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int))];
};

static void send_command(const struct direct *d, struct vfio_user_header *hdr,
			 const void *payload, size_t size, int fd)
{
	union one_fd control = { 0 };
	struct iovec iov[] = {
		{ hdr, sizeof(*hdr) },
		{ (void *)payload, size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	CHECK_EQ(sendmsg(d->sock, &msg, MSG_NOSIGNAL), hdr->msg_size);
}

void direct_command(struct direct *d, uint16_t cmd, const void *payload,
		    size_t size, int fd, void *reply, size_t reply_size,
		    int *reply_fd)
{
	struct vfio_user_header hdr = header(d, cmd, size);
	union one_fd control;
	struct iovec iov[] = {
		{ &hdr, sizeof(hdr) },
		{ reply, reply_size },
	};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};

	send_command(d, &hdr, payload, size, fd);
	CHECK_EQ(recvmsg(d->sock, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC),
		 sizeof(hdr) + reply_size);
	check_reply(d, &hdr);
	if (!reply_fd)
		return;
	CHECK(CMSG_FIRSTHDR(&msg));
	memcpy(reply_fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*reply_fd));
}

/* Of the one command whose answer's size is for the server to choose. */
static void negotiate(struct direct *d)
{
	static const char caps[] = "{\"capabilities\":{\"max_msg_fds\":8,"
				   "\"max_data_xfer_size\":1048576}}";
	struct {
		struct vfio_user_version version;
		char caps[sizeof(caps)];
	} hello = { .version = { VFIO_USER_MAJOR, VFIO_USER_MINOR } };
	struct vfio_user_header hdr;
	char answer[1024];

	memcpy(hello.version.data, caps, sizeof(caps));
	hdr = header(d, VFIO_USER_VERSION, sizeof(hello));
	send_command(d, &hdr, &hello, sizeof(hello), -1);
	receive_all(d, &hdr, sizeof(hdr));
	check_reply(d, &hdr);
	CHECK(hdr.msg_size <= sizeof(answer));
	receive_all(d, answer, hdr.msg_size - sizeof(hdr));
}

static int try_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(sock >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (!connect(sock, (struct sockaddr *)&sa, sizeof(sa)))
		return sock;
	close(sock);
	return -1;
}

void direct_open(struct direct *d, const char *path)
{
	*d = (struct direct){ .sock = -1 };
	CHECK_SOON((d->sock = try_connect(path)) >= 0);
	negotiate(d);
}

void direct_close(struct direct *d)
{
	close(d->sock);
	d->sock = -1;
}

void direct_set_eventfd(struct direct *d, uint32_t index, uint32_t sub, int fd)
{
	const struct vfio_user_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.start = sub,
		.count = 1,
	};

	direct_command(d, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), fd,
		       NULL, 0, NULL);
}

void direct_dma_map(struct direct *d, int fd, uint64_t iova, uint64_t size)
{
	const struct vfio_user_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_USER_F_DMA_REGION_READ |
			 VFIO_USER_F_DMA_REGION_WRITE,
		.addr = iova,
		.size = size,
	};

	direct_command(d, VFIO_USER_DMA_MAP, &map, sizeof(map), fd, NULL, 0,
		       NULL);
}

void direct_dma_unmap(struct direct *d, uint64_t iova, uint64_t size)
{
	const struct vfio_user_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.addr = iova,
		.size = size,
	};
	struct vfio_user_dma_unmap reply;

	direct_command(d, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), -1,
		       &reply, sizeof(reply), NULL);
}

void *direct_map(struct direct *d, uint32_t region, size_t size)
{
	const struct vfio_user_region_info info = {
		.argsz = sizeof(info),
		.index = region,
	};
	struct vfio_user_region_info reply;
	void *mem;
	int fd;

	direct_command(d, VFIO_USER_DEVICE_GET_REGION_INFO, &info, sizeof(info),
		       -1, &reply, sizeof(reply), &fd);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   (off_t)reply.offset);
	CHECK(mem != MAP_FAILED);
	close(fd);
	return mem;
}

void direct_serve_dma(struct direct *d, const uint8_t *mem, uint64_t iova,
		      uint64_t bytes)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_dma_access at;
	} msg;

	while (bytes) {
		struct iovec iov[] = { { &msg, sizeof(msg) }, { 0 } };
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

		receive_all(d, &msg, sizeof(msg));
		CHECK_EQ(msg.hdr.cmd, VFIO_USER_DMA_READ);
		CHECK(msg.at.count <= bytes);
		bytes -= msg.at.count;
		msg.hdr.flags = VFIO_USER_F_TYPE_REPLY;
		msg.hdr.msg_size += (uint32_t)msg.at.count;
		iov[1].iov_base = (void *)(mem + (msg.at.addr - iova));
		iov[1].iov_len = msg.at.count;
		CHECK_EQ(sendmsg(d->sock, &mh, MSG_NOSIGNAL), msg.hdr.msg_size);
	}
}
