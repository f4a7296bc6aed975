// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdevctl: make, change and remove mdevs, show people and programs what the module
 * tells of them, and hand an mdev that is in use to another server.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "ctl.h"

/* Options that were given, of those that not every verb takes. */
#define GIVEN_JSON		(1U << 0)
#define GIVEN_PROMETHEUS	(1U << 1)
#define GIVEN_SOCKET		(1U << 2)
#define GIVEN_WATCH		(1U << 3)

static const char *const given_names[] = { "--json", "--prometheus", "--socket", "--watch" };

enum {
	OPT_VERSION = 256,
	OPT_JSON,
	OPT_PROMETHEUS,
	OPT_SOCKET,
	OPT_WATCH,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "prometheus", no_argument, NULL, OPT_PROMETHEUS },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "watch", optional_argument, NULL, OPT_WATCH },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: vfio-user-mdevctl [OPTION]... VERB\n"
	"Makes, changes and removes mdevs of the module vfio_user_mdev, shows them and what\n"
	"happens to them, and has another server take one over.\n"
	"\n"
	"  list          all mdevs, one a line\n"
	"  show UUID     all that is known of one\n"
	"  stats [UUID]  counters, and how long replies take\n"
	"  monitor       events as they happen, until interrupted\n"
	"  create [UUID] [NAME=VALUE]...\n"
	"                make an mdev, set attributes of it, and print its UUID, which is a new\n"
	"                one unless it is given\n"
	"  set UUID NAME=VALUE...\n"
	"                set attributes, as in sysfs below vfio_user/\n"
	"  remove UUID   remove an mdev; waits until its consumer has closed it\n"
	"  handover UUID SOCKET\n"
	"                go on with the server that listens on SOCKET, and has nothing\n"
	"                to do as yet; if it cannot, all stays as it is\n"
	"\n"
	"      --json    list, show, stats, monitor: JSON: an array, an object, an object a line\n"
	"      --prometheus\n"
	"                stats: print all mdevs' for node_exporter's textfile collector\n"
	"      --socket=PATH\n"
	"                create: where the server listens, as socket=PATH\n"
	"      --watch[=SECONDS]\n"
	"                stats: print what is new, every second if it does not say,\n"
	"                until interrupted\n"
	"  -h, --help    show this and exit\n"
	"      --version show the version and exit\n"
	"\n"
	"The exit code is 0; 1 if that failed; 2 if the command line makes no sense.\n"
	"See vfio-user-mdevctl(8), vfio-user-mdevd(8).\n";

/**
 * struct verb - a verb
 * @min_words: the least number of words behind it, but for settings
 * @max_words: the most
 * @min_settings: the least number of settings, NAME=VALUE
 * @max_settings: the most
 * @takes: what these are, for people
 * @options: the options that make sense with it
 */
static const struct verb {
	const char *name;
	int min_words;
	int max_words;
	int min_settings;
	int max_settings;
	const char *takes;
	unsigned int options;
	int (*run)(struct vum_nl *nl, const struct ctl_args *args);
} verbs[] = {
	{ "list", 0, 0, 0, 0, "no arguments", GIVEN_JSON, ctl_list },
	{ "show", 1, 1, 0, 0, "one UUID", GIVEN_JSON, ctl_show },
	{ "stats", 0, 1, 0, 0, "one UUID or none", GIVEN_JSON | GIVEN_WATCH | GIVEN_PROMETHEUS,
	  ctl_stats },
	{ "monitor", 0, 0, 0, 0, "no arguments", GIVEN_JSON, ctl_monitor },
	{ "create", 0, 1, 0, INT_MAX, "one UUID or none, and NAME=VALUE", GIVEN_SOCKET,
	  ctl_create },
	{ "set", 1, 1, 1, INT_MAX, "one UUID, and NAME=VALUE", 0, ctl_set },
	{ "remove", 1, 1, 0, 0, "one UUID", 0, ctl_remove },
	{ "handover", 2, 2, 0, 0, "a UUID and a socket's path", GIVEN_JSON, ctl_handover },
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

static int not_taken(const struct verb *verb, unsigned int given)
{
	char what[128];

	for (unsigned int i = 0; i < sizeof(given_names) / sizeof(given_names[0]); i++) {
		if (!(given & ~verb->options & (1U << i)))
			continue;
		snprintf(what, sizeof(what), "%s takes no %s", verb->name, given_names[i]);
		return usage(what);
	}
	return EXIT_SUCCESS;
}

/* Move settings, NAME=VALUE, behind the other words. Returns how many others there are. */
static int sort_words(int nr, char **words)
{
	int others = 0;

	for (int i = 0; i < nr; i++) {
		char *word = words[i];

		/* A path may have a '=' as well, but begins with '/'. */
		if (word[0] != '/' && strchr(word, '='))
			continue;
		memmove(&words[others + 1], &words[others], (size_t)(i - others) * sizeof(*words));
		words[others++] = word;
	}
	return others;
}

static int check_and_run(struct ctl_args *args, unsigned int given, int nr, char **words)
{
	const struct verb *verb;
	char what[128];
	int others, code;

	if (!nr)
		return usage("a verb is missing: list, show, stats, monitor, create, set, remove or "
			     "handover");
	verb = find_verb(words[0]);
	if (!verb) {
		snprintf(what, sizeof(what), "%s: no such verb", words[0]);
		return usage(what);
	}
	others = verb->max_settings ? sort_words(nr - 1, words + 1) : nr - 1;
	args->settings = words + 1 + others;
	args->nr_settings = nr - 1 - others;
	if (others < verb->min_words || others > verb->max_words ||
	    args->nr_settings < verb->min_settings) {
		snprintf(what, sizeof(what), "%s takes %s", verb->name, verb->takes);
		return usage(what);
	}
	code = not_taken(verb, given);
	if (code)
		return code;
	args->uuid = others > 0 ? words[1] : NULL;
	if (verb->run == ctl_handover)
		args->socket = words[2];
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

/* Returns -1, or the code to exit with. */
static int parse_one(struct ctl_args *args, unsigned int *given, int c)
{
	switch (c) {
	case 'h':
		fputs(help, stdout);
		return EXIT_SUCCESS;
	case OPT_VERSION:
		puts("vfio-user-mdevctl " VUM_RELEASE);
		return EXIT_SUCCESS;
	case OPT_JSON:
		*given |= GIVEN_JSON;
		args->json = true;
		return -1;
	case OPT_PROMETHEUS:
		*given |= GIVEN_PROMETHEUS;
		args->prometheus = true;
		return -1;
	case OPT_SOCKET:
		*given |= GIVEN_SOCKET;
		args->socket = optarg;
		return -1;
	case OPT_WATCH:
		*given |= GIVEN_WATCH;
		args->watch_ms = parse_watch(optarg);
		return args->watch_ms ? -1 : usage("--watch takes seconds, 0.1 to 86400");
	default:
		fputs("Try \"vfio-user-mdevctl --help\".\n", stderr);
		return EXIT_USAGE;
	}
}

int main(int argc, char **argv)
{
	struct ctl_args args = { 0 };
	unsigned int given = 0;
	int c, code;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		code = parse_one(&args, &given, c);
		if (code >= 0)
			return code;
	}
	return check_and_run(&args, given, argc - optind, argv + optind);
}
