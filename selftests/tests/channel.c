// SPDX-License-Identifier: GPL-2.0
/* The channel as the helper sees it, and as nobody should use it. */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vfio_user.h>
#include <vfio_user_mdev.h>

#include "../lib/dma.h"

static struct world w;
static int fd;

static int channel_open(int flags)
{
	char path[128];

	snprintf(path, sizeof(path), VUM_CHANNEL_DIR "%s", w.uuid);
	return open(path, O_RDWR | O_CLOEXEC | flags);
}

static struct vum_attach good_attach(void)
{
	return (struct vum_attach) {
		.argsz = sizeof(struct vum_attach),
		.api_version = VUM_API_VERSION,
		.max_msg_fds = 1,
		.max_data_xfer_size = VUM_MAX_DATA_XFER_SIZE,
	};
}

/* Without a helper: the test is it. */
static void up(void)
{
	world_mdev(&w);
	world_attr_set(&w, "dma_mode", "none");
	fd = channel_open(O_NONBLOCK);
	CHECK(fd >= 0);
}

static void attach(void)
{
	struct vum_attach a = good_attach();

	CHECK(!ioctl(fd, VUM_ATTACH, &a));
	CHECK(world_state_is(&w, "attaching"));
}

/* The next message; its header. */
static struct vfio_user_header next(void *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct vfio_user_header hdr;
	ssize_t n;

	CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
	n = read(fd, buf, size);
	CHECK(n >= (ssize_t)sizeof(hdr));
	memcpy(&hdr, buf, sizeof(hdr));
	CHECK_EQ(hdr.msg_size, n);
	return hdr;
}

TEST(one_opener_at_a_time)
{
	up();
	CHECK_ERRNO(channel_open(0), EBUSY);
	close(fd);
	fd = channel_open(0);
	CHECK(fd >= 0);
}

TEST(version_handshake)
{
	struct vum_attach a = good_attach();

	up();
	CHECK_EQ(ioctl(fd, VUM_GET_API_VERSION), VUM_API_VERSION);
	a.api_version = VUM_API_VERSION + 1;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EPROTONOSUPPORT);
	CHECK_EQ(kernel_log_count(w.uuid, "install the two from the same release"), 1);
	/* However little else of that version's struct there is. */
	a.argsz = 8;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EPROTONOSUPPORT);
	CHECK(world_state_is(&w, "detached"));
}

/* An ioctl refuses a text of the helper's that is none, or too long, or cannot be printed. */
static void check_text(__u64 *text, unsigned long request, void *arg)
{
	char longest[VUM_MAX_TEXT + 1];

	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	*text = (uintptr_t)longest;
	CHECK_ERRNO(ioctl(fd, request, arg), EINVAL);
	*text = (uintptr_t)"a line\n";
	CHECK_ERRNO(ioctl(fd, request, arg), EINVAL);
	*text = (uintptr_t)"\xe4";
	CHECK_ERRNO(ioctl(fd, request, arg), EINVAL);
	*text = (uintptr_t)test_bad_address();
	CHECK_ERRNO(ioctl(fd, request, arg), EFAULT);
}

TEST(attach_refuses_nonsense)
{
	struct vum_attach a;

	up();
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, NULL), EFAULT);
	a = good_attach();
	a.argsz = 8;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a = good_attach();
	a.flags = 32;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	/* A licence that means something, but is not there; or that is none. */
	a.flags = VUM_ATTACH_LICENSE;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a.license = (uintptr_t)"MIT";
	a.flags = VUM_ATTACH_GPL;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a.flags = 0;
	check_text(&a.license, VUM_ATTACH, &a);
	a = good_attach();
	a.reserved = 1;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a = good_attach();
	a.max_msg_fds = 0;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a = good_attach();
	a.max_data_xfer_size = 7;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a = good_attach();
	a.minor = VFIO_USER_MINOR + 1;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a = good_attach();
	a.server_pid = -1;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	CHECK_ERRNO(ioctl(fd, 0x1234, &a), ENOTTY);
	a = good_attach();
	CHECK(!ioctl(fd, VUM_ATTACH, &a));
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EISCONN);
}

TEST(end_refuses_nonsense)
{
	struct vum_end end = { .argsz = sizeof(end), .reason = (uintptr_t)"for no reason" };

	up();
	CHECK_ERRNO(ioctl(fd, VUM_END, NULL), EFAULT);
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), ENOTCONN);
	end.argsz = 8;
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), EINVAL);
	end.argsz = sizeof(end);
	end.flags = 2;
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), EINVAL);
	end.flags = VUM_END_BROKEN;
	end.reason = (uintptr_t)"";
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), EINVAL);
	check_text(&end.reason, VUM_END, &end);
	CHECK(world_state_is(&w, "detached"));
}

