/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways to a device that there are, all at once, each with a puppet of its
 * own from the same binary: the socket; the bridge with the helper relaying;
 * and if this module has it, the bridge with the kernel on the socket, without
 * and with polling.
 */
#ifndef VUM_PATHS_H
#define VUM_PATHS_H

#include "../lib/consumer.h"
#include "../lib/puppet.h"
#include "bench.h"
#include "direct.h"

#define MAX_PATHS	5

/**
 * struct path - one way
 * @name: direct, relay, or kernel
 * @variant: with polling: how long
 * @is_direct: @direct is what there is, else @consumer
 * @world: the server, and the mdev and the helper behind it
 * @direct: the connection
 * @consumer: who has the device open
 */
struct path {
	const char *name;
	const char *variant;
	bool is_direct;
	struct world world;
	struct direct direct;
	struct consumer consumer;
};

/**
 * struct paths - all of them
 * @nr: entries in @path
 * @helper: serves all that are not direct
 * @path: the direct one is the first
 */
struct paths {
	size_t nr;
	pid_t helper;
	struct path path[MAX_PATHS];
};

/**
 * struct setup - what they have in common
 * @args: the servers' arguments, or NULL
 * @dma_mode: the bridge's; NULL for the default
 * @poll: whether the way with polling shall be there
 */
struct setup {
	const char *const *args;
	const char *dma_mode;
	bool poll;
};

void paths_up(struct paths *p, const struct setup *setup);
/* Nothing is left of it, so that it can be made once more. */
void paths_down(struct paths *p);
/* Only one of the bridge's ways, by its name; false if this module lacks it. */
bool paths_bridge(struct path *path, const char *name, const char *variant);

/* By whichever way. */
uint32_t path_read32(struct path *p, uint32_t region, uint64_t offset);
void path_write32(struct path *p, uint32_t region, uint64_t offset,
		  uint32_t value);
/*
 * Has the puppet's DMA engine know what its next operation is about; and, once that has
 * been written to PUPPET_DMA_OP, waits for its end: how long a timed one took, in ns.
 */
void path_dma_prepare(struct path *p, uint64_t iova, uint32_t bytes, uint32_t value);
double path_dma_wait(struct path *p);
/* An arm that takes this way, for a row with this name. */
void path_arm(struct paths *all, struct path *p, struct arm *arm,
	      const char *name, double (*run)(struct arm *));
/* Does the kernel really do without the helper? Fails the row if not. */
void path_check_arm(const struct arm *arm);

#endif /* VUM_PATHS_H */
