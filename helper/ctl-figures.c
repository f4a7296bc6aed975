// SPDX-License-Identifier: GPL-2.0
/* Print an mdev's figures for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command-name.h"
#include "ctl.h"

#define LAST_BUCKET	(VUM_LATENCY_BUCKETS - 1)
#define BAR_WIDTH	40

uint64_t ctl_below_ns(unsigned int bucket)
{
	return bucket < LAST_BUCKET ? 1ULL << (VUM_LATENCY_SHIFT + bucket) : 0;
}

uint64_t ctl_count(const struct vum_figures *figures, uint32_t cmd)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < VUM_LATENCY_BUCKETS; i++)
		count += figures->latency[cmd][i];
	return count;
}

const char *ctl_command(uint32_t cmd)
{
	static char number[16];
	const char *name = vum_command_name(cmd);

	if (name)
		return name;
	snprintf(number, sizeof(number), "%" PRIu32, cmd);
	return number;
}

/* Format a bound with three digits, rounded to the side where it still holds. */
static void format_ns(char *buf, size_t size, uint64_t ns, bool up)
{
	static const char * const units[] = { "ns", "us", "ms", "s" };
	unsigned int unit = 0;
	uint64_t scale = 1, step;
	int digits;

	while (unit < 3 && ns >= scale * 1000) {
		scale *= 1000;
		unit++;
	}
	digits = scale == 1 || ns >= scale * 100 ? 0 : ns >= scale * 10 ? 1 : 2;
	step = digits == 2 ? scale / 100 : digits == 1 ? scale / 10 : scale;
	ns = (ns + (up ? step - 1 : 0)) / step * step;
	snprintf(buf, size, "%.*f %s", digits, (double)ns / (double)scale, units[unit]);
}

struct bound {
	char text[32];
};

static struct bound bound(unsigned int bucket)
{
	struct bound b;
	char ns[24];

	if (bucket < LAST_BUCKET) {
		format_ns(ns, sizeof(ns), ctl_below_ns(bucket), true);
		snprintf(b.text, sizeof(b.text), "< %s", ns);
	} else {
		format_ns(ns, sizeof(ns), ctl_below_ns(LAST_BUCKET - 1), false);
		snprintf(b.text, sizeof(b.text), ">= %s", ns);
	}
	return b;
}

/*
 * Returns the bucket of the slowest reply, leaving out the slowest of all, one in
 * @one_in; 0 leaves out none. There has to be a reply.
 */
static unsigned int slowest(const uint64_t *counts, uint64_t one_in)
{
	unsigned int bucket = LAST_BUCKET;
	uint64_t left_out = 0, slower = 0;

	for (unsigned int i = 0; one_in && i < VUM_LATENCY_BUCKETS; i++)
		left_out += counts[i];
	left_out = one_in ? left_out / one_in : 0;
	while (bucket && slower + counts[bucket] <= left_out)
		slower += counts[bucket--];
	return bucket;
}

static unsigned int fastest(const uint64_t *counts)
{
	unsigned int bucket = 0;

	while (bucket < LAST_BUCKET && !counts[bucket])
		bucket++;
	return bucket;
}

static uint32_t busiest(const struct vum_figures *figures)
{
	uint32_t most = 0;

	for (uint32_t cmd = 0; cmd < VUM_LATENCY_CMDS; cmd++)
		if (ctl_count(figures, cmd) > ctl_count(figures, most))
			most = cmd;
	return most;
}

static void print_bounds(const uint64_t *counts)
{
	printf("  %10s  %10s  %10s\n", bound(slowest(counts, 2)).text,
	       bound(slowest(counts, 100)).text, bound(slowest(counts, 0)).text);
}

static void print_table(const struct vum_figures *figures)
{
	printf("\n%-24s  %12s  %10s  %10s  %10s\n", "COMMAND", "REPLIES", "P50", "P99", "MAX");
	for (uint32_t cmd = 0; cmd < VUM_LATENCY_CMDS; cmd++) {
		uint64_t count = ctl_count(figures, cmd);

		if (!count)
			continue;
		printf("%-24s  %12" PRIu64, ctl_command(cmd), count);
		print_bounds(figures->latency[cmd]);
	}
}

/* A bucket that is not empty has a bar, however few replies it has. */
static int bar_length(uint64_t count, uint64_t most)
{
	int length = (int)((double)count / (double)most * BAR_WIDTH);

	return count && !length ? 1 : length;
}

static void print_histogram(const char *name, const uint64_t *counts)
{
	static const char bar[] = "########################################";
	unsigned int last = slowest(counts, 0);
	uint64_t most = 1;

	for (unsigned int i = 0; i < VUM_LATENCY_BUCKETS; i++)
		most = counts[i] > most ? counts[i] : most;
	printf("\n%s\n", name);
	for (unsigned int i = fastest(counts); i <= last; i++)
		printf("%12s  %-*.*s  %12" PRIu64 "\n", bound(i).text, BAR_WIDTH,
		       bar_length(counts[i], most), bar, counts[i]);
}

void ctl_print_figures(const struct vum_figures *figures)
{
	uint32_t most = busiest(figures);

	printf("UUID:      %s\n", figures->uuid);
	printf("Requests:  %" PRIu64 "\n", figures->requests);
	printf("Aborted:   %" PRIu64 "\n", figures->aborted);
	printf("Errors:    %" PRIu64 "\n", figures->errors);
	printf("Attaches:  %" PRIu64 "\n", figures->attaches);
	printf("Evicted:   %" PRIu64 " pages\n", figures->evicted);
	if (!ctl_count(figures, most))
		return;
	print_table(figures);
	print_histogram(ctl_command(most), figures->latency[most]);
}

void ctl_print_rates_head(bool uuid)
{
	if (uuid)
		printf("%-36s  ", "UUID");
	printf("%10s  %8s  %8s  %-24s  %10s  %10s  %10s  %10s\n", "REQUESTS/S", "ABORTS/S",
	       "ERRORS/S", "BUSIEST", "REPLIES/S", "P50", "P99", "MAX");
}

void ctl_print_rates(const struct vum_figures *figures, double seconds, bool uuid)
{
	uint32_t most = busiest(figures);
	uint64_t count = ctl_count(figures, most);

	if (uuid)
		printf("%-36s  ", figures->uuid);
	printf("%10.1f  %8.1f  %8.1f  ", (double)figures->requests / seconds,
	       (double)figures->aborted / seconds, (double)figures->errors / seconds);
	if (!count) {
		puts("-");
		return;
	}
	printf("%-24s  %10.1f", ctl_command(most), (double)count / seconds);
	print_bounds(figures->latency[most]);
}
