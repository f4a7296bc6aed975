// SPDX-License-Identifier: GPL-2.0
/*
 * Disks of several consumers on one core: one process that polls the queues of all, against
 * a process for each consumer. How many requests they get done together, how long 99 % of
 * the requests take at most, and how long beside a consumer that does what it should not.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/virtio_blk.h"
#include "../../lib/window.h"
#include "../bench.h"

#define MAX_DISKS	8U
#define WINDOW_US	200000U
#define SETTLE_US	50000U
#define SMALL		4096U
#define LARGE		0x10000U
#define MAX_TIMES	4096U

/* Whose requests' times are kept, and which disk is the neighbour's. */
#define NR_TIMED	3U
#define NEIGHBOUR	(MAX_DISKS - 1)

/* How they are served; then there are some disks of one process's beside a neighbour. */
enum { ONE, EACH, BESIDE, NR_SETS };

/**
 * struct shared - what the consumers' processes and this one have in common
 * @set: whose turn it is
 * @nr: the first so many consumers of that set use their disks
 * @done: requests of each consumer
 * @ready: consumers that have their disk
 * @times: of the first consumers' requests since @nr_times was 0, in ns
 * @nr_times: how many
 */
static struct shared {
	volatile uint32_t set;
	volatile uint32_t nr;
	volatile uint32_t done[NR_SETS][MAX_DISKS];
	volatile uint32_t ready;
	uint32_t times[NR_TIMED][MAX_TIMES];
	volatile uint32_t nr_times[NR_TIMED];
} *shared;

static struct vblk disks[2][MAX_DISKS];
static const char *const poll_args[] = { "--poll", "--queues", "2", NULL };

static void pin_server(const struct world *w)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK(!sched_setaffinity(w->server, sizeof(set), &set));
}

static struct vblk *disk_of(unsigned int set, unsigned int i)
{
	return &disks[set == EACH][i];
}

/* One request, and the interrupt at its end. */
static void request(struct vblk *v)
{
	struct pollfd p = { .fd = v->queue[0].irq, .events = POLLIN };

	vblk_offer(v, &v->queue[0], 0);
	while (vblk_used(v, &v->queue[0]) != v->queue[0].offered) {
		CHECK(poll(&p, 1, 10000) > 0);
		eventfd_take(p.fd, 0);
	}
}

static bool my_turn(unsigned int set, unsigned int i)
{
	return (shared->set == set || (set == ONE && shared->set == BESIDE)) && i < shared->nr;
}

static void keep_time(unsigned int i, uint64_t ns)
{
	uint32_t n = i < NR_TIMED ? shared->nr_times[i] : MAX_TIMES;

	if (n == MAX_TIMES)
		return;
	shared->times[i][n] = (uint32_t)ns;
	shared->nr_times[i] = n + 1;
}

static void start(struct vblk *v, uint32_t size)
{
	const struct vblk_segment seg = { VBLK_DATA, size, true };

	vblk_open(v);
	vblk_start(v, VBLK_FEATURES);
	for (unsigned int q = 0; q < VBLK_QUEUES; q++)
		vblk_chain(v, &v->queue[q], VIRTIO_BLK_T_IN, 0, &seg, 1);
}

/* A consumer with one request in flight. */
static void consume(unsigned int set, unsigned int i)
{
	struct vblk *v = disk_of(set, i);

	start(v, SMALL);
	request(v);
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint64_t begin = bench_now();

		if (!my_turn(set, i)) {
			usleep(2000);
			continue;
		}
		request(v);
		shared->done[set][i]++;
		keep_time(i, bench_now() - begin);
	}
}

static pid_t spawn(void (*fn)(unsigned int set, unsigned int i), unsigned int set,
		   unsigned int i)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_limit(300);
	test_stay_on(1);
	fn(set, i);
	_exit(1);
}

/* Its servers go on, or stop. The process for all has them all. */
static void servers(unsigned int set, unsigned int nr, int sig)
{
	if (set != EACH)
		nr = 1;
	for (unsigned int i = 0; i < nr; i++)
		CHECK(!kill(disk_of(set, i)->w.server, sig));
}

/**
 * struct load - an arm's: what is measured
 * @set: whose turn it is
 * @nr: so many consumers
 * @neighbour: what another one does meanwhile, or NULL
 * @name: of the row
 */
struct load {
	unsigned int set;
	unsigned int nr;
	void (*neighbour)(unsigned int set, unsigned int i);
	char name[24];
};

static uint32_t done(const struct load *load)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < load->nr; i++)
		sum += shared->done[load->set][i];
	return sum;
}

static void begin(const struct load *load)
{
	servers(load->set, load->nr, SIGCONT);
	shared->nr = load->nr;
	shared->set = load->set;
	usleep(SETTLE_US);
}

/* What is in flight comes back before the servers stop. */
static void end(const struct load *load)
{
	shared->nr = 0;
	usleep(SETTLE_US);
	servers(load->set, load->nr, SIGSTOP);
}

static double requests(struct arm *arm)
{
	const struct load *load = arm->opaque;
	uint64_t start, now;
	uint32_t before;

	begin(load);
	before = done(load);
	start = bench_now();
	usleep(WINDOW_US);
	before = done(load) - before;
	now = bench_now();
	end(load);
	return before * 1e9 / (double)(now - start);
}

