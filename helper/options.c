// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "uuid.h"
#include "version.h"

#define EXIT_USAGE 2

/* An idle CPU of a virtual machine may take 100 us to wake up, twice an access. */
#define DEFAULT_POLL_US 500
#define MAX_POLL_US 1000000

enum {
	OPT_VERSION = 256,
	OPT_LOG_LEVEL,
	OPT_ONLY,
	OPT_PLEDGE,
	OPT_POLL_US,
	OPT_WAIT,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "pledge", required_argument, NULL, OPT_PLEDGE },
	{ "poll-us", required_argument, NULL, OPT_POLL_US },
	{ "wait", no_argument, NULL, OPT_WAIT },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: vfio-user-mdevd [OPTION]...\n"
	"Connects the mdevs of the module vfio_user_mdev to their vfio-user servers.\n"
	"\n"
	"Runs in the foreground and serves every mdev that exists or appears.\n"
	"\n"
	"      --only=UUID        serve only this mdev; may be given several times\n"
	"      --pledge=FILE      attach only servers that repeat the text in FILE, up to 2048\n"
	"                         bytes, when they are asked for it in VERSION\n"
	"      --poll-us=N        look for the next message for up to N microseconds before\n"
	"                         sleeping, less where it does not pay; 0: sleep at once;\n"
	"                         by default 500\n"
	"      --wait             wait for the module to be loaded\n"
	"  -v, --verbose          say more; may be repeated\n"
	"  -q, --quiet            say less; may be repeated\n"
	"      --log-level=LEVEL  error, warning, info (the default) or debug\n"
	"  -h, --help             show this and exit\n"
	"      --version          show the version and exit\n"
	"\n"
	"See vfio-user-mdevd(8), vfio-user-mdevctl(8).\n";

static int add_only(struct options *o, char *uuid)
{
	char **only;

	if (!is_uuid(uuid)) {
		fprintf(stderr, "vfio-user-mdevd: --only=%s: not a uuid, such as "
			"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\n", uuid);
		return EXIT_USAGE;
	}
	only = reallocarray(o->only, o->nr_only + 1, sizeof(*only));
	if (!only) {
		fprintf(stderr, "vfio-user-mdevd: out of memory\n");
		return EXIT_FAILURE;
	}
	only[o->nr_only++] = uuid;
	o->only = only;
	return -1;
}

static int set_poll_us(struct options *o, const char *arg)
{
	unsigned long us;
	char *end;

	errno = 0;
	us = strtoul(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || us > MAX_POLL_US) {
		fprintf(stderr, "vfio-user-mdevd: --poll-us=%s: must be a number of microseconds, "
			"from 0 to %u\n", arg, MAX_POLL_US);
		return EXIT_USAGE;
	}
	o->poll_us = us;
	return -1;
}

/* What comes next of a file, up to @size bytes; or -1, with errno set. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, sum = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf + sum, size - (size_t)sum)) > 0)
		sum += n;
	close(fd);
	return n < 0 ? n : sum;
}

/* The text of a file, without the end of its last line. */
static int set_pledge(struct options *o, const char *path)
{
	char text[VERSION_PLEDGE_MAX + 2];
	ssize_t n = read_file(path, text, sizeof(text));

	if (n < 0) {
		fprintf(stderr, "vfio-user-mdevd: --pledge=%s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	if (n && text[n - 1] == '\n')
		n--;
	if (!n || n > VERSION_PLEDGE_MAX || memchr(text, 0, (size_t)n)) {
		fprintf(stderr, "vfio-user-mdevd: --pledge=%s: must be a text of 1 to %u bytes\n",
			path, VERSION_PLEDGE_MAX);
		return EXIT_USAGE;
	}
	free(o->pledge);
	o->pledge = strndup(text, (size_t)n);
	return o->pledge ? -1 : EXIT_FAILURE;
}

static int set_level(const char *name)
{
	enum log_level level;

	if (!log_level_from_name(name, &level)) {
		fprintf(stderr, "vfio-user-mdevd: --log-level=%s: must be error, warning, info or "
			"debug\n", name);
		return EXIT_USAGE;
	}
	log_set_level(level);
	return -1;
}

static int parse_one(struct options *o, int c)
{
	switch (c) {
	case 'h':
		fputs(help, stdout);
		return EXIT_SUCCESS;
	case OPT_VERSION:
		puts("vfio-user-mdevd " VUM_RELEASE);
		return EXIT_SUCCESS;
	case 'v':
		log_more();
		return -1;
	case 'q':
		log_less();
		return -1;
	case OPT_LOG_LEVEL:
		return set_level(optarg);
	case OPT_ONLY:
		return add_only(o, optarg);
	case OPT_PLEDGE:
		return set_pledge(o, optarg);
	case OPT_POLL_US:
		return set_poll_us(o, optarg);
	case OPT_WAIT:
		o->wait = true;
		return -1;
	default:
		fputs("Try \"vfio-user-mdevd --help\".\n", stderr);
		return EXIT_USAGE;
	}
}

int options_parse(struct options *o, int argc, char **argv)
{
	int c, code;

	o->poll_us = DEFAULT_POLL_US;
	while ((c = getopt_long(argc, argv, "hvq", long_options, NULL)) != -1) {
		code = parse_one(o, c);
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		fprintf(stderr, "vfio-user-mdevd: %s: no arguments are taken; did you mean "
			"--only=%s?\n", argv[optind], argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

bool options_want(const struct options *o, const char *uuid)
{
	for (unsigned int i = 0; i < o->nr_only; i++)
		if (!strcasecmp(o->only[i], uuid))
			return true;
	return !o->nr_only;
}

void options_free(struct options *o)
{
	free((void *)o->only);
	free(o->pledge);
}
