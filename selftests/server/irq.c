// SPDX-License-Identifier: GPL-2.0
/* Interrupts: who is to be told of them, and who is masked. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "private.h"

enum action { ACT_MASK, ACT_UNMASK, ACT_TRIGGER, NR_ACTIONS };

/**
 * struct vus_irq_state - one sub-index of one IRQ index
 * @srv: the server
 * @fd: eventfds by action, -1 if none: the one for trigger is ours to signal,
 *	those for mask and unmask are signalled by the client's side
 * @watch: for the eventfds that are signalled to us
 * @masked: not to be signalled now
 * @pending: signal when unmasked
 */
struct vus_irq_state {
	struct vus_server *srv;
	int fd[NR_ACTIONS];
	struct vus_watch *watch[NR_ACTIONS];
	bool masked;
	bool pending;
};

static bool is_intx(const struct vus_irq_state *irq)
{
	return irq->srv->dev->nr_irqs && irq->srv->dev->irqs[0].count &&
	       irq == irq->srv->irqs[VFIO_PCI_INTX_IRQ_INDEX];
}

static void signal_fd(const struct vus_irq_state *irq)
{
	const __u64 one = 1;
	int fd = irq->fd[ACT_TRIGGER];

	while (fd >= 0 && write(fd, &one, sizeof(one)) < 0) {
		if (errno == EINTR)
			continue;
		vus_log("cannot signal an interrupt: %s", strerror(errno));
		break;
	}
}

/* Signal what is due and not masked. INTx masks itself as it fires. */
static void update(struct vus_irq_state *irq)
{
	bool intx = is_intx(irq);

	if (irq->masked || irq->fd[ACT_TRIGGER] < 0)
		return;
	if (!irq->pending && !(intx && irq->srv->intx_level))
		return;
	irq->pending = false;
	irq->masked = intx;
	signal_fd(irq);
}

static struct vus_irq_state *find(const struct vus_server *srv, __u32 index,
				  __u32 sub)
{
	if (index >= srv->dev->nr_irqs || sub >= srv->dev->irqs[index].count)
		return NULL;
	return &srv->irqs[index][sub];
}

/**
 * vus_irq_trigger() - fire an interrupt once
 * @srv: the server
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @sub: sub-index
 *
 * Return: 0, -EINVAL if the device has no such interrupt, -ENOENT if the
 * client has given no eventfd for it. A masked one fires when unmasked.
 */
int vus_irq_trigger(struct vus_server *srv, __u32 index, __u32 sub)
{
	struct vus_irq_state *irq = find(srv, index, sub);

	if (!irq)
		return -EINVAL;
	if (irq->fd[ACT_TRIGGER] < 0)
		return -ENOENT;
	irq->pending = true;
	update(irq);
	return 0;
}

/**
 * vus_intx_set() - set the level of the device's interrupt line
 * @srv: the server
 * @level: true is asserted
 */
void vus_intx_set(struct vus_server *srv, bool level)
{
	struct vus_irq_state *irq = find(srv, VFIO_PCI_INTX_IRQ_INDEX, 0);

	srv->intx_level = level;
	if (irq)
		update(irq);
}

/**
 * vus_irq_masked() - is this interrupt masked now?
 * @srv: the server
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @sub: sub-index
 *
 * Return: true if it is masked, by the client or by itself.
 */
bool vus_irq_masked(const struct vus_server *srv, __u32 index, __u32 sub)
{
	const struct vus_irq_state *irq = find(srv, index, sub);

	return irq && irq->masked;
}

/**
 * vus_irq_bound() - for how many sub-indexes is there an eventfd?
 * @srv: the server
 * @index: VFIO_PCI_*_IRQ_INDEX
 *
 * Return: that number.
 */
unsigned int vus_irq_bound(const struct vus_server *srv, __u32 index)
{
	const struct vus_irq_state *irq;
	unsigned int bound = 0;
	__u32 i;

	for (i = 0; (irq = find(srv, index, i)); i++)
		bound += irq->fd[ACT_TRIGGER] >= 0;
	return bound;
}

