// SPDX-License-Identifier: GPL-2.0
/* vfio-user-mdevctl: shows people and programs what the kernel module tells. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "version-string.h"

enum {
	OPT_VERSION = 256,
	OPT_JSON,
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "json", no_argument, NULL, OPT_JSON },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: vfio-user-mdevctl [OPTION]... VERB\n"
	"Shows the mdevs of the module vfio_user_mdev and what happens to them.\n"
	"\n"
	"  list          all mdevs, one a line\n"
	"  show UUID     all that is known of one\n"
	"  monitor       events as they happen, until interrupted\n"
	"\n"
	"      --json    JSON: an array, an object, an object a line\n"
	"  -h, --help    show this and exit\n"
	"      --version show the version and exit\n"
	"\n"
	"See vfio-user-mdevctl(8), vfio-user-mdevd(8).\n";

static const struct verb {
	const char *name;
	const char *arg;
	int (*run)(struct vum_nl *nl, bool json, const char *arg);
} verbs[] = {
	{ "list", NULL, ctl_list },
	{ "show", "UUID", ctl_show },
	{ "monitor", NULL, ctl_monitor },
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

static int run_verb(const struct verb *verb, bool json, const char *arg)
{
	struct vum_nl nl = { 0 };
	int err, code;

	err = vum_nl_open(&nl);
	if (!err)
		err = vum_nl_resolve(&nl);
	code = err ? ctl_fail(verb->name, err) : verb->run(&nl, json, arg);
	vum_nl_close(&nl);
	if (fflush(stdout) && !code)
		code = ctl_fail("stdout", -EIO);
	return code;
}

static int find_verb(bool json, int nr, char **words)
{
	const struct verb *verb = NULL;
	char what[128];

	if (!nr)
		return usage("a verb is missing: list, show or monitor");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, words[0]))
			verb = &verbs[i];
	if (!verb) {
		snprintf(what, sizeof(what), "%s: no such verb", words[0]);
		return usage(what);
	}
	if (nr != (verb->arg ? 2 : 1)) {
		snprintf(what, sizeof(what), "%s takes %s", verb->name,
			 verb->arg ? "one UUID" : "no arguments");
		return usage(what);
	}
	return run_verb(verb, json, verb->arg ? words[1] : NULL);
}

int main(int argc, char **argv)
{
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		case OPT_VERSION:
			puts("vfio-user-mdevctl " VUM_VERSION);
			return EXIT_SUCCESS;
		case OPT_JSON:
			json = true;
			break;
		default:
			fputs("Try \"vfio-user-mdevctl --help\".\n", stderr);
			return EXIT_USAGE;
		}
	}
	return find_verb(json, argc - optind, argv + optind);
}
