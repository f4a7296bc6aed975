// SPDX-License-Identifier: GPL-2.0
/*
 * A server that makes the kernel hold memory for it: no more than the largest message
 * takes, and the server's memory cgroup pays.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio_user.h>
#include <vfio_user_mdev.h>

#include "../lib/cgroup.h"
#include "../lib/dma.h"
#include "../lib/test.h"

#define NR_DEVICES	4
#define KIB		1024L

struct dma_command {
	struct vfio_user_header hdr;
	struct vfio_user_dma_access access;
};

/* A server that this test plays, its own helper. */
struct hoarder {
	struct world w;
	int server;
};

/* The kernel has the socket, and asks for the device's shape: let it ask. */
static void hoarder_up(struct hoarder *h)
{
	struct vum_attach a = {
		.argsz = sizeof(a), .api_version = VUM_API_VERSION,
		.max_msg_fds = 1, .max_data_xfer_size = VUM_MAX_DATA_XFER_SIZE,
		.flags = VUM_ATTACH_SOCKET,
	};
	int channel, pair[2], least = 1;
	char path[128];

	if (world_relayed())
		test_skip("the data path is the relay");
	world_mdev(&h->w);
	snprintf(path, sizeof(path), VUM_CHANNEL_DIR "%s", h->w.uuid);
	channel = open(path, O_RDWR | O_CLOEXEC);
	CHECK(channel >= 0);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	/* Small buffers, so that few messages fill them. */
	for (int i = 0; i < 2; i++)
		CHECK(!setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)));
	a.socket = pair[0];
	CHECK_EQ(ioctl(channel, VUM_ATTACH, &a), 1);
	h->server = pair[1];
}

/* Sends commands until the kernel takes no more for a while. Returns how many. */
static int send_all(const struct hoarder *h, const struct dma_command *command)
{
	struct pollfd p = { .fd = h->server, .events = POLLOUT };
	int nr = 0;

	while (poll(&p, 1, 100 * test_slow()) == 1) {
		CHECK_EQ(send(h->server, command, sizeof(*command), MSG_NOSIGNAL),
			 sizeof(*command));
		CHECK(++nr < 100000);
	}
	return nr;
}

/* Has the kernel answer until the socket is full, and reads nothing. */
static void hoard_answers(const struct hoarder *h)
{
	const struct dma_command read_dma = {
		.hdr = { .cmd = VFIO_USER_DMA_READ, .msg_size = sizeof(read_dma) },
		.access = { .addr = 1UL << 40, .count = VUM_MAX_DATA_XFER_SIZE },
	};

	CHECK(send_all(h, &read_dma) > 1);
	CHECK(world_state_is(&h->w, "attaching"));
}

/* Sends the beginning of the largest message that there is. */
static void hoard_command(const struct hoarder *h)
{
	const struct dma_command write_dma = {
		.hdr = {
			.cmd = VFIO_USER_DMA_WRITE,
			.msg_size = sizeof(write_dma) + VUM_MAX_DATA_XFER_SIZE,
		},
		.access = { .count = VUM_MAX_DATA_XFER_SIZE },
	};

	CHECK_EQ(send(h->server, &write_dma, sizeof(write_dma), MSG_NOSIGNAL),
		 sizeof(write_dma));
	test_sleep_ms(10);
	CHECK(world_state_is(&h->w, "attaching"));
}

/* What the module has taken by the page, in KiB, as all large messages are. */
static long memory_taken(void)
{
	FILE *f = fopen("/proc/vmallocinfo", "r");
	char line[256], *pages;
	long sum = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		pages = strstr(line, "[vfio_user_mdev]") ? strstr(line, "pages=") : NULL;
		if (pages)
			sum += strtol(pages + strlen("pages="), NULL, 10) * 4;
	}
	fclose(f);
	return sum;
}

static void by_many(void (*hoard)(const struct hoarder *h))
{
	static struct hoarder h[NR_DEVICES];
	long before = memory_taken(), after;

	for (int i = 0; i < NR_DEVICES; i++) {
		hoarder_up(&h[i]);
		hoard(&h[i]);
	}
	after = memory_taken();
	test_say("each of %d devices: %ld KiB", NR_DEVICES, (after - before) / NR_DEVICES);
	/* One large message is to be had, and no more than one. */
	CHECK(after - before >= NR_DEVICES * 1024L);
	CHECK(after - before <= NR_DEVICES * (1024L + 8));
}

TEST(answers)
{
	by_many(hoard_answers);
}

TEST(command)
{
	by_many(hoard_command);
}

static void hoard_both(const struct hoarder *h)
{
	hoard_answers(h);
	hoard_command(h);
}

TEST(answers_and_a_command)
{
	by_many(hoard_both);
}

