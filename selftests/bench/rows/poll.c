// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells in mapped BARs of several devices, and one thread of the servers'
 * that polls all of them: how many a second are heard and answered.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/bar0.h"
#include "../paths.h"

#define MAX_DEVICES	8
#define WINDOW_NS	50000000U
#define MAX_ARMS	(MAX_PATHS * 4)

/* In a device's BAR0, in different cache lines. */
enum { RUNG = 0, HEARD = 64 };

/**
 * struct device - one of them
 * @fd: the memory of its BAR0
 * @server: as the polling thread has that mapped
 * @consumer: as the consumer has
 * @rung: what the consumer has written last
 */
struct device {
	int fd;
	volatile uint32_t *server;
	volatile uint32_t *consumer;
	uint32_t rung;
};

/**
 * struct set - devices that are reached the same way
 * @path: which way
 * @devices: them
 * @worlds: behind them
 * @consumers: likewise
 * @direct: likewise
 */
static struct set {
	const char *path;
	struct device devices[MAX_DEVICES];
	struct world worlds[MAX_DEVICES];
	struct consumer consumers[MAX_DEVICES];
	struct direct direct[MAX_DEVICES];
} sets[3];
static size_t nr_sets;

/**
 * struct turn - what the polling thread is to poll; shared with it
 * @set: which
 * @nr: so many of them, 0: none
 */
static struct turn {
	volatile uint32_t set;
	volatile uint32_t nr;
} *turn;

/* An arm's: a set, and how many of its devices. */
struct load {
	struct set *set;
	uint32_t nr;
	char name[16];
};

/* A server that polls has a CPU of its own, and so has who rings. */
static void poll_forever(void)
{
	test_stay_on(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		const struct set *set = &sets[turn->set];

		for (uint32_t i = 0; i < turn->nr; i++) {
			volatile uint32_t *mem = set->devices[i].server;
			uint32_t rung = mem[RUNG];

			if (rung != mem[HEARD])
				mem[HEARD] = rung;
		}
	}
}

/* Rings whenever the last time has been heard. */
static double ring(struct arm *arm)
{
	const struct load *load = arm->opaque;
	struct device *devices = load->set->devices;
	uint64_t start, now;
	uint32_t heard = 0;

	turn->set = (uint32_t)(load->set - sets);
	turn->nr = load->nr;
	start = bench_now();
	do {
		for (uint32_t i = 0; i < load->nr; i++) {
			struct device *d = &devices[i];

			if (d->consumer[HEARD] != d->rung)
				continue;
			heard++;
			d->consumer[RUNG] = ++d->rung;
		}
		now = bench_now();
	} while (now - start < WINDOW_NS);
	turn->nr = 0;
	return heard * 1e9 / (double)(now - start);
}

static void add_device(struct set *set, int n)
{
	static const char *const args[] = { "--mmap-bar0", NULL };
	struct device *d = &set->devices[n];
	struct world *w = &set->worlds[n];

	d->fd = bar0_file(BAR0_SIZE);
	d->server = mmap(NULL, BAR0_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 d->fd, 0);
	CHECK(d->server != MAP_FAILED);
	if (!w->uuid[0])
		snprintf(w->socket, sizeof(w->socket),
			 "/run/vfio-user/direct-%d.sock", n);
	bar0_server(w, d->fd, args);
}

static bool add_set(const char *name)
{
	struct set *set = &sets[nr_sets];

	set->path = name;
	for (int n = 0; n < MAX_DEVICES; n++) {
		struct path p = { .name = name };

		if (strcmp(name, "direct") != 0 && !paths_bridge(&p, name, ""))
			return false;
		set->worlds[n] = p.world;
		add_device(set, n);
	}
	nr_sets++;
	return true;
}

static void open_device(struct set *set, int n)
{
	struct world *w = &set->worlds[n];

	if (w->uuid[0]) {
		world_wait_state(w, "attached");
		consumer_open(&set->consumers[n], w);
		set->devices[n].consumer =
			region_mapped(&set->consumers[n], BAR0, 0, BAR0_SIZE);
	} else {
		direct_open(&set->direct[n], w->socket);
		set->devices[n].consumer =
			direct_map(&set->direct[n], BAR0, BAR0_SIZE);
	}
}

static size_t make_arms(struct load *loads, struct arm *arms)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_sets; i++) {
		for (uint32_t n = 1; n <= MAX_DEVICES; n *= 2, nr++) {
			loads[nr].set = &sets[i];
			loads[nr].nr = n;
			snprintf(loads[nr].name, sizeof(loads[nr].name),
				 "poll-%u", n);
			arms[nr] = (struct arm){
				.run = ring, .opaque = &loads[nr],
			};
			samples_init(&arms[nr].samples, loads[nr].name,
				     sets[i].path, "", "doorbells/s", true);
		}
	}
	return nr;
}

TEST(doorbells)
{
	static struct load loads[MAX_ARMS];
	static struct arm arms[MAX_ARMS];
	const struct plan plan = {
		.rounds = bench_rounds(40), .block = 1, .warm = 0,
		.seconds = 25,
	};
	pid_t poller;
	size_t nr;

	bench_limit(300);
	turn = mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(turn != MAP_FAILED);
	add_set("direct");
	add_set("relay");
	add_set("kernel");
	world_helper(&sets[1].worlds[0], NULL);
	for (size_t i = 0; i < nr_sets; i++)
		for (int n = 0; n < MAX_DEVICES; n++)
			open_device(&sets[i], n);
	poller = fork();
	CHECK(poller >= 0);
	if (!poller)
		poll_forever();
	test_stay_on(0);
	nr = make_arms(loads, arms);
	bench_compare(arms, nr, &plan);
	world_kill(&poller, SIGKILL);
}
