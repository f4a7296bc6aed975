// SPDX-License-Identifier: GPL-2.0
/* The ways to a device. See paths.h. */

#include <signal.h>
#include <stdio.h>

#include "paths.h"

#define POLL_US		"1000"

static bool configure(const struct world *w, const char *name,
		      const char *variant)
{
	if (!world_attr_try(w, "data_path", name) && strcmp(name, "relay") != 0)
		return false;
	return !*variant || world_attr_try(w, "poll_us", POLL_US);
}

bool paths_bridge(struct path *path, const char *name, const char *variant)
{
	*path = (struct path){ .name = name, .variant = variant };
	world_mdev(&path->world);
	if (configure(&path->world, name, variant))
		return true;
	world_remove(&path->world);
	return false;
}

static void add_bridge(struct paths *p, const char *name, const char *variant,
		       const struct setup *setup)
{
	struct path *path = &p->path[p->nr];

	if (!paths_bridge(path, name, variant))
		return;
	/* What is posted is measured where it is said to be. */
	world_attr_set(&path->world, "posted_writes", "0");
	if (setup->dma_mode)
		world_attr_set(&path->world, "dma_mode", setup->dma_mode);
	world_server(&path->world, setup->args);
	p->nr++;
}

static void add_direct(struct paths *p, const char *const *args)
{
	struct path *path = &p->path[p->nr++];

	*path = (struct path){
		.name = "direct", .variant = "", .is_direct = true,
	};
	snprintf(path->world.socket, sizeof(path->world.socket),
		 "/run/vfio-user/direct.sock");
	world_server(&path->world, args);
	direct_open(&path->direct, path->world.socket);
}

void paths_up(struct paths *p, const struct setup *setup)
{
	*p = (struct paths){ 0 };
	add_direct(p, setup->args);
	add_bridge(p, "relay", "", setup);
	add_bridge(p, "kernel", "", setup);
	if (setup->poll)
		add_bridge(p, "kernel", "poll_us=" POLL_US, setup),
		add_bridge(p, "relay", "poll_us=" POLL_US, setup);
	world_helper(&p->path[1].world, NULL);
	p->helper = p->path[1].world.helper;
	for (size_t i = 1; i < p->nr; i++) {
		world_wait_state(&p->path[i].world, "attached");
		consumer_open(&p->path[i].consumer, &p->path[i].world);
	}
}

void paths_down(struct paths *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		struct path *path = &p->path[i];

		if (path->is_direct) {
			direct_close(&path->direct);
		} else {
			consumer_close(&path->consumer);
			world_remove(&path->world);
		}
		world_kill(&path->world.server, SIGKILL);
	}
	world_kill(&p->helper, SIGKILL);
}

uint32_t path_read32(struct path *p, uint32_t region, uint64_t offset)
{
	if (p->is_direct)
		return direct_read32(&p->direct, region, offset);
	return region_read32(&p->consumer, region, offset);
}

void path_write32(struct path *p, uint32_t region, uint64_t offset,
		  uint32_t value)
{
	if (p->is_direct)
		direct_write32(&p->direct, region, offset, value);
	else
		region_write32(&p->consumer, region, offset, value);
}

static void set(struct path *p, enum puppet_register reg, uint32_t value)
{
	path_write32(p, VFIO_PCI_BAR2_REGION_INDEX, reg, value);
}

static uint32_t get(struct path *p, enum puppet_register reg)
{
	return path_read32(p, VFIO_PCI_BAR2_REGION_INDEX, reg);
}

void path_dma_prepare(struct path *p, uint64_t iova, uint32_t bytes, uint32_t value)
{
	set(p, PUPPET_DMA_IOVA, (uint32_t)iova);
	set(p, PUPPET_DMA_IOVA + 4, (uint32_t)(iova >> 32));
	set(p, PUPPET_DMA_LENGTH, bytes);
	set(p, PUPPET_DMA_VALUE, value);
}

double path_dma_wait(struct path *p)
{
	uint32_t status;

	while ((status = get(p, PUPPET_DMA_STATUS)) == EINPROGRESS)
		test_sleep_ms(5);
	CHECK_EQ(status, 0);
	return (double)(get(p, PUPPET_DMA_TIME) |
			(uint64_t)get(p, PUPPET_DMA_TIME + 4) << 32);
}

void path_arm(struct paths *all, struct path *p, struct arm *arm,
	      const char *name, double (*run)(struct arm *))
{
	*arm = (struct arm){
		.run = run,
		.opaque = p,
		.pids = { p->world.server, p->is_direct ? 0 : all->helper },
	};
	samples_init(&arm->samples, name, p->name, p->variant, "ns", false);
}

/* With the helper between, nobody gets by with less than four. */
void path_check_arm(const struct arm *arm)
{
	const struct path *p = arm->opaque;

	if (!strcmp(p->name, "kernel") && arm->samples.ctxsw > 3)
		FAIL("%.2f context switches per access: the helper relays",
		     arm->samples.ctxsw);
}
