/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: what the parts of the module know of each other.
 *
 * Calls run downward: parent -> device -> {attach, region, irq, announce} ->
 * {dma, container} -> request -> {inflight, link}. What comes from the server goes
 * the other way: {link, channel} -> incoming -> request.
 * channel.c is the helper's door, link.c the server's socket where the kernel has
 * it; session.c ends what there is between the two. control.c, stats.c and
 * sysfs.c look at everything and change next to nothing.
 */
#ifndef VUM_H
#define VUM_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/un.h>
#include <linux/uuid.h>
#include <linux/vfio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "vfio_user.h"
#include "vfio_user_mdev.h"
#include "channel.h"
#include "conn.h"
#include "incoming.h"
#include "relay.h"
#include "request.h"
#include "work.h"

struct vum_device;

/*
 * What the server's device looks like (shape.c), and how it is learnt (attach.c)
 */
#define VUM_MAX_REGIONS		64
/* Region i starts at this many bits times i in the device's file. */
#define VUM_REGION_SHIFT	40
#define VUM_MAX_IRQ_INDEXES	16
#define VUM_MAX_IRQS		2048

/**
 * struct vum_region - a region as the server describes it
 * @size: bytes; 0 if there is no such region
 * @flags: VFIO_REGION_INFO_FLAG_READ, _WRITE, and _MMAP if there is a @file
 * @caps: BIT(VFIO_REGION_INFO_CAP_*) that it has
 * @type: with VFIO_REGION_INFO_CAP_TYPE
 * @subtype: likewise
 * @nr_areas: with VFIO_REGION_INFO_CAP_SPARSE_MMAP: entries in @areas
 * @areas: whole pages, which do not overlap
 * @file: where it can be mapped from, or NULL
 * @offset: where it starts in @file
 */
struct vum_region {
	u64 size;
	u32 flags;
	u32 caps;
	u32 type;
	u32 subtype;
	u32 nr_areas;
	struct vfio_region_sparse_mmap_area *areas;
	struct file *file;
	u64 offset;
};

struct vum_irq {
	u32 flags;
	u32 count;
};

/**
 * struct vum_shape - what GET_INFO and its companions answered
 * @flags: VFIO_DEVICE_FLAGS_*
 * @num_regions: at least VFIO_PCI_NUM_REGIONS
 * @num_irqs: at least VFIO_PCI_NUM_IRQS
 * @memory_bars: regions that are memory to PCI, as a bitmap
 * @interrupt_pin: of configuration space
 * @regions: what the server does not have is of size 0
 * @irqs: what the server does not have is of count 0
 *
 * Fixed while a consumer has the device open, but for the files of regions:
 * see mapping.c.
 */
struct vum_shape {
	u32 flags;
	u32 num_regions;
	u32 num_irqs;
	u32 memory_bars;
	u8 interrupt_pin;
	struct vum_irq irqs[VUM_MAX_IRQ_INDEXES];
	struct vum_region regions[];
};

const char *vum_region_take(struct vum_region *region, u32 index,
			    const struct vum_msg *reply);
bool vum_shape_same(const struct vum_shape *a, const struct vum_shape *b);
struct vum_shape *vum_shape_alloc(u32 num_regions, gfp_t gfp);
void vum_shape_free(struct vum_shape *shape);
int vum_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
		    struct vfio_info_cap *caps);

/*
 * Regions that the consumer maps (mapping.c), and the files for this (pseudofs.c)
 */

/**
 * struct vum_region_mmap - what a device's consumer has mapped
 * @lock: @pages, and the files in dev->shape
 * @inode: of all that is mapped; offsets are those of the device's file. NULL
 *	before anything is
 * @pages: what has been touched, by offset in pages; references held
 */
struct vum_region_mmap {
	struct mutex lock; /* see above */
	struct inode *inode;
	struct xarray pages;
};

void vum_region_mmap_init(struct vum_device *dev);
void vum_region_mmap_exit(struct vum_device *dev);
int vum_region_mmap(struct vfio_device *vdev, struct vm_area_struct *vma);
void vum_region_mmap_adopt(struct vum_device *dev, struct vum_shape *shape);
void vum_region_mmap_close(struct vum_device *dev);

int vum_pseudofs_init(void);
void vum_pseudofs_exit(void);
struct inode *vum_pseudofs_inode(struct vum_device *dev);
struct file *vum_pseudofs_file(struct inode *inode, const char *name,
			       const struct file_operations *fops);