/* What a helper says of a server on the socket that the device had before is not taken. */
TEST(end_by_one_who_missed_the_new_socket)
{
	struct vum_end end = {
		.argsz = sizeof(end), .flags = VUM_END_BROKEN, .reason = (uintptr_t)"it is old",
	};
	struct vum_attach a = good_attach();

	up();
	world_attr_set(&w, "socket", "/run/vfio-user/new.sock");
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), EISCONN);
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EISCONN);
	CHECK(world_state_is(&w, "detached"));
	close(fd);
	fd = channel_open(O_NONBLOCK);
	CHECK(!ioctl(fd, VUM_END, &end));
	CHECK(world_state_is(&w, "broken"));
}

/* A reason before there is an attachment, and for the end of one. */
TEST(end_tells_why)
{
	struct vum_end end = { .argsz = sizeof(end), .flags = VUM_END_BROKEN };
	struct vum_attach a = good_attach();
	char reason[VUM_MAX_TEXT];

	up();
	end.reason = (uintptr_t)"it speaks Latin";
	CHECK(!ioctl(fd, VUM_END, &end));
	CHECK(!ioctl(fd, VUM_END, &end));
	CHECK(world_state_is(&w, "broken"));
	CHECK_EQ(kernel_log_count(w.uuid, "it speaks Latin"), 1);
	CHECK(!ioctl(fd, VUM_ATTACH, &a));
	CHECK(world_state_is(&w, "attaching"));
	end.flags = 0;
	end.reason = (uintptr_t)"it has gone to Rome";
	CHECK(!ioctl(fd, VUM_END, &end));
	CHECK(world_state_is(&w, "detached"));
	dma_show_text(&w, "reason", reason, sizeof(reason));
	CHECK(!strcmp(reason, "it has gone to Rome"));
	CHECK_ERRNO(ioctl(fd, VUM_END, &end), ENOTCONN);
	CHECK_ERRNO(read(fd, reason, sizeof(reason)), EPIPE);
}

TEST(nothing_before_attach)
{
	struct pollfd p = { .fd = -1, .events = POLLIN | POLLOUT };
	struct vfio_user_header hdr = { .msg_size = sizeof(hdr) };

	up();
	CHECK_ERRNO(read(fd, &hdr, sizeof(hdr)), ENOTCONN);
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), ENOTCONN);
	p.fd = fd;
	CHECK_EQ(poll(&p, 1, 0), 0);
}

TEST(first_question)
{
	char buf[256];
	struct vfio_user_header hdr;

	up();
	attach();
	hdr = next(buf, sizeof(buf));
	CHECK_EQ(hdr.cmd, VFIO_USER_DEVICE_GET_INFO);
	CHECK_EQ(hdr.flags, VFIO_USER_F_TYPE_COMMAND);
	CHECK_EQ(hdr.msg_size, sizeof(hdr) + sizeof(struct vfio_user_device_info));
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EAGAIN);
}

TEST(read_into_too_small_a_buffer)
{
	char buf[256];
	struct vum_message m = { .argsz = sizeof(m), .buf = (uintptr_t)buf };
	struct pollfd p = { .events = POLLIN };

	up();
	attach();
	p.fd = fd;
	CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
	CHECK_ERRNO(read(fd, buf, 0), EMSGSIZE);
	CHECK_ERRNO(read(fd, buf, 31), EMSGSIZE);
	m.size = 31;
	CHECK_ERRNO(ioctl(fd, VUM_RECV, &m), EMSGSIZE);
	CHECK_EQ(m.size, 32);
	CHECK_ERRNO(read(fd, test_bad_address(), 256), EFAULT);
	/* It is still there after all that. */
	CHECK(!ioctl(fd, VUM_RECV, &m));
	CHECK_EQ(m.size, 32);
	CHECK_EQ(m.nr_fds, 0);
}

