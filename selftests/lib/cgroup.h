/* SPDX-License-Identifier: GPL-2.0 */
/* A control group for processes of a case. */
#ifndef VUM_LIB_CGROUP_H
#define VUM_LIB_CGROUP_H

#include <sys/types.h>

#define CGROUP_ROOT	"/tmp/vum-cgroups"
/* Its files are CGROUP "/cgroup.freeze" and so on. */
#define CGROUP		CGROUP_ROOT "/case"

/* The case is skipped if the kernel has no cgroup2. */
void cgroup_up(void);
void cgroup_enter(pid_t pid);
void cgroup_leave(pid_t pid);
/*
 * Lets a process run for 2 ms out of 200, wherever in the kernel it is when they are over.
 * If the kernel's cgroup2 has no cpu controller, it runs only while busy processes, one on
 * each CPU, do not.
 */
void cgroup_starve(pid_t pid);

#endif /* VUM_LIB_CGROUP_H */
