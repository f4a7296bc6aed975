// SPDX-License-Identifier: GPL-2.0
/*
 * stats --prometheus: the figures of all mdevs in Prometheus' text format, as node_exporter's
 * textfile collector takes it. Lines of one metric have to stand together, so all that is
 * known is collected first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* Dumps to try, since mdevs may come and go while one is under way. */
#define TRIES	10

/* What is told of an mdev. */
struct mdev {
	char uuid[40];
	uint32_t state;
	bool open;
	bool helper;
	uint64_t pinned;
	uint64_t dma_faults;
	struct vum_figures figures;
};

struct mdevs {
	struct mdev *mdev;
	size_t nr;
	bool bad;
	int err;
};

static void on_info(const struct vum_info *info, void *arg)
{
	struct mdevs *all = arg;
	struct mdev *more;

	if (all->bad || !ctl_check_version(info)) {
		all->bad = true;
		return;
	}
	more = reallocarray(all->mdev, all->nr + 1, sizeof(*more));
	if (!more) {
		all->err = -ENOMEM;
		return;
	}
	all->mdev = more;
	more += all->nr++;
	*more = (struct mdev) {
		.state = info->state,
		.open = info->open,
		.helper = info->helper,
		.pinned = info->pinned,
		.dma_faults = info->dma_faults,
	};
	snprintf(more->uuid, sizeof(more->uuid), "%s", info->uuid);
}

static void on_figures(const struct vum_figures *figures, void *arg)
{
	struct mdevs *all = arg;

	for (size_t i = 0; i < all->nr; i++)
		if (!strcmp(all->mdev[i].uuid, figures->uuid))
			all->mdev[i].figures = *figures;
}

static void head(const char *name, const char *type, const char *what)
{
	printf("# HELP vfio_user_mdev_%s %s\n# TYPE vfio_user_mdev_%s %s\n", name, what, name,
	       type);
}

/* One line of each mdev, of the number at @offset in its struct. */
static void print_number(const struct mdevs *all, const char *name, const char *type,
			 const char *what, size_t offset)
{
	head(name, type, what);
	for (size_t i = 0; i < all->nr; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&all->mdev[i] + offset, sizeof(value));
		printf("vfio_user_mdev_%s{uuid=\"%s\"} %" PRIu64 "\n", name, all->mdev[i].uuid,
		       value);
	}
}

static void print_states(const struct mdevs *all)
{
	const char *name;

	head("state", "gauge", "1 for the state in which the mdev's connection is");
	for (size_t i = 0; i < all->nr; i++)
		for (uint32_t state = 0; (name = vum_state_name(state)); state++)
			printf("vfio_user_mdev_state{uuid=\"%s\",state=\"%s\"} %d\n",
			       all->mdev[i].uuid, name, all->mdev[i].state == state);
	head("open", "gauge", "1 if a consumer has the device open");
	for (size_t i = 0; i < all->nr; i++)
		printf("vfio_user_mdev_open{uuid=\"%s\"} %d\n", all->mdev[i].uuid,
		       all->mdev[i].open);
	head("helper", "gauge", "1 if a helper serves the mdev");
	for (size_t i = 0; i < all->nr; i++)
		printf("vfio_user_mdev_helper{uuid=\"%s\"} %d\n", all->mdev[i].uuid,
		       all->mdev[i].helper);
}

/* Prometheus' buckets count all that took no longer than "le", in seconds. */
static void print_histogram(const char *uuid, const struct vum_figures *figures, uint32_t cmd)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < VUM_LATENCY_BUCKETS; i++) {
		uint64_t below = ctl_below_ns(i);

		sum += figures->latency[cmd][i];
		printf("vfio_user_mdev_reply_seconds_bucket{uuid=\"%s\",command=\"%s\",le=\"", uuid,
		       ctl_command(cmd));
		if (below)
			printf("%.9g", (double)below / 1e9);
		else
			fputs("+Inf", stdout);
		printf("\"} %" PRIu64 "\n", sum);
	}
	printf("vfio_user_mdev_reply_seconds_count{uuid=\"%s\",command=\"%s\"} %" PRIu64 "\n", uuid,
	       ctl_command(cmd), sum);
}

static void print_latencies(const struct mdevs *all)
{
	head("reply_seconds", "histogram", "how long the server took to reply, by command");
	for (size_t i = 0; i < all->nr; i++)
		for (uint32_t cmd = 0; cmd < VUM_LATENCY_CMDS; cmd++)
			if (ctl_count(&all->mdev[i].figures, cmd))
				print_histogram(all->mdev[i].uuid, &all->mdev[i].figures, cmd);
}

static void print_all(const struct mdevs *all)
{
	print_states(all);
	print_number(all, "requests_total", "counter", "requests to the server",
		     offsetof(struct mdev, figures.requests));
	print_number(all, "aborted_total", "counter", "requests that ended without a reply",
		     offsetof(struct mdev, figures.aborted));
	print_number(all, "errors_total", "counter", "requests that the server refused",
		     offsetof(struct mdev, figures.errors));
	print_number(all, "attaches_total", "counter", "servers that were attached",
		     offsetof(struct mdev, figures.attaches));
	print_number(all, "evicted_pages_total", "counter",
		     "pages that were unpinned to make room for others",
		     offsetof(struct mdev, figures.evicted));
	print_number(all, "pinned_pages", "gauge", "pages that are pinned for the server",
		     offsetof(struct mdev, pinned));
	print_number(all, "dma_faults_total", "counter",
		     "accesses of the server to memory that is not mapped",
		     offsetof(struct mdev, dma_faults));
	print_latencies(all);
}

/* Retry a disturbed dump, which may lack an mdev. Returns 0 or -errno. */
static int collect(struct vum_nl *nl, struct mdevs *all)
{
	int err = -EINTR;

	for (int i = 0; i < TRIES && err == -EINTR; i++) {
		all->nr = 0;
		err = vum_nl_dump(nl, on_info, all);
		if (!err)
			err = vum_nl_figures(nl, NULL, on_figures, all);
	}
	return err == -EINTR ? all->err : err ? err : all->err;
}

int ctl_prometheus(struct vum_nl *nl, const struct ctl_args *args)
{
	struct mdevs all = { 0 };
	int err;

	if (args->uuid || args->json || args->watch_ms) {
		fputs("vfio-user-mdevctl: stats --prometheus takes no UUID, --json or --watch\n",
		      stderr);
		return EXIT_USAGE;
	}
	err = collect(nl, &all);
	if (!err && !all.bad)
		print_all(&all);
	free(all.mdev);
	if (err)
		return ctl_fail("stats", err);
	return all.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
