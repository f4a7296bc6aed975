// SPDX-License-Identifier: GPL-2.0
/*
 * vum-virtio-blk: a virtio disk on PCI, in a process; or several in one.
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

#include "virtio_blk.h"

/*
 * What a queue may do before others get their turn: about as much as a request takes, so
 * that one that is always full delays no other by more.
 */
#define STEPS	16

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

static enum vus_work work(void *opaque)
{
	struct blk *blk = opaque;
	bool more = false;
	__u32 i;

	if (blk->stopped)
		blk_stopped_work(blk);
	if (blk->stopped || !running(blk))
		return VUS_WORK_NONE;
	if (blk->parked) {
		if (!blk_pci_listening(blk))
			return VUS_WORK_NONE;
		unpark(blk);
	}
	for (i = 0; i < blk->opt.nr_queues && running(blk); i++)
		more |= virtqueue_run(&blk->queues[i].vq, STEPS);
	if (more)
		return VUS_WORK_MORE;
	return blk->opt.poll ? VUS_WORK_POLL : VUS_WORK_NONE;
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

static void print_stats(const struct blk *blk)
{
	const struct blk_stats *stats = &blk->stats;

	fprintf(stderr,
		"%s: %" PRIu64 " reads, %" PRIu64 " writes, %"
		PRIu64 " flushes, %" PRIu64 " others, %" PRIu64
		" bytes read, %" PRIu64 " bytes written, %" PRIu64
		" of them not copied, %" PRIu64 " by O_DIRECT, %" PRIu64 " errors, %" PRIu64
		" breaks, %" PRIu64 " interrupts, %#" PRIx64
		" the lowest address\n", blk->name,
		(uint64_t)stats->reads, (uint64_t)stats->writes,
		(uint64_t)stats->flushes, (uint64_t)stats->others,
		(uint64_t)stats->read_bytes, (uint64_t)stats->written_bytes,
		(uint64_t)stats->mapped_bytes, (uint64_t)stats->direct_bytes,
		(uint64_t)stats->errors,
		(uint64_t)stats->breaks, (uint64_t)stats->interrupts,
		(uint64_t)stats->lowest);
}

/* The disks of this process; only as many as the command line says are in use. */
static struct blk disks[BLK_MAX_DISKS];
static unsigned int nr_disks;

static void stats_wanted(void *opaque __maybe_unused, int fd, short revents __maybe_unused)
{
	struct signalfd_siginfo info;
	unsigned int i;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	for (i = 0; i < nr_disks; i++)
		print_stats(&disks[i]);
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

/* Return: the disk's server, or NULL after having said why there is none. */
static struct vus_server *create_server(struct blk *blk)
{
	blk->irqs[VFIO_PCI_INTX_IRQ_INDEX] = (struct vus_irq){
		.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			 VFIO_IRQ_INFO_AUTOMASKED,
		.count = 1,
	};
	blk->irqs[VFIO_PCI_MSIX_IRQ_INDEX] = (struct vus_irq){
		.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
		.count = blk->opt.nr_queues + 1,
	};
	blk->dev = (struct vus_device){
		.opaque = blk,
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.regions = blk_regions,
		.nr_regions = VFIO_PCI_NUM_REGIONS,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.irqs = blk->irqs,
		.nr_irqs = VFIO_PCI_NUM_IRQS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
		.reset = reset,
		.disconnected = disconnected,
		.work = work,
		.mapped = blk->opt.probe ? blk_direct_probe : NULL,
		.migration = &blk_migration,
	};
	return vus_create(&blk->opt.common, &blk->dev);
}

/* Return: 0, or -1 after having said why there is no such disk. */
static int disk_up(struct blk *blk)
{
	blk->stats.lowest = UINT64_MAX;
	if (open_file(blk)) {
		fprintf(stderr, "vum-virtio-blk: %s: %s\n", blk->opt.file, strerror(errno));
		return -1;
	}
	blk->srv = create_server(blk);
	if (!blk->srv)
		return -1;
	blk_pci_init(blk);
	blk_common_init(blk);
	return 0;
}

static void disk_down(struct blk *blk)
{
	__u32 i;

	if (blk->srv)
		vus_destroy(blk->srv);
	if (blk->opt.stats && blk->srv)
		print_stats(blk);
	for (i = 0; blk->queues && i < blk->opt.nr_queues; i++)
		free(blk->queues[i].bounce);
	free(blk->queues);
	if (blk->fd >= 0)
		close(blk->fd);
	if (blk->direct_fd >= 0)
		close(blk->direct_fd);
}

/* Return: 0, or -1 after having said what went wrong. */
static int serve(int usr1)
{
	struct vus_server *servers[BLK_MAX_DISKS] = { NULL };
	unsigned int i;

	for (i = 0; i < nr_disks; i++) {
		if (disk_up(&disks[i]))
			return -1;
		servers[i] = disks[i].srv;
	}
	vus_watch_fd(servers[0], usr1, POLLIN, stats_wanted, NULL);
	return vus_run(servers, nr_disks);
}

static void name_disks(const struct blk_options *opt)
{
	unsigned int i;

	nr_disks = 1 + opt->nr_also;
	for (i = 0; i < nr_disks; i++) {
		struct blk *blk = &disks[i];

		blk->opt = *opt;
		blk->fd = -1;
		blk->direct_fd = -1;
		if (i) {
			blk->opt.common.socket = opt->also[i - 1].socket;
			blk->opt.file = opt->also[i - 1].file;
		}
		snprintf(blk->name, sizeof(blk->name), "vum-virtio-blk%s%s",
			 nr_disks > 1 ? ": " : "", nr_disks > 1 ? blk->opt.file : "");
	}
}

int main(int argc, char **argv)
{
	struct blk_options opt = { 0 };
	unsigned int i;
	int usr1, ret;

	if (blk_parse(&opt, argc, argv))
		return EXIT_FAILURE;
	name_disks(&opt);
	usr1 = open_usr1();
	if (usr1 < 0) {
		fprintf(stderr, "vum-virtio-blk: signalfd: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	ret = serve(usr1);
	for (i = 0; i < nr_disks; i++)
		disk_down(&disks[i]);
	close(usr1);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
