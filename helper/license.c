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
 * Licences under which code can become part of a work under GPL-2.0-only: a selection, so
 * that one which is missing counts as not known to be. The first source is the kernel's
 * own LICENSES/preferred and LICENSES/deprecated; the second the Free Software Foundation's
 * list "Various Licenses and Comments about Them"
 * (https://www.gnu.org/licenses/license-list.html), of which those are left out that it calls
 * compatible with version 3 of the GPL alone, such as Apache-2.0 and LGPL-3.0.
 */
static const char *const compatible[] = {
	/* the kernel */
	"0BSD", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "CC0-1.0", "GPL-1.0+",
	"GPL-1.0-or-later", "GPL-2.0", "GPL-2.0+", "GPL-2.0-only", "GPL-2.0-or-later", "ISC",
	"LGPL-2.0", "LGPL-2.0+", "LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1", "LGPL-2.1+",
	"LGPL-2.1-only", "LGPL-2.1-or-later", "Linux-OpenIB", "MIT", "X11", "Zlib",
	/* the Free Software Foundation */
	"Artistic-2.0", "BSL-1.0", "CECILL-2.0", "EFL-2.0", "FSFAP", "HPND", "IJG", "Imlib2",
	"Intel", "MPL-2.0", "NCSA", "OLDAP-2.7", "Python-2.0", "Ruby", "SGI-B-2.0", "SMLNJ",
	"Sleepycat", "UPL-1.0", "Unlicense", "Vim", "W3C", "WTFPL", "ZPL-2.0", "ZPL-2.1",
};

/* Exceptions that only permit more: those in the kernel's LICENSES, and compilers'. */
static const char *const exceptions[] = {
	"Classpath-exception-2.0", "GCC-exception-2.0", "GCC-exception-3.1", "LLVM-exception",
	"Linux-syscall-note",
};

/* What SPDX has for "no licence" and "nothing is said". */
static const char *const nothing[] = { "NOASSERTION", "NONE" };

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

static bool is_among(const char *id, size_t len, const char *const *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strlen(list[i]) == len && !strncasecmp(list[i], id, len))
			return true;
	return false;
}

#define IS_AMONG(id, len, list) is_among(id, len, list, sizeof(list) / sizeof((list)[0]))

/* A colon stands only between a document and a licence in there. */
static bool is_reference(const char *at, size_t len)
{
	static const char document[] = "DocumentRef-", licence[] = "LicenseRef-";
	const char *colon = memchr(at, ':', len);
	size_t left = colon ? len - (size_t)(colon + 1 - at) : 0;

	return !colon || (!strncmp(at, document, sizeof(document) - 1) &&
			  left >= sizeof(licence) &&
			  !strncmp(colon + 1, licence, sizeof(licence) - 1) &&
			  !memchr(colon + 1, ':', left));
}

static bool is_identifier(const char *at, size_t len)
{
	return len && isalnum((unsigned char)at[0]) && !is_operator(at, len) &&
	       !IS_AMONG(at, len, nothing) && is_reference(at, len);
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

/* A licence, perhaps with '+' for later versions, and perhaps with an exception. */
static bool read_licence(struct reader *r)
{
	size_t len = read_identifier(r), with;
	const char *id = r->at - len;
	bool good = IS_AMONG(id, len, compatible);

	if (*r->at == '+') {
		good |= IS_AMONG(id, len + 1, compatible);
		r->at++;
		r->failed |= *r->at && !strchr(" )", *r->at);
	}
	if (r->failed || !read_operator(r, "WITH"))
		return good;
	with = read_identifier(r);
	return good && IS_AMONG(r->at - with, with, exceptions);
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
