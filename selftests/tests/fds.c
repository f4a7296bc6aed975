// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors on their way to a server: they count as the helper's, which serves other
 * devices as well, so a server that does not take them must not use up what it may have
 * in flight, nor keep it waiting.
 */

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfio_user_mdev.h>

#include "../lib/cgroup.h"
#include "../lib/dma.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define IOVA	0x100000000ULL
#define SIZE	(64UL << 20)

static const char *const many_fds[] = { "--max-msg-fds", "64", NULL };
static const char *const by_message[] = { "--dma", "message", NULL };

static struct world w, other;
static struct consumer c, other_c;
static int fds[PUPPET_NR_MSIX];

static void up(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
	for (int i = 0; i < PUPPET_NR_MSIX; i++)
		fds[i] = new_eventfd();
}

/* How many descriptors wait in the sockets of a process to be received. */
static unsigned int in_flight(pid_t pid)
{
	char path[300], text[1024], *line;
	unsigned int sum = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	CHECK(dir);
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, e->d_name);
		if (read_file(path, text, sizeof(text)))
			continue;
		line = strstr(text, "scm_fds:");
		if (line)
			sum += (unsigned int)strtoul(line + strlen("scm_fds:"), NULL, 10);
	}
	closedir(dir);
	return sum;
}

/* Killed when its descriptors are on their way, or soon after if they wait for that. */
static void set_all_and_be_killed(bool first)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	if (first)
		CHECK_SOON(in_flight(w.server) > 0);
	else
		test_sleep_ms(30);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
}

TEST(server_that_does_not_read)
{
	unsigned int most = 0, now;

	up(many_fds);
	/* It has read all that it was sent so far. */
	puppet_check(&c, 0);
	CHECK_EQ(kill(w.server, SIGSTOP), 0);
	for (int i = 0; i < 20; i++) {
		set_all_and_be_killed(!i);
		now = in_flight(w.server);
		most = now > most ? now : most;
	}
	test_say("%u descriptors in flight", most);
	CHECK_EQ(most, VUM_MAX_MSG_FDS);
	CHECK_EQ(kill(w.server, SIGCONT), 0);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	puppet_set(&c, PUPPET_TRIGGER, MSIX << 16 | 63);
	CHECK_EQ(eventfd_take(fds[63], TEST_SOON_MS), 1);
	CHECK_EQ(in_flight(w.server), 0);
	CHECK(!irq_disable(&c, MSIX));
	puppet_check(&c, 0);
}

/* Each of its replies makes room for the next message. */
TEST(one_after_the_other)
{
	up(many_fds);
	for (int i = 0; i < 100; i++)
		CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	puppet_check(&c, 0);
}

static pid_t in_child(void (*loop)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	for (;;)
		loop();
}

static void set_one(void)
{
	irq_set_eventfds(&c, MSIX, 0, 1, fds);
}

/* The longest of another device's SET_IRQS in three seconds, in milliseconds. */
static long long longest(const char *when)
{
	long long start, now, most = 0, end = test_now_ms() + 3000;
	unsigned int nr = 0;

	for (start = test_now_ms(); start < end; start = now) {
		CHECK(!irq_set_eventfds(&other_c, MSIX, 0, 1, fds));
		now = test_now_ms();
		most = now - start > most ? now - start : most;
		nr++;
	}
	test_say("%s: %u SET_IRQS of another device, the longest took %lld ms", when, nr, most);
	return most;
}

TEST(server_without_a_cpu)
{
	long long limit = 50LL * test_slow(), idle, most;
	pid_t child;

	up(by_message);
	world_up_beside(&other, NULL);
	consumer_open(&other_c, &other);
	dma_map(&c, dma_memory(SIZE), IOVA, SIZE, DMA_READ | DMA_WRITE);
	idle = longest("idle");
	dma_start(&c, PUPPET_DMA_FILL, IOVA, SIZE, 1);
	cgroup_starve(w.server);
	child = in_child(set_one);
	most = longest("beside a server without a CPU");
	/* On a busy machine all of them take long, the idle server's as well. */
	CHECK(most <= limit || most <= 4 * idle);
	world_kill(&child, SIGKILL);
	cgroup_leave(w.server);
}