void vum_attach_work(struct work_struct *work);
void vum_detach_work(struct work_struct *work);

/*
 * The consumer's memory (dma.c), its pages (dma_pin.c), and the file that shows it
 * (window.c)
 */
enum vum_dma_mode {
	VUM_DMA_AUTO,
	VUM_DMA_MMAP,
	VUM_DMA_FILE,
	VUM_DMA_MESSAGE,
	VUM_DMA_NONE,
	VUM_DMA_MODES,
};

/**
 * struct vum_mapping - a piece of the consumer's memory
 * @iova: first byte
 * @size: bytes
 * @prot: VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, which are IOMMU_READ,
 *	IOMMU_WRITE and VFIO_USER_F_DMA_REGION_READ, _WRITE as well
 */
struct vum_mapping {
	u64 iova;
	u64 size;
	u32 prot;
};

/* As far as a file's offset goes. */
#define VUM_WINDOW_SIZE		((u64)LLONG_MAX & PAGE_MASK)

/* libvfio-user takes regions of up to 2^43 bytes. */
#define VUM_DMA_APERTURE	43
#define VUM_DMA_APERTURE_MIN	20
#define VUM_DMA_APERTURE_MAX	46

/**
 * struct vum_copy - bytes that are to be copied from or to a page
 * @buf: in the kernel
 * @offset: within the page
 * @size: bytes, all within the page
 * @write: to the page
 */
struct vum_copy {
	void *buf;
	unsigned int offset;
	unsigned int size;
	bool write;
};

/**
 * struct vum_pinning - the range that is being pinned
 * @index: page that it is for, IOVA >> PAGE_SHIFT
 * @first: first page
 * @nr: pages; 0 if nobody pins at present
 * @stale: some of it has been unmapped meanwhile
 * @lost: the page at @index is among what has been unmapped
 */
struct vum_pinning {
	unsigned long index;
	unsigned long first;
	unsigned long nr;
	bool stale;
	bool lost;
};

/**
 * struct vum_dma - what a device's server can reach
 * @lock: everything below up to @container
 * @open: a consumer has the device open
 * @pages: what has been touched, by IOVA >> PAGE_SHIFT; see dma_pin.c
 * @pinned: pages that are pinned
 * @faults: accesses that found nothing
 * @batch: room for pages; belongs to the task that pins
 * @pinning: what that task is about
 * @unpin: gives back what leaves @pages
 * @wait: for @pinning to be over, and for @unpin
 * @unmaps: calls of vum_dma_unmap() that are under way
 * @unmapped_at: when the last of them ended
 * @tired: unmaps in a row that did not wait long enough
 * @window: the file, while a server is attached
 * @session: the attachment that @window is for
 * @unabsorb: takes absorbed accesses away again
 * @scratch: where they go, once there are any
 * @container: the consumer's, if it is observed; this and the next three
 *	belong to container.c
 * @in_container: in container->devices
 * @type1: the container is one of type1, observed or not
 * @gen: grows whenever the consumer maps or unmaps
 * @mode: how memory is announced to the next server
 * @announced: how it was announced to this one
 * @sigbus: an access that finds nothing is not absorbed
 * @aperture: bits of the IOVAs that are announced
 */
struct vum_dma {
	struct mutex lock; /* see above */
	bool open;
	struct xarray pages;
	unsigned long pinned;
	u64 faults;
	struct page **batch;
	struct vum_pinning pinning;
	struct work_struct unpin;
	wait_queue_head_t wait;
	atomic_t unmaps;
	ktime_t unmapped_at;
	unsigned int tired;
	struct file *window;
	u32 session;
	struct delayed_work unabsorb;
	struct page *scratch;
	struct vum_container *container;
	struct list_head in_container;
	bool type1;
	unsigned long gen;
	enum vum_dma_mode mode;
	enum vum_dma_mode announced;
	bool sigbus;
	u8 aperture;
};

void vum_dma_init(struct vum_device *dev);
void vum_dma_exit(struct vum_device *dev);
void vum_dma_open(struct vum_device *dev);
void vum_dma_close(struct vum_device *dev);
struct file *vum_dma_attach(struct vum_device *dev, u32 session);
struct file *vum_dma_window(struct vum_device *dev, u32 *session);
void vum_dma_drop(struct vum_device *dev);

void vum_dma_pin_init(struct vum_dma *dma);
void vum_dma_pin_exit(struct vum_dma *dma);
int vum_dma_lookup(struct vum_device *dev, unsigned long index, int need,
		   unsigned long *pfn, bool *writable);
