// SPDX-License-Identifier: GPL-2.0
/* See server.h. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio_user.h>
#include <vfio_user_mdev.h>

#include "../lib/consumer.h"
#include "model.h"
#include "server.h"

#define IOVA		0x100000000ULL
#define MEMORY		(1UL << 20)

/**
 * struct server - the fuzzing process's side
 * @w: the mdev
 * @by_socket: the kernel is to take the socket
 * @channel: descriptor
 * @sock: the server's end of the socket, or -1
 * @fds: some files to send: an eventfd, a memfd, a pipe, the channel itself
 */
static struct server {
	struct world w;
	bool by_socket;
	int channel;
	int sock;
	int fds[4];
} s;

static uint8_t msg[MODEL_ROOM], reply[MODEL_ROOM];

static void close_sock(void)
{
	if (s.sock >= 0)
		close(s.sock);
	s.sock = -1;
}

/* The channel's own descriptor may be on its way through a socket, which keeps it open. */
static bool try_channel(const char *path)
{
	s.channel = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (s.channel < 0)
		close_sock();
	return s.channel >= 0;
}

static void open_channel(void)
{
	char path[128];

	snprintf(path, sizeof(path), VUM_CHANNEL_DIR "%s", s.w.uuid);
	CHECK_SOON(try_channel(path));
	s.fds[3] = s.channel;
}

static void reopen(void)
{
	close_sock();
	close(s.channel);
	open_channel();
}

static void attach(struct fuzz_input *in)
{
	struct vum_attach a = {
		.argsz = sizeof(a), .api_version = VUM_API_VERSION, .max_msg_fds = 8,
		.max_data_xfer_size = 4096, .max_dma_maps = 16, .pgsizes = 4096, .minor = 1,
		.server_pid = getpid(),
	};
	int pair[2] = { -1, -1 };

	reopen();
	if (s.by_socket) {
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
		a.flags = VUM_ATTACH_SOCKET;
		a.socket = pair[0];
	}
	fuzz_spoil(in, &a, sizeof(a));
	/* With this one the kernel would close what is none of its business. */
	if (a.flags & VUM_ATTACH_SOCKET)
		a.socket = pair[0];
	s.sock = pair[1];
	if (ioctl(s.channel, VUM_ATTACH, &a) != 1 && pair[0] >= 0)
		close(pair[0]);
}

/* The descriptors that one byte of the input names: up to two of each file. */
static uint32_t some_fds(struct fuzz_input *in, int32_t *fds)
{
	uint8_t which = fuzz_u8(in);
	uint32_t nr = 0;

	for (int i = 0; i < 8; i++)
		if (which & 1U << i)
			fds[nr++] = s.fds[i / 2];
	return nr;
}

static void send_by_socket(const void *data, size_t size, const int32_t *fds, uint32_t nr)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(*fds))];
	} control;
	struct iovec iov = { (void *)data, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (s.sock < 0)
		return;
	if (nr) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(nr * sizeof(*fds));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nr * sizeof(*fds));
		memcpy(CMSG_DATA(&control.align), fds, nr * sizeof(*fds));
	}
	sendmsg(s.sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_by_channel(const void *data, size_t size, const int32_t *fds, uint32_t nr)
{
	struct vum_message m = {
		.argsz = sizeof(m), .buf = (uintptr_t)data, .size = (uint32_t)size,
		.fds = (uintptr_t)fds, .nr_fds = nr,
	};

	ioctl(s.channel, VUM_SEND, &m);
}

/* What the server says. By the socket, it may come in two pieces. */
static void send_out(struct fuzz_input *in, const void *data, size_t size)
{
	uint8_t how = fuzz_u8(in);
	uint32_t nr = 0;
	int32_t fds[8];
	size_t first;

	if (how >= 240)
		nr = some_fds(in, fds);
	if (!s.by_socket) {
		send_by_channel(data, size, fds, nr);
		return;
	}
	first = how & 7 || !size ? size : fuzz_u16(in) % size;
	send_by_socket(data, first, fds, nr);
	if (first < size)
		send_by_socket((const uint8_t *)data + first, size - first, NULL, 0);
}

static void carry(struct fuzz_input *in)
{
	static char control[CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int))];
	struct vum_carry c = {
		.argsz = sizeof(c), .buf = (uintptr_t)control, .size = sizeof(control),
	};

	fuzz_spoil(in, &c, sizeof(c));
	ioctl(s.channel, VUM_CARRY, &c);
}

