/* SPDX-License-Identifier: GPL-2.0 */
/* What the puppet's files share. */
#ifndef PUPPET_PRIV_H
#define PUPPET_PRIV_H

#include "../server/server.h"
#include "pciconf.h"
#include "puppet.h"

/* Region 9 is the first that is not PCI's. */
#define PUPPET_NR_REGIONS	(PUPPET_REGION9 + 1)

/**
 * struct puppet_caps - capabilities of a region, as they go out
 * @size: bytes in @data
 * @data: the chain
 */
struct puppet_caps {
	size_t size;
	__u8 data[];
};

/**
 * struct puppet_options - command line
 * @common: the library's
 * @config_size: 256 or 4096
 * @nr_msix: vectors
 * @bar0_size: bytes
 * @io_bar0: BAR0 is I/O space
 * @num_regions: what to claim in GET_INFO
 * @num_irqs: likewise
 * @no_pci: do not claim to be a PCI device
 * @no_reset: do not claim to know reset
 * @sparse: only the second half of BAR0 can be mapped
 * @bar0_flags: VFIO_REGION_INFO_FLAG_*
 * @bar0_fd: the file that is BAR0, or -1: one of ours
 * @keep_bar0_fd: which is not handed out
 * @bar0_offset: where it starts there
 * @bar0_caps: its capabilities, or NULL
 * @bar0_cap_offset: where they are said to start, or 0: where they do
 * @region9_caps: capabilities of region 9, or NULL: there is none
 * @touch: announced memory is touched
 * @migration: VFIO_USER_MIGRATION_*: the device can be migrated
 * @ballast: bytes that its state has for no other reason than to be large
 */
struct puppet_options {
	struct vus_options common;
	__u32 config_size;
	__u32 nr_msix;
	__u32 bar0_size;
	bool io_bar0;
	__u32 num_regions;
	__u32 num_irqs;
	bool no_pci;
	bool no_reset;
	bool sparse;
	__u32 bar0_flags;
	int bar0_fd;
	bool keep_bar0_fd;
	__u64 bar0_offset;
	const struct puppet_caps *bar0_caps;
	__u32 bar0_cap_offset;
	const struct puppet_caps *region9_caps;
	bool touch;
	__u64 migration;
	__u32 ballast;
};

/**
 * struct puppet_held - a reply that is withheld
 * @next: in struct puppet
 * @puppet: the device
 * @reply: the reply
 * @gathered: for PUPPET_GATHER; others have a reason of their own
 * @bar1_read: answers a read of BAR1
 * @timer: timerfd that sets it free, or -1
 * @watch: for @timer
 */
struct puppet_held {
	struct puppet_held *next;
	struct puppet *puppet;
	struct vus_reply *reply;
	bool gathered;
	bool bar1_read;
	int timer;
	struct vus_watch *watch;
};

/**
 * struct puppet_dma - the DMA engine
 * @iova: PUPPET_DMA_IOVA, low word first
 * @iova2: PUPPET_DMA_IOVA2
 * @size: PUPPET_DMA_LENGTH
 * @value: PUPPET_DMA_VALUE
 * @status: PUPPET_DMA_STATUS
 * @sum: PUPPET_DMA_SUM_RESULT
 * @op: what is being done
 * @addr: where it is
 * @addr2: where the copy goes
 * @left: bytes to go
 * @read: a chunk has been read and is to be written
 * @waited: the client has answered, the chunk is done
 * @hammer: pid of the process that writes all the time, or 0
 * @copy: between client memory and @buf
 * @buf: one chunk
 */
struct puppet_dma {
	__u32 iova[2];
	__u32 iova2[2];
	__u32 size;
	__u32 value;
	__u32 status;
	__u32 sum;
	enum puppet_dma_op op;
	__u64 addr;
	__u64 addr2;
	__u32 left;
	bool read;
	bool waited;
	int hammer;
	struct vus_dma copy;
	__u8 buf[0x10000];
};

/**
 * struct puppet_timing - what benchmarks want to know
 * @delay: PUPPET_TRIGGER_DELAY
 * @interrupt: what PUPPET_TRIGGER was told
 * @timer: timerfd that fires it, or -1
 * @fired: PUPPET_TRIGGER_TIME
 * @started: when the operation that is timed has begun
 * @took: PUPPET_DMA_TIME
 * @left: how many times to go
 * @copy: one of those times
 * @buf: where to, or NULL as yet
 */
struct puppet_timing {
	__u32 delay;
	__u32 interrupt;
	int timer;
	__u64 fired;
	__u64 started;
	__u64 took;
	__u32 left;
	struct vus_dma copy;
	__u8 *buf;
};

