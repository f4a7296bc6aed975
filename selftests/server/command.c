// SPDX-License-Identifier: GPL-2.0
/* What the client asks for, checked and done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include "private.h"

#define VUS_FEATURE_MAX	0x10000

/**
 * vus_reply_new() - a reply to be filled in
 * @msg: the command that is answered
 * @payload_size: bytes after the header, zeroed
 *
 * Return: the reply; free() it.
 */
struct vus_reply *vus_reply_new(const struct vus_msg *msg, size_t payload_size)
{
	size_t size = sizeof(struct vfio_user_header) + payload_size;
	struct vus_reply *reply = vus_alloc(sizeof(*reply) + size);
	struct vfio_user_header *hdr = vus_reply_header(reply);

	reply->fd = -1;
	reply->size = size;
	hdr->msg_id = msg->hdr.msg_id;
	hdr->cmd = msg->hdr.cmd;
	hdr->msg_size = (__u32)size;
	hdr->flags = VFIO_USER_F_TYPE_REPLY;
	return reply;
}

/**
 * vus_reply_error() - a reply that says no
 * @msg: the command that is answered
 * @err: errno value; 0 is an error without a name
 *
 * Return: the reply; free() it.
 */
struct vus_reply *vus_reply_error(const struct vus_msg *msg, int err)
{
	struct vus_reply *reply = vus_reply_new(msg, 0);

	vus_reply_header(reply)->flags |= VFIO_USER_F_ERROR;
	vus_reply_header(reply)->error_no = (__u32)err;
	return reply;
}

static struct vus_reply *get_info(struct vus_server *srv,
				  const struct vus_msg *msg)
{
	const struct vfio_user_device_info *in = msg->payload;
	struct vfio_user_device_info *out;
	struct vus_reply *reply;

	if (msg->size < sizeof(*in) || in->argsz < sizeof(*out))
		return vus_reply_error(msg, EINVAL);
	reply = vus_reply_new(msg, sizeof(*out));
	out = vus_reply_payload(reply);
	out->argsz = sizeof(*out);
	out->flags = srv->dev->flags;
	out->num_regions = srv->dev->num_regions;
	out->num_irqs = srv->dev->num_irqs;
	return reply;
}

/* Return: NULL if there is no such region; one of size 0 if it is unused. */
static const struct vus_region *find_region(const struct vus_server *srv,
					    __u32 index)
{
	static const struct vus_region none = { .fd = -1 };

	if (index >= srv->dev->num_regions)
		return NULL;
	if (index >= srv->dev->nr_regions)
		return &none;
	return &srv->dev->regions[index];
}

/**
 * vus_argsz_fits() - may a client ask for so long a reply?
 * @srv: the server
 * @argsz: what the client says
 * @least: the shortest reply
 *
 * As libvfio-user has it, no reply is longer than max_data_xfer_size.
 */
bool vus_argsz_fits(const struct vus_server *srv, __u32 argsz, size_t least)
{
	__u32 max = srv->opt.max_data_xfer_size;

	return argsz >= least && (argsz <= max || argsz == least);
}

static struct vus_reply *get_region_info(struct vus_server *srv,
					 const struct vus_msg *msg)
{
	const struct vfio_user_region_info *in = msg->payload;
	struct vfio_user_region_info *out;
	const struct vus_region *region;
	struct vus_reply *reply;
	size_t full;

	if (msg->size < sizeof(*in) || !vus_argsz_fits(srv, in->argsz, sizeof(*out)))
		return vus_reply_error(msg, EINVAL);
	region = find_region(srv, in->index);
	if (!region)
		return vus_reply_error(msg, EINVAL);
	full = sizeof(*out) + region->caps_size;
	reply = vus_reply_new(msg, in->argsz < full ? sizeof(*out) : full);
	out = vus_reply_payload(reply);
	out->argsz = (__u32)full;
	out->flags = region->flags;
	out->index = in->index;
	out->size = region->size;
	out->offset = region->offset;
	if (region->caps_size) {
		out->flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (in->argsz >= full) {
			out->cap_offset = region->cap_offset ?
					  region->cap_offset : sizeof(*out);
			memcpy(out + 1, region->caps, region->caps_size);
		}
	}
	if (region->flags & VFIO_REGION_INFO_FLAG_MMAP)
		reply->fd = region->fd;
	return reply;
}

