// SPDX-License-Identifier: GPL-2.0
/*
 * SPDX license expressions, as the SPDX specification 2.3 has them in its annex D: read one,
 * and find out whether what it permits is compatible with GPL-2.0, under which the kernel
 * and the module are.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "license.h"

/*
 * Licences under which code can become part of a work under GPL-2.0-only. The source is the
 * Free Software Foundation's list "Various Licenses and Comments about Them"
 * (https://www.gnu.org/licenses/license-list.html), of November 2026: those it calls
 * compatible with the GNU GPL, without those it calls so for version 3 alone (Apache-2.0,
 * LGPL-3.0 and others). The kernel's LICENSES/preferred and LICENSES/deprecated agree.
 */
static const char *const compatible[] = {
	"0BSD", "Artistic-2.0", "BSD-2-Clause", "BSD-2-Clause-Patent", "BSD-3-Clause",
	"BSD-3-Clause-Clear", "BSL-1.0", "CC0-1.0", "GPL-1.0-or-later", "GPL-2.0",
	"GPL-2.0-only", "GPL-2.0-or-later", "ISC", "LGPL-2.0", "LGPL-2.0-only",
	"LGPL-2.0-or-later", "LGPL-2.1", "LGPL-2.1-only", "LGPL-2.1-or-later", "MIT",
	"MIT-0", "MPL-2.0", "NCSA", "Unlicense", "UPL-1.0", "X11", "Zlib",
};

/* What is left of the text, and what the part of it that has been read permits. */
struct reader {
	const char *at;
	bool failed;
};

static bool read_any(struct reader *r);

static void skip_spaces(struct reader *r)
{
	r->at += strspn(r->at, " ");
}

/* The length of the word that comes next: of an identifier, an operator, or a reference. */
static size_t word_length(const char *at)
{
	size_t len = 0;

	while (isalnum((unsigned char)at[len]) || (at[len] && strchr("-.:", at[len])))
		len++;
	return len;
}

static bool is_word(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !strncmp(at, word, len);
}

static bool is_operator(const char *at, size_t len)
{
	return is_word(at, len, "AND") || is_word(at, len, "OR") || is_word(at, len, "WITH");
}

/* Go past an operator, if it comes next. */
static bool read_operator(struct reader *r, const char *op)
{
	skip_spaces(r);
	if (!is_word(r->at, word_length(r->at), op))
		return false;
	r->at += strlen(op);
	return true;
}

static bool is_compatible(const char *id, size_t len)
{
	for (size_t i = 0; i < sizeof(compatible) / sizeof(compatible[0]); i++)
		if (strlen(compatible[i]) == len && !strncasecmp(compatible[i], id, len))
			return true;
	return false;
}

/* Only a reference into another document has a colon. */
static bool is_identifier(const char *at, size_t len)
{
	static const char other[] = "DocumentRef-";

	return len && !is_operator(at, len) &&
	       (!memchr(at, ':', len) || !strncmp(at, other, sizeof(other) - 1));
}

/* Go past an identifier and return its length; or 0 if there is none. */
static size_t read_identifier(struct reader *r)
{
	size_t len;

	skip_spaces(r);
	len = word_length(r->at);
	if (!is_identifier(r->at, len)) {
		r->failed = true;
		return 0;
	}
	r->at += len;
	return len;
}

/*
 * A licence, perhaps with '+' for later versions, which takes nothing away; and perhaps
 * with an exception, which the specification has as more permission: it takes nothing
 * away either.
 */
static bool read_licence(struct reader *r)
{
	size_t len = read_identifier(r);
	bool good = is_compatible(r->at - len, len);

	if (*r->at == '+')
		r->at++;
	if (!r->failed && read_operator(r, "WITH"))
		read_identifier(r);
	return good;
}

static bool read_operand(struct reader *r)
{
	bool good;

	skip_spaces(r);
	if (*r->at != '(')
		return read_licence(r);
	r->at++;
	good = read_any(r);
	skip_spaces(r);
	if (*r->at == ')')
		r->at++;
	else
		r->failed = true;
	return good;
}

/* All the licences hold together. */
static bool read_all(struct reader *r)
{
	bool good = read_operand(r);

	while (!r->failed && read_operator(r, "AND"))
		good &= read_operand(r);
	return good;
}

/* The reader of the program may choose one. */
static bool read_any(struct reader *r)
{
	bool good = read_all(r);

	while (!r->failed && read_operator(r, "OR"))
		good |= read_all(r);
	return good;
}

enum license license_read(const char *text)
{
	struct reader r = { .at = text };
	bool good = read_any(&r);

	skip_spaces(&r);
	if (r.failed || *r.at)
		return LICENSE_UNREADABLE;
	return good ? LICENSE_GPL : LICENSE_OTHER;
}
