// SPDX-License-Identifier: GPL-2.0
/* The disk's command line. */
#include <string.h>

#include "virtio_blk.h"

enum {
	OPT_QUEUES = 0x2000,
	OPT_POLL,
	OPT_READ_ONLY,
	OPT_STATS,
	OPT_DIRECT,
	OPT_PROBE,
	OPT_ALSO,
};

static const struct argp_option options[] = {
	{ "file", 'f', "PATH", 0,
	  "What is on the disk (required); an incomplete sector is left out",
	  0 },
	{ "also", OPT_ALSO, "SOCKET=PATH", 0,
	  "Serve PATH on SOCKET as well, by the same thread and with the same options (may be repeated)",
	  0 },
	{ "queues", OPT_QUEUES, "N", 0, "Number of queues, 1 to 64 (default 2)",
	  0 },
	{ "poll", OPT_POLL, NULL, 0,
	  "Look for requests all the time, instead of waiting to be notified",
	  0 },
	{ "read-only", OPT_READ_ONLY, NULL, 0, "The disk cannot be written",
	  0 },
	{ "direct", OPT_DIRECT, NULL, 0,
	  "Move data between the file's disk and guest memory by O_DIRECT; where that does not work, copy",
	  0 },
	{ "odirect-probe", OPT_PROBE, NULL, 0,
	  "Say of all announced memory whether O_DIRECT works with it", 0 },
	{ "stats", OPT_STATS, NULL, 0, "Say at the end what was done", 0 },
	{ 0 },
};

/* The last "=" is the one, for a socket's name may have one, too. */
static void add_disk(struct blk_options *opt, struct argp_state *state, char *arg)
{
	char *equals = strrchr(arg, '=');

	if (!equals || equals == arg || !equals[1]) {
		argp_error(state, "--also %s: not SOCKET=PATH", arg);
		return;
	}
	if (opt->nr_also == BLK_MAX_DISKS - 1)
		argp_error(state, "more than %u disks", BLK_MAX_DISKS);
	*equals = '\0';
	opt->also[opt->nr_also++] = (struct blk_disk){ .socket = arg, .file = equals + 1 };
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct blk_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		opt->nr_queues = 2;
		state->child_inputs[0] = &opt->common;
		break;
	case 'f':
		opt->file = arg;
		break;
	case OPT_ALSO:
		add_disk(opt, state, arg);
		break;
	case OPT_QUEUES:
		opt->nr_queues = (__u32)vus_option_number(state, arg, 1,
							  BLK_MAX_QUEUES);
		break;
	case OPT_POLL:
		opt->poll = true;
		break;
	case OPT_READ_ONLY:
		opt->read_only = true;
		break;
	case OPT_DIRECT:
		opt->direct = true;
		break;
	case OPT_PROBE:
		opt->probe = true;
		break;
	case OPT_STATS:
		opt->stats = true;
		break;
	case ARGP_KEY_END:
		if (!opt->file)
			argp_error(state, "--file PATH is required");
		if (opt->nr_also && opt->common.fork != VUS_FORK_NEVER)
			argp_error(state, "--also does not go with --fork");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/**
 * blk_parse() - parse the command line
 * @opt: where to
 * @argc: from main()
 * @argv: from main()
 *
 * Return: 0, or an errno. Exits if the line makes no sense.
 */
int blk_parse(struct blk_options *opt, int argc, char **argv)
{
	return vus_parse(options, parse,
			 "A virtio block device on PCI, served over vfio-user.\v"
			 "On SIGUSR1 it says what has been done so far.",
			 opt, argc, argv);
}