/* Whoever reads on gets every answer. */
TEST(answers_are_read_late)
{
	struct vfio_user_header hdr;
	struct dma_command read_dma = {
		.hdr = {
			.cmd = VFIO_USER_DMA_READ, .msg_size = sizeof(read_dma),
			.msg_id = 4711,
		},
		.access = { .addr = 1UL << 40, .count = VUM_MAX_DATA_XFER_SIZE },
	};
	struct hoarder h;
	int sent, answers = 0;
	struct pollfd p;

	hoarder_up(&h);
	sent = send_all(&h, &read_dma);
	p = (struct pollfd){ .fd = h.server, .events = POLLIN };
	/* Among them is the kernel's first question, of a header and argsz and more. */
	while (answers < sent) {
		CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
		CHECK_EQ(recv(h.server, &hdr, sizeof(hdr), MSG_WAITALL), sizeof(hdr));
		if (hdr.msg_id == 4711) {
			CHECK_EQ(hdr.error_no, EFAULT);
			answers++;
		}
		for (uint32_t i = sizeof(hdr); i < hdr.msg_size; i++) {
			char c;

			CHECK_EQ(recv(h.server, &c, 1, 0), 1);
		}
	}
	CHECK_EQ(poll(&p, 1, 100), 0);
	CHECK_SOON(live_messages() <= 1);
}

/* No memory is spent on a reply that cannot be one. */
TEST(reply_that_is_too_long)
{
	const struct vfio_user_header reply = {
		.cmd = VFIO_USER_DEVICE_GET_INFO, .flags = VFIO_USER_F_TYPE_REPLY,
		.msg_size = VUM_MAX_DATA_XFER_SIZE,
	};
	struct vfio_user_header question;
	struct hoarder h;

	hoarder_up(&h);
	/* It answers the kernel's first question. */
	CHECK_SOON(recv(h.server, &question, sizeof(question), 0) == sizeof(question));
	CHECK_EQ(question.cmd, reply.cmd);
	CHECK_EQ(question.msg_id, reply.msg_id);
	CHECK_EQ(send(h.server, &reply, sizeof(reply), MSG_NOSIGNAL), sizeof(reply));
	CHECK_SOON(kernel_log_count(h.w.uuid, "reply is too long") == 1);
	CHECK(world_state_is(&h.w, "broken"));
}

TEST(reply_to_nothing)
{
	const struct vfio_user_header reply = {
		.cmd = VFIO_USER_DEVICE_GET_INFO, .flags = VFIO_USER_F_TYPE_REPLY,
		.msg_id = 99, .msg_size = VUM_MAX_DATA_XFER_SIZE,
	};
	struct hoarder h;

	hoarder_up(&h);
	CHECK_EQ(send(h.server, &reply, sizeof(reply), MSG_NOSIGNAL), sizeof(reply));
	CHECK_SOON(kernel_log_count(h.w.uuid, "reply to no request") == 1);
	CHECK(world_state_is(&h.w, "broken"));
}

#define NR_SILENT	40

/* Each has work of the kernel's wait for it. Others are attached and served as ever. */
TEST(silent_servers_take_no_places)
{
	const char *const args[] = { "--dma", "message", NULL };
	static struct hoarder silent[NR_SILENT];
	unsigned char *mem = dma_memory(4096);
	struct consumer c;
	struct world w;

	for (int i = 0; i < NR_SILENT; i++)
		hoarder_up(&silent[i]);
	world_up(&w, args);
	consumer_open(&c, &w);
	dma_map(&c, mem, 0, 4096, DMA_READ | DMA_WRITE);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 0, 4096, 0x11111111), 0);
	CHECK_EQ(mem[4095], 0x11);
	for (int i = 0; i < NR_SILENT; i++)
		CHECK(world_state_is(&silent[i].w, "attaching"));
}

static long cgroup_bytes(void)
{
	char text[64];

	CHECK_EQ(read_file(CGROUP "/memory.current", text, sizeof(text)), 0);
	return strtol(text, NULL, 10);
}

/* The answers are allocated by the kernel's workers, which belong to no cgroup. */
TEST(the_server_pays)
{
	long before, after;
	struct hoarder h;

	cgroup_up();
	if (write_file(CGROUP_ROOT "/cgroup.subtree_control", "+memory"))
		test_skip("the kernel has no memory cgroups");
	cgroup_enter(getpid());
	hoarder_up(&h);
	before = cgroup_bytes();
	hoard_answers(&h);
	after = cgroup_bytes();
	test_say("charged to the server: %ld KiB", (after - before) / KIB);
	CHECK(after - before >= 512 * KIB);
	cgroup_leave(getpid());
}