/* The next message for the server; returns its size, or 0 if there is none. */
static size_t receive(struct fuzz_input *in)
{
	struct vfio_user_header hdr;
	struct vum_message m = {
		.argsz = sizeof(m), .buf = (uintptr_t)msg, .size = sizeof(msg),
	};
	ssize_t n;

	if (!s.by_socket) {
		int32_t fds[VUM_MAX_MSG_FDS];

		m.fds = (uintptr_t)fds;
		m.nr_fds = VUM_MAX_MSG_FDS;
		fuzz_spoil(in, &m, offsetof(struct vum_message, buf));
		if (ioctl(s.channel, VUM_RECV, &m))
			return 0;
		for (uint32_t i = 0; i < m.nr_fds && i < VUM_MAX_MSG_FDS; i++)
			close(fds[i]);
		return m.size < sizeof(msg) ? m.size : sizeof(msg);
	}
	if (s.sock < 0)
		return 0;
	carry(in);
	if (recv(s.sock, &hdr, sizeof(hdr), MSG_PEEK | MSG_DONTWAIT) != sizeof(hdr) ||
	    hdr.msg_size > sizeof(msg))
		return 0;
	n = recv(s.sock, msg, hdr.msg_size, MSG_DONTWAIT);
	return n < 0 ? 0 : (size_t)n;
}

static bool answer_one(struct fuzz_input *in, bool spoil)
{
	struct fuzz_input none = { 0 };
	size_t size = receive(spoil ? in : &none);

	if (!size)
		return false;
	size = model_reply(msg, size, reply);
	if (spoil)
		fuzz_spoil(in, reply, size);
	if (size)
		send_out(spoil ? in : &none, reply, size);
	return true;
}

/* Answers all that there is, waiting a little for more. */
static void answer_all(void)
{
	struct pollfd p = {
		.fd = s.by_socket ? s.sock : s.channel, .events = POLLIN,
	};
	struct fuzz_input none = { 0 };

	for (int i = 0; i < 200; i++) {
		if (s.by_socket)
			carry(&none);
		if (!answer_one(&none, false) && poll(&p, 1, 2) <= 0)
			return;
	}
}

static void command(struct fuzz_input *in)
{
	static struct {
		struct vfio_user_header hdr;
		struct vfio_user_dma_access dma;
		uint8_t data[4096];
	} cmd;
	uint8_t what = fuzz_u8(in);
	bool write = what & 1;

	memset(&cmd, 0, sizeof(cmd));
	cmd.hdr.cmd = write ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ;
	cmd.hdr.msg_id = what;
	cmd.hdr.flags = what & 2 ? VFIO_USER_F_NO_REPLY : 0;
	cmd.dma.addr = what & 4 ? fuzz_number(in) : IOVA + fuzz_u16(in);
	cmd.dma.count = fuzz_u16(in) & 4095;
	cmd.hdr.msg_size = (uint32_t)(sizeof(cmd.hdr) + sizeof(cmd.dma) +
				      (write ? cmd.dma.count : 0));
	fuzz_spoil(in, &cmd, sizeof(cmd.hdr) + sizeof(cmd.dma));
	send_out(in, &cmd, cmd.hdr.msg_size < sizeof(cmd) ? cmd.hdr.msg_size : sizeof(cmd));
}

static void raw(struct fuzz_input *in)
{
	size_t size = fuzz_u8(in) % 96;

	fuzz_bytes(in, msg, size);
	send_out(in, msg, size);
}