TEST(message_ioctls_refuse_nonsense)
{
	struct vfio_user_header hdr = { .msg_size = sizeof(hdr) };
	struct vum_message m;
	__s32 fds[65] = { 0 };

	up();
	attach();
	CHECK_ERRNO(ioctl(fd, VUM_SEND, NULL), EFAULT);
	m = (struct vum_message){ .argsz = 8 };
	CHECK_ERRNO(ioctl(fd, VUM_SEND, &m), EINVAL);
	m = (struct vum_message){ .argsz = sizeof(m), .flags = 1 };
	CHECK_ERRNO(ioctl(fd, VUM_RECV, &m), EINVAL);
	m = (struct vum_message){ .argsz = sizeof(m), .buf = (uintptr_t)&hdr,
		.size = sizeof(hdr), .fds = (uintptr_t)fds, .nr_fds = 65 };
	CHECK_ERRNO(ioctl(fd, VUM_SEND, &m), EINVAL);
	m.nr_fds = 1;
	fds[0] = -1;
	CHECK_ERRNO(ioctl(fd, VUM_SEND, &m), EBADF);
	m.fds = 0;
	CHECK_ERRNO(ioctl(fd, VUM_SEND, &m), EFAULT);
	CHECK(world_state_is(&w, "attaching"));
}

/* What is no message changes nothing; what breaks the protocol ends it. */
TEST(rubbish_written)
{
	struct vfio_user_header hdr = { .msg_size = sizeof(hdr) };
	char *big = calloc(1, VUM_MAX_MSG_SIZE + 1);
	struct pollfd p = { .events = POLLIN };

	up();
	attach();
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	CHECK_ERRNO(write(fd, &hdr, 0), EINVAL);
	CHECK_ERRNO(write(fd, test_bad_address(), 64), EFAULT);
	CHECK_ERRNO(write(fd, big, VUM_MAX_MSG_SIZE + 1), EINVAL);
	CHECK_ERRNO(write(fd, big, VUM_MAX_MSG_SIZE), EINVAL);
	hdr.msg_size = 15;
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), EINVAL);
	CHECK(world_state_is(&w, "attaching"));

	hdr.msg_size = sizeof(hdr);
	hdr.flags = VFIO_USER_F_TYPE_REPLY;
	hdr.msg_id = 77;
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), EPROTO);
	CHECK(world_state_is(&w, "broken"));
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), EPIPE);
	CHECK_ERRNO(read(fd, big, 256), EPIPE);
	p.fd = fd;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
	/* Closed and opened anew, it is as good as ever. */
	close(fd);
	fd = channel_open(O_NONBLOCK);
	CHECK(!ioctl(fd, VUM_ATTACH, &(struct vum_attach){
		.argsz = sizeof(struct vum_attach), .api_version = VUM_API_VERSION,
		.max_msg_fds = 1, .max_data_xfer_size = 4096 }));
	CHECK(world_state_is(&w, "attaching"));
}

TEST(reply_before_the_question_was_read)
{
	struct vfio_user_header hdr = {
		.cmd = VFIO_USER_DEVICE_GET_INFO,
		.msg_size = sizeof(hdr),
		.flags = VFIO_USER_F_TYPE_REPLY,
	};
	struct pollfd p = { .events = POLLIN };

	up();
	attach();
	p.fd = fd;
	CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), EPROTO);
	CHECK_SOON(kernel_log_count(w.uuid, "not seen yet") == 1);
}

/* A server that asks and never reads what it is told cannot fill the kernel. */
TEST(answers_are_bounded)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_dma_access dma;
	} read_dma = {
		.hdr = { .cmd = VFIO_USER_DMA_READ, .msg_size = 32 },
		.dma = { .addr = 0, .count = 8 },
	};
	struct pollfd p = { .events = POLLOUT };
	char buf[256];
	int n = 0;

	up();
	attach();
	p.fd = fd;
	next(buf, sizeof(buf));
	while (write(fd, &read_dma, sizeof(read_dma)) == sizeof(read_dma))
		CHECK(++n < 1000);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(n, 64);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(next(buf, sizeof(buf)).error_no, EFAULT);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(write(fd, &read_dma, sizeof(read_dma)), sizeof(read_dma));
}

static void dma_read_at(uint64_t iova, uint64_t count, uint32_t want)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_dma_access dma;
	} read_dma = {
		.hdr = { .cmd = VFIO_USER_DMA_READ, .msg_size = 32 },
		.dma = { .addr = iova, .count = count },
	};
	struct vfio_user_header answer;
	char buf[256];

	CHECK_EQ(write(fd, &read_dma, sizeof(read_dma)), sizeof(read_dma));
	do
		answer = next(buf, sizeof(buf));
	while (answer.cmd != VFIO_USER_DMA_READ);
	CHECK_EQ(answer.flags & VFIO_USER_F_ERROR ? answer.error_no : 0, want);
}

static void bad_dma(uint16_t cmd, uint64_t count, uint32_t size)
{
	char buf[64] = { 0 };
	struct vfio_user_header hdr = { .cmd = cmd, .msg_size = size };
	struct vfio_user_dma_access dma = { .count = count };

	up();
	attach();
	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), &dma, sizeof(dma));
	CHECK_ERRNO(write(fd, buf, size), EPROTO);
	CHECK(world_state_is(&w, "broken"));
}

