// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: interrupts.
 *
 * The consumer's eventfds go to the server, which signals them itself. The module
 * keeps them as well, to hand them to the next server. The REQ index stays in the
 * kernel, since only the kernel knows that the mdev is to be removed. The ERR index has
 * two sources: the server, if it has that index, and the kernel, which signals it when
 * the device's DMA has failed.
 */

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "device.h"
#include "request.h"

/* In these indexes the server has no part: REQ, and ERR if the server has none. */
static bool vum_irq_local(const struct vum_device *dev, u32 index)
{
	return index == VFIO_PCI_REQ_IRQ_INDEX ||
	       (index == VFIO_PCI_ERR_IRQ_INDEX && !dev->shape->irqs[index].count);
}

static u32 vum_irq_count(const struct vum_device *dev, u32 index)
{
	return vum_irq_local(dev, index) ? 1 : dev->shape->irqs[index].count;
}

static u32 vum_irq_flags(const struct vum_device *dev, u32 index)
{
	if (vum_irq_local(dev, index))
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	return dev->shape->irqs[index].flags;
}

/**
 * vum_irq_info - answer VFIO_DEVICE_GET_IRQ_INFO
 * @dev: device, open
 * @info: the question is its index; flags and count are filled in
 *
 * Return: 0, or -EINVAL if there is no such index.
 */
int vum_irq_info(struct vum_device *dev, struct vfio_irq_info *info)
{
	if (info->index >= dev->shape->num_irqs)
		return -EINVAL;
	info->index = array_index_nospec(info->index, dev->shape->num_irqs);
	info->flags = vum_irq_flags(dev, info->index);
	info->count = vum_irq_count(dev, info->index);
	return 0;
}

/**
 * struct vum_irq_batch - SET_IRQS messages that make up one change
 * @dev: device
 * @kind: kind of the messages
 * @session: the attachment that the messages are for
 * @max_fds: most descriptors that the server takes in one message
 * @nr: number of entries in @reqs
 * @max: room in @reqs
 * @reqs: the messages that have been queued; each entry holds a reference
 */
struct vum_irq_batch {
	struct vum_device *dev;
	enum vum_req_kind kind;
	u32 session;
	u32 max_fds;
	u32 nr;
	u32 max;
	struct vum_req **reqs;
};

static int vum_batch_init(struct vum_irq_batch *b, struct vum_device *dev,
			  enum vum_req_kind kind, u32 max)
{
	*b = (struct vum_irq_batch) { .dev = dev, .kind = kind, .max = max };
	vum_conn_lock(&dev->conn);
	b->session = dev->conn.session;
	b->max_fds = dev->conn.peer.max_msg_fds;
	vum_conn_unlock(&dev->conn);
	b->reqs = kvcalloc(max, sizeof(*b->reqs), GFP_KERNEL_ACCOUNT);
	return b->reqs ? 0 : -ENOMEM;
}

/* Queue one message, with @set->count @files, or without if @files is NULL. */
static int vum_batch_queue(struct vum_irq_batch *b,
			   const struct vfio_user_irq_set *set,
			   const void *data, u32 size, struct file **files)
{
	struct vfio_user_irq_set *payload;
	struct vum_req *req;
	int ret = -ENOMEM;
	u32 i;

	if (WARN_ON_ONCE(b->nr == b->max))
		return -ENOSPC;
	req = vum_req_alloc(b->kind, VFIO_USER_DEVICE_SET_IRQS,
			    sizeof(*set) + size);
	if (!req)
		return -ENOMEM;
	req->session = b->session;
	req->task = current;
	payload = (void *)req->msg.payload;
	*payload = *set;
	payload->argsz = sizeof(*set) + size;
	memcpy(payload->data, data, size);
	if (files) {
		req->msg.files = kvcalloc(set->count, sizeof(*files),
					  GFP_KERNEL_ACCOUNT);
		if (!req->msg.files)
			goto err;
		for (i = 0; i < set->count; i++)
			req->msg.files[i] = get_file(files[i]);
		req->msg.nr_files = set->count;
	}
	ret = vum_req_queue(b->dev, req);
	if (ret)
		goto err;
	b->reqs[b->nr++] = req;
	return 0;
err:
	vum_req_put(req);
	return ret;
}

