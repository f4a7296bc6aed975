// SPDX-License-Identifier: GPL-2.0
/* Netlink and sysfs, as an operator's programs, or others, can use them. */
#include <fcntl.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio_user_mdev.h>

#include "../../lib/consumer.h"
#include "../fuzz.h"


static struct world w, other;
static struct nl_sock *sock;
static int family;

static void open_netlink(void)
{
	sock = nl_socket_alloc();
	CHECK(sock && !genl_connect(sock));
	family = genl_ctrl_resolve(sock, VUM_GENL_NAME);
	CHECK(family > 0);
	nl_socket_set_nonblocking(sock);
}

static void receive(void)
{
	static uint8_t buf[0x10000];

	for (int i = 0; i < 64; i++)
		if (recv(nl_socket_get_fd(sock), buf, sizeof(buf), MSG_DONTWAIT) <= 0)
			return;
}

/* A message with up to four attributes, one of which may be the uuid. */
static void netlink(struct fuzz_input *in)
{
	struct {
		struct nlmsghdr nl;
		struct genlmsghdr genl;
		uint8_t data[256];
	} m = {
		.nl = {
			.nlmsg_type = (uint16_t)family,
			.nlmsg_flags = NLM_F_REQUEST | (fuzz_u8(in) & 1 ? NLM_F_DUMP : 0),
			.nlmsg_seq = 1,
		},
		.genl = { .cmd = fuzz_u8(in) % (VUM_CMD_MAX + 2), .version = 1 },
	};
	size_t at = 0;

	for (uint8_t nr = fuzz_u8(in) % 4; nr; nr--) {
		struct nlattr *a = (struct nlattr *)(m.data + at);
		uint8_t what = fuzz_u8(in), size = what & 128 ? sizeof(w.uuid) : fuzz_u8(in) % 40;

		a->nla_type = what % (VUM_ATTR_MAX + 2);
		a->nla_len = (uint16_t)(sizeof(*a) + size);
		fuzz_bytes(in, a + 1, what & 128 ? 0 : size);
		if (what & 128)
			memcpy(a + 1, what & 64 ? other.uuid : w.uuid, size);
		at += NLA_ALIGN(a->nla_len);
	}
	m.nl.nlmsg_len = (uint32_t)(sizeof(m.nl) + sizeof(m.genl) + at);
	fuzz_spoil(in, &m, sizeof(m.nl) + sizeof(m.genl));
	send(nl_socket_get_fd(sock), &m, m.nl.nlmsg_len < sizeof(m) ? m.nl.nlmsg_len : sizeof(m),
	     MSG_DONTWAIT);
	receive();
}

static void attribute(struct fuzz_input *in)
{
	static const char *const names[] = {
		"socket", "state", "server", "attach_timeout_ms", "timeout_ms", "posted_writes",
		"optional_commands", "data_path", "poll_us", "dma_mode", "dma_announce",
		"dma_aperture", "dma_fault", "dma_fault_timeout_ms", "dma_max_pinned",
	};
	static const char *const words[] = {
		"detached", "kernel", "relay", "auto", "mmap", "file", "message", "none", "exact",
		"aperture", "absorb", "sigbus", "device_feature", "get_region_io_fds", "0", "1",
		"65536", "43", "-1", "18446744073709551615", "4294967296", "/run/vfio-user/x",
		"\n", " ",
	};
	uint8_t which = fuzz_u8(in), how = fuzz_u8(in), nr = fuzz_u8(in) % 8;
	char path[192], text[4096] = "";
	int at = 0;

	world_attr_path(&w, names[which % (sizeof(names) / sizeof(*names))], path, sizeof(path));
	if (how & 1) {
		read_file(path, text, sizeof(text));
		return;
	}
	while (nr--)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s",
			       words[fuzz_u8(in) % (sizeof(words) / sizeof(*words))]);
	if (how & 2)
		fuzz_spoil(in, text, strlen(text));
	if (how & 4)
		memset(text, '1', fuzz_u16(in) % sizeof(text));
	write_file(path, text);
}

static void create_or_remove(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	char path[128], text[64];

	if (how & 1) {
		snprintf(path, sizeof(path), MDEV_DIR "%s/remove", other.uuid);
		write_file(path, "1");
		return;
	}
	memcpy(text, other.uuid, sizeof(other.uuid));
	if (how & 2)
		fuzz_spoil(in, text, sizeof(other.uuid));
	write_file(MDEV_TYPE_DIR "create", text);
}

static void one_op(struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);

	if (op < 128)
		netlink(in);
	else if (op < 240)
		attribute(in);
	else
		create_or_remove(in);
}

TEST(control)
{
	const struct fuzz_door door = { .name = "control", .op = one_op };

	world_up(&w, NULL);
	CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", other.uuid, sizeof(other.uuid)), 0);
	open_netlink();
	fuzz_loop(&door);
}
