/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small vfio-user server for tests: one device, one connection at a time. One
 * thread may run several.
 *
 * A device fills in struct vus_device and calls vus_create() and vus_run().
 * What the protocol asks for is done by the library; the callbacks only see
 * region accesses, resets and connections. A device that wants to misbehave
 * looks at every message first (@filter), has the right reply made for it by
 * vus_execute(), and sends what it likes by vus_send_raw().
 */
#ifndef VUS_SERVER_H
#define VUS_SERVER_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "../../uapi/vfio_user.h"

#ifndef __maybe_unused
#define __maybe_unused	__attribute__((__unused__))
#endif

/* What AF_UNIX carries at most in one go (SCM_MAX_FD in the kernel). */
#define VUS_MAX_FDS	253

struct vus_server;
struct vus_watch;

/**
 * enum vus_dma_way - how to reach client memory that comes with a descriptor
 * @VUS_DMA_MMAP: as memory, unless it was announced for file I/O
 * @VUS_DMA_FILE: by pread() and pwrite() of that descriptor
 * @VUS_DMA_MESSAGE: by DMA_READ and DMA_WRITE, as if there were none
 */
enum vus_dma_way {
	VUS_DMA_MMAP,
	VUS_DMA_FILE,
	VUS_DMA_MESSAGE,
};

/**
 * enum vus_fork - when to go on in a child
 * @VUS_FORK_NEVER: never
 * @VUS_FORK_LISTEN: after listen(), as if by socket activation: the parent only waits
 * @VUS_FORK_VERSION: after the VERSION reply; the parent exits
 */
enum vus_fork {
	VUS_FORK_NEVER,
	VUS_FORK_LISTEN,
	VUS_FORK_VERSION,
};

/**
 * struct vus_options - command line of every server, see vus_parse()
 * @socket: where to listen
 * @max_msg_fds: announced in VERSION
 * @max_data_xfer_size: announced in VERSION
 * @major: what to answer in VERSION, -1 for the truth
 * @minor: likewise
 * @version_json: what to answer in VERSION instead of our capabilities
 * @license: the licence to declare in VERSION, an SPDX expression; empty for none
 * @single_writes: do not take REGION_WRITE_MULTI
 * @pledge: the text to repeat in VERSION if the client asks for one, or NULL
 * @stall: bit n: never answer command n
 * @verbose: trace every message
 * @once: stop when the first client leaves
 * @dma: how to reach client memory
 * @fork: when to go on in a child
 * @sloppy: bit n: refuse command n, and take its payload for the next message
 * @keep_state: neither a reset nor a new client makes a stopped device run, and while it
 *	is stopped, hardly anything else can be asked of it: as libvfio-user has it
 * @stay_stopped: nothing makes a stopped device run
 */
struct vus_options {
	const char *socket;
	__u32 max_msg_fds;
	__u32 max_data_xfer_size;
	int major;
	int minor;
	const char *version_json;
	const char *license;
	bool single_writes;
	const char *pledge;
	__u32 stall;
	bool verbose;
	bool once;
	enum vus_dma_way dma;
	enum vus_fork fork;
	__u32 sloppy;
	bool keep_state;
	bool stay_stopped;
};

int vus_parse(const struct argp_option *options, argp_parser_t parser,
	      const char *doc, void *opt, int argc, char **argv);
unsigned long vus_option_number(struct argp_state *state, const char *arg,
				unsigned long min, unsigned long max);

/**
 * struct vus_msg - a message that came in
 * @hdr: its header
 * @payload: what followed, aligned for any struct of the protocol
 * @size: bytes in @payload
 * @fds: descriptors; closed afterwards unless whoever keeps one writes -1 here
 * @nr_fds: entries in @fds
 */
struct vus_msg {
	struct vfio_user_header hdr;
	const void *payload;
	size_t size;
	int *fds;
	unsigned int nr_fds;
};

/**
 * struct vus_reply - a reply that has not been sent yet
 * @fd: rides with it unless it is -1; not owned by the reply
 * @size: bytes in @data
 * @data: header, then payload
 */
struct vus_reply {
	int fd;
	size_t size;
	__u8 data[] __attribute__((aligned(16)));
};

static inline struct vfio_user_header *vus_reply_header(struct vus_reply *reply)
{
	return (struct vfio_user_header *)reply->data;
}

