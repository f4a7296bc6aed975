// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdevctl: show people and programs what the module tells of its mdevs, and hand
 * an mdev that is in use to another server.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "ctl.h"

enum {
	OPT_VERSION = 256,
	OPT_JSON,
	OPT_WATCH,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "watch", optional_argument, NULL, OPT_WATCH },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: vfio-user-mdevctl [OPTION]... VERB\n"
	"Shows the mdevs of the module vfio_user_mdev and what happens to them, and has another\n"
	"server take one over.\n"
	"\n"
	"  list          all mdevs, one a line\n"
	"  show UUID     all that is known of one\n"
	"  stats [UUID]  counters, and how long replies take\n"
	"  monitor       events as they happen, until interrupted\n"
	"  handover UUID SOCKET\n"
	"                go on with the server that listens on SOCKET, and has nothing\n"
	"                to do as yet; if it cannot, all stays as it is\n"
	"\n"
	"      --json    JSON: an array, an object, an object a line\n"
	"      --watch[=SECONDS]\n"
	"                stats: print what is new, every second if it does not say,\n"
	"                until interrupted\n"
	"  -h, --help    show this and exit\n"
	"      --version show the version and exit\n"
	"\n"
	"See vfio-user-mdevctl(8), vfio-user-mdevd(8).\n";

static const struct verb {
	const char *name;
	int min_words;
	int max_words;
	const char *takes;
	bool watches;
	int (*run)(struct vum_nl *nl, const struct ctl_args *args);
} verbs[] = {
	{ "list", 0, 0, "no arguments", false, ctl_list },
	{ "show", 1, 1, "one UUID", false, ctl_show },
	{ "stats", 0, 1, "one UUID or none", true, ctl_stats },
	{ "monitor", 0, 0, "no arguments", false, ctl_monitor },
	{ "handover", 2, 2, "a UUID and a socket's path", false, ctl_handover },
};

int ctl_fail(const char *what, int err)
{
	fprintf(stderr, "vfio-user-mdevctl: %s: %s\n", what, vum_nl_strerror(err));
	return EXIT_FAILURE;
}

bool ctl_check_version(const struct vum_info *info)
{
	if (info->api_version == VUM_API_VERSION)
		return true;
	fprintf(stderr, "vfio-user-mdevctl: the module vfio_user_mdev speaks interface version "
		"%u, this tool %u: install the two from the same release\n", info->api_version,
		VUM_API_VERSION);
	return false;
}

int ctl_open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const char *ctl_state(const struct vum_info *info)
{
	const char *name = vum_state_name(info->state);

	return name ? name : "unknown";
}

static int usage(const char *what)
{
	fprintf(stderr, "vfio-user-mdevctl: %s\nTry \"vfio-user-mdevctl --help\".\n", what);
	return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, const struct ctl_args *args)
{
	struct vum_nl nl = { 0 };
	int err, code;

	err = vum_nl_open(&nl);
	if (!err)
		err = vum_nl_resolve(&nl);
	code = err ? ctl_fail(verb->name, err) : verb->run(&nl, args);
	vum_nl_close(&nl);
	if (fflush(stdout) && !code)
		code = ctl_fail("stdout", -EIO);
	return code;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int check_and_run(struct ctl_args *args, int nr, char **words)
{
	const struct verb *verb;
	char what[128];

	if (!nr)
		return usage("a verb is missing: list, show, stats, monitor or handover");
	verb = find_verb(words[0]);
	if (!verb) {
		snprintf(what, sizeof(what), "%s: no such verb", words[0]);
		return usage(what);
	}
	if (nr - 1 < verb->min_words || nr - 1 > verb->max_words) {
		snprintf(what, sizeof(what), "%s takes %s", verb->name, verb->takes);
		return usage(what);
	}
	if (args->watch_ms && !verb->watches) {
		snprintf(what, sizeof(what), "%s takes no --watch", verb->name);
		return usage(what);
	}
	args->uuid = nr > 1 ? words[1] : NULL;
	args->socket = nr > 2 ? words[2] : NULL;
	return run_verb(verb, args);
}

/* Returns milliseconds, or 0 if @text is not a number of seconds in range. */
static unsigned int parse_watch(const char *text)
{
	char *end;
	double seconds;

	if (!text)
		return 1000;
	seconds = strtod(text, &end);
	/* Written this way, the test fails for NaN, too. */
	if (end == text || *end || !(seconds >= 0.1 && seconds <= 86400))
		return 0;
	return (unsigned int)(seconds * 1000 + 0.5);
}

int main(int argc, char **argv)
{
	struct ctl_args args = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		case OPT_VERSION:
			puts("vfio-user-mdevctl " VUM_RELEASE);
			return EXIT_SUCCESS;
		case OPT_JSON:
			args.json = true;
			break;
		case OPT_WATCH:
			args.watch_ms = parse_watch(optarg);
			if (!args.watch_ms)
				return usage("--watch takes seconds, 0.1 to 86400");
			break;
		default:
			fputs("Try \"vfio-user-mdevctl --help\".\n", stderr);
			return EXIT_USAGE;
		}
	}
	return check_and_run(&args, argc - optind, argv + optind);
}
