// SPDX-License-Identifier: GPL-2.0
/* Runs the cases of a test program. See test.h. */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"
#include "world.h"

/* No case waits for more than this; those that hang shall be seen to. */
#define CASE_SECONDS	120
#define EXIT_SKIP	77

const char *test_doing;

static struct test_case *first, **last = &first;

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
	_exit(EXIT_FAILURE);
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	comment(fmt, args);
	va_end(args);
	_exit(EXIT_SKIP);
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

void test_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&ts, NULL);
}

/* Returns the case's wait status. */
static int run_case(const struct test_case *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		alarm(CASE_SECONDS);
		t->run();
		_exit(EXIT_SUCCESS);
	}
	/* On both sides, so that the group is there before either goes on. */
	setpgid(pid, pid);
	waitpid(pid, &status, 0);
	/* Nothing of it shall be there any more, nor any file that it has open. */
	kill(-pid, SIGKILL);
	while (wait(NULL) > 0)
		;
	return status;
}

static bool report(const struct test_case *t, unsigned int n, int status,
		   long long ms)
{
	bool exited = WIFEXITED(status);
	bool skip = exited && WEXITSTATUS(status) == EXIT_SKIP;
	bool ok = skip || (exited && WEXITSTATUS(status) == EXIT_SUCCESS);

	if (!exited)
		printf("# killed: %s\n", strsignal(WTERMSIG(status)));
	printf("%s %u - %s%s # %lld ms\n", ok ? "ok" : "not ok", n, t->name,
	       skip ? " # SKIP" : "", ms);
	fflush(stdout);
	return ok;
}

/* Arguments name the cases to run; without any, all are run. */
static bool wanted(const struct test_case *t, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, t->name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	unsigned int n = 0;
	bool ok = true;

	(void)argc;
	/* The case's children are ours once it has ended. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (struct test_case *t = first; t; t = t->next) {
		long long start = test_now_ms();
		const char *left;
		int status;
		bool good;

		if (!wanted(t, argv + 1))
			continue;
		world_case_begin();
		status = run_case(t);
		left = world_case_end();
		if (left) {
			printf("# left behind: %s\n", left);
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				status = EXIT_FAILURE << 8;
		}
		good = report(t, ++n, status, test_now_ms() - start);
		ok = ok && good;
		if (!good && getenv("VUM_KEEP_LOGS"))
			world_show_logs();
	}
	printf("1..%u\n", n);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