static inline void *vus_reply_payload(struct vus_reply *reply)
{
	return reply->data + sizeof(struct vfio_user_header);
}

bool vus_argsz_fits(const struct vus_server *srv, __u32 argsz, size_t least);

/**
 * struct vus_region - one region of the device
 * @size: bytes; 0 if there is no such region
 * @flags: VFIO_REGION_INFO_FLAG_*; FLAG_CAPS is added if there are @caps
 * @fd: with VFIO_REGION_INFO_FLAG_MMAP: the file to map
 * @offset: where the region starts in @fd
 * @caps: capability chain as it goes out; starts 32 bytes into the reply
 * @caps_size: bytes in @caps
 * @cap_offset: where they are said to start, if not where they do
 * @read: fill @buf from the region, return 0 or a negative errno
 * @write: likewise
 *
 * The callbacks are called with offsets and counts that are inside the region.
 */
struct vus_region {
	__u64 size;
	__u32 flags;
	int fd;
	__u64 offset;
	const void *caps;
	size_t caps_size;
	__u32 cap_offset;
	int (*read)(void *dev, __u64 offset, void *buf, __u32 count);
	int (*write)(void *dev, __u64 offset, const void *buf, __u32 count);
};

/**
 * struct vus_irq - one IRQ index of the device
 * @flags: VFIO_IRQ_INFO_*
 * @count: number of sub-indexes
 */
struct vus_irq {
	__u32 flags;
	__u32 count;
};

/**
 * enum vus_verdict - what a filter did with a message
 * @VUS_PASS: nothing, go on as usual
 * @VUS_TAKEN: everything; the library leaves it alone
 */
enum vus_verdict {
	VUS_PASS,
	VUS_TAKEN,
};

/**
 * struct vus_migration - how a device's state is saved and loaded
 * @flags: VFIO_USER_MIGRATION_*
 * @stop: neither touch client memory nor fire interrupts any more; -EINPROGRESS if
 *	that takes a while: the device then calls vus_mig_stopped()
 * @run: go on, also after another state was loaded
 * @save: allocate and fill *@state, *@size bytes, which the library frees
 * @load: take over a state that another device has saved
 *
 * All of them return 0 or a negative errno.
 */
struct vus_migration {
	__u64 flags;
	int (*stop)(void *dev);
	int (*run)(void *dev);
	int (*save)(void *dev, void **state, size_t *size);
	int (*load)(void *dev, const void *state, size_t size);
};

/**
 * enum vus_work - how much a device has to do of its own accord
 * @VUS_WORK_NONE: nothing before something comes in
 * @VUS_WORK_POLL: nothing now; it wants to be asked again, without a wait
 * @VUS_WORK_MORE: more, after the others have had their turn
 */
enum vus_work {
	VUS_WORK_NONE,
	VUS_WORK_POLL,
	VUS_WORK_MORE,
};

/**
 * struct vus_device - what the library has to know about a device
 * @opaque: first argument of the callbacks
 * @flags: VFIO_DEVICE_FLAGS_*
 * @regions: @nr_regions of them
 * @nr_regions: entries in @regions
 * @num_regions: what GET_INFO tells; regions without an entry are empty
 * @irqs: @nr_irqs of them; INTx must be the first, if it exists
 * @nr_irqs: entries in @irqs
 * @num_irqs: what GET_INFO tells; indexes without an entry have no IRQs
 * @reset: device reset
 * @connected: a client has connected; nothing is negotiated yet
 * @disconnected: it is gone, and so are its memory and its eventfds
 * @filter: sees every message first
 * @mapped: the client has announced memory
 * @feature: VFIO_DEVICE_FEATURE with these flags: fill @data or take it, @size
 *	bytes of it; return 0 or a negative errno
 * @migration: how to migrate it
 * @work: called before each wait, for what need not be done before a reply is sent
 *
 * All callbacks but those of the regions are optional.
 */
struct vus_device {
	void *opaque;
	__u32 flags;
	const struct vus_region *regions;
	__u32 nr_regions;
	__u32 num_regions;
	const struct vus_irq *irqs;
	__u32 nr_irqs;
	__u32 num_irqs;
	void (*reset)(void *dev);
	void (*connected)(void *dev);
	void (*disconnected)(void *dev);
	enum vus_verdict (*filter)(void *dev, const struct vus_msg *msg);
	void (*mapped)(void *dev, __u64 addr, __u64 size);
	int (*feature)(void *dev, __u32 flags, void *data, size_t size);
	const struct vus_migration *migration;
	enum vus_work (*work)(void *dev);
};

