// SPDX-License-Identifier: GPL-2.0
/* Log messages about a device. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "device-private.h"

/* How often device_say() logs a message that comes and goes, before it does so by minutes. */
#define BURST 3
#define MINUTE_MS 60000

void device_log(struct device *d, enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_msg(level, "%s: %s", d->uuid, text);
}

static uint32_t hash_of(const char *text)
{
	uint32_t hash = 2166136261U;	/* FNV-1a */

	for (; *text; text++)
		if (!isdigit((unsigned char)*text))
			hash = (hash ^ (uint8_t)*text) * 16777619U;
	return hash;
}

/* The entry of a message, which may be a new one. */
static struct said *find_said(struct device *d, uint32_t hash)
{
	unsigned int known = d->nr_said < NR_SAID ? d->nr_said : NR_SAID;
	struct said *s;

	for (s = d->said; s < d->said + known; s++)
		if (s->hash == hash)
			return s;
	s = &d->said[d->nr_said++ % NR_SAID];
	*s = (struct said) { .hash = hash, .since = now_ms(), .stale = true };
	return s;
}

/* Is the message to be logged now? Sets *@held to how often it was not since it last was. */
static bool is_news(struct said *s, unsigned int *held)
{
	uint64_t now = now_ms();

	*held = 0;
	if (!s->stale)
		return false;
	if (s->lines == BURST && now - s->since < MINUTE_MS) {
		s->held++;
		return false;
	}
	if (now - s->since >= MINUTE_MS) {
		/* Where some were held back, one line is enough for the next minute. */
		s->lines = s->held ? BURST - 1 : 0;
		s->since = now;
	}
	*held = s->held;
	s->held = 0;
	s->lines++;
	s->stale = false;
	return true;
}

void device_say(struct device *d, enum log_level level, const char *fmt, ...)
{
	unsigned int held;
	char text[1024];
	va_list ap;
	bool news;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	news = is_news(find_said(d, hash_of(text)), &held);
	if (held)
		log_msg(level, "%s: %s (and %u times more in the last minute)", d->uuid, text,
			held);
	else
		log_msg(news ? level : LOG_LEVEL_DEBUG, "%s: %s", d->uuid, text);
}

void device_unsay(struct device *d)
{
	for (unsigned int i = 0; i < NR_SAID; i++)
		d->said[i].stale = true;
}
