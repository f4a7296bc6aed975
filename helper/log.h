/* SPDX-License-Identifier: GPL-2.0 */
/* Messages for the operator, one line each, to stderr. */
#ifndef HELPER_LOG_H
#define HELPER_LOG_H

#include <stdarg.h>
#include <stdbool.h>

/* The numbers are syslog's, which the journal expects. */
enum log_level {
	LOG_LEVEL_ERROR		= 3,
	LOG_LEVEL_WARNING	= 4,
	LOG_LEVEL_INFO		= 6,
	LOG_LEVEL_DEBUG		= 7,
};

/* Find out whether stderr is the journal. The level is info until changed. */
void log_init(void);

void log_set_level(enum log_level level);
void log_more(void);
void log_less(void);

/* Returns false if no level has that name. */
bool log_level_from_name(const char *name, enum log_level *level);

__attribute__((format(printf, 2, 3)))
void log_msg(enum log_level level, const char *fmt, ...);

__attribute__((format(printf, 2, 0)))
void log_vmsg(enum log_level level, const char *fmt, va_list ap);

#endif /* HELPER_LOG_H */
