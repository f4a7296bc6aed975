// SPDX-License-Identifier: GPL-2.0
/* Log messages about a device. */
#include <stdarg.h>
#include <stdio.h>

#include "device-private.h"

void device_log(struct device *d, enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(level, "%s: %s", d->uuid, text);
}

/* Returns false if @text is one of the last NR_SAID messages already. */
static bool remember(struct device *d, const char *text)
{
	uint32_t hash = 2166136261U;	/* FNV-1a */
	unsigned int known = d->nr_said < NR_SAID ? d->nr_said : NR_SAID;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619U;
	for (unsigned int i = 0; i < known; i++)
		if (d->said[i] == hash)
			return false;
	d->said[d->nr_said++ % NR_SAID] = hash;
	return true;
}

void device_say(struct device *d, enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(remember(d, text) ? level : LOG_LEVEL_DEBUG, "%s: %s", d->uuid, text);
}

void device_unsay(struct device *d)
{
	d->nr_said = 0;
}
