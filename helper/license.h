/* SPDX-License-Identifier: GPL-2.0 */
/* What a licence means that a server declares. */
#ifndef HELPER_LICENSE_H
#define HELPER_LICENSE_H

/**
 * enum license - what a text says of a licence
 * @LICENSE_UNREADABLE: nothing: it is no SPDX license expression
 * @LICENSE_OTHER: one that is not compatible with GPL-2.0, or not known to be
 * @LICENSE_GPL: one that is compatible with GPL-2.0
 */
enum license {
	LICENSE_UNREADABLE,
	LICENSE_OTHER,
	LICENSE_GPL,
};

/* @text is shorter than VUM_MAX_TEXT. */
enum license license_read(const char *text);

#endif /* HELPER_LICENSE_H */
