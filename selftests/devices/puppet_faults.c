// SPDX-License-Identifier: GPL-2.0
/* The puppet's bad manners: replies that are wrong, late, or missing. */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "puppet_priv.h"

#define HUGE_SIZE	0x7fffffff
#define TINY_SIZE	8
#define GARBAGE_SIZE	64
#define BAD_COMMAND	99
#define BAD_TYPE	2

/* Far away from what a client that counts its messages may be using now. */
#define OTHER_ID	0x4000

static bool is_bar1_access(const struct vus_msg *msg)
{
	const struct vfio_user_region_access *in = msg->payload;

	return (msg->hdr.cmd == VFIO_USER_REGION_READ ||
		msg->hdr.cmd == VFIO_USER_REGION_WRITE) &&
	       msg->size >= sizeof(*in) &&
	       in->region == VFIO_PCI_BAR1_REGION_INDEX;
}

static bool is_bar1_read(const struct vus_msg *msg)
{
	return msg->hdr.cmd == VFIO_USER_REGION_READ && is_bar1_access(msg);
}

/* The reply to a region access, unless that failed. */
static struct vfio_user_region_access *access_of(struct vus_reply *reply)
{
	struct vfio_user_header *hdr = vus_reply_header(reply);

	if (hdr->cmd != VFIO_USER_REGION_READ &&
	    hdr->cmd != VFIO_USER_REGION_WRITE)
		return NULL;
	if (reply->size < sizeof(*hdr) + sizeof(struct vfio_user_region_access))
		return NULL;
	return vus_reply_payload(reply);
}

static void resize(struct vus_reply *reply, size_t size)
{
	reply->size = size;
	vus_reply_header(reply)->msg_size = (__u32)size;
}

static void count_overlap(struct puppet *puppet, __u32 extra)
{
	const struct puppet_held *held;
	__u32 n = extra;

	for (held = puppet->held; held; held = held->next)
		n += held->bar1_read;
	if (n > puppet->max_overlap)
		puppet->max_overlap = n;
}

static struct puppet_held *hold(struct puppet *puppet, struct vus_reply *reply,
				bool bar1_read)
{
	struct puppet_held *held = vus_alloc(sizeof(*held));

	held->puppet = puppet;
	held->reply = reply;
	held->bar1_read = bar1_read;
	held->timer = -1;
	held->next = puppet->held;
	puppet->held = held;
	return held;
}

static void held_free(struct puppet_held *held)
{
	struct puppet_held **link = &held->puppet->held;

	while (*link != held)
		link = &(*link)->next;
	*link = held->next;
	if (held->watch)
		vus_unwatch(held->watch);
	if (held->timer >= 0)
		close(held->timer);
	free(held->reply);
	free(held);
}

static void let_go(struct puppet_held *held)
{
	vus_send_reply(held->puppet->srv, held->reply);
	held_free(held);
}

/**
 * puppet_drop_held() - the client is gone, and so is interest in replies
 * @opaque: the puppet
 */
void puppet_drop_held(void *opaque)
{
	struct puppet *puppet = opaque;

	while (puppet->held)
		held_free(puppet->held);
}

/**
 * puppet_gather_changed() - are there enough withheld replies now?
 * @puppet: the device
 */
void puppet_gather_changed(struct puppet *puppet)
{
	struct puppet_held *held, *next;
	__u32 n = 0;

	for (held = puppet->held; held; held = held->next)
		n += held->gathered;
	if (n < puppet->gather)
		return;
	/* The list has the latest first: that is the order wanted. */
	for (held = puppet->held; held; held = next) {
		next = held->next;
		if (held->gathered)
			let_go(held);
	}
}

static void delay_over(void *opaque, int fd __maybe_unused,
		       short revents __maybe_unused)
{
	let_go(opaque);
}

static void delay(struct puppet *puppet, struct vus_reply *reply,
		  bool bar1_read)
{
	struct puppet_held *held = hold(puppet, reply, bar1_read);
	__u32 msecs = puppet->fault_arg;
	struct itimerspec its = {
		.it_value = {
			.tv_sec = msecs / 1000,
			.tv_nsec = msecs % 1000 * 1000000L,
		},
	};

	held->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (!msecs || held->timer < 0 ||
	    timerfd_settime(held->timer, 0, &its, NULL))
		let_go(held);
	else
		held->watch = vus_watch_fd(puppet->srv, held->timer, POLLIN,
					   delay_over, held);
}

/* An answer to our DMA_READ that is not an error has to be complete too. */
static int check_dma(const struct puppet *puppet, const void *payload,
		     size_t size)
{
	const struct vfio_user_dma_access *in = payload;

	if (size != sizeof(*in) + PUPPET_DMA_SIZE ||
	    in->addr != puppet->fault_arg || in->count != PUPPET_DMA_SIZE)
		return EPROTO;
	return 0;
}