static void set_masked(struct vus_irq_state *irq, bool masked)
{
	irq->masked = masked;
	update(irq);
}

/*
 * An eventfd for mask or unmask is readable. Reading must not block even if
 * the client has handed us something that is not what it should be.
 */
static void eventfd_ready(struct vus_irq_state *irq, enum action act)
{
	__u64 value;
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };
	ssize_t n = preadv2(irq->fd[act], &iov, 1, -1, RWF_NOWAIT);

	if (n == sizeof(value)) {
		set_masked(irq, act == ACT_MASK);
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
		vus_log("an eventfd for (un)mask is none");
		vus_watch_events(irq->watch[act], 0);
	}
}

static void mask_ready(void *opaque, int fd __maybe_unused,
		       short revents __maybe_unused)
{
	eventfd_ready(opaque, ACT_MASK);
}

static void unmask_ready(void *opaque, int fd __maybe_unused,
			 short revents __maybe_unused)
{
	eventfd_ready(opaque, ACT_UNMASK);
}

static void bind_fd(struct vus_irq_state *irq, enum action act, int fd)
{
	if (irq->watch[act]) {
		vus_unwatch(irq->watch[act]);
		irq->watch[act] = NULL;
	}
	if (irq->fd[act] >= 0)
		close(irq->fd[act]);
	irq->fd[act] = fd;
	if (fd < 0)
		return;
	if (act == ACT_TRIGGER)
		update(irq);
	else
		irq->watch[act] = vus_watch_fd(irq->srv, fd, POLLIN,
					       act == ACT_MASK ? mask_ready :
								 unmask_ready,
					       irq);
}

static void disable(struct vus_irq_state *irq)
{
	int act;

	for (act = 0; act < NR_ACTIONS; act++)
		bind_fd(irq, act, -1);
	irq->masked = false;
	irq->pending = false;
}

void vus_irq_init(struct vus_server *srv)
{
	const struct vus_device *dev = srv->dev;
	__u32 i, sub;
	int act;

	srv->irqs = vus_alloc(dev->nr_irqs * sizeof(void *));
	for (i = 0; i < dev->nr_irqs; i++) {
		struct vus_irq_state *irq;

		irq = vus_alloc(dev->irqs[i].count * sizeof(*irq));
		srv->irqs[i] = irq;
		for (sub = 0; sub < dev->irqs[i].count; sub++, irq++) {
			irq->srv = srv;
			for (act = 0; act < NR_ACTIONS; act++)
				irq->fd[act] = -1;
		}
	}
}

/**
 * vus_irq_trigger_fd() - the client's eventfd for an interrupt
 * @srv: the server
 * @index: an IRQ index that the device has
 * @sub: sub-index
 *
 * Return: the descriptor, or -1.
 */
int vus_irq_trigger_fd(const struct vus_server *srv, __u32 index, __u32 sub)
{
	return srv->irqs[index][sub].fd[ACT_TRIGGER];
}

/*
 * The client is gone, with its eventfds. Masks go too: an unmask that was lost
 * on the way would leave INTx dead for ever, one interrupt too many is
 * harmless.
 */
void vus_irq_forget(struct vus_server *srv)
{
	__u32 i, sub;

	for (i = 0; i < srv->dev->nr_irqs; i++) {
		for (sub = 0; sub < srv->dev->irqs[i].count; sub++)
			disable(&srv->irqs[i][sub]);
	}
}

void vus_irq_free(struct vus_server *srv)
{
	__u32 i;

	vus_irq_forget(srv);
	for (i = 0; i < srv->dev->nr_irqs; i++)
		free(srv->irqs[i]);
	free(srv->irqs);
}

