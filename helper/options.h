/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's command line. */
#ifndef HELPER_OPTIONS_H
#define HELPER_OPTIONS_H

#include <stdbool.h>

/**
 * struct options - what the operator wants
 * @wait: for the module, instead of failing without it
 * @poll_us: how long at most to look for events before sleeping; 0: not at all
 * @only: uuids to serve; all of them if @nr_only is 0
 * @nr_only: number of these
 */
struct options {
	bool wait;
	unsigned int poll_us;
	char **only;
	unsigned int nr_only;
};

/* Sets the log level. Returns -1, or the code to exit with at once. */
int options_parse(struct options *o, int argc, char **argv);

/* Is this mdev to be served? */
bool options_want(const struct options *o, const char *uuid);

void options_free(struct options *o);

#endif /* HELPER_OPTIONS_H */
