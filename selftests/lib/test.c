// SPDX-License-Identifier: GPL-2.0
/* What the cases of a test program say and do, whatever they test. See test.h. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

const char *test_doing;

struct test_case *test_cases;
static struct test_case **last = &test_cases;

void test_register(struct test_case *t)
{
	*last = t;
	last = &t->next;
}

static void comment(const char *fmt, va_list args)
{
	fputs("# ", stdout);
	vprintf(fmt, args);
	putchar('\n');
	fflush(stdout);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("# %s:%d:%s%s\n", file, line, test_doing ? " " : "",
	       test_doing ? test_doing : "");
	va_start(args, fmt);
	comment(fmt, args);
	va_end(args);
	_exit(TEST_EXIT_FAIL);
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	comment(fmt, args);
	va_end(args);
	_exit(TEST_EXIT_SKIP);
}

void test_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	comment(fmt, args);
	va_end(args);
}

long long test_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Without a kernel that counts, all but sleep is counted as sleep: no less than it is. */
long long test_asleep_ms(void)
{
	unsigned long long ran = 0, waited = 0;
	FILE *f = fopen("/proc/thread-self/schedstat", "r");

	if (f) {
		if (fscanf(f, "%llu %llu", &ran, &waited) != 2)
			ran = waited = 0;
		fclose(f);
	}
	return test_now_ms() - (long long)((ran + waited) / 1000000);
}

void test_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&ts, NULL);
}

int test_slow(void)
{
	const char *slow = getenv("VUM_SLOW");

	return slow ? atoi(slow) : 1;
}

int test_soon_ms(void)
{
	return 20000 * test_slow();
}

unsigned long test_number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

void test_stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

void test_keep_busy(int cpu)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0U, 0);
	test_stay_on(cpu);
	for (;;)
		;
}

void test_in_threads(unsigned int nr, void *(*fn)(void *))
{
	pthread_t threads[nr];

	for (uintptr_t i = 0; i < nr; i++)
		CHECK(!pthread_create(&threads[i], NULL, fn, (void *)i));
	for (unsigned int i = 0; i < nr; i++)
		CHECK(!pthread_join(threads[i], NULL));
}