/* VFIO_USER_DEVICE_GET_IRQ_INFO */
struct vus_reply *vus_get_irq_info(struct vus_server *srv,
				   const struct vus_msg *msg)
{
	const struct vfio_user_irq_info *in = msg->payload;
	struct vfio_user_irq_info *out;
	struct vus_reply *reply;

	if (msg->size < sizeof(*in) || in->argsz < sizeof(*out) ||
	    in->index >= srv->dev->num_irqs)
		return vus_reply_error(msg, EINVAL);
	reply = vus_reply_new(msg, sizeof(*out));
	out = vus_reply_payload(reply);
	out->argsz = sizeof(*out);
	out->index = in->index;
	if (in->index < srv->dev->nr_irqs) {
		out->flags = srv->dev->irqs[in->index].flags;
		out->count = srv->dev->irqs[in->index].count;
	}
	return reply;
}

static bool one_bit(__u32 bits)
{
	return bits && !(bits & (bits - 1));
}

static bool flags_ok(const struct vus_irq *irq, __u32 flags)
{
	const __u32 known = VFIO_IRQ_SET_DATA_TYPE_MASK |
			    VFIO_IRQ_SET_ACTION_TYPE_MASK;

	if (flags & ~known || !one_bit(flags & VFIO_IRQ_SET_DATA_TYPE_MASK) ||
	    !one_bit(flags & VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return false;
	return flags & VFIO_IRQ_SET_ACTION_TRIGGER ||
	       irq->flags & VFIO_IRQ_INFO_MASKABLE;
}

static bool set_irqs_ok(const struct vus_server *srv, const struct vus_msg *msg)
{
	const struct vfio_user_irq_set *set = msg->payload;
	const struct vus_irq *irq;
	size_t bools;

	if (msg->size < sizeof(*set) || set->argsz < sizeof(*set) ||
	    set->index >= srv->dev->nr_irqs)
		return false;
	irq = &srv->dev->irqs[set->index];
	if (!flags_ok(irq, set->flags))
		return false;
	bools = set->flags & VFIO_IRQ_SET_DATA_BOOL ? set->count : 0;
	if (msg->size != sizeof(*set) + bools)
		return false;
	if (msg->nr_fds && (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD) ||
			    msg->nr_fds != set->count))
		return false;
	if (!set->count)
		return !set->start && set->flags == (VFIO_IRQ_SET_DATA_NONE |
						     VFIO_IRQ_SET_ACTION_TRIGGER);
	return set->start < irq->count &&
	       set->count <= irq->count - set->start;
}

static enum action action_of(__u32 flags)
{
	if (flags & VFIO_IRQ_SET_ACTION_MASK)
		return ACT_MASK;
	if (flags & VFIO_IRQ_SET_ACTION_UNMASK)
		return ACT_UNMASK;
	return ACT_TRIGGER;
}

static int take_fd(const struct vus_msg *msg, __u32 i)
{
	int fd;

	if (i >= msg->nr_fds)
		return -1;
	fd = msg->fds[i];
	msg->fds[i] = -1;
	return fd;
}

/* VFIO_USER_DEVICE_SET_IRQS */
struct vus_reply *vus_set_irqs(struct vus_server *srv,
			       const struct vus_msg *msg)
{
	const struct vfio_user_irq_set *set = msg->payload;
	struct vus_irq_state *irq;
	enum action act;
	__u32 i;

	if (!set_irqs_ok(srv, msg))
		return vus_reply_error(msg, EINVAL);
	irq = srv->irqs[set->index] + set->start;
	act = action_of(set->flags);
	if (!set->count) {
		for (i = 0; i < srv->dev->irqs[set->index].count; i++)
			disable(&irq[i]);
		return vus_reply_new(msg, 0);
	}
	/* As strict as vfio-pci: the trigger is what enables an interrupt. */
	if (act != ACT_TRIGGER && irq->fd[ACT_TRIGGER] < 0)
		return vus_reply_error(msg, EINVAL);
	for (i = 0; i < set->count; i++, irq++) {
		if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
			bind_fd(irq, act, take_fd(msg, i));
		else if (set->flags & VFIO_IRQ_SET_DATA_BOOL && !set->data[i])
			continue;
		else if (act == ACT_TRIGGER)
			signal_fd(irq);
		else
			set_masked(irq, act == ACT_MASK);
	}
	return vus_reply_new(msg, 0);
}
