// SPDX-License-Identifier: GPL-2.0
/* VUM_CMD_GET_STATS: ask for the figures of mdevs. */
#include <stdio.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "netlink-private.h"

/* Take the histogram of one command. One of an unknown shape is ignored. */
static void parse_latency(struct nlattr *nest, struct vum_figures *figures)
{
	struct nlattr *a[VUM_LATENCY_MAX + 1];
	uint32_t cmd;

	if (nla_parse_nested(a, VUM_LATENCY_MAX, nest, NULL) < 0 ||
	    !a[VUM_LATENCY_CMD] || nla_len(a[VUM_LATENCY_CMD]) < (int)sizeof(cmd) ||
	    !a[VUM_LATENCY_COUNTS] ||
	    nla_len(a[VUM_LATENCY_COUNTS]) < (int)sizeof(figures->latency[0]))
		return;
	cmd = nla_get_u32(a[VUM_LATENCY_CMD]);
	if (cmd < VUM_LATENCY_CMDS)
		nla_memcpy(figures->latency[cmd], a[VUM_LATENCY_COUNTS],
			   sizeof(figures->latency[cmd]));
}

static uint64_t number(struct nlattr *a)
{
	return nla_len(a) >= (int)sizeof(uint64_t) ? nla_get_u64(a) : 0;
}

static void parse_attr(struct nlattr *a, struct vum_figures *figures)
{
	switch (nla_type(a)) {
	case VUM_ATTR_UUID:
		snprintf(figures->uuid, sizeof(figures->uuid), "%.*s", nla_len(a),
			 (const char *)nla_data(a));
		break;
	case VUM_ATTR_REQUESTS:
		figures->requests = number(a);
		break;
	case VUM_ATTR_ABORTED:
		figures->aborted = number(a);
		break;
	case VUM_ATTR_ERRORS:
		figures->errors = number(a);
		break;
	case VUM_ATTR_ATTACHES:
		figures->attaches = number(a);
		break;
	case VUM_ATTR_DMA_EVICTED:
		figures->evicted = number(a);
		break;
	case VUM_ATTR_LATENCY:
		parse_latency(a, figures);
		break;
	default:
		break;
	}
}

struct figures_question {
	struct vum_question q;
	vum_figures_fn fn;
	void *arg;
};

/* Not by genlmsg_parse(), which would keep only the last VUM_ATTR_LATENCY. */
static int on_figures(struct nl_msg *msg, void *arg)
{
	const struct figures_question *fq = arg;
	struct vum_figures figures = { 0 };
	struct genlmsghdr *g;
	struct nlattr *a;
	int left;

	if (!vum_nl_from_kernel(msg))
		return NL_OK;
	g = genlmsg_hdr(nlmsg_hdr(msg));
	nla_for_each_attr(a, genlmsg_attrdata(g, 0), genlmsg_attrlen(g, 0), left)
		parse_attr(a, &figures);
	if (figures.uuid[0])
		fq->fn(&figures, fq->arg);
	return NL_OK;
}

int vum_nl_figures(struct vum_nl *nl, const char *uuid, vum_figures_fn fn, void *arg)
{
	const struct figures_question fq = {
		.q = { VUM_CMD_GET_STATS, uuid, on_figures },
		.fn = fn,
		.arg = arg,
	};

	return vum_nl_ask(nl, &fq.q);
}
