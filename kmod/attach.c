// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: bringing a new attachment into working order, and clearing up
 * after one that has ended.
 *
 * vum_attach_work() runs once for each attachment: it asks the server for the shape
 * of its device and checks it. If a consumer has the device open, the shape must be
 * the one that the consumer knows; the server is then told again what the consumer
 * had told its predecessor.
 */

#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "attach.h"
#include "device.h"
#include "dma_dirty.h"
#include "dma_window.h"
#include "license.h"
#include "migrate_state.h"
#include "relay.h"
#include "request.h"

/**
 * struct vum_asking - an attachment that is being brought into working order
 * @dev: device
 * @session: the attachment
 * @shape: what the server has described so far
 * @num_regions: number of regions that the server has, which may be fewer than VFIO names
 * @num_irqs: number of IRQ indexes that the server has, likewise
 * @migration: VFIO_MIGRATION_*: how the server can save and load its device
 * @saved: the state that it is to load, with a reference, or NULL
 */
struct vum_asking {
	struct vum_device *dev;
	u32 session;
	struct vum_shape *shape;
	u32 num_regions;
	u32 num_irqs;
	u64 migration;
	struct vum_saved *saved;
};

static int vum_ask_wait(struct vum_asking *a, struct vum_req *req)
{
	u16 cmd = req->msg.hdr.cmd;
	int ret;

	req->session = a->session;
	req->task = current;
	ret = vum_req_queue(a->dev, req);
	if (ret && ret != -EIO)
		vum_conn_break(a->dev, a->session,
			       "cannot send it command %u: error %d", cmd, ret);
	return ret ?: vum_req_wait(a->dev, req);
}

/* Send a request and wait. Returns the request, with its reply, or NULL. */
static struct vum_req *vum_ask(struct vum_asking *a, u16 cmd,
			       const void *payload, u32 size)
{
	struct vum_req *req = vum_req_alloc(VUM_REQ_ATTACH, cmd, size);

	memcpy(req->msg.payload, payload, size);
	req->reply_min = size;
	/* Capabilities may follow a region's info, and a descriptor come with it. */
	req->reply_max = VUM_MAX_INFO;
	req->reply_fds = cmd == VFIO_USER_DEVICE_GET_REGION_INFO ?
			 VUM_MAX_MSG_FDS : 0;
	if (!vum_ask_wait(a, req))
		return req;
	vum_req_put(req);
	return NULL;
}

/*
 * The functions below return NULL, or what is wrong with the server.
 * vum_conn_break() ignores that if the attachment has ended meanwhile.
 */

static const char *vum_ask_info(struct vum_asking *a)
{
	struct vfio_user_device_info info = { .argsz = sizeof(info) };
	struct vum_shape *shape;
	struct vum_req *req;

	req = vum_ask(a, VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info));
	if (!req)
		return "server refuses DEVICE_GET_INFO";
	memcpy(&info, req->reply->payload, sizeof(info));
	vum_req_put(req);

	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return "server's device is not a PCI device";
	if (info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
	    info.num_regions > VUM_MAX_REGIONS)
		return "server's number of regions is out of range";
	if (info.num_irqs > VUM_MAX_IRQ_INDEXES)
		return "server's number of IRQ indexes is out of range";
	shape = vum_shape_alloc(max_t(u32, info.num_regions, VFIO_PCI_NUM_REGIONS),
				GFP_KERNEL_ACCOUNT);
	if (!shape)
		return "out of memory while attaching";
	a->shape = shape;
	shape->flags = info.flags &
		       (VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	shape->num_irqs = max_t(u32, info.num_irqs, VFIO_PCI_NUM_IRQS);
	a->num_regions = info.num_regions;
	a->num_irqs = info.num_irqs;
	return NULL;
}

static const char *vum_ask_region(struct vum_asking *a, u32 index)
{
	struct vfio_user_region_info info = {
		.argsz = vum_conn_argsz(&a->dev->conn),
		.index = index,
	};
	const char *flaw, *lack = NULL;
	struct vum_req *req;

	req = vum_ask(a, VFIO_USER_DEVICE_GET_REGION_INFO, &info, sizeof(info));
	/* A region that the server refuses to describe does not exist. */
	if (!req)
		return NULL;
	flaw = vum_region_take(&a->shape->regions[index], index, req->reply, &lack);
	vum_req_put(req);
	if (!flaw && lack)
		vum_conn_note(a->dev, a->session, "region %u cannot be mapped: %s", index, lack);
	return flaw;
}