/* A queue that is always full, by a process that has the CPU when nobody wants it. */
static void flood(unsigned int set, unsigned int i)
{
	struct vblk *v = disk_of(set, i);
	const struct sched_param param = { 0 };

	start(v, LARGE);
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	CHECK(!sched_setscheduler(0, SCHED_IDLE, &param));
	for (;;)
		for (unsigned int q = 0; q < VBLK_QUEUES; q++)
			while ((uint16_t)(v->queue[q].offered - vblk_used(v, &v->queue[q])) <
			       v->queue[q].size)
				vblk_offer(v, &v->queue[q], 0);
}

/* None of its memory can be had, and it tries again and again. */
static void lack_memory(unsigned int set, unsigned int i)
{
	struct vblk *v = disk_of(set, i);
	const struct sched_param param = { 0 };

	vblk_open(v);
	window_limit_memory(0);
	__atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
	CHECK(!sched_setscheduler(0, SCHED_IDLE, &param));
	for (;;) {
		vblk_start(v, VBLK_FEATURES);
		vblk_kick(v, &v->queue[0], 0);
		vblk_wait_broken(v);
	}
}

/* It is killed in the midst of this. */
static void die(unsigned int set, unsigned int i)
{
	flood(set, i);
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of the requests of those whose times are kept. */
static double p99(void)
{
	static uint32_t all[NR_TIMED * MAX_TIMES];
	size_t nr = 0, at;

	for (unsigned int i = 0; i < NR_TIMED; i++) {
		uint32_t n = shared->nr_times[i];

		memcpy(all + nr, shared->times[i], n * sizeof(*all));
		nr += n;
	}
	CHECK(nr);
	qsort(all, nr, sizeof(*all), compare);
	at = nr * 99 / 100;
	return all[at];
}

static double slowest(struct arm *arm)
{
	const struct load *load = arm->opaque;
	uint32_t ready = shared->ready;
	pid_t pid = 0;

	begin(load);
	if (load->neighbour) {
		pid = spawn(load->neighbour, BESIDE, NEIGHBOUR);
		CHECK_SOON(shared->ready > ready);
	}
	for (unsigned int i = 0; i < NR_TIMED; i++)
		shared->nr_times[i] = 0;
	usleep(WINDOW_US);
	if (load->neighbour == die)
		world_kill(&pid, SIGKILL);
	usleep(WINDOW_US);
	shared->nr = 0;
	if (pid)
		world_kill(&pid, SIGKILL);
	end(load);
	return p99();
}

static void up(void)
{
	unsigned int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	vblk_serve(disks[ONE], MAX_DISKS, 0, poll_args);
	pin_server(&disks[ONE][0].w);
	for (i = 0; i < MAX_DISKS; i++) {
		vblk_serve(&disks[EACH][i], 1, MAX_DISKS + i, poll_args);
		pin_server(&disks[EACH][i].w);
	}
	world_helper(&disks[ONE][0].w, NULL);
	for (i = 0; i < MAX_DISKS; i++) {
		world_wait_state(&disks[ONE][i].w, "attached");
		world_wait_state(&disks[EACH][i].w, "attached");
	}
	test_stay_on(1);
}

/* One after the other, and each server stops when its consumer has begun. */
static void start_consumers(unsigned int set, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint32_t ready = shared->ready;

		spawn(consume, set, i);
		CHECK_SOON(shared->ready > ready);
		if (set == EACH)
			CHECK(!kill(disk_of(set, i)->w.server, SIGSTOP));
	}
	if (set != EACH)
		servers(set, 1, SIGSTOP);
}

TEST(one_process_for_all)
{
	static const char *const names[] = { "one", "each" };
	const struct plan plan = { .rounds = bench_rounds(15), .block = 1, .seconds = 60 };
	static struct load loads[8];
	static struct arm arms[8];
	struct arm *arm = arms;
	struct load *load = loads;

	bench_limit(300);
	up();
	for (unsigned int set = ONE; set <= EACH; set++)
		start_consumers(set, MAX_DISKS);
	for (unsigned int set = ONE; set <= EACH; set++) {
		for (unsigned int n = 1; n <= MAX_DISKS; n = n == 1 ? 4 : n * 2, load++) {
			*load = (struct load){ .set = set, .nr = n };
			snprintf(load->name, sizeof(load->name), "disks-%u", n);
			*arm = (struct arm){ .run = requests, .opaque = load };
			samples_init(&arm++->samples, load->name, "kernel", names[set], "iops",
				     true);
		}
		*load = (struct load){ .set = set, .nr = MAX_DISKS };
		*arm = (struct arm){ .run = slowest, .opaque = load++ };
		samples_init(&arm++->samples, "disks-slowest-8", "kernel", names[set], "ns",
			     false);
	}
	bench_compare(arms, (size_t)(arm - arms), &plan);
}

TEST(beside_a_neighbour)
{
	static const char *const names[] = { "alone", "flood", "memory", "killed" };
	static struct load loads[] = {
		{ .set = BESIDE, .nr = NR_TIMED },
		{ .set = BESIDE, .nr = NR_TIMED, .neighbour = flood },
		{ .set = BESIDE, .nr = NR_TIMED, .neighbour = lack_memory },
		{ .set = BESIDE, .nr = NR_TIMED, .neighbour = die },
	};
	const struct plan plan = { .rounds = bench_rounds(15), .block = 1, .seconds = 60 };
	static struct arm arms[4];

	bench_limit(300);
	up();
	start_consumers(ONE, NR_TIMED);
	for (size_t i = 0; i < 4; i++) {
		arms[i] = (struct arm){ .run = slowest, .opaque = &loads[i] };
		samples_init(&arms[i].samples, "disks-beside", "kernel", names[i], "ns", false);
	}
	bench_compare(arms, 4, &plan);
}
