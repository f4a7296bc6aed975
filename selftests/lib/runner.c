// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the cases of a test program, each in a process of its own, and clears away
 * what they leave. The only file that knows both cases (test.h) and what they have
 * around them (world.h).
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "world.h"

/* A case that takes longer than this hangs, and is killed; see test_slow(). */
#define CASE_SECONDS	120

/* Returns the case's wait status. */
static int run_case(const struct test_case *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		alarm(CASE_SECONDS * (unsigned int)test_slow());
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
	bool skip = exited && WEXITSTATUS(status) == TEST_EXIT_SKIP;
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
	for (struct test_case *t = test_cases; t; t = t->next) {
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
