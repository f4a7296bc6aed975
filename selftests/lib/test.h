/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test program is a list of cases, each run in a process of its own with a
 * time limit; whatever processes and mdevs it leaves behind are cleared away.
 * Output is TAP.
 */
#ifndef VUM_TEST_H
#define VUM_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

/* The exit statuses by which a case's process tells the runner. */
#define TEST_EXIT_FAIL	1
#define TEST_EXIT_SKIP	77

/* The program's cases, in the order of the source. */
extern struct test_case *test_cases;

void test_register(struct test_case *t);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void test_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define TEST(fn)							\
	static void fn(void);						\
	static void __attribute__((constructor)) fn##_register(void)	\
	{								\
		static struct test_case t = { #fn, fn, NULL };		\
									\
		test_register(&t);					\
	}								\
	static void fn(void)

/* What a case is at, to be said if it fails; NULL if its name says enough. */
extern const char *test_doing;

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Holds, or the case fails. */
#define CHECK(cond)							\
	do {								\
		if (!(cond))						\
			FAIL("%s (errno: %s)", #cond, strerror(errno));	\
	} while (0)

#define CHECK_EQ(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
									\
		if (a_ != b_)						\
			FAIL("%s is %lld (0x%llx), not %s, %lld (0x%llx)", \
			     #a, a_, (unsigned long long)a_, #b, b_,	\
			     (unsigned long long)b_);			\
	} while (0)

/* A system call that fails with this errno. */
#define CHECK_ERRNO(call, err)						\
	do {								\
		long long r_;						\
									\
		errno = 0;						\
		r_ = (long long)(call);					\
		if (r_ != -1)						\
			FAIL("%s is %lld, not an error", #call, r_);	\
		if (errno != (err))					\
			FAIL("%s fails with %s, not %s", #call,		\
			     strerror(errno), strerror(err));		\
	} while (0)

/*
 * What is to happen at once, and does on an idle machine. Only what should not
 * happen takes that long: a busy machine is no reason to fail.
 */
#define TEST_SOON_MS test_soon_ms()
int test_soon_ms(void);

/* Holds soon, or the case fails. */
#define CHECK_SOON(cond)						\
	do {								\
		long long end_ = test_now_ms() + TEST_SOON_MS;		\
									\
		while (!(cond)) {					\
			if (test_now_ms() > end_)			\
				FAIL("not within %d ms: %s", TEST_SOON_MS, #cond); \
			test_sleep_ms(5);				\
		}							\
	} while (0)

/* An address where nothing is, of which the compiler knows nothing. */
static inline void *test_bad_address(void)
{
	void *volatile nowhere = (void *)16;

	return nowhere;
}

/*
 * How much slower this kernel is than a distribution's: by VUM_SLOW. For what must not
 * take longer than a certain time.
 */
int test_slow(void);

/* A number in the environment; @otherwise if it is not there, or empty. */
unsigned long test_number(const char *name, unsigned long otherwise);

/* This process runs on that CPU only, from now on. */
void test_stay_on(int cpu);
/* A process without files that keeps that CPU busy until this process ends. */
void test_keep_busy(int cpu);

/* Runs a function in so many threads, with their numbers as arguments, to their ends. */
void test_in_threads(unsigned int nr, void *(*fn)(void *));

long long test_now_ms(void);

/*
 * Grows by the milliseconds in which this thread sleeps, and not by those in which it has
 * the CPU or waits for it, of which a busy machine needs more.
 */
long long test_asleep_ms(void);
void test_sleep_ms(unsigned int ms);

#endif /* VUM_TEST_H */
