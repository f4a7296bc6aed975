// SPDX-License-Identifier: GPL-2.0
/* From the server's signal to the consumer's wake-up. clocks: wall icount */
#include <sys/eventfd.h>
#include <unistd.h>

#include "../paths.h"

/* Enough for the consumer to have gone to sleep by then. */
#define DELAY_US	1000

static struct paths paths;
static int eventfds[MAX_PATHS];

static uint64_t signalled_at(struct path *p)
{
	uint32_t low = path_read32(p, VFIO_PCI_BAR2_REGION_INDEX,
				   PUPPET_TRIGGER_TIME);

	return low | (uint64_t)path_read32(p, VFIO_PCI_BAR2_REGION_INDEX,
					   PUPPET_TRIGGER_TIME + 4) << 32;
}

static double wake_up(struct arm *arm)
{
	struct path *p = arm->opaque;
	uint64_t asleep, awake, signalled, count;

	do {
		path_write32(p, VFIO_PCI_BAR2_REGION_INDEX, PUPPET_TRIGGER,
			     VFIO_PCI_MSIX_IRQ_INDEX << 16);
		asleep = bench_now();
		CHECK_EQ(read(eventfds[p - paths.path], &count, 8), 8);
		awake = bench_now();
		signalled = signalled_at(p);
		/* Whoever comes late has not been woken up. */
	} while (signalled < asleep);
	return (double)(awake - signalled);
}

static void listen_to(struct path *p, int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC);
	CHECK(*fd >= 0);
	if (p->is_direct)
		direct_set_eventfd(&p->direct, VFIO_PCI_MSIX_IRQ_INDEX, 0, *fd);
	else
		CHECK(!irq_set_eventfds(&p->consumer, VFIO_PCI_MSIX_IRQ_INDEX, 0,
					1, fd));
	path_write32(p, VFIO_PCI_BAR2_REGION_INDEX, PUPPET_TRIGGER_DELAY,
		     DELAY_US);
}

/* Several times, since on which CPU a process likes to be makes a difference. */
#define TIMES	5

TEST(irq)
{
	const struct plan plan = {
		.rounds = bench_rounds(20), .block = 25, .warm = 2,
		.seconds = 5,
	};
	struct arm arms[MAX_PATHS];
	size_t nr = 0;

	bench_limit(300);
	/* Not how the scheduler likes the server that would have to stop. */
	bench_realtime();
	for (unsigned int time = 0; time < TIMES; time++) {
		paths_up(&paths, &(struct setup){ 0 });
		nr = paths.nr;
		for (size_t i = 0; i < nr; i++) {
			listen_to(&paths.path[i], &eventfds[i]);
			if (time)
				continue;
			path_arm(&paths, &paths.path[i], &arms[i], "irq", wake_up);
			/* Those of asking for it would count. */
			memset(arms[i].pids, 0, sizeof(arms[i].pids));
		}
		bench_measure(arms, nr, &plan);
		for (size_t i = 0; i < nr; i++)
			close(eventfds[i]);
		paths_down(&paths);
	}
	for (size_t i = 0; i < nr; i++)
		samples_emit(&arms[i].samples);
}