static const char *vum_ask_irq(struct vum_asking *a, u32 index)
{
	struct vum_irq *irq = &a->shape->irqs[index];
	struct vfio_user_irq_info info = {
		.argsz = sizeof(info),
		.index = index,
	};
	struct vum_req *req;

	req = vum_ask(a, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info));
	if (!req)
		return NULL;
	memcpy(&info, req->reply->payload, sizeof(info));
	vum_req_put(req);

	if (info.index != index)
		return "server describes another IRQ index than asked for";
	if (info.count > VUM_MAX_IRQS)
		return "server's number of IRQs is out of range";
	irq->count = info.count;
	irq->flags = info.flags &
		     (VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
		      VFIO_IRQ_INFO_AUTOMASKED | VFIO_IRQ_INFO_NORESIZE);
	/* Only one mask is kept for each index; on PCI, VFIO can set no other. */
	if (irq->count != 1)
		irq->flags &= ~VFIO_IRQ_INFO_MASKABLE;
	return NULL;
}

/* Read which BARs are memory, and which pin interrupts. Unknown counts as none. */
static void vum_ask_header(struct vum_asking *a)
{
	struct vfio_user_region_access access = {
		.offset = PCI_BASE_ADDRESS_0,
		.region = VFIO_PCI_CONFIG_REGION_INDEX,
		.count = PCI_STD_HEADER_SIZEOF - PCI_BASE_ADDRESS_0,
	};
	struct vum_shape *shape = a->shape;
	struct vum_req *req;
	const u8 *header;
	u32 i;

	if (READ_ONCE(a->dev->conn.peer.max_data_xfer_size) < access.count)
		return;
	req = vum_req_alloc(VUM_REQ_ATTACH, VFIO_USER_REGION_READ, sizeof(access));
	memcpy(req->msg.payload, &access, sizeof(access));
	req->echo = sizeof(access);
	req->reply_min = sizeof(access) + access.count;
	req->reply_max = req->reply_min;
	if (!vum_ask_wait(a, req)) {
		header = req->reply->payload + sizeof(access);
		for (i = 0; i < PCI_STD_NUM_BARS; i++)
			/* The upper half of a 64-bit BAR, an address, has no size. */
			if (shape->regions[i].size &&
			    !(header[i * sizeof(__le32)] & PCI_BASE_ADDRESS_SPACE_IO))
				shape->memory_bars |= BIT(i);
		shape->interrupt_pin = header[PCI_INTERRUPT_PIN - PCI_BASE_ADDRESS_0];
	}
	vum_req_put(req);
}

/*
 * Does the server say in VERSION that it can save and load its device? Others need not
 * know the command by which they are asked for that.
 */
static bool vum_knows_migration(struct vum_asking *a)
{
	return a->dev->conn.peer.flags & VUM_ATTACH_MIGRATION &&
	       test_bit(VUM_OPTIONAL_FEATURE, &a->dev->optional_commands);
}

/* A refusal does no harm. */
static void vum_ask_reset(struct vum_asking *a)
{
	struct vum_req *req = vum_req_alloc(VUM_REQ_ATTACH, VFIO_USER_DEVICE_RESET, 0);

	vum_ask_wait(a, req);
	vum_req_put(req);
}

/*
 * The server may have kept the state in which its last client left it, and be stopped; or
 * it runs, but the consumer had stopped the device, because its guest has gone on
 * elsewhere. In neither case must the device go on with what it had to do, so it is reset;
 * once more if the server does so only for a device that runs.
 */
static void vum_ask_to_run(struct vum_asking *a)
{
	u32 state = VFIO_DEVICE_STATE_RUNNING;
	struct vum_device *dev = a->dev;
	bool stopped;

	if (!vum_knows_migration(a))
		return;
	stopped = vum_mig_stopped(dev);
	vum_mig_ask(dev, VUM_REQ_ATTACH, a->session, &state);
	if (stopped || state != VFIO_DEVICE_STATE_RUNNING)
		vum_ask_reset(a);
	if (state == VFIO_DEVICE_STATE_RUNNING)
		return;
	if (vum_mig_tell(dev, VUM_REQ_ATTACH, a->session, VFIO_DEVICE_STATE_RUNNING))
		vum_conn_note(dev, a->session,
			      "the device is stopped: server refuses to have it run; restart the server");
	vum_ask_reset(a);
}