/* Return: the region if the access is one that it allows, else NULL. */
static const struct vus_region *
find_accessible(const struct vus_server *srv, const struct vus_msg *msg,
		__u32 need)
{
	const struct vfio_user_region_access *in = msg->payload;
	size_t data = need == VFIO_REGION_INFO_FLAG_WRITE ? in->count : 0;
	const struct vus_region *region;

	if (in->count > srv->opt.max_data_xfer_size ||
	    msg->size != sizeof(*in) + data)
		return NULL;
	region = find_region(srv, in->region);
	if (!region || !(region->flags & need))
		return NULL;
	if (in->offset > region->size ||
	    in->count > region->size - in->offset)
		return NULL;
	return region;
}

static struct vus_reply *region_read(struct vus_server *srv,
				     const struct vus_msg *msg)
{
	const struct vfio_user_region_access *in = msg->payload;
	struct vfio_user_region_access *out;
	const struct vus_region *region;
	struct vus_reply *reply;
	int err;

	if (msg->size < sizeof(*in))
		return vus_reply_error(msg, EINVAL);
	region = find_accessible(srv, msg, VFIO_REGION_INFO_FLAG_READ);
	if (!region)
		return vus_reply_error(msg, EINVAL);
	reply = vus_reply_new(msg, sizeof(*out) + in->count);
	out = vus_reply_payload(reply);
	*out = *in;
	err = region->read(srv->dev->opaque, in->offset, out->data, in->count);
	if (err) {
		free(reply);
		return vus_reply_error(msg, -err);
	}
	return reply;
}

static struct vus_reply *region_write(struct vus_server *srv,
				      const struct vus_msg *msg)
{
	const struct vfio_user_region_access *in = msg->payload;
	const struct vus_region *region;
	struct vus_reply *reply;
	int err;

	if (msg->size < sizeof(*in))
		return vus_reply_error(msg, EINVAL);
	region = find_accessible(srv, msg, VFIO_REGION_INFO_FLAG_WRITE);
	if (!region)
		return vus_reply_error(msg, EINVAL);
	err = region->write(srv->dev->opaque, in->offset, in->data, in->count);
	if (err)
		return vus_reply_error(msg, -err);
	reply = vus_reply_new(msg, sizeof(*in));
	memcpy(vus_reply_payload(reply), in, sizeof(*in));
	return reply;
}

/* Return: 0, or a negative errno. */
static int write_single(struct vus_server *srv, const struct vfio_user_write_single *single)
{
	const struct vus_region *region = find_region(srv, single->region);

	if (!region || !(region->flags & VFIO_REGION_INFO_FLAG_WRITE) ||
	    single->count > sizeof(single->data) || single->offset > region->size ||
	    single->count > region->size - single->offset)
		return -EINVAL;
	return region->write(srv->dev->opaque, single->offset, &single->data, single->count);
}

/* The reply has the number of writes that were done, up to the first that fails. */
static struct vus_reply *region_write_multi(struct vus_server *srv,
					    const struct vus_msg *msg)
{
	const struct vfio_user_write_multi *in = msg->payload;
	struct vfio_user_write_multi *out;
	struct vus_reply *reply;
	__u64 done = 0;

	if (srv->opt.single_writes || msg->size < sizeof(*in) ||
	    in->wr_cnt != (msg->size - sizeof(*in)) / sizeof(in->wrs[0]) ||
	    (msg->size - sizeof(*in)) % sizeof(in->wrs[0]) ||
	    msg->size > srv->opt.max_data_xfer_size)
		return vus_reply_error(msg, EINVAL);
	while (done < in->wr_cnt && !write_single(srv, &in->wrs[done]))
		done++;
	reply = vus_reply_new(msg, sizeof(*out));
	out = vus_reply_payload(reply);
	out->wr_cnt = done;
	return reply;
}