/*
 * Wait for all replies, and free the batch. Returns @ret, or else the first error.
 * The end of the attachment is no error if the change is @kept here, since the next
 * server will be told of it.
 */
static int vum_batch_wait(struct vum_irq_batch *b, int ret, bool kept)
{
	u32 i;

	for (i = 0; i < b->nr; i++) {
		int error = vum_req_wait(b->dev, b->reqs[i]);

		if (!kept || error != -EIO || b->reqs[i]->reply)
			ret = ret ?: error;
		vum_req_put(b->reqs[i]);
	}
	kvfree(b->reqs);
	return ret;
}

/*
 * Queue the messages that set @files, of which some may be NULL. One message either
 * sets the eventfds of a run of sub-indexes or removes them, and carries at most
 * @b->max_fds descriptors.
 */
static int vum_batch_eventfds(struct vum_irq_batch *b,
			      const struct vfio_user_irq_set *set,
			      struct file **files)
{
	struct vfio_user_irq_set run = *set;
	u32 i, n;
	int ret;

	for (i = 0; i < set->count; i += n) {
		bool none = !files[i];

		for (n = 1; i + n < set->count && !files[i + n] == none; n++)
			if (!none && n == b->max_fds)
				break;
		/* A new server has no eventfds to be removed. */
		if (none && b->kind == VUM_REQ_ATTACH)
			continue;
		run.start = set->start + i;
		run.count = n;
		ret = vum_batch_queue(b, &run, NULL, 0, none ? NULL : files + i);
		if (ret)
			return ret;
	}
	return 0;
}

static enum vum_irq_action vum_irq_action(u32 flags)
{
	if (flags & VFIO_IRQ_SET_ACTION_MASK)
		return VUM_IRQ_MASK;
	if (flags & VFIO_IRQ_SET_ACTION_UNMASK)
		return VUM_IRQ_UNMASK;
	return VUM_IRQ_TRIGGER;
}

static const u32 vum_irq_action_flags[VUM_IRQ_ACTIONS] = {
	[VUM_IRQ_MASK]		= VFIO_IRQ_SET_ACTION_MASK,
	[VUM_IRQ_UNMASK]	= VFIO_IRQ_SET_ACTION_UNMASK,
	[VUM_IRQ_TRIGGER]	= VFIO_IRQ_SET_ACTION_TRIGGER,
};

/* Swap @files with the eventfds that are kept for @set. Returns 0 or -ENOMEM. */
static int vum_irq_keep(struct vum_device *dev,
			const struct vfio_user_irq_set *set,
			struct file **files)
{
	struct file ***kept;
	u32 i;

	lockdep_assert_held(&dev->irqs.lock);
	kept = &dev->irqs.eventfds[set->index][vum_irq_action(set->flags)];
	if (!*kept)
		*kept = kvcalloc(vum_irq_count(dev, set->index), sizeof(**kept),
				 GFP_KERNEL_ACCOUNT);
	if (!*kept)
		return -ENOMEM;
	for (i = 0; i < set->count; i++)
		swap((*kept)[set->start + i], files[i]);
	return 0;
}

/* Drop the eventfds that are kept for a range of sub-indexes. */
static void vum_irq_forget(struct vum_device *dev, u32 index,
			   enum vum_irq_action action, u32 start, u32 count)
{
	struct file **kept = dev->irqs.eventfds[index][action];
	u32 i;

	lockdep_assert_held(&dev->irqs.lock);
	for (i = start; kept && i < start + count; i++) {
		if (kept[i])
			fput(kept[i]);
		kept[i] = NULL;
	}
}

static void vum_irq_forget_index(struct vum_device *dev, u32 index)
{
	u32 action;

	for (action = 0; action < VUM_IRQ_ACTIONS; action++)
		vum_irq_forget(dev, index, action, 0, vum_irq_count(dev, index));
	__clear_bit(index, &dev->irqs.enabled);
	__clear_bit(index, &dev->irqs.masked);
}

