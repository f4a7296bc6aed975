/* SPDX-License-Identifier: GPL-2.0 */
/* The helper's command line. */
#ifndef HELPER_OPTIONS_H
#define HELPER_OPTIONS_H

#include <stdbool.h>

/**
 * struct options - what the operator wants
 * @wait: wait for the module to be loaded, instead of failing without it
 * @poll_us: how long at most to poll for events before sleeping, in us; 0: not at all
 * @only: uuids of the mdevs to serve
 * @nr_only: number of these; 0 if all mdevs are to be served
 * @pledge: the text that servers have to repeat, or NULL
 */
struct options {
	bool wait;
	unsigned int poll_us;
	char **only;
	unsigned int nr_only;
	char *pledge;
};

/* Parse options and set the log level. Returns -1, or the code to exit with. */
int options_parse(struct options *o, int argc, char **argv);

/* Returns true if the mdev is to be served. */
bool options_want(const struct options *o, const char *uuid);

void options_free(struct options *o);

#endif /* HELPER_OPTIONS_H */