TEST(error_that_says_it_is_a_command)
{
	struct vfio_user_header hdr = {
		.cmd = VFIO_USER_DEVICE_GET_INFO, .msg_size = sizeof(hdr),
		.flags = VFIO_USER_F_TYPE_COMMAND | VFIO_USER_F_ERROR, .error_no = EINVAL,
	};

	up();
	attach();
	CHECK_ERRNO(write(fd, &hdr, sizeof(hdr)), EPROTO);
	CHECK_EQ(kernel_log_count(w.uuid, "error reply that says it is a command"), 1);
}

TEST(dma_command_too_short)
{
	bad_dma(VFIO_USER_DMA_READ, 8, 24);
}

TEST(dma_read_with_data)
{
	bad_dma(VFIO_USER_DMA_READ, 8, 40);
}

TEST(dma_write_without_data)
{
	bad_dma(VFIO_USER_DMA_WRITE, 8, 32);
}

TEST(dma_of_too_much)
{
	bad_dma(VFIO_USER_DMA_READ, UINT64_MAX, 32);
}

/* Answers the next question with this payload. */
static void answer(uint16_t cmd, const void *payload, size_t size)
{
	struct vfio_user_header hdr;
	char buf[256];

	hdr = next(buf, sizeof(buf));
	CHECK_EQ(hdr.cmd, cmd);
	hdr.flags = VFIO_USER_F_TYPE_REPLY;
	hdr.msg_size = (uint32_t)(sizeof(hdr) + size);
	memcpy(buf, &hdr, sizeof(hdr));
	if (size)
		memcpy(buf + sizeof(hdr), payload, size);
	CHECK_EQ(write(fd, buf, hdr.msg_size), hdr.msg_size);
}

/* Has the attachment ended, or does it go on with another question? */
static bool over(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
	return p.revents & POLLHUP;
}

/* A PCI device, as far as it is not said otherwise. */
struct fake {
	struct vfio_user_region_info region[9];
	struct vfio_user_irq_info irq[5];
};

static struct fake good_fake(void)
{
	struct fake f = { 0 };

	for (uint32_t i = 0; i < 9; i++)
		f.region[i].index = i;
	for (uint32_t i = 0; i < 5; i++)
		f.irq[i].index = i;
	f.region[7].size = 256;
	return f;
}

/* Answers the look at the header: all BARs are memory, and no pin interrupts. */
static void answer_header(void)
{
	struct {
		struct vfio_user_region_access access;
		uint32_t header[12];
	} reply = {
		.access = { .offset = 0x10, .region = 7, .count = 48 },
	};

	answer(VFIO_USER_REGION_READ, &reply, sizeof(reply));
}

static void attach_fake(const struct fake *f)
{
	struct vfio_user_device_info info = {
		.argsz = sizeof(info),
		.flags = 1 << 1,	/* VFIO_DEVICE_FLAGS_PCI */
		.num_regions = 9,
		.num_irqs = 5,
	};

	attach();
	answer(VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info));
	for (int i = 0; i < 9 && !over(); i++)
		answer(VFIO_USER_DEVICE_GET_REGION_INFO, &f->region[i],
		       sizeof(f->region[i]));
	for (int i = 0; i < 5 && !over(); i++)
		answer(VFIO_USER_DEVICE_GET_IRQ_INFO, &f->irq[i],
		       sizeof(f->irq[i]));
	if (!over())
		answer_header();
}

static void refused(const struct fake *f, const char *message)
{
	up();
	attach_fake(f);
	world_wait_state(&w, "broken");
	CHECK_SOON(kernel_log_count(w.uuid, message) == 1);
}

TEST(attach_by_hand)
{
	struct fake f = good_fake();

	up();
	attach_fake(&f);
	world_wait_state(&w, "attached");
}

/* A server that reaches this memory, at IOVA 0, by messages. */
static void up_with_memory(struct consumer *c, void *mem, size_t size, uint32_t prot)
{
	struct fake f = good_fake();
	char byte;

	up();
	world_attr_set(&w, "dma_mode", "message");
	world_attr_set(&w, "dma_announce", "aperture");
	attach_fake(&f);
	answer(VFIO_USER_DMA_MAP, NULL, 0);
	consumer_prepare(c, &w);
	dma_map(c, mem, 0, size, prot);
	CHECK_EQ(consumer_get_device(c, &w), 0);
	/* Its memory can be had from the first access on. */
	CHECK_ERRNO(pread(c->device, &byte, 1, region_at(0, 0)), EINVAL);
}