static void dma_done(void *opaque, int err, const void *payload, size_t size)
{
	struct puppet_held *held = opaque;
	struct puppet *puppet = held->puppet;

	if (!err)
		err = check_dma(puppet, payload, size);
	puppet->dma_result = (__u32)err;
	if (!err)
		memcpy(puppet->dma_data,
		       (const __u8 *)payload +
			       sizeof(struct vfio_user_dma_access),
		       PUPPET_DMA_SIZE);
	let_go(held);
}

static void dma_read(struct puppet *puppet, struct vus_reply *reply,
		     bool bar1_read)
{
	struct vfio_user_dma_access out = {
		.addr = puppet->fault_arg,
		.count = PUPPET_DMA_SIZE,
	};

	puppet->dma_result = EINPROGRESS;
	memset(puppet->dma_data, 0, sizeof(puppet->dma_data));
	vus_command(puppet->srv, VFIO_USER_DMA_READ, &out, sizeof(out),
		    dma_done, hold(puppet, reply, bar1_read));
}

static void send_garbage(struct puppet *puppet)
{
	__u64 state = puppet->fault_arg + 0x9e3779b97f4a7c15ULL;
	__u64 words[GARBAGE_SIZE / sizeof(__u64)];
	size_t i;

	/* xorshift: what is sent today is sent again when the test is rerun. */
	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		words[i] = htole64(state);
	}
	vus_send_raw(puppet->srv, words, sizeof(words), NULL, 0);
}

static void send_unsolicited(struct puppet *puppet,
			     const struct vus_reply *reply)
{
	struct vfio_user_header hdr;

	memcpy(&hdr, reply->data, sizeof(hdr));
	hdr.msg_id ^= OTHER_ID;
	hdr.msg_size = sizeof(hdr);
	vus_send_raw(puppet->srv, &hdr, sizeof(hdr), NULL, 0);
}

static void send_longer(struct puppet *puppet, struct vus_reply *reply)
{
	size_t extra = puppet->fault_arg ? puppet->fault_arg : 8;
	__u8 *buf = vus_alloc(reply->size + extra);
	size_t size = reply->size;

	resize(reply, size + extra);
	memcpy(buf, reply->data, size);
	memset(buf + size, 0xee, extra);
	vus_send_raw(puppet->srv, buf, size + extra, NULL, 0);
	free(buf);
}

/* Faults whose ARG says how many more messages they strike. */
static void strike_again(struct puppet *puppet, enum puppet_fault fault)
{
	if (!puppet->fault_arg)
		return;
	puppet->fault_arg--;
	puppet->fault = fault;
}

static void send_flood(struct puppet *puppet)
{
	struct {
		struct vfio_user_header hdr;
		struct vfio_user_dma_access access;
		__u8 data[1 << 20];
	} *msg = vus_alloc(sizeof(*msg));

	memset(msg, 0, sizeof(*msg));
	msg->hdr.cmd = VFIO_USER_DMA_WRITE;
	msg->hdr.msg_size = sizeof(*msg);
	msg->hdr.flags = VFIO_USER_F_NO_REPLY;
	msg->access.addr = (__u64)puppet->fault_arg << 20;
	msg->access.count = sizeof(msg->data);
	for (int i = 0; i < 3; i++)
		vus_send_raw(puppet->srv, msg, sizeof(*msg), NULL, 0);
	free(msg);
}

static void cut_payload(struct puppet *puppet, struct vus_reply *reply)
{
	size_t cut = puppet->fault_arg ? puppet->fault_arg : 2;
	size_t payload = reply->size - sizeof(struct vfio_user_header);

	resize(reply, reply->size - (cut < payload ? cut : payload));
}

static void shrink_count(struct vus_reply *reply)
{
	struct vfio_user_region_access *access = access_of(reply);

	if (!access || !access->count)
		return;
	access->count--;
	if (vus_reply_header(reply)->cmd == VFIO_USER_REGION_READ)
		resize(reply, reply->size - 1);
}

/* Faults that are a reply with something wrong in it. */
static void spoil(struct puppet *puppet, enum puppet_fault fault,
		  struct vus_reply *reply)
{
	struct vfio_user_header *hdr = vus_reply_header(reply);