int vum_dma_pin(struct vum_device *dev, u32 session, unsigned long index, int need,
		const struct vum_copy *copy);
void vum_dma_revoke(struct vum_device *dev, unsigned long first, unsigned long last);
void vum_dma_absorb(struct vum_device *dev, unsigned long index);
void vum_dma_absent(struct vum_device *dev, unsigned long index, int error);
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write);
void vum_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length);
void vum_dma_command(struct vum_device *dev, struct vum_msg *msg);

struct file *vum_window_new(struct vum_device *dev);

/*
 * What consumers map (container.c), seen from outside (observe.c)
 */
void vum_observe_init(void);
void vum_observe_exit(void);
void vum_container_unbind(struct vum_device *dev);
int vum_container_unmapping(struct vum_device *dev, unsigned long index,
			    unsigned long nr);
void vum_container_check_unmap(struct vum_device *dev, u64 iova, u64 last);
int vum_container_wait_unmapped(struct vum_device *dev, unsigned long index);
void vum_container_wait_idle(struct vum_device *dev);
void vum_container_settle(const void *iommu);
const char *vum_container_snapshot(struct vum_device *dev,
				   struct vum_mapping **maps, unsigned int *nr);

/*
 * Whoever maps waits for the servers (hold.c)
 */
int vum_map_wait_init(void);
void vum_map_wait_exit(void);
struct file *vum_map_wait_take(const void *iommu);

/*
 * What the server is told of it (announce.c)
 */
enum vum_refused {
	VUM_REFUSED_MAPPING,
	VUM_REFUSED_APERTURE,
};

/**
 * struct vum_announce - what a device's server knows of the consumer's memory
 * @lock: what is told, and in which order; never held while somebody is waited
 *	for
 * @session: the attachment that this is for
 * @exact: the consumer's mappings are to be told, not the aperture
 * @inexact: why the aperture is told all the same, or NULL
 * @aperture: all the memory that there may ever be
 * @told: what has been told, by IOVA
 * @nr_told: how many
 * @gen: dma->gen at that time
 * @refused: enum vum_refused, what the server did not take
 * @work: tells what is new
 */
struct vum_announce {
	struct mutex lock; /* see above */
	u32 session;
	bool exact;
	const char *inexact;
	struct vum_mapping aperture;
	struct vum_mapping *told;
	unsigned int nr_told;
	unsigned long gen;
	unsigned long refused;
	struct work_struct work;
};

void vum_announce_init(struct vum_device *dev);
void vum_announce_exit(struct vum_device *dev);
struct vum_req *vum_announce_map(enum vum_req_kind kind, struct file *window,
				 enum vum_dma_mode mode,
				 const struct vum_mapping *map);
struct vum_req *vum_announce_unmap(enum vum_req_kind kind,
				   const struct vum_mapping *map);
int vum_announce_now(struct vum_device *dev);
void vum_announce_later(struct vum_device *dev);
void vum_announce_begin(struct vum_device *dev, u32 session,
			const struct vum_mapping *aperture, bool told);
bool vum_announce_heard(const struct vum_device *dev, unsigned long gen);
int vum_announce_wait_heard(struct vum_device *dev);
bool vum_announce_show(struct vum_device *dev, const char **why);

/*
 * The device (device.c)
 */
enum vum_irq_action {
	VUM_IRQ_MASK,
	VUM_IRQ_UNMASK,
	VUM_IRQ_TRIGGER,
	VUM_IRQ_ACTIONS,
};

/* Who polls for longer than this had better take a CPU of its own. */
#define VUM_POLL_MAX_US	10000

/**
 * struct vum_device - an mdev
 * @vdev: what VFIO knows of it
 * @uuid: its name; the mdev's own is gone before the last channel is closed
 * @node: in vum_devices, from probe to remove
 * @conn: the way to the server
 * @attach: runs vum_attach_work()
 * @open: a consumer has it open (channel's lock)
 * @going: it is to be removed as soon as it is not open (channel's lock)
 * @shape: what the server's device looks like; fixed while @open
 * @irq_lock: what is kept of interrupts, and the order of SET_IRQS messages
 * @irq_enabled: indexes whose trigger has been set, as a bitmap
 * @irq_masked: indexes that the consumer has masked, as a bitmap
 * @eventfds: what the consumer set, by index, action and sub-index
 * @ioeventfd_lock: @ioeventfds
 * @ioeventfds: writes that the consumer can cause by an eventfd
 * @region_mmap: what the consumer has mapped of @shape
 * @dma: the consumer's memory
 * @announce: what the server is told of it
 * @ratelimit: of messages about it
 * @socket: where the server listens (channel's lock)
 * @attach_timeout_ms: how long an open waits for a server
 * @posted_writes: writes to memory BARs are not waited for
 * @data_path: who is to carry messages for the next server
 * @poll_us: how long, at most, whoever waits for a reply looks for it before it
 *	sleeps
 * @timeout_ms: how long a request waits for its reply; 0: for ever
 */
