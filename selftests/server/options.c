// SPDX-License-Identifier: GPL-2.0
/* The command line that all test servers have in common. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

/* As libvfio-user has it, so that clients meet a number they will meet again. */
#define DEFAULT_MAX_MSG_FDS	8

enum {
	OPT_SOCKET = 's',
	OPT_VERBOSE = 'v',
	OPT_MAX_MSG_FDS = 0x1000,
	OPT_MAX_DATA_XFER_SIZE,
	OPT_MAJOR,
	OPT_MINOR,
	OPT_VERSION_JSON,
	OPT_LICENSE,
	OPT_PLEDGE,
	OPT_SINGLE_WRITES,
	OPT_VERSION_STALL,
	OPT_STALL,
	OPT_ONCE,
	OPT_DMA,
	OPT_FORK,
	OPT_SLOPPY,
	OPT_KEEP_STATE,
	OPT_STAY_STOPPED,
};

static const struct argp_option common_options[] = {
	{ "socket", OPT_SOCKET, "PATH", 0, "Listen on PATH (required)", 0 },
	{ "max-msg-fds", OPT_MAX_MSG_FDS, "N", 0,
	  "Announce max_msg_fds N (default 8)", 0 },
	{ "max-data-xfer-size", OPT_MAX_DATA_XFER_SIZE, "N", 0,
	  "Announce max_data_xfer_size N (default 1 MiB)", 0 },
	{ "major", OPT_MAJOR, "N", 0, "Answer VERSION with major N", 0 },
	{ "minor", OPT_MINOR, "N", 0, "Answer VERSION with minor N", 0 },
	{ "version-json", OPT_VERSION_JSON, "STRING", 0,
	  "Answer VERSION with this text as it is", 0 },
	{ "license", OPT_LICENSE, "SPDX", 0,
	  "Declare this licence (default GPL-2.0-only); \"\" for none", 0 },
	{ "pledge", OPT_PLEDGE, "TEXT", 0,
	  "Repeat TEXT, if that is what the client asks for", 0 },
	{ "single-writes", OPT_SINGLE_WRITES, NULL, 0,
	  "Do not take several writes in one message", 0 },
	{ "version-stall", OPT_VERSION_STALL, NULL, 0,
	  "Never answer VERSION", 0 },
	{ "stall", OPT_STALL, "CMD", 0,
	  "Never answer command number CMD (may be repeated)", 0 },
	{ "dma", OPT_DMA, "WAY", 0,
	  "Reach client memory by mmap (default), file, or message", 0 },
	{ "sloppy", OPT_SLOPPY, "CMD", 0,
	  "Refuse command number CMD without reading its payload", 0 },
	{ "keep-state", OPT_KEEP_STATE, NULL, 0,
	  "Neither a reset nor a new client makes a stopped device run", 0 },
	{ "stay-stopped", OPT_STAY_STOPPED, NULL, 0,
	  "A stopped device never runs again, whatever it is told", 0 },
	{ "fork", OPT_FORK, "WHEN", 0,
	  "Go on in a child after the first \"listen\" or \"version\"", 0 },
	{ "once", OPT_ONCE, NULL, 0, "Exit when the first client leaves", 0 },
	{ "verbose", OPT_VERBOSE, NULL, 0, "Trace every message", 0 },
	{ 0 },
};

/**
 * vus_option_number() - a number on the command line
 * @state: of the parser; does not return if it is none
 * @arg: as it stands there
 * @min: the least that it may be
 * @max: the most
 *
 * Return: the number.
 */
unsigned long vus_option_number(struct argp_state *state, const char *arg,
				unsigned long min, unsigned long max)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 0);
	if (errno || end == arg || *end || *arg == '-' || n < min || n > max)
		argp_error(state, "%s: not a number from %lu to %lu", arg, min,
			   max);
	return n;
}

static enum vus_dma_way dma_way(struct argp_state *state, const char *arg)
{
	static const char * const names[] = {
		[VUS_DMA_MMAP] = "mmap",
		[VUS_DMA_FILE] = "file",
		[VUS_DMA_MESSAGE] = "message",
	};
	enum vus_dma_way way;

	for (way = VUS_DMA_MMAP; way <= VUS_DMA_MESSAGE; way++) {
		if (strcmp(arg, names[way]) == 0)
			return way;
	}
	argp_error(state, "%s: not mmap, file, or message", arg);
	return VUS_DMA_MMAP;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct vus_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		*opt = (struct vus_options){
			.max_msg_fds = DEFAULT_MAX_MSG_FDS,
			.max_data_xfer_size =
				VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE,
			.major = -1,
			.minor = -1,
			.license = "GPL-2.0-only",
		};
		break;
	case OPT_SOCKET:
		opt->socket = arg;
		break;
	case OPT_MAX_MSG_FDS:
		opt->max_msg_fds = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_MAX_DATA_XFER_SIZE:
		opt->max_data_xfer_size = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_MAJOR:
		opt->major = (int)vus_option_number(state, arg, 0, UINT16_MAX);
		break;
	case OPT_MINOR:
		opt->minor = (int)vus_option_number(state, arg, 0, UINT16_MAX);
		break;
	case OPT_VERSION_JSON:
		opt->version_json = arg;
		break;
	case OPT_LICENSE:
		opt->license = arg;
		break;
	case OPT_PLEDGE:
		opt->pledge = arg;
		break;
	case OPT_SINGLE_WRITES:
		opt->single_writes = true;
		break;
	case OPT_VERSION_STALL:
		opt->stall |= 1U << VFIO_USER_VERSION;
		break;
	case OPT_STALL:
		opt->stall |= 1U << vus_option_number(state, arg, 0, 31);
		break;
	case OPT_DMA:
		opt->dma = dma_way(state, arg);
		break;
	case OPT_SLOPPY:
		opt->sloppy |= 1U << vus_option_number(state, arg, 0, 31);
		break;
	case OPT_KEEP_STATE:
		opt->keep_state = true;
		break;
	case OPT_STAY_STOPPED:
		opt->stay_stopped = true;
		break;
	case OPT_FORK:
		if (strcmp(arg, "listen") != 0 && strcmp(arg, "version") != 0)
			argp_error(state, "%s: not listen or version", arg);
		opt->fork = *arg == 'l' ? VUS_FORK_LISTEN : VUS_FORK_VERSION;
		break;
	case OPT_ONCE:
		opt->once = true;
		break;
	case OPT_VERBOSE:
		opt->verbose = true;
		break;
	case ARGP_KEY_END:
		if (!opt->socket)
			argp_error(state, "--socket PATH is required");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/**
 * vus_parse() - parse a server's command line
 * @options: its device's own; all servers have the rest in common
 * @parser: for these; sets its first child's input to struct vus_options
 * @doc: what the server is
 * @opt: @parser's input
 * @argc: from main()
 * @argv: from main()
 *
 * Return: 0, or an errno. Exits if the line makes no sense.
 */
int vus_parse(const struct argp_option *options, argp_parser_t parser,
	      const char *doc, void *opt, int argc, char **argv)
{
	static const struct argp common = {
		.options = common_options,
		.parser = parse,
	};
	const struct argp_child children[] = {
		{ .argp = &common, .header = "Options of every test server:" },
		{ 0 },
	};
	const struct argp argp = {
		.options = options,
		.parser = parser,
		.doc = doc,
		.children = children,
	};

	return argp_parse(&argp, argc, argv, 0, NULL, opt);
}
