/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the device, of which every noun of the module has a part.
 *
 * Kbuild lists the module's files by floors; calls go to lower floors only. What
 * comes up from a server comes by callbacks: vum_transport_ops, vum_req.done,
 * vum_conn.event, and work items.
 *
 * The order of the locks, by the names that lockdep has for them: "A -> B" permits to
 * take B while A is held. selftests/lock-order.sh compares that with what lockdep has
 * seen. vum_conn is the connection's lock, &vs->rx that of a socket's receiver.
 *
 *	vum_netlink_lock -> vum_conn
 *	&dev->irqs.lock -> vum_conn
 *	&dev->announce.lock -> &dma->lock, vum_container_lock, vum_conn
 *	&dma->lock -> vum_container_lock, vum_evict_lock, vum_conn
 *	&vs->rx -> &dma->lock, vum_conn
 *	&dev->region_mmap.lock -> none
 *	&dev->ioeventfds.lock -> vum_conn
 *	vum_group_lock -> vum_container_lock
 *	vum_map_wait_lock -> none
 *	vum_evict_lock -> none
 *
 * None of them is held while a task waits for a server or a consumer, nor while VFIO
 * pins or unpins.
 */
#ifndef VUM_DEVICE_H
#define VUM_DEVICE_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>
#include <linux/un.h>
#include <linux/uuid.h>
#include <linux/vfio.h>

#include "channel.h"
#include "conn.h"
#include "dma.h"
#include "dma_announce.h"
#include "dma_container.h"
#include "handover.h"
#include "ioeventfd.h"
#include "irq.h"
#include "license.h"
#include "migrate.h"
#include "optional.h"
#include "region_mmap.h"
#include "shape.h"

/* Limits of vfio_user/poll_us: a task that polls for longer keeps a CPU busy. */
#define VUM_POLL_MAX_US	10000

#define VUM_ATTACH_TIMEOUT_MS	5000
/* VFIO holds locks over open_device(), and other tasks wait for these. */
#define VUM_ATTACH_TIMEOUT_MAX	60000

/**
 * struct vum_device - an mdev
 * @vdev: what VFIO knows of it
 * @uuid: its name; the mdev's own is gone before the last channel is closed
 * @node: in netlink.c's list, from probe to remove
 * @conn: the connection to the server
 * @channel: the helper's door
 * @attach: work item that runs vum_attach_work()
 * @open: a consumer has the device open; conn's lock guards it
 * @consumer: the process that has opened it, while @open; conn's lock guards it
 * @going: the mdev is to be removed as soon as it is not open; conn's lock guards it
 * @shape: what the server's device looks like; fixed while @open
 * @irqs: what the consumer has set of interrupts
 * @ioeventfds: writes that the consumer can cause by an eventfd
 * @region_mmap: what the consumer has mapped of regions
 * @dma: the consumer's memory
 * @member: the device's place in the consumer's container
 * @announce: what the server has been told of the consumer's memory
 * @mig: how far its migration is
 * @handover: how it is handed from one server to another
 * @ratelimit: of log messages about the device
 * @ends: of those about a server that ends
 * @socket: where the server listens; conn's lock guards it
 * @license_policy: which servers are taken, by the licence that they declare
 * @tainted: the kernel is tainted because of one of the device's servers
 * @optional_commands: which commands are sent that a server need not know: a bitmap of
 *	enum vum_optional
 * @in_step: for each of these, the last attachment whose server has dealt with it and has
 *	not broken the connection
 * @posted_writes: the consumer does not wait for its writes to memory BARs
 * @data_path: what is to carry messages for the next server
 * @poll_us: how long, at most, a task polls for a reply before it sleeps
 * @attach_timeout_ms: how long open_device() waits for a server
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
	struct pid *consumer;
	bool going;
	struct vum_shape *shape;
	struct vum_irqs irqs;
	struct vum_ioeventfds ioeventfds;
	struct vum_region_mmap region_mmap;
	struct vum_dma dma;
	struct vum_member member;
	struct vum_announce announce;
	struct vum_mig mig;
	struct vum_handover handover;
	struct ratelimit_state ratelimit;
	struct ratelimit_state ends;
	char socket[UNIX_PATH_MAX];
	enum vum_license_policy license_policy;
	bool tainted;
	unsigned long optional_commands;
	u32 in_step[VUM_NR_OPTIONAL];
	bool posted_writes;
	enum vum_data_path data_path;
	u32 poll_us;
	u32 attach_timeout_ms;
	u32 timeout_ms;
};

extern const struct vfio_device_ops vum_device_ops;

void vum_device_unregister(struct vum_device *dev);

static inline struct vum_device *vum_from_vfio(struct vfio_device *vdev)
{
	return container_of(vdev, struct vum_device, vdev);
}

/* Has something changed of which the server has yet to hear? */
static inline bool vum_announce_behind(const struct vum_device *dev)
{
	return !READ_ONCE(dev->dma.open) ||
	       READ_ONCE(dev->announce.gen) != READ_ONCE(dev->member.gen);
}

/*
 * The same for a consumer's access, which must not overtake what the server has to
 * hear: may something have changed of which the module does not know?
 */
static inline bool vum_announce_stale(const struct vum_device *dev)
{
	return vum_announce_behind(dev) ||
	       (READ_ONCE(dev->announce.exact) && !READ_ONCE(dev->announce.inexact) &&
		READ_ONCE(dev->dma.announced) != VUM_DMA_NONE &&
		READ_ONCE(dev->member.container) && vum_probes_unarmed());
}

/* Consumers, helpers and servers can cause these at any rate, of their device. */
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

#endif /* VUM_DEVICE_H */
