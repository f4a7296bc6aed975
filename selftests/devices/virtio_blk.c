// SPDX-License-Identifier: GPL-2.0
/*
 * vum-virtio-blk: a virtio disk on PCI, in a process.
 *
 * What comes in over the socket is answered first; the queues get their turn
 * when the library is about to wait. So a notification costs the guest no more
 * than its own round trip, and a request may in turn send messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "virtio_blk.h"

/* What a queue may do before the socket and other queues get their turn. */
#define STEPS	256

static bool running(const struct blk *blk)
{
	return blk->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	       !(blk->status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
	       blk_pci_master(blk);
}

/* Interrupts may have got lost on the way: one too many is harmless. */
static void unpark(struct blk *blk)
{
	__u32 i;

	blk->parked = false;
	for (i = 0; i < blk->opt.nr_queues; i++) {
		if (blk->queues[i].vq.enabled)
			blk_queue_interrupt(&blk->queues[i].vq);
	}
}

static bool work(void *opaque)
{
	struct blk *blk = opaque;
	bool more = blk->opt.poll;
	__u32 i;

	if (blk->stopped)
		blk_stopped_work(blk);
	if (blk->stopped || !running(blk))
		return false;
	if (blk->parked) {
		if (!blk_pci_listening(blk))
			return false;
		unpark(blk);
	}
	for (i = 0; i < blk->opt.nr_queues && running(blk); i++)
		more |= virtqueue_run(&blk->queues[i].vq, STEPS);
	return more;
}

static void reset(void *opaque)
{
	blk_pci_reset(opaque);
}

/*
 * It may be the helper that is gone, and will be back. Where the queues are is
 * nothing to rely on until the client's memory is there again; it sets its
 * interrupts up after that. If it is another client, it begins with a reset.
 */
static void disconnected(void *opaque)
{
	struct blk *blk = opaque;
	__u32 i;

	blk->parked = true;
	for (i = 0; i < blk->opt.nr_queues; i++)
		virtqueue_rewind(&blk->queues[i].vq);
}

static void print_stats(const struct blk_stats *stats)
{
	fprintf(stderr,
		"vum-virtio-blk: %" PRIu64 " reads, %" PRIu64 " writes, %"
		PRIu64 " flushes, %" PRIu64 " others, %" PRIu64
		" bytes read, %" PRIu64 " bytes written, %" PRIu64
		" of them not copied, %" PRIu64 " by O_DIRECT, %" PRIu64 " errors, %" PRIu64
		" breaks, %" PRIu64 " interrupts, %#" PRIx64
		" the lowest address\n",
		(uint64_t)stats->reads, (uint64_t)stats->writes,
		(uint64_t)stats->flushes, (uint64_t)stats->others,
		(uint64_t)stats->read_bytes, (uint64_t)stats->written_bytes,
		(uint64_t)stats->mapped_bytes, (uint64_t)stats->direct_bytes,
		(uint64_t)stats->errors,
		(uint64_t)stats->breaks, (uint64_t)stats->interrupts,
		(uint64_t)stats->lowest);
}

static void stats_wanted(void *opaque, int fd, short revents __maybe_unused)
{
	const struct blk *blk = opaque;
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == sizeof(info))
		print_stats(&blk->stats);
}

/* Return: a descriptor that is readable after SIGUSR1, or -1. */
static int open_usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_file(struct blk *blk)
{
	off_t size;

	blk->fd = open(blk->opt.file,
		       (blk->opt.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (blk->fd < 0)
		return -1;
	size = lseek(blk->fd, 0, SEEK_END);
	if (size < 0)
		return -1;
	blk->capacity = (__u64)size / BLK_SECTOR;
	return blk_direct_open(blk);
}

static int serve(struct blk *blk, int usr1)
{
	const struct vus_irq irqs[VFIO_PCI_NUM_IRQS] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD |
				 VFIO_IRQ_INFO_MASKABLE |
				 VFIO_IRQ_INFO_AUTOMASKED,
			.count = 1,
		},
		[VFIO_PCI_MSIX_IRQ_INDEX] = {
			.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
			.count = blk->opt.nr_queues + 1,
		},
	};
	const struct vus_device dev = {
		.opaque = blk,
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.regions = blk_regions,
		.nr_regions = VFIO_PCI_NUM_REGIONS,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.irqs = irqs,
		.nr_irqs = VFIO_PCI_NUM_IRQS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
		.reset = reset,
		.disconnected = disconnected,
		.work = work,
		.mapped = blk->opt.probe ? blk_direct_probe : NULL,
		.migration = &blk_migration,
	};
	int ret;

	blk->srv = vus_create(&blk->opt.common, &dev);
	if (!blk->srv)
		return -1;
	vus_watch_fd(blk->srv, usr1, POLLIN, stats_wanted, blk);
	blk_pci_init(blk);
	blk_common_init(blk);
	ret = vus_run(blk->srv);
	vus_destroy(blk->srv);
	if (blk->opt.stats)
		print_stats(&blk->stats);
	return ret;
}

static void free_queues(struct blk *blk)
{
	__u32 i;

	for (i = 0; blk->queues && i < blk->opt.nr_queues; i++)
		free(blk->queues[i].bounce);
	free(blk->queues);
}

int main(int argc, char **argv)
{
	static struct blk blk = { .stats.lowest = UINT64_MAX };
	int usr1, ret;

	if (blk_parse(&blk.opt, argc, argv))
		return EXIT_FAILURE;
	usr1 = open_usr1();
	if (usr1 < 0 || open_file(&blk)) {
		fprintf(stderr, "%s: %s: %s\n", argv[0], blk.opt.file,
			strerror(errno));
		return EXIT_FAILURE;
	}
	ret = serve(&blk, usr1);
	free_queues(&blk);
	close(blk.fd);
	if (blk.direct_fd >= 0)
		close(blk.direct_fd);
	close(usr1);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