/* Ask how the server can save and load its device. */
static void vum_ask_migration(struct vum_asking *a)
{
	struct vfio_user_device_feature feature = {
		.argsz = sizeof(feature) + sizeof(a->migration),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
	};
	struct vum_device *dev = a->dev;
	const char *lack = NULL;
	struct vum_req *req;

	if (!vum_knows_migration(a))
		return;
	if (!(a->shape->flags & VFIO_DEVICE_FLAGS_RESET)) {
		lack = "the device cannot be reset";
	} else if (READ_ONCE(dev->conn.peer.max_data_xfer_size) < VUM_MIG_LEAST) {
		lack = "max_data_xfer_size is too small for that";
	} else {
		req = vum_ask(a, VFIO_USER_DEVICE_FEATURE, &feature, sizeof(feature));
		if (!req || req->reply->size < sizeof(req->reply->hdr) + feature.argsz)
			lack = "server does not say how";
		else
			memcpy(&a->migration, req->reply->payload + sizeof(feature),
			       sizeof(a->migration));
		vum_req_put(req);
	}
	if (!lack && READ_ONCE(dev->dma.mode) == VUM_DMA_SHARE)
		lack = "dma_mode is share, so it is not known what the server writes";
	if (lack)
		vum_conn_note(dev, a->session, "no migration: %s", lack);
}

static const char *vum_ask_shape(struct vum_asking *a)
{
	const char *flaw = vum_ask_info(a);
	u64 config;
	u32 i;

	for (i = 0; !flaw && i < a->num_regions; i++)
		flaw = vum_ask_region(a, i);
	for (i = 0; !flaw && i < a->num_irqs; i++)
		flaw = vum_ask_irq(a, i);
	if (flaw)
		return flaw;
	config = a->shape->regions[VFIO_PCI_CONFIG_REGION_INDEX].size;
	if (config != 256 && config != 4096)
		return "server's config space is neither 256 nor 4096 bytes";
	vum_ask_header(a);
	vum_ask_migration(a);
	return NULL;
}

/* Set the device's shape or, if the device is open, check that it is the same. */
static const char *vum_take_shape(struct vum_asking *a)
{
	struct vum_device *dev = a->dev;
	struct vum_conn *conn = &dev->conn;
	const char *flaw = NULL;
	bool open;

	vum_conn_lock(conn);
	open = dev->open;
	if (conn->session != a->session)
		flaw = "not the server that was asked";
	else if (!open)
		swap(dev->shape, a->shape);
	else if (!vum_shape_same(dev->shape, a->shape))
		flaw = "server's device differs from the one that is in use";
	if (!flaw)
		vum_mig_offer(dev, a->migration);
	vum_conn_unlock(conn);
	if (!flaw && open)
		vum_region_mmap_adopt(dev, a->shape);
	return flaw;
}

/* Announce @map by @mode. Returns 0 if the server takes that. */
static int vum_ask_map(struct vum_asking *a, struct file *window,
		       enum vum_dma_mode mode, const struct vum_mapping *map)
{
	struct vum_req *req = vum_announce_map(VUM_REQ_ATTACH, window, mode, map);
	int ret;

	if (!req)
		return -ENOMEM;
	ret = vum_ask_wait(a, req);
	vum_req_put(req);
	if (!ret)
		WRITE_ONCE(a->dev->dma.announced, mode);
	return ret;
}

static int vum_ask_unmap(struct vum_asking *a, const struct vum_mapping *map)
{
	struct vum_req *req = vum_announce_unmap(VUM_REQ_ATTACH, map);
	int ret = vum_ask_wait(a, req);

	vum_req_put(req);
	return ret;
}

/*
 * Announce memory by @mode or, with VUM_DMA_AUTO, by the first mode that the server
 * takes. VUM_DMA_SHARE wants VUM_DMA_MMAP for what cannot be shared. With @exact, the
 * aperture is not to be announced: try its last page, on which no server spends
 * anything, and take that back.
 */
static int vum_ask_dma(struct vum_asking *a, struct file *window,
		       enum vum_dma_mode mode, bool exact,
		       const struct vum_mapping *aperture)
{
	static const enum vum_dma_mode ways[] = {
		VUM_DMA_MMAP, VUM_DMA_FILE, VUM_DMA_MESSAGE,
	};
	struct vum_mapping map = *aperture;
	int ret = -EINVAL;
	size_t i;

	if (exact) {
		map.iova = map.size - PAGE_SIZE;
		map.size = PAGE_SIZE;
	}
	for (i = 0; ret && i < ARRAY_SIZE(ways); i++)
		if (mode == VUM_DMA_AUTO || mode == ways[i] ||
		    (mode == VUM_DMA_SHARE && ways[i] == VUM_DMA_MMAP))
			ret = vum_ask_map(a, window, ways[i], &map);
	if (!ret && mode == VUM_DMA_SHARE)
		vum_dirty_share(a->dev, a->session);
	if (!ret && exact)
		ret = vum_ask_unmap(a, &map);
	if (ret)
		WRITE_ONCE(a->dev->dma.announced, VUM_DMA_NONE);
	return ret;
}

