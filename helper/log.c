// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "log.h"

static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_to_journal;

static const struct {
	const char *name;
	enum log_level level;
} log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

#define NR_LEVELS ((int)(sizeof(log_levels) / sizeof(log_levels[0])))

/* Children inherit JOURNAL_STREAM even if their stderr differs: compare the two. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char *end;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	dev = strtoull(stream, &end, 10);
	if (*end != ':')
		return false;
	ino = strtoull(end + 1, NULL, 10);
	return st.st_dev == dev && st.st_ino == ino;
}

void log_init(void)
{
	log_to_journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

static void log_step(int step)
{
	int i;

	for (i = 0; i < NR_LEVELS; i++)
		if (log_levels[i].level == log_level)
			break;
	i += step;
	if (i >= 0 && i < NR_LEVELS)
		log_level = log_levels[i].level;
}

void log_more(void)
{
	log_step(1);
}

void log_less(void)
{
	log_step(-1);
}

bool log_level_from_name(const char *name, enum log_level *level)
{
	for (int i = 0; i < NR_LEVELS; i++) {
		if (!strcmp(log_levels[i].name, name)) {
			*level = log_levels[i].level;
			return true;
		}
	}
	return false;
}

static const char *log_level_name(enum log_level level)
{
	for (int i = 0; i < NR_LEVELS; i++)
		if (log_levels[i].level == level)
			return log_levels[i].name;
	return "?";
}

/* Parts of a message may come from a server, which must not forge lines. */
static void mask_controls(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

void log_vmsg(enum log_level level, const char *fmt, va_list ap)
{
	char line[2048];
	int saved = errno;
	int len;

	if (level > log_level)
		return;

	if (log_to_journal)
		len = snprintf(line, sizeof(line), "<%d>", level);
	else
		len = snprintf(line, sizeof(line), "%s: %s: ", program_invocation_short_name,
			       log_level_name(level));
	errno = saved;
	if (vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, ap) < 0)
		return;
	mask_controls(line);
	len = (int)strlen(line);
	line[len] = '\n';
	/* One write() keeps the line whole. It may fail: stderr's reader may be gone. */
	if (write(STDERR_FILENO, line, (size_t)len + 1) < 0)
		errno = saved;
	errno = saved;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}
