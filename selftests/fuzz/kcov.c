// SPDX-License-Identifier: GPL-2.0
/* See kcov.h. */
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../lib/test.h"
#include "../lib/world.h"
#include "kcov.h"

/* Entries for one input; what does not fit is not seen. */
#define ENTRIES	(1U << 18)

static int fd;
static unsigned long *cover;
static unsigned long text, text_size;
static uint8_t *seen;
static unsigned int nr_seen;

void kcov_up(void)
{
	fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		test_skip("this kernel has no KCOV (see world debug)");
	CHECK(!ioctl(fd, KCOV_INIT_TRACE, (unsigned long)ENTRIES));
	cover = mmap(NULL, ENTRIES * sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(cover != MAP_FAILED);
	module_range(&text, &text_size);
	seen = calloc(text_size, 1);
	CHECK(seen);
	CHECK(!ioctl(fd, KCOV_ENABLE, (unsigned long)KCOV_TRACE_PC));
}

void kcov_begin(void)
{
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
}

unsigned int kcov_end(void)
{
	unsigned long nr = __atomic_load_n(&cover[0], __ATOMIC_RELAXED);
	unsigned int before = nr_seen;

	for (unsigned long i = 1; i <= nr; i++) {
		unsigned long at = cover[i] - text;

		if (at >= text_size || seen[at])
			continue;
		seen[at] = 1;
		nr_seen++;
	}
	return nr_seen - before;
}

unsigned int kcov_blocks(void)
{
	return nr_seen;
}