/* An address that wraps is none, though what follows the wrap is mapped. */
TEST(dma_that_wraps)
{
	struct consumer c;

	up_with_memory(&c, dma_memory(4096), 4096, DMA_READ);
	dma_read_at(0, 8, 0);
	dma_read_at(-8ULL, 16, EFAULT);
}

/* Commands of a server that has gone are not carried out any longer. */
TEST(dma_write_of_a_server_that_has_gone)
{
	/* As many as the kernel takes at a time, with the slowest copies. */
	enum { SIZE = 1 << 20, NR = 8, PART = SIZE / NR, MSG = 32 + PART };
	struct vfio_user_header *hdr;
	unsigned char *p = dma_memory(SIZE), *buf = dma_memory(MSG);
	struct vfio_user_dma_access *dma;
	struct consumer c;

	up_with_memory(&c, p, SIZE, DMA_WRITE);

	memset(buf, 0x77, MSG);
	hdr = (struct vfio_user_header *)buf;
	*hdr = (struct vfio_user_header){ .cmd = VFIO_USER_DMA_WRITE, .msg_size = MSG };
	dma = (struct vfio_user_dma_access *)(hdr + 1);
	*dma = (struct vfio_user_dma_access){ .addr = 0, .count = PART };
	CHECK_EQ(write(fd, buf, MSG), MSG);
	CHECK_SOON(p[0] == 0x77);
	for (int i = 1; i < NR; i++) {
		dma->addr = (uint64_t)(i * PART);
		CHECK_EQ(write(fd, buf, MSG), MSG);
	}
	close(fd);
	CHECK(world_state_is(&w, "detached"));
	/* A copy of a page may have been under way. */
	CHECK_SOON(dma_show(&w, "pinned") == 0);
	memset(p, 0, SIZE);
	for (int i = 0; i < 100; i++) {
		test_sleep_ms(2);
		CHECK(!p[0] && !p[SIZE / 2] && !p[SIZE - 1]);
	}
}

TEST(region_too_large)
{
	struct fake f = good_fake();

	f.region[8].size = (1ULL << 40) + 1;
	refused(&f, "region is too large");
}

TEST(region_as_large_as_can_be)
{
	struct fake f = good_fake();

	f.region[0].size = 1ULL << 40;
	up();
	attach_fake(&f);
	world_wait_state(&w, "attached");
}

TEST(odd_config_space)
{
	struct fake f = good_fake();

	f.region[7].size = 1024;
	refused(&f, "neither 256 nor 4096");
}

TEST(another_region_described)
{
	struct fake f = good_fake();

	f.region[8].index = 3;
	refused(&f, "another region than asked for");
}

TEST(another_irq_index_described)
{
	struct fake f = good_fake();

	f.irq[4].index = 0;
	refused(&f, "another IRQ index than asked for");
}

TEST(too_many_irqs)
{
	struct fake f = good_fake();

	f.irq[4].count = 2049;
	refused(&f, "number of IRQs");
}

TEST(close_ends_the_attachment)
{
	up();
	attach();
	close(fd);
	CHECK(world_state_is(&w, "detached"));
}

TEST(mdev_removed_under_the_opener)
{
	char buf[64];
	struct pollfd p = { .events = POLLIN };
	struct vum_attach a = good_attach();

	up();
	attach();
	world_remove(&w);
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), ENODEV);
	CHECK_ERRNO(write(fd, buf, sizeof(buf)), ENODEV);
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), ENODEV);
	p.fd = fd;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
	/* The name is free again although the old channel is still open. */
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create", w.uuid), 0);
	CHECK(channel_open(0) >= 0);
}

static volatile bool asked;

static void *blocking_read(void *arg)
{
	char buf[256];

	/* Two: the question, then nothing until the channel is closed on us. */
	CHECK(read(*(int *)arg, buf, sizeof(buf)) > 0);
	asked = true;
	CHECK_ERRNO(read(*(int *)arg, buf, sizeof(buf)), ENODEV);
	return NULL;
}

TEST(blocking_read_ends_with_the_mdev)
{
	struct vum_attach a = good_attach();
	pthread_t thread;

	world_mdev(&w);
	fd = channel_open(0);
	CHECK(!ioctl(fd, VUM_ATTACH, &a));
	CHECK(!pthread_create(&thread, NULL, blocking_read, &fd));
	CHECK_SOON(asked);
	test_sleep_ms(300);
	world_remove(&w);
	CHECK(!pthread_join(thread, NULL));
}