static struct vus_reply *device_reset(struct vus_server *srv,
				      const struct vus_msg *msg)
{
	if (!(srv->dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return vus_reply_error(msg, EOPNOTSUPP);
	if (srv->dev->reset)
		srv->dev->reset(srv->dev->opaque);
	vus_mig_reset(srv);
	return vus_reply_new(msg, 0);
}

/* The reply has room for what was asked, and what came begins it. */
static struct vus_reply *device_feature(struct vus_server *srv,
					const struct vus_msg *msg)
{
	const struct vfio_user_device_feature *in = msg->payload;
	struct vfio_user_device_feature *out;
	struct vus_reply *reply;
	int err;

	if (msg->size < sizeof(*in) || in->argsz < msg->size ||
	    in->argsz > VUS_FEATURE_MAX)
		return vus_reply_error(msg, EINVAL);
	if (vus_mig_feature(srv, msg, &reply))
		return reply;
	reply = vus_reply_new(msg, in->argsz);
	out = vus_reply_payload(reply);
	memcpy(out, in, msg->size);
	err = vus_dirty_feature(srv, in->flags, out->data, in->argsz - sizeof(*in));
	if (err == -EOPNOTSUPP && srv->dev->feature)
		err = srv->dev->feature(srv->dev->opaque, in->flags, out->data,
					in->argsz - sizeof(*in));
	if (!err)
		return reply;
	free(reply);
	return vus_reply_error(msg, -err);
}

typedef struct vus_reply *(*handler_fn)(struct vus_server *srv,
					const struct vus_msg *msg);

static const handler_fn handlers[] = {
	[VFIO_USER_VERSION] = vus_version,
	[VFIO_USER_DMA_MAP] = vus_dma_map,
	[VFIO_USER_DMA_UNMAP] = vus_dma_unmap,
	[VFIO_USER_DEVICE_GET_INFO] = get_info,
	[VFIO_USER_DEVICE_GET_REGION_INFO] = get_region_info,
	[VFIO_USER_DEVICE_GET_IRQ_INFO] = vus_get_irq_info,
	[VFIO_USER_DEVICE_SET_IRQS] = vus_set_irqs,
	[VFIO_USER_REGION_READ] = region_read,
	[VFIO_USER_REGION_WRITE] = region_write,
	[VFIO_USER_REGION_WRITE_MULTI] = region_write_multi,
	[VFIO_USER_DEVICE_RESET] = device_reset,
	[VFIO_USER_DEVICE_FEATURE] = device_feature,
	[VFIO_USER_MIG_DATA_READ] = vus_mig_read,
	[VFIO_USER_MIG_DATA_WRITE] = vus_mig_write,
};

/**
 * vus_execute() - do what a command says, but do not answer yet
 * @srv: the server
 * @msg: the command
 *
 * Return: what there is to answer, even if the command wants no reply;
 * free() it. NULL if there will be an answer later.
 */
struct vus_reply *vus_execute(struct vus_server *srv,
			      const struct vus_msg *msg)
{
	const size_t known = sizeof(handlers) / sizeof(*handlers);
	__u16 cmd = msg->hdr.cmd;

	if (cmd != VFIO_USER_VERSION && !srv->negotiated) {
		vus_log("command %u before VERSION", cmd);
		vus_hangup(srv);
		return vus_reply_error(msg, EINVAL);
	}
	if (cmd >= known || !handlers[cmd])
		return vus_reply_error(msg, EOPNOTSUPP);
	if (vus_mig_refuses(srv, cmd))
		return vus_reply_error(msg, EINVAL);
	return handlers[cmd](srv, msg);
}

/*
 * Refuse a command, and hang up as soon as what would be left of it in the stream, and
 * the messages that follow, is as long as a header: no header is made of that.
 */
static void refuse_sloppily(struct vus_server *srv, const struct vus_msg *msg)
{
	struct vus_reply *reply = vus_reply_error(msg, EOPNOTSUPP);

	vus_send_reply(srv, reply);
	free(reply);
	srv->misread = true;
	if (msg->size >= sizeof(msg->hdr))
		vus_hangup(srv);
}

/* A message has come in: find out whose it is, and have it dealt with. */
void vus_dispatch(struct vus_server *srv, const struct vus_msg *msg)
{
	__u32 type = msg->hdr.flags & VFIO_USER_F_TYPE_MASK;
	struct vus_reply *reply;

	if (srv->misread) {
		vus_hangup(srv);
		return;
	}

	if (type == VFIO_USER_F_TYPE_REPLY) {
		vus_command_answered(srv, msg);
		return;
	}
	if (type != VFIO_USER_F_TYPE_COMMAND) {
		vus_log("client sent a message of type %u", type);
		vus_hangup(srv);
		return;
	}
	if (msg->hdr.cmd < 32 && srv->opt.stall & (1U << msg->hdr.cmd))
		return;
	if (msg->hdr.cmd < 32 && srv->opt.sloppy & (1U << msg->hdr.cmd)) {
		refuse_sloppily(srv, msg);
		return;
	}
	if (srv->dev->filter &&
	    srv->dev->filter(srv->dev->opaque, msg) == VUS_TAKEN)
		return;
	reply = vus_execute(srv, msg);
	if (reply && !(msg->hdr.flags & VFIO_USER_F_NO_REPLY))
		vus_send_reply(srv, reply);
	free(reply);
}
