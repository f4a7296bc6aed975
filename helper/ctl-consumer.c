// SPDX-License-Identifier: GPL-2.0
/* What the consumer of an mdev has of the memory that it may lock. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

/* The rest of the first line of /proc/@pid/@file that begins with @key; false if none does. */
static bool proc_line(uint32_t pid, const char *file, const char *key, char *rest, size_t size)
{
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strncmp(line, key, strlen(key));
	}
	fclose(f);
	if (found)
		snprintf(rest, size, "%s", line + strlen(key));
	return found;
}

void ctl_print_consumer(const struct vum_info *info)
{
	uint64_t locked, limit;
	char text[128];

	if (!info->open || !info->consumer_pid) {
		puts(info->open ? "by a process in another PID namespace, or that has ended" : "no");
		return;
	}
	printf("by pid %" PRIu32, info->consumer_pid);
	if (proc_line(info->consumer_pid, "comm", "", text, sizeof(text)))
		printf(" (%s)", text);
	if (proc_line(info->consumer_pid, "status", "VmLck:", text, sizeof(text)) &&
	    sscanf(text, "%" SCNu64, &locked) == 1)
		printf(", which has %" PRIu64 " KiB locked", locked);
	/* The soft limit is what counts. */
	if (proc_line(info->consumer_pid, "limits", "Max locked memory", text, sizeof(text))) {
		if (sscanf(text, "%" SCNu64, &limit) == 1)
			printf(" of at most %" PRIu64 " KiB", limit / 1024);
		else
			fputs(", without limit", stdout);
	}
	putchar('\n');
}