/* server.c */
struct vus_server *vus_create(const struct vus_options *opt,
			      const struct vus_device *dev);
int vus_run(struct vus_server *const *servers, unsigned int nr);
void vus_destroy(struct vus_server *srv);
void vus_hangup(struct vus_server *srv);
void vus_stop_reading(struct vus_server *srv);

typedef void (*vus_watch_fn)(void *opaque, int fd, short revents);
struct vus_watch *vus_watch_fd(struct vus_server *srv, int fd, short events,
			       vus_watch_fn fn, void *opaque);
void vus_watch_events(struct vus_watch *watch, short events);
void vus_unwatch(struct vus_watch *watch);

void *vus_alloc(size_t size);

/* wire.c */
void vus_send_raw(struct vus_server *srv, const void *buf, size_t size,
		  const int *fds, unsigned int nr_fds);
void vus_send_reply(struct vus_server *srv, const struct vus_reply *reply);

/* peer.c */
typedef void (*vus_done_fn)(void *opaque, int err, const void *payload,
			    size_t size);
void vus_command(struct vus_server *srv, __u16 cmd, const void *payload,
		 size_t size, vus_done_fn done, void *opaque);

/* command.c */
struct vus_reply *vus_execute(struct vus_server *srv,
			      const struct vus_msg *msg);
struct vus_reply *vus_reply_new(const struct vus_msg *msg, size_t payload_size);
struct vus_reply *vus_reply_error(const struct vus_msg *msg, int err);

/* migrate.c */
void vus_mig_stopped(struct vus_server *srv);

/* irq.c */
int vus_irq_trigger(struct vus_server *srv, __u32 index, __u32 sub);
int vus_irq_trigger_fd(const struct vus_server *srv, __u32 index, __u32 sub);
void vus_intx_set(struct vus_server *srv, bool level);
bool vus_irq_masked(const struct vus_server *srv, __u32 index, __u32 sub);
unsigned int vus_irq_bound(const struct vus_server *srv, __u32 index);

/**
 * struct vus_piece - how a piece of client memory is reached
 * @size: bytes that are reached this way
 * @mem: where it is mapped, or NULL. Good until the callback that asked
 *	returns; an access may raise SIGBUS.
 * @fd: if not mapped: the file it is in, or -1 if there are only messages
 * @offset: where in @fd
 */
struct vus_piece {
	__u64 size;
	void *mem;
	int fd;
	__u64 offset;
};

/**
 * struct vus_announced - memory as the client announced it
 * @addr: IOVA of the first byte
 * @size: bytes
 * @prot: PROT_READ, PROT_WRITE
 */
struct vus_announced {
	__u64 addr;
	__u64 size;
	int prot;
};

/* dma.c */
unsigned int vus_dma_list(const struct vus_server *srv,
			  struct vus_announced *list, unsigned int max);
void *vus_dma_ptr(struct vus_server *srv, __u64 addr, __u64 size, int prot);
int vus_dma_take_hold(struct vus_server *srv, __u64 addr);
void vus_dirty_wrote(struct vus_server *srv, __u64 addr, __u64 size);
int vus_dma_find(struct vus_server *srv, __u64 addr, __u64 size, int prot,
		 struct vus_piece *piece);

struct vus_dma_message;

/**
 * struct vus_dma - a copy from or to client memory
 * @addr: IOVA; this and the next two move as the copy proceeds
 * @buf: our side
 * @size: bytes
 * @write: to the client
 * @done: called with 0 or a negative errno, if it did not end at once
 * @opaque: handed to @done
 * @message: the library's; NULL if nothing is in flight
 */
struct vus_dma {
	__u64 addr;
	void *buf;
	size_t size;
	bool write;
	void (*done)(void *opaque, int err);
	void *opaque;
	struct vus_dma_message *message;
};

/* dma_copy.c */
int vus_dma_start(struct vus_server *srv, struct vus_dma *dma);
void vus_dma_cancel(struct vus_dma *dma);
unsigned int vus_dma_in_flight(const struct vus_server *srv);

#endif /* VUS_SERVER_H */