/* Find out by which mode the server takes memory, and begin to announce it. */
static const char *vum_announce_dma(struct vum_asking *a)
{
	enum vum_dma_mode mode = READ_ONCE(a->dev->dma.mode);
	bool exact = READ_ONCE(a->dev->announce.exact);
	struct vum_mapping aperture = {
		.size = BIT_ULL(READ_ONCE(a->dev->dma.aperture)),
		.prot = IOMMU_READ | IOMMU_WRITE,
	};
	struct file *window;
	int ret;

	WRITE_ONCE(a->dev->dma.announced, VUM_DMA_NONE);
	if (mode == VUM_DMA_NONE)
		return NULL;
	window = vum_window_new(a->dev, a->session);
	if (IS_ERR(window))
		return "out of memory while attaching";
	if (mode == VUM_DMA_SHARE && !exact)
		vum_conn_note(a->dev, a->session,
			      "no memory is shared by its file: dma_announce is aperture");
	vum_dma_attach(a->dev, a->session, window);
	ret = vum_ask_dma(a, window, mode, exact, &aperture);
	fput(window);
	if (!ret)
		vum_announce_begin(a->dev, a->session, &aperture, !exact);
	/* vum_conn_break() or vum_conn_hangup() has told why the attachment ended. */
	if (ret && !vum_conn_current(&a->dev->conn, a->session))
		return NULL;
	/* The server of a device that does no DMA may not know DMA_MAP. */
	if (ret && mode == VUM_DMA_AUTO)
		vum_conn_note(a->dev, a->session,
			      "server refuses DMA_MAP (error %d): it will reach no memory", ret);
	else if (ret)
		return "server refuses DMA_MAP the way that dma_mode says";
	return NULL;
}

static const char *vum_replay_irqs(struct vum_asking *a)
{
	switch (vum_irq_replay(a->dev, a->session)) {
	case 0:
		return NULL;
	case -ENOMEM:
		return "out of memory while attaching";
	default:
		return "server refuses the interrupts that are in use";
	}
}

static void vum_attach_ready(struct vum_device *dev, u32 session)
{
	struct vum_conn *conn = &dev->conn;
	bool ready = false;

	vum_conn_lock(conn);
	if (conn->session == session && conn->state == VUM_STATE_ATTACHING) {
		WRITE_ONCE(conn->state, VUM_STATE_ATTACHED);
		conn->reason[0] = '\0';
		vum_servers_last(&conn->servers)->served = true;
		vum_conn_event(dev, VUM_EVENT_ATTACHED);
		ready = true;
	}
	vum_conn_unlock(conn);
	if (ready)
		wake_up_all(&conn->changed);
}

/**
 * vum_attach_work - bring a new attachment into working order
 * @work: the attach work item in a struct vum_device
 *
 * Context: waits for the server.
 */
void vum_attach_work(struct work_struct *work)
{
	struct vum_device *dev = container_of(work, struct vum_device, attach);
	struct vum_asking *a;
	const char *flaw;
	bool attaching;

	a = kzalloc(sizeof(*a), GFP_KERNEL | __GFP_NOFAIL);
	a->dev = dev;
	vum_conn_lock(&dev->conn);
	a->session = dev->conn.session;
	/* A run for an earlier attachment may have begun late and served this one. */
	attaching = dev->conn.state == VUM_STATE_ATTACHING;
	vum_conn_unlock(&dev->conn);
	if (attaching && vum_license_check(dev, a->session)) {
		a->saved = vum_handover_saved(dev);
		vum_ask_to_run(a);
		flaw = vum_ask_shape(a) ?: vum_take_shape(a) ?:
		       vum_handover_load(dev, a->session, a->saved) ?: vum_announce_dma(a);
		flaw = flaw ?: vum_replay_irqs(a) ?:
		       vum_handover_run(dev, a->session, a->saved);
		if (flaw)
			vum_conn_break(dev, a->session, "%s", flaw);
		else
			vum_attach_ready(dev, a->session);
		/* vum_detach_work() may have run before there was a window. */
		if (!vum_conn_current(&dev->conn, a->session))
			vum_conn_detach(dev);
	}
	vum_saved_put(a->saved);
	vum_shape_free(a->shape);
	kfree(a);
}

/**
 * vum_detach_work - take window and transport from a server that was detached
 * @work: conn.detach in a struct vum_device, on which the work item has a reference
 */
void vum_detach_work(struct work_struct *work)
{
	struct vum_device *dev = container_of(work, struct vum_device, conn.detach);
	struct vum_transport *transport = &vum_relay;
	struct vum_conn *conn = &dev->conn;

	vum_conn_lock(conn);
	if (!vum_conn_alive(conn))
		vum_conn_swap_transport(conn, &transport);
	vum_conn_unlock(conn);
	/* Memory first, which the server must not reach any more. */
	vum_dma_drop(dev);
	vum_announce_later(dev);
	transport->ops->close(transport);
	vfio_put_device(&dev->vdev);
}
