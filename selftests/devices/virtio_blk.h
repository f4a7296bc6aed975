/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the disk share with each other. */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <stdint.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "../server/server.h"
#include "pciconf.h"
#include "virtqueue.h"

#define BLK_SECTOR	512U
#define BLK_MAX_QUEUES	64
#define BLK_MAX_DISKS	64U
#define BLK_ID		"vum-virtio-blk"

/* Direct chains need a descriptor each for the header and the status. */
#define BLK_SEG_MAX	(VIRTQUEUE_MAX - 2)

/* BAR0 has virtio's structures, a page for each. */
#define BLK_BAR0_COMMON	0x0000U
#define BLK_BAR0_ISR	0x1000U
#define BLK_BAR0_CONFIG	0x2000U
#define BLK_BAR0_NOTIFY	0x3000U
#define BLK_BAR0_SIZE	0x4000U
#define BLK_NOTIFY_STEP	4U

/* BAR1 has the MSI-X table and its pending bits. */
#define BLK_BAR1_PBA	0x800U
#define BLK_BAR1_SIZE	0x1000U

/**
 * struct blk_disk - one more disk
 * @socket: where it is served
 * @file: backing file
 */
struct blk_disk {
	const char *socket;
	const char *file;
};

/**
 * struct blk_options - command line
 * @common: the library's part
 * @file: backing file
 * @also: other disks that this process is to serve
 * @nr_also: how many
 * @nr_queues: how many queues
 * @poll: do not wait to be notified
 * @read_only: the disk cannot be written
 * @direct: use O_DIRECT
 * @probe: say where O_DIRECT works
 * @stats: say at the end what was done
 */
struct blk_options {
	struct vus_options common;
	const char *file;
	struct blk_disk also[BLK_MAX_DISKS - 1];
	unsigned int nr_also;
	__u32 nr_queues;
	bool poll;
	bool read_only;
	bool direct;
	bool probe;
	bool stats;
};

/**
 * struct blk_stats - what was done
 * @reads: VIRTIO_BLK_T_IN
 * @writes: VIRTIO_BLK_T_OUT
 * @flushes: VIRTIO_BLK_T_FLUSH
 * @others: all others
 * @read_bytes: to guest memory
 * @written_bytes: from guest memory
 * @mapped_bytes: those of both that were never copied by us
 * @direct_bytes: those of these that were never copied by the kernel either
 * @errors: requests not ended with VIRTIO_BLK_S_OK
 * @breaks: times that the driver had to be told to reset us
 * @interrupts: sent, or added to a line that was already asserted
 * @lowest: lowest IOVA of a request
 */
struct blk_stats {
	__u64 reads;
	__u64 writes;
	__u64 flushes;
	__u64 others;
	__u64 read_bytes;
	__u64 written_bytes;
	__u64 mapped_bytes;
	__u64 direct_bytes;
	__u64 errors;
	__u64 breaks;
	__u64 interrupts;
	__u64 lowest;
};

struct blk;

/**
 * struct blk_cursor - a place in a request
 * @seg: index of the segment
 * @skip: bytes of it
 */
struct blk_cursor {
	unsigned int seg;
	__u32 skip;
};

/**
 * struct blk_queue - a queue, and its request
 * @vq: the queue; first, so that it can be told from it
 * @blk: the disk
 * @vector: MSI-X vector
 * @out_size: bytes to be read, header included
 * @in_size: bytes to be written, status included
 * @header: of the request
 * @got: bytes of it, or of @id, that are through
 * @at: where in the request
 * @offset: where in the backing file
 * @left: bytes of data still to be moved
 * @chunk: bytes of them on their way through @bounce
 * @written: bytes of data in the guest's memory
 * @status: VIRTIO_BLK_S_*
 * @id: what VIRTIO_BLK_T_GET_ID tells
 * @bounce: for data that cannot be moved directly
 */
struct blk_queue {
	struct virtqueue vq;
	struct blk *blk;
	__u16 vector;

	__u64 out_size;
	__u64 in_size;
	struct virtio_blk_outhdr header;
	__u32 got;
	struct blk_cursor at;
	__u64 offset;
	__u64 left;
	__u32 chunk;
	__u32 written;
	__u8 status;
	char id[VIRTIO_BLK_ID_BYTES];
	__u8 *bounce;
};

/**
 * struct blk - the disk
 * @opt: command line, with this disk's socket and file
 * @name: what its messages begin with: the program, and the file if it is one of several
 * @dev: as the library knows it
 * @irqs: for @dev
 * @srv: the server
 * @conf: configuration space
 * @bar1: the MSI-X table; ours to keep, the client's to use
 * @fd: backing file
 * @direct_fd: the same, opened with O_DIRECT, or -1
 * @told_copied: it has been said that data is copied although there is a @direct_fd
 * @capacity: sectors
 * @queues: @opt.nr_queues of them
 * @offered: features
 * @accepted: those that the driver has accepted
 * @offered_select: which half of @offered the driver looks at
 * @accepted_select: which half of @accepted it writes
 * @config_vector: MSI-X vector for changes of the configuration
 * @queue_select: which queue the driver sets up
 * @status: VIRTIO_CONFIG_S_*
 * @old_status: @status before the reset
 * @isr: what INTx is about
 * @parked: the client has come back; wait until it listens
 * @stopped: it is to be migrated, and does nothing of its own accord
 * @stopping: but for what it has begun
 * @stats: what was done
 */
struct blk {
	struct blk_options opt;
	char name[128];
	struct vus_device dev;
	struct vus_irq irqs[VFIO_PCI_NUM_IRQS];
	struct vus_server *srv;
	struct pciconf conf;
	__u8 bar1[BLK_BAR1_SIZE];
	int fd;
	int direct_fd;
	bool told_copied;
	__u64 capacity;
	struct blk_queue *queues;

	__u64 offered;
	__u64 accepted;
	__u32 offered_select;
	__u32 accepted_select;
	__u16 config_vector;
	__u16 queue_select;
	__u8 status;
	__u8 old_status;
	__u8 isr;
	bool parked;
	bool stopped;
	bool stopping;
	struct blk_stats stats;
};

static inline bool blk_accepted(const struct blk *blk, unsigned int feature)
{
	return blk->accepted >> feature & 1;
}

/* virtio_blk_options.c */
int blk_parse(struct blk_options *opt, int argc, char **argv);

/* virtio_blk_request.c */
void blk_request(struct virtqueue *vq);

/* virtio_blk_direct.c */
int blk_direct_open(struct blk *blk);
void blk_direct_probe(void *opaque, __u64 addr, __u64 size);
bool blk_direct_refused(struct blk *blk);

/* virtio_blk_state.c */
extern const struct vus_migration blk_migration;
void blk_stopped_work(struct blk *blk);

/* virtio_blk_common.c */
void blk_common_init(struct blk *blk);
void blk_common_reset(struct blk *blk);
void blk_common_read(const struct blk *blk, __u64 offset, void *buf,
		     __u32 count);
void blk_common_write(struct blk *blk, __u64 offset, const void *buf,
		      __u32 count);

/* virtio_blk_pci.c */
extern const struct vus_region blk_regions[];
void blk_pci_init(struct blk *blk);
void blk_pci_reset(struct blk *blk);
bool blk_pci_master(const struct blk *blk);
bool blk_pci_listening(const struct blk *blk);
void blk_queue_interrupt(struct virtqueue *vq);
void blk_config_interrupt(struct blk *blk);
void blk_update_intx(struct blk *blk);
void blk_lower_intx(struct blk *blk);

#endif /* VIRTIO_BLK_H */