struct vum_device {
	struct vfio_device vdev;
	char uuid[UUID_STRING_LEN + 1];
	struct list_head node;
	struct vum_conn conn;
	struct vum_channel channel;
	struct work_struct attach;
	bool open;
	bool going;
	struct vum_shape *shape;
	struct mutex irq_lock; /* irq_*, eventfds */
	unsigned long irq_enabled;
	unsigned long irq_masked;
	struct file **eventfds[VUM_MAX_IRQ_INDEXES][VUM_IRQ_ACTIONS];
	struct mutex ioeventfd_lock; /* ioeventfds */
	struct list_head ioeventfds;
	struct vum_region_mmap region_mmap;
	struct vum_dma dma;
	struct vum_announce announce;
	struct ratelimit_state ratelimit;
	char socket[UNIX_PATH_MAX];
	bool posted_writes;
	enum vum_data_path data_path;
	u32 poll_us;
	u32 attach_timeout_ms;
	u32 timeout_ms;
};

#define VUM_ATTACH_TIMEOUT_MS	5000
/* VFIO holds locks of its own over open_device(), for which others wait. */
#define VUM_ATTACH_TIMEOUT_MAX	60000

static inline struct vum_device *vum_from_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct vum_device, vdev);
}

/* Has something changed that the server is to be told before anything else? */
static inline bool vum_announce_stale(const struct vum_device *dev)
{
	return !READ_ONCE(dev->dma.open) ||
	       READ_ONCE(dev->announce.gen) != READ_ONCE(dev->dma.gen);
}

/* Whoever causes these can do so over and over, but to his own device. */
#define vum_say(level, dev, fmt, ...)					\
	do {								\
		struct vum_device *_dev = (dev);			\
									\
		if (__ratelimit(&_dev->ratelimit))			\
			pr_##level("%s: " fmt, _dev->uuid, ##__VA_ARGS__); \
	} while (0)
#define vum_err(dev, fmt, ...)	vum_say(err, dev, fmt, ##__VA_ARGS__)
#define vum_warn(dev, fmt, ...)	vum_say(warn, dev, fmt, ##__VA_ARGS__)
#define vum_notice(dev, fmt, ...) vum_say(notice, dev, fmt, ##__VA_ARGS__)

extern const struct vfio_device_ops vum_device_ops;

void vum_device_unregister(struct vum_device *dev);

/* region.c */
ssize_t vum_region_read(struct vfio_device *vdev, char __user *buf,
			size_t count, loff_t *ppos);
ssize_t vum_region_write(struct vfio_device *vdev, const char __user *buf,
			 size_t count, loff_t *ppos);

/* ioeventfd.c */
long vum_ioeventfd_set(struct vum_device *dev,
		       struct vfio_device_ioeventfd __user *arg);
void vum_ioeventfd_release(struct vum_device *dev);

/* feature.c */
int vum_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
		size_t argsz);

/* irq.c */
int vum_irq_info(struct vum_device *dev, struct vfio_irq_info *info);
long vum_irq_set(struct vum_device *dev, struct vfio_irq_set __user *arg);
int vum_irq_replay(struct vum_device *dev, u32 session);
void vum_irq_release(struct vum_device *dev);
void vum_irq_request(struct vum_device *dev, unsigned int count);

/* parent.c */
extern struct list_head vum_devices;
extern unsigned int vum_devices_seq;
extern struct mutex vum_devices_lock;

/* sysfs.c */
extern const struct attribute_group *vum_mdev_groups[];
extern const struct attribute_group *vum_parent_groups[];
extern const char *const vum_dma_mode_names[];

/* netlink.c */
int vum_netlink_init(void);
void vum_netlink_exit(void);
void vum_netlink_event(struct vum_device *dev, enum vum_event event);

#endif /* VUM_H */