static void other_ioctl(struct fuzz_input *in)
{
	static const unsigned int cmds[] = {
		VUM_GET_API_VERSION, VUM_RESUME, VUM_CARRY, VUM_RECV, VUM_SEND, VUM_END,
	};
	uint8_t arg[sizeof(struct vum_attach)], which = fuzz_u8(in);

	fuzz_bytes(in, arg, sizeof(arg));
	/* Nothing that would have the kernel write to where this process has its data. */
	((uint64_t *)arg)[2] &= 0xfff;
	((uint64_t *)arg)[3] &= 0xfff;
	ioctl(s.channel, which < 6 ? cmds[which] : fuzz_u32(in), arg);
}

static void resume(void)
{
	struct vum_attach a = { .argsz = sizeof(a), .api_version = VUM_API_VERSION };

	close(s.channel);
	open_channel();
	ioctl(s.channel, VUM_RESUME, &a);
}

static void one_op(struct fuzz_input *in)
{
	struct pollfd p = { .fd = s.channel, .events = POLLIN | POLLOUT };
	uint8_t op = fuzz_u8(in);

	switch (op % 12) {
	case 0:
		attach(in);
		break;
	case 1:
		answer_all();
		break;
	case 2:
	case 3:
		answer_one(in, true);
		break;
	case 4:
	case 5:
		command(in);
		break;
	case 6:
		raw(in);
		break;
	case 7:
		other_ioctl(in);
		break;
	case 8:
		carry(in);
		break;
	case 9:
		poll(&p, 1, 0);
		break;
	case 10:
		resume();
		break;
	default:
		op & 16 ? reopen() : close_sock();
	}
}

/* One thing that a consumer does, by a random number. */
static void use(const struct consumer *c, const int *eventfd, long number)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	uint32_t value = 0, index = (uint32_t)(number >> 8) % 11;
	off_t at = region_at(index, (uint64_t)(number >> 12) % 0x200);

	switch (number % 6) {
	case 0:
	case 1:
		pread(c->device, &value, 1U << (number >> 20) % 3, at);
		break;
	case 2:
		pwrite(c->device, &value, 4, at);
		break;
	case 3:
		irq_set_eventfds(c, index % 5, 0, 1, eventfd);
		break;
	case 4:
		info.index = index;
		ioctl(c->device, VFIO_DEVICE_GET_REGION_INFO, &info);
		break;
	default:
		if (!(number >> 20 & 7))
			ioctl(c->device, VFIO_DEVICE_RESET);
		else
			irq_disable(c, index % 5);
	}
	usleep(500);
}

/* The consumer opens the device as often as it has to, and uses it while it can. */
static void consume(void)
{
	struct consumer c;
	int fd = eventfd(0, EFD_NONBLOCK);
	void *mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)mem, .iova = IOVA,
		.size = MEMORY,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(0);
	srandom(1);
	for (;;) {
		consumer_prepare(&c, &s.w);
		if (!consumer_get_device(&c, &s.w)) {
			ioctl(c.container, VFIO_IOMMU_MAP_DMA, &map);
			for (int i = 0; i < 5000; i++)
				use(&c, &fd, random());
		}
		consumer_close(&c);
	}
}

void server_fuzz(const char *name, bool by_socket)
{
	const struct fuzz_door door = { .name = name, .op = one_op };
	int pipes[2];

	s.by_socket = by_socket;
	s.sock = -1;
	world_mdev(&s.w);
	world_attr_set(&s.w, "data_path", by_socket ? "kernel" : "relay");
	world_attr_set(&s.w, "attach_timeout_ms", "1000");
	world_attr_set(&s.w, "timeout_ms", "1000");
	s.fds[0] = eventfd(0, EFD_NONBLOCK);
	s.fds[1] = memfd_create("fuzz", 0);
	CHECK(!ftruncate(s.fds[1], 0x4000) && !pipe(pipes));
	s.fds[2] = pipes[0];
	/* Before this process opens the channel, which only one may. */
	if (!fork())
		consume();
	open_channel();
	fuzz_loop(&door);
}
