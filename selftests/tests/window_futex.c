// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel itself touches the window for a thread of the server's where a fault
 * cannot be retried: for a futex, and for a robust list when the thread exits. The
 * thread must not go round in the kernel for ever.
 */

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"
#include "../lib/test.h"
#include "../lib/window.h"

#define PAGE	WINDOW_PAGE
#define WORDS	(PAGE / 4)
#define IOVA	0x100000000ULL
#define READ	VFIO_DMA_MAP_FLAG_READ
#define WRITE	VFIO_DMA_MAP_FLAG_WRITE

/* Longer than anything here may take, on any machine. */
#define LONG_MS	5000

static struct world w;
static struct remote r;
static int window;
static uint32_t *mem, *p;

/* Two pages of a consumer's, mapped so. */
static void up(const char *fault, uint32_t flags)
{
	mem = remote_memory(2 * PAGE);
	window_world(&w, fault);
	remote_open(&r, &w);
	remote_map(&r, mem, IOVA, 2 * PAGE, flags);
	window = window_take(&w);
	p = window_map(window, IOVA, 4 * PAGE);
}

/* Adds 1 to a word by FUTEX_WAKE_OP. Returns 0 or an errno. */
static int futex_add(uint32_t *word)
{
	static uint32_t other;
	long ret = syscall(SYS_futex, &other, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1,
			   1, word, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));

	return ret < 0 ? errno : 0;
}

/* What the operation fails with, in a child, since it may never return. */
static int futex_add_in_child(uint32_t *word)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(futex_add(word));
	for (int ms = 0; ms < LONG_MS; ms += 10) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		test_sleep_ms(10);
	}
	kill(pid, SIGKILL);
	test_sleep_ms(1000);
	FAIL("spins in the kernel, and %s", waitpid(pid, &status, WNOHANG) == pid ?
	     "can be killed" : "cannot be killed");
}

static void untouched(const char *fault)
{
	up(fault, READ | WRITE);
	/* Mapped, and beyond what is mapped. */
	CHECK_EQ(futex_add_in_child(p), EFAULT);
	CHECK_EQ(futex_add_in_child(p + 2 * WORDS), EFAULT);
	CHECK_EQ(dma_show(&w, "dma_faults"), 2);
	CHECK_EQ(kernel_log_count(w.uuid, "cannot wait for that"), 1);
	/* What is there is at hand. */
	CHECK_LOAD(p, 0);
	CHECK_EQ(window_store(p, 5), 0);
	CHECK_EQ(futex_add(p), 0);
	CHECK_EQ(mem[0], 6);
}

TEST(futex_in_untouched_page_absorb)
{
	untouched("absorb");
}

TEST(futex_in_untouched_page_sigbus)
{
	untouched("sigbus");
}

/* The page table says read-only, but the page may be written. */
TEST(futex_in_page_that_became_writable)
{
	uint32_t *ro;

	up("sigbus", READ | WRITE);
	ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, window, (off_t)IOVA);
	CHECK(ro != MAP_FAILED);
	CHECK_LOAD(ro, 0);
	CHECK(!mprotect(ro, PAGE, PROT_READ | PROT_WRITE));
	CHECK_EQ(futex_add_in_child(ro), 0);
	CHECK_EQ(mem[0], 1);
}

/* A thread's exit, in a process of its own, while another thread stays. */
struct leaver {
	struct robust_list_head head;
	struct robust_list entry;
	uint32_t *robust;
	pid_t *tid;
	volatile bool prepared;
	volatile bool go;
};

static int leaver_run(void *arg)
{
	struct leaver *l = arg;

	*l->tid = (pid_t)syscall(SYS_gettid);
	l->entry.next = &l->head.list;
	l->head.list.next = &l->entry;
	l->head.futex_offset = (char *)l->robust - (char *)&l->entry;
	syscall(SYS_set_robust_list, &l->head, sizeof(l->head));
	l->prepared = true;
	while (!l->go)
		sched_yield();
	syscall(SYS_exit, 0);
	return 0;
}

static bool thread_is_there(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
	return !access(path, F_OK);
}

/* @robust: a word in the window. @tid_at: the same word of the consumer's. */
static void check_thread_exits(uint32_t *robust, uint32_t *tid_at)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			  CLONE_THREAD | CLONE_SYSVSEM;
	struct leaver *l = (void *)remote_memory(sizeof(*l));
	pid_t *tid = (void *)remote_memory(sizeof(*tid));
	char *stack = (void *)remote_memory(64 * PAGE);
	pid_t pid;

	l->robust = robust;
	l->tid = tid;
	pid = fork();
	if (!pid) {
		if (clone(leaver_run, stack + 64 * PAGE, flags, l) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK_SOON(l->prepared);
	*tid_at = (uint32_t)*tid;
	CHECK(thread_is_there(pid, *tid));
	l->go = true;
	for (int ms = 0; ms < LONG_MS && thread_is_there(pid, *tid); ms += 10)
		test_sleep_ms(10);
	if (thread_is_there(pid, *tid)) {
		kill(pid, SIGKILL);
		FAIL("the thread has not exited within %d ms", LONG_MS);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The kernel marks the word of a thread that dies, where it may not write. */
static void robust_list(const char *fault)
{
	up(fault, READ);
	CHECK_LOAD(p, 0);
	check_thread_exits(p, mem);
	CHECK_EQ(dma_show(&w, "dma_faults"), 1);
	CHECK_EQ(kernel_log_count(w.uuid, "mapped it for other access"), 1);
}

TEST(robust_list_in_read_only_page_absorb)
{
	robust_list("absorb");
}

TEST(robust_list_in_read_only_page_sigbus)
{
	robust_list("sigbus");
}
