// SPDX-License-Identifier: GPL-2.0
/* Log messages about a device. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		hash = (hash ^ (uint8_t)*text) * 16777619U;
	return hash;
}

/* The entry of a message. If all are taken, another's that was begun first. */
static struct said *find_said(struct device *d, const char *fmt)
{
	struct said *oldest = d->said;

	for (struct said *s = d->said; s < d->said + NR_SAID; s++) {
		if (s->fmt == fmt)
			return s;
		/* One that is free has begun at 0. */
		if (s->since < oldest->since)
			oldest = s;
	}
	free(oldest->held_text);
	*oldest = (struct said) { .fmt = fmt, .since = now_ms() };
	return oldest;
}

static void hold_back(struct device *d, struct said *s, enum log_level level, const char *text)
{
	free(s->held_text);
	s->held_text = strdup(text);
	s->level = level;
	s->held++;
	if (!d->held_timer.armed)
		timer_start(&d->held_timer, MINUTE_MS);
}

void device_say(struct device *d, enum log_level level, const char *fmt, ...)
{
	uint64_t now = now_ms();
	struct said *s = find_said(d, fmt);
	char text[1024];
	uint32_t hash;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hash = hash_of(text);
	if (s->lines && !s->stale && s->hash == hash) {
		log_msg(LOG_LEVEL_DEBUG, "%s: %s", d->uuid, text);
		return;
	}
	s->hash = hash;
	s->stale = false;
	if (now - s->since >= MINUTE_MS && !s->held) {
		s->since = now;
		s->lines = 0;
	}
	if (s->held || s->lines == BURST) {
		hold_back(d, s, level, text);
		log_msg(LOG_LEVEL_DEBUG, "%s: %s", d->uuid, text);
		return;
	}
	s->lines++;
	log_msg(level, "%s: %s", d->uuid, text);
}

void device_say_held(struct device *d)
{
	bool held = false;

	for (struct said *s = d->said; s < d->said + NR_SAID; s++) {
		if (!s->held)
			continue;
		log_msg(s->level, "%s: %s (%u times in the last minute)", d->uuid,
			s->held_text ? s->held_text : s->fmt, s->held);
		held = true;
		/* One line a minute, from now on, as long as it goes on. */
		s->held = 0;
		s->since = now_ms();
		s->lines = BURST;
	}
	if (held)
		timer_start(&d->held_timer, MINUTE_MS);
}

void device_unsay(struct device *d)
{
	for (struct said *s = d->said; s < d->said + NR_SAID; s++)
		s->stale = true;
}

void device_log_close(struct device *d)
{
	timer_stop(&d->held_timer);
	for (struct said *s = d->said; s < d->said + NR_SAID; s++) {
		free(s->held_text);
		s->held_text = NULL;
	}
}
