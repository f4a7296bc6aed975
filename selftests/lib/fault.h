/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: the n-th allocation, or copy from or to userspace, that a task
 * makes with the module on its stack fails. Needs a kernel that is built for this,
 * as those of the worlds debug and race are.
 */
#ifndef VUM_LIB_FAULT_H
#define VUM_LIB_FAULT_H

#include <stdbool.h>
#include <sys/types.h>

/* Skips the case on a kernel that has no fault injection. */
void fault_need(void);

/* The calling thread; all threads of a process; kernel threads that run work. */
struct fault_tasks {
	bool self;
	pid_t process;
	bool workers;
};

/* In each of these tasks, the n-th fails. n begins with 1. */
void fault_arm(const struct fault_tasks *tasks, unsigned int n);
/* From now on none fails. Returns whether one did. */
bool fault_disarm(void);
/* The same, before run() has ended; fault_sweep() will know. */
void fault_disarm_all(void);

/**
 * struct sweep - an operation of which everything shall fail once
 * @name: for the report
 * @tasks: whose allocations
 * @first: the first that fails; what comes before is left to another sweep
 * @step: from one that fails to the next. More than 1 where one piece of code runs
 *	many times: if the allocations of one time are no multiple of the step, each
 *	of them fails in some of the times
 * @run: does it: 0 or -errno. @n: which one is to fail
 * @recover: is called after each @run, when nothing fails any more: fails the case
 *	if the device does not work again. @error is what @run returned.
 */
struct sweep {
	const char *name;
	struct fault_tasks tasks;
	unsigned int first;
	unsigned int step;
	int (*run)(unsigned int n);
	void (*recover)(int error);
};

/*
 * Runs the operation, each time with a later allocation failing, until none has
 * failed; then it must have succeeded. An error must be one that tells a consumer
 * what is the matter: ENOMEM, EFAULT of a copy, or EIO and ENODEV, which stand for
 * a server that was detached, of which the kernel's log has the reason.
 * VUM_SWEEP_FROM in the environment says with which one to begin.
 */
void fault_sweep(const struct sweep *sweep);

#endif /* VUM_LIB_FAULT_H */