	switch (fault) {
	case PUPPET_FAULT_SHORT_REPLY:
		cut_payload(puppet, reply);
		break;
	case PUPPET_FAULT_WRONG_ID:
		hdr->msg_id ^= OTHER_ID;
		break;
	case PUPPET_FAULT_WRONG_CMD:
		hdr->cmd++;
		break;
	case PUPPET_FAULT_HUGE:
		resize(reply, sizeof(*hdr));
		hdr->msg_size = HUGE_SIZE;
		break;
	case PUPPET_FAULT_TINY:
		resize(reply, sizeof(*hdr));
		hdr->msg_size = TINY_SIZE;
		break;
	case PUPPET_FAULT_WRONG_REGION:
		if (access_of(reply))
			access_of(reply)->region++;
		break;
	case PUPPET_FAULT_WRONG_COUNT:
		shrink_count(reply);
		break;
	case PUPPET_FAULT_BAD_TYPE:
		hdr->flags &= ~VFIO_USER_F_TYPE_MASK;
		hdr->flags |= BAD_TYPE;
		break;
	case PUPPET_FAULT_EXTRA_FD:
		reply->fd = puppet->bar0_fd;
		break;
	case PUPPET_FAULT_TWICE:
		vus_send_reply(puppet->srv, reply);
		break;
	case PUPPET_FAULT_UNSOLICITED:
		send_unsolicited(puppet, reply);
		break;
	case PUPPET_FAULT_FLOOD:
		send_flood(puppet);
		break;
	case PUPPET_FAULT_REPLY:
		strike_again(puppet, fault);
		break;
	default:
		break;
	}
	vus_send_reply(puppet->srv, reply);
}

/* Faults that let the command be done and answer it somehow. */
static void misanswer(struct puppet *puppet, enum puppet_fault fault,
		      const struct vus_msg *msg)
{
	struct vus_reply *reply = vus_execute(puppet->srv, msg);

	switch (fault) {
	case PUPPET_FAULT_DELAY:
		delay(puppet, reply, is_bar1_read(msg));
		return;
	case PUPPET_FAULT_DMA_READ:
		dma_read(puppet, reply, is_bar1_read(msg));
		return;
	case PUPPET_FAULT_LONG_REPLY:
		send_longer(puppet, reply);
		break;
	default:
		spoil(puppet, fault, reply);
		break;
	}
	free(reply);
}

static void send_error(struct puppet *puppet, const struct vus_msg *msg)
{
	struct vus_reply *reply;

	reply = vus_reply_error(msg, (int)puppet->fault_arg);
	vus_send_reply(puppet->srv, reply);
	free(reply);
}

static void strike(struct puppet *puppet, enum puppet_fault fault,
		   const struct vus_msg *msg)
{
	switch (fault) {
	case PUPPET_FAULT_ERROR:
		send_error(puppet, msg);
		break;
	case PUPPET_FAULT_GARBAGE:
		send_garbage(puppet);
		break;
	case PUPPET_FAULT_SILENT:
		strike_again(puppet, fault);
		break;
	case PUPPET_FAULT_HANGUP:
		vus_hangup(puppet->srv);
		break;
	case PUPPET_FAULT_EXIT:
		_exit((int)puppet->fault_arg);
	case PUPPET_FAULT_UNKNOWN_COMMAND:
		vus_command(puppet->srv, BAD_COMMAND, NULL, 0, NULL, NULL);
		break;
	case PUPPET_FAULT_STOP:
		vus_stop_reading(puppet->srv);
		break;
	default:
		misanswer(puppet, fault, msg);
		break;
	}
}

static bool is_target(const struct puppet *puppet, const struct vus_msg *msg)
{
	if (!puppet->fault || msg->hdr.cmd != puppet->fault_cmd)
		return false;
	if (msg->hdr.cmd == VFIO_USER_REGION_READ ||
	    msg->hdr.cmd == VFIO_USER_REGION_WRITE)
		return is_bar1_access(msg);
	return true;
}

/**
 * puppet_filter() - see a message before anybody else does
 * @opaque: the puppet
 * @msg: the message
 *
 * Return: VUS_TAKEN if it was mistreated, VUS_PASS if it is to be served well.
 */
enum vus_verdict puppet_filter(void *opaque, const struct vus_msg *msg)
{
	struct puppet *puppet = opaque;
	enum puppet_fault fault = puppet->fault;

	if (msg->nr_fds > puppet->max_fds)
		puppet->max_fds = msg->nr_fds;
	puppet->nr_multi += msg->hdr.cmd == VFIO_USER_REGION_WRITE_MULTI;
	if (msg->hdr.cmd == VFIO_USER_DEVICE_SET_IRQS)
		puppet->nr_set_irqs++;
	if (is_bar1_read(msg))
		count_overlap(puppet, 1);
	if (is_target(puppet, msg)) {
		puppet->fault = PUPPET_FAULT_NONE;
		strike(puppet, fault, msg);
		return VUS_TAKEN;
	}
	if (puppet_offer_io_fds(puppet, msg))
		return VUS_TAKEN;
	if (puppet->gather && is_bar1_read(msg)) {
		hold(puppet, vus_execute(puppet->srv, msg), true)->gathered =
			true;
		puppet_gather_changed(puppet);
		return VUS_TAKEN;
	}
	return VUS_PASS;
}