/**
 * struct puppet - the device
 * @opt: command line
 * @srv: the server
 * @conf: configuration space
 * @bar0_fd: the file that is BAR0
 * @bar0: BAR0
 * @region9_fd: the file that is region 9
 * @region9: region 9
 * @bar4: BAR4
 * @fault: PUPPET_FAULT
 * @fault_arg: PUPPET_FAULT_ARG
 * @fault_cmd: PUPPET_FAULT_CMD
 * @gather: PUPPET_GATHER
 * @max_overlap: PUPPET_MAX_OVERLAP
 * @intx_level: PUPPET_INTX_LEVEL
 * @nr_set_irqs: PUPPET_NR_SET_IRQS
 * @nr_resets: PUPPET_NR_RESETS
 * @resets_at_stop: resets when it was last stopped
 * @resets_to_run: PUPPET_RESETS_TO_RUN
 * @max_fds: PUPPET_MAX_FDS
 * @nr_connections: PUPPET_NR_CONNECTIONS
 * @dma_result: PUPPET_DMA_RESULT
 * @dma_data: PUPPET_DMA_DATA
 * @nr_reads: PUPPET_NR_READS
 * @nr_writes: PUPPET_NR_WRITES
 * @nr_multi: PUPPET_NR_MULTI
 * @last_count: PUPPET_LAST_COUNT
 * @held: replies that are withheld, the latest first
 * @dma: the DMA engine
 * @timing: delays and durations
 * @migration: how to migrate it
 * @stopped: it is not to do anything of its own accord
 */
struct puppet {
	struct puppet_options opt;
	struct vus_server *srv;
	struct pciconf conf;
	int bar0_fd;
	__u8 *bar0;
	int region9_fd;
	__u8 *region9;
	__u8 bar4[PUPPET_BAR4_SIZE];
	__u32 fault;
	__u32 fault_arg;
	__u32 fault_cmd;
	__u32 gather;
	__u32 max_overlap;
	__u32 intx_level;
	__u32 nr_set_irqs;
	__u32 nr_resets;
	__u32 resets_at_stop;
	__u32 resets_to_run;
	__u32 max_fds;
	__u32 nr_connections;
	__u32 dma_result;
	__u8 dma_data[PUPPET_DMA_SIZE];
	__u32 nr_reads;
	__u32 nr_writes;
	__u32 nr_multi;
	__u32 last_count;
	__u8 feature[PUPPET_FEATURE_SIZE];
	int io_fds[2];
	__u32 io_fd_hits;
	struct puppet_held *held;
	struct puppet_dma dma;
	struct puppet_timing timing;
	struct vus_migration migration;
	bool stopped;
};

/* puppet_announced.c */
int puppet_announced_read(void *opaque, __u64 offset, void *buf, __u32 count);
void puppet_touch(void *opaque, __u64 addr, __u64 size);

/* puppet_iofds.c */
bool puppet_offer_io_fds(struct puppet *puppet, const struct vus_msg *msg);
__u32 puppet_io_fd_hits(struct puppet *puppet);

/* puppet_bars.c */
int puppet_bars_init(struct puppet *puppet);
void puppet_bars_describe(struct puppet *puppet, struct vus_region *regions);

/* puppet_dma.c */
void puppet_dma_write(struct puppet *puppet, __u64 offset, __u32 value);
void puppet_dma_reset(struct puppet *puppet);

/* puppet.c */
void puppet_update_intx(struct puppet *puppet);

/* puppet_timing.c */
void puppet_trigger_later(struct puppet *puppet, __u32 value);
void puppet_time(struct puppet *puppet, enum puppet_dma_op op);
void puppet_timing_reset(struct puppet *puppet);
void puppet_timing_init(struct puppet *puppet);

/* puppet_state.c */
extern const struct vus_migration puppet_migration;

/* puppet_options.c */
int puppet_parse(struct puppet_options *opt, int argc, char **argv);

/* puppet_regs.c */
void puppet_trigger(struct puppet *puppet, __u32 value);
int puppet_regs_read(void *opaque, __u64 offset, void *buf, __u32 count);
int puppet_regs_write(void *opaque, __u64 offset, const void *buf, __u32 count);

/* puppet_faults.c */
enum vus_verdict puppet_filter(void *opaque, const struct vus_msg *msg);
void puppet_gather_changed(struct puppet *puppet);
void puppet_drop_held(void *opaque);

#endif /* PUPPET_PRIV_H */
