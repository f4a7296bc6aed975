// SPDX-License-Identifier: GPL-2.0
/* VUM_CMD_GET_SERVERS: ask which servers have served an mdev. */
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "netlink-private.h"

static struct nla_policy policy[VUM_SERVER_MAX + 1] = {
	[VUM_SERVER_PID]	= { .type = NLA_U32 },
	[VUM_SERVER_UID]	= { .type = NLA_U32 },
	[VUM_SERVER_GID]	= { .type = NLA_U32 },
	[VUM_SERVER_EXE]	= { .type = NLA_STRING },
	[VUM_SERVER_LICENSE]	= { .type = NLA_STRING },
	[VUM_SERVER_GPL]	= { .type = NLA_FLAG },
	[VUM_SERVER_FROM]	= { .type = NLA_U64 },
	[VUM_SERVER_UNTIL]	= { .type = NLA_U64 },
	[VUM_SERVER_TIMES]	= { .type = NLA_U32 },
	[VUM_SERVER_WHY]	= { .type = NLA_STRING },
};

struct servers_question {
	struct vum_question q;
	vum_server_fn fn;
	void *arg;
};

static bool parse_server(struct nlattr *nest, struct vum_past_server *server)
{
	struct nlattr *a[VUM_SERVER_MAX + 1];

	if (nla_parse_nested(a, VUM_SERVER_MAX, nest, policy) < 0)
		return false;
	for (int i = VUM_SERVER_PID; i <= VUM_SERVER_MAX; i++)
		if (!a[i] && i != VUM_SERVER_GPL)
			return false;
	*server = (struct vum_past_server) {
		.pid = nla_get_u32(a[VUM_SERVER_PID]),
		.uid = nla_get_u32(a[VUM_SERVER_UID]),
		.gid = nla_get_u32(a[VUM_SERVER_GID]),
		.exe = nla_get_string(a[VUM_SERVER_EXE]),
		.license = nla_get_string(a[VUM_SERVER_LICENSE]),
		.gpl = a[VUM_SERVER_GPL],
		.from = nla_get_u64(a[VUM_SERVER_FROM]),
		.until = nla_get_u64(a[VUM_SERVER_UNTIL]),
		.times = nla_get_u32(a[VUM_SERVER_TIMES]),
		.why = nla_get_string(a[VUM_SERVER_WHY]),
	};
	return true;
}

static int on_servers(struct nl_msg *msg, void *arg)
{
	const struct servers_question *sq = arg;
	struct vum_past_server server;
	struct nlattr *servers, *nest;
	int left;

	if (!vum_nl_from_kernel(msg))
		return NL_OK;
	servers = nlmsg_find_attr(nlmsg_hdr(msg), GENL_HDRLEN, VUM_ATTR_SERVERS);
	if (!servers)
		return NL_OK;
	nla_for_each_nested(nest, servers, left)
		if (nla_type(nest) == VUM_SERVER && parse_server(nest, &server))
			sq->fn(&server, sq->arg);
	return NL_OK;
}

int vum_nl_servers(struct vum_nl *nl, const char *uuid, vum_server_fn fn, void *arg)
{
	const struct servers_question sq = {
		.q = { VUM_CMD_GET_SERVERS, uuid, on_servers },
		.fn = fn,
		.arg = arg,
	};

	return vum_nl_ask(nl, &sq.q);
}