/* Get the files of @fds, which have to be eventfds; a negative number is no file. */
static struct file **vum_irq_files(const s32 *fds, u32 nr)
{
	struct eventfd_ctx *ctx;
	struct file **files;
	int ret = 0;
	u32 i;

	files = kvcalloc(nr, sizeof(*files), GFP_KERNEL_ACCOUNT);
	if (!files)
		return ERR_PTR(-ENOMEM);
	for (i = 0; !ret && i < nr; i++) {
		if (fds[i] < 0)
			continue;
		files[i] = fget(fds[i]);
		if (!files[i]) {
			ret = -EBADF;
			break;
		}
		ctx = eventfd_ctx_fileget(files[i]);
		if (IS_ERR(ctx))
			ret = PTR_ERR(ctx);
		else
			eventfd_ctx_put(ctx);
	}
	if (!ret)
		return files;
	vum_files_put(files, nr);
	return ERR_PTR(ret);
}

/*
 * May the consumer do this now? A trigger's eventfds enable an index, but only one of
 * INTx, MSI and MSI-X at a time. All else needs an enabled index.
 */
static bool vum_irq_in_order(const struct vum_device *dev,
			     const struct vfio_user_irq_set *set)
{
	const u32 enable = VFIO_IRQ_SET_DATA_EVENTFD |
			   VFIO_IRQ_SET_ACTION_TRIGGER;
	unsigned long exclusive = BIT(VFIO_PCI_INTX_IRQ_INDEX) |
				  BIT(VFIO_PCI_MSI_IRQ_INDEX) |
				  BIT(VFIO_PCI_MSIX_IRQ_INDEX);

	lockdep_assert_held(&dev->irqs.lock);
	if (set->flags != enable)
		return dev->irqs.enabled & BIT(set->index);
	return !(exclusive & BIT(set->index)) ||
	       !(dev->irqs.enabled & exclusive & ~BIT(set->index));
}

/* Signal the consumer. Returns false if it has set no eventfd. */
static bool vum_irq_signal(struct vum_device *dev, u32 index)
{
	struct file **kept = dev->irqs.eventfds[index][VUM_IRQ_TRIGGER];
	struct eventfd_ctx *ctx;

	lockdep_assert_held(&dev->irqs.lock);
	if (!kept || !kept[0])
		return false;
	ctx = eventfd_ctx_fileget(kept[0]);
	if (IS_ERR(ctx))
		return false;
	vum_eventfd_signal(ctx);
	eventfd_ctx_put(ctx);
	return true;
}

/*
 * Try once to change eventfds. If *@done stays false, nothing has changed, and the
 * error is -EPROBE_DEFER (try again once no server is being attached) or -EINVAL (not
 * allowed now). Else @files are those that were kept before or, after an error, may
 * still be the new ones.
 */
static int vum_irq_try_eventfds(struct vum_device *dev,
				const struct vfio_user_irq_set *set,
				struct file **files, bool *done)
{
	struct vum_irq_batch b;
	int ret = 0;

	mutex_lock(&dev->irqs.lock);
	if (!vum_irq_in_order(dev, set)) {
		mutex_unlock(&dev->irqs.lock);
		return -EINVAL;
	}
	ret = vum_batch_init(&b, dev, VUM_REQ_CONSUMER, set->count);
	if (!ret && !vum_irq_local(dev, set->index))
		ret = vum_batch_eventfds(&b, set, files);
	if (!ret || ret == -EIO)
		ret = vum_irq_keep(dev, set, files);
	if (!ret && (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		__set_bit(set->index, &dev->irqs.enabled);
	*done = ret != -EPROBE_DEFER;
	/* The device has failed before the consumer could be told of it. */
	if (!ret && set->index == VFIO_PCI_ERR_IRQ_INDEX && READ_ONCE(dev->conn.failed))
		vum_irq_signal(dev, set->index);
	mutex_unlock(&dev->irqs.lock);
	return vum_batch_wait(&b, ret, true);
}

/*
 * Do as vfio-pci when a block of vectors cannot be set: remove the eventfds of the
 * whole block, and disable the index if no other vector has one.
 */
static void vum_irq_undo(struct vum_device *dev,
			 const struct vfio_user_irq_set *set)
{
	struct vfio_user_irq_set undo = *set;
	struct file **kept;

	mutex_lock(&dev->irqs.lock);
	vum_irq_forget(dev, set->index, vum_irq_action(set->flags), set->start,
		       set->count);
	kept = dev->irqs.eventfds[set->index][VUM_IRQ_TRIGGER];
	if (!kept || !memchr_inv(kept, 0, vum_irq_count(dev, set->index) *
					  sizeof(*kept))) {
		vum_irq_forget_index(dev, set->index);
		undo = (struct vfio_user_irq_set) {
			.flags = VFIO_IRQ_SET_DATA_NONE |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = set->index,
		};
	}
	undo.argsz = sizeof(undo);
	if (!vum_irq_local(dev, set->index))
		vum_req_async(dev, VFIO_USER_DEVICE_SET_IRQS, &undo,
			      sizeof(undo));
	mutex_unlock(&dev->irqs.lock);
}

static int vum_irq_set_eventfds(struct vum_device *dev,
				const struct vfio_user_irq_set *set,
				const s32 *fds)
{
	struct file **files;
	bool done = false;
	int ret;

	files = vum_irq_files(fds, set->count);
	if (IS_ERR(files))
		return PTR_ERR(files);
	while ((ret = vum_irq_try_eventfds(dev, set, files,
					   &done)) == -EPROBE_DEFER) {
		ret = vum_conn_wait_settled(&dev->conn);
		if (ret)
			break;
	}
	if (ret && done)
		vum_irq_undo(dev, set);
	vum_files_put(files, set->count);
	return ret;
}

/* Record what a message without eventfds changes. */
static void vum_irq_note(struct vum_device *dev,
			 const struct vfio_user_irq_set *set, const u8 *bools)
{
	lockdep_assert_held(&dev->irqs.lock);
	if (bools && !bools[0])
		return;
	switch (vum_irq_action(set->flags)) {
	case VUM_IRQ_MASK:
		__set_bit(set->index, &dev->irqs.masked);
		break;
	case VUM_IRQ_UNMASK:
		__clear_bit(set->index, &dev->irqs.masked);
		break;
	default:
		if (!set->count)
			vum_irq_forget_index(dev, set->index);
		else if (vum_irq_local(dev, set->index))
			vum_irq_signal(dev, set->index);
	}
}

/* Try once to mask, unmask, trigger or disable, by DATA_NONE or DATA_BOOL. */
static int vum_irq_try_act(struct vum_device *dev,
			   const struct vfio_user_irq_set *set, const u8 *bools)
{
	/* All but a trigger is recorded here, for the next server. */
	bool kept = !set->count || !(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER);
	u32 size = bools ? set->count : 0;
	struct vum_irq_batch b;
	int ret;

	mutex_lock(&dev->irqs.lock);
	if (!vum_irq_in_order(dev, set)) {
		mutex_unlock(&dev->irqs.lock);
		return -EINVAL;
	}
	ret = vum_batch_init(&b, dev, VUM_REQ_CONSUMER, 1);
	if (!ret && !vum_irq_local(dev, set->index))
		ret = vum_batch_queue(&b, set, bools, size, NULL);
	if (kept && ret == -EIO)
		ret = 0;
	if (!ret)
		vum_irq_note(dev, set, bools);
	mutex_unlock(&dev->irqs.lock);
	return vum_batch_wait(&b, ret, kept);
}

static int vum_irq_act(struct vum_device *dev,
		       const struct vfio_user_irq_set *set, const u8 *bools)
{
	int ret;

	while ((ret = vum_irq_try_act(dev, set, bools)) == -EPROBE_DEFER) {
		ret = vum_conn_wait_settled(&dev->conn);
		if (ret)
			break;
	}
	return ret;
}

/* Refuse what vfio-pci refuses beyond vfio_set_irqs_validate_and_prepare(). */
static int vum_irq_check(struct vum_device *dev, const struct vfio_irq_set *hdr)
{
	bool eventfd = hdr->flags & VFIO_IRQ_SET_DATA_EVENTFD;
	bool none = hdr->flags & VFIO_IRQ_SET_DATA_NONE;
	u32 flags = vum_irq_flags(dev, hdr->index);
	bool trigger = false;

	switch (hdr->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_MASK:
	case VFIO_IRQ_SET_ACTION_UNMASK:
		/* vfio-pci takes these on INTx. So does libvfio-user, undeclared. */
		if (!(flags & VFIO_IRQ_INFO_MASKABLE) &&
		    hdr->index != VFIO_PCI_INTX_IRQ_INDEX)
			return -ENOTTY;
		break;
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		trigger = true;
		break;
	default:
		return -ENOTTY;
	}
	if (!hdr->count && !(trigger && none && !hdr->start))
		return -EINVAL;
	if (eventfd && !(flags & VFIO_IRQ_INFO_EVENTFD))
		return -EINVAL;
	return 0;
}

/**
 * vum_irq_set - carry out VFIO_DEVICE_SET_IRQS
 * @dev: device, open
 * @arg: the consumer's struct vfio_irq_set
 *
 * While no server is attached, what the consumer sets is kept for the next one.
 *
 * Return: 0; -EFAULT, -EINVAL, -ENOTTY or -EBADF as vfio-pci; -EIO for a trigger by
 * hand without a server; -ENOMEM; or an error as vum_req_call().
 */
long vum_irq_set(struct vum_device *dev, struct vfio_irq_set __user *arg)
{
	struct vfio_user_irq_set set = {};
	struct vfio_irq_set hdr;
	void *data = NULL;
	size_t size = 0;
	int ret;

	if (copy_from_user(&hdr, arg, offsetofend(struct vfio_irq_set, count)))
		return -EFAULT;
	if (hdr.index >= dev->shape->num_irqs)
		return -EINVAL;
	hdr.index = array_index_nospec(hdr.index, dev->shape->num_irqs);
	ret = vfio_set_irqs_validate_and_prepare(&hdr,
						 vum_irq_count(dev, hdr.index),
						 dev->shape->num_irqs, &size);
	ret = ret ?: vum_irq_check(dev, &hdr);
	if (ret)
		return ret;
	if (size) {
		data = memdup_user(&arg->data, size);
		if (IS_ERR(data))
			return PTR_ERR(data);
	}

	set.flags = hdr.flags;
	set.index = hdr.index;
	set.start = hdr.start;
	set.count = hdr.count;
	if (hdr.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		ret = vum_irq_set_eventfds(dev, &set, data);
	else
		ret = vum_irq_act(dev, &set, data);
	kfree(data);
	return ret;
}

static int vum_irq_replay_action(struct vum_irq_batch *b, u32 index,
				 enum vum_irq_action action)
{
	struct file **kept = b->dev->irqs.eventfds[index][action];
	struct vfio_user_irq_set set = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | vum_irq_action_flags[action],
		.index = index,
		.count = vum_irq_count(b->dev, index),
	};

	return kept ? vum_batch_eventfds(b, &set, kept) : 0;
}

/* Queue the messages that bring one index of a new server into its state here. */
static int vum_irq_replay_index(struct vum_irq_batch *b, u32 index)
{
	struct vum_device *dev = b->dev;
	bool masked = test_bit(index, &dev->irqs.masked);
	struct vfio_user_irq_set set = { .index = index, .count = 1 };
	u32 before = b->nr;
	int ret;

	/* The trigger goes first, since it enables the index. */
	ret = vum_irq_replay_action(b, index, VUM_IRQ_TRIGGER);
	if (ret || b->nr == before)
		return ret;
	ret = vum_irq_replay_action(b, index, VUM_IRQ_MASK) ?:
	      vum_irq_replay_action(b, index, VUM_IRQ_UNMASK);
	if (ret || !(vum_irq_flags(dev, index) & VFIO_IRQ_INFO_MASKABLE))
		return ret;
	/*
	 * An interrupt may have masked itself, and the consumer's unmask may have
	 * been lost with the old attachment. So say whether it is masked.
	 */
	set.flags = VFIO_IRQ_SET_DATA_NONE |
		    (masked ? VFIO_IRQ_SET_ACTION_MASK :
			      VFIO_IRQ_SET_ACTION_UNMASK);
	return vum_batch_queue(b, &set, NULL, 0, NULL);
}

/**
 * vum_irq_replay - tell a new server what the consumer has set
 * @dev: device, in VUM_STATE_ATTACHING
 * @session: the attachment to this server
 *
 * Return: 0, or the first error, which is the server's or the module's own.
 */
int vum_irq_replay(struct vum_device *dev, u32 session)
{
	u32 index, max = 1;
	struct vum_irq_batch b;
	int ret;

	mutex_lock(&dev->irqs.lock);
	for_each_set_bit(index, &dev->irqs.enabled, VUM_MAX_IRQ_INDEXES)
		max += VUM_IRQ_ACTIONS * vum_irq_count(dev, index) + 1;
	ret = vum_batch_init(&b, dev, VUM_REQ_ATTACH, max);
	b.session = session;
	for_each_set_bit(index, &dev->irqs.enabled, VUM_MAX_IRQ_INDEXES) {
		if (!ret && !vum_irq_local(dev, index))
			ret = vum_irq_replay_index(&b, index);
	}
	mutex_unlock(&dev->irqs.lock);
	return vum_batch_wait(&b, ret, false);
}

/**
 * vum_irq_release - disable all interrupts of a consumer that closes the device
 * @dev: device
 *
 * The server is told of every index, since a change that was interrupted may have
 * been made there and not here.
 *
 * Context: does not wait for the server, see VUM_REQ_ASYNC.
 */
void vum_irq_release(struct vum_device *dev)
{
	struct vfio_user_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
	};
	u32 action;

	mutex_lock(&dev->irqs.lock);
	for (set.index = 0; set.index < dev->shape->num_irqs; set.index++) {
		if (!vum_irq_local(dev, set.index) && vum_irq_count(dev, set.index))
			vum_req_async(dev, VFIO_USER_DEVICE_SET_IRQS, &set,
				      sizeof(set));
		vum_irq_forget_index(dev, set.index);
		for (action = 0; action < VUM_IRQ_ACTIONS; action++) {
			kvfree(dev->irqs.eventfds[set.index][action]);
			dev->irqs.eventfds[set.index][action] = NULL;
		}
	}
	mutex_unlock(&dev->irqs.lock);
}

/**
 * vum_irq_request - ask the consumer to close the device
 * @dev: device that is to be removed
 * @count: number of times that the consumer has been asked before
 */
void vum_irq_request(struct vum_device *dev, unsigned int count)
{
	bool asked;

	mutex_lock(&dev->irqs.lock);
	asked = vum_irq_signal(dev, VFIO_PCI_REQ_IRQ_INDEX);
	mutex_unlock(&dev->irqs.lock);
	if (asked && !(count % 10))
		vum_notice(dev, "asking the consumer to let go (#%u)\n", count);
	else if (!asked && !count)
		vum_warn(dev, "consumer takes no requests to let go; removal waits until it does\n");
}

/**
 * vum_irq_error - tell the consumer that the device has failed
 * @dev: device
 *
 * QEMU stops the guest then, as for an uncorrectable error on the bus.
 */
void vum_irq_error(struct vum_device *dev)
{
	mutex_lock(&dev->irqs.lock);
	if (!vum_irq_signal(dev, VFIO_PCI_ERR_IRQ_INDEX))
		vum_warn(dev, "consumer has not asked to be told of errors; its data may be wrong\n");
	mutex_unlock(&dev->irqs.lock);
}
