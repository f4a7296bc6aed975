// SPDX-License-Identifier: GPL-2.0
/* See model.h. */
#include <linux/vfio.h>
#include <stdint.h>
#include <string.h>

#include <vfio_user.h>

#include "model.h"

#define NR_REGIONS	10U
#define NR_IRQS		5U

static uint64_t region_size(uint32_t index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
	case VFIO_PCI_BAR2_REGION_INDEX:
		return 0x4000;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return 0x1000;
	case NR_REGIONS - 1:
		return 0x100;
	default:
		return 0;
	}
}

static size_t get_info(void *payload)
{
	struct vfio_user_device_info *info = payload;

	*info = (struct vfio_user_device_info){
		.argsz = sizeof(*info), .flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		.num_regions = NR_REGIONS, .num_irqs = NR_IRQS,
	};
	return sizeof(*info);
}

static size_t get_region_info(const void *in, void *payload)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct {
		struct vfio_user_region_info info;
		struct vfio_region_info_cap_type type;
	} *out = payload;
	uint32_t index = ((const struct vfio_user_region_info *)in)->index;

	memset(out, 0, sizeof(*out));
	out->info.index = index;
	out->info.size = region_size(index);
	out->info.flags = out->info.size ? rw : 0;
	out->info.argsz = sizeof(out->info);
	if (index != NR_REGIONS - 1)
		return sizeof(out->info);
	out->info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
	out->info.cap_offset = sizeof(out->info);
	out->info.argsz = sizeof(*out);
	out->type.header.id = VFIO_REGION_INFO_CAP_TYPE;
	out->type.header.version = 1;
	out->type.type = 0x1af4;
	return sizeof(*out);
}

static size_t get_irq_info(const void *in, void *payload)
{
	static const uint32_t counts[NR_IRQS] = { 1, 1, 8, 0, 1 };
	uint32_t index = ((const struct vfio_user_irq_info *)in)->index;
	struct vfio_user_irq_info *info = payload;

	*info = (struct vfio_user_irq_info){
		.argsz = sizeof(*info), .index = index,
		.count = index < NR_IRQS ? counts[index] : 0,
		.flags = VFIO_IRQ_INFO_EVENTFD | (index ? VFIO_IRQ_INFO_NORESIZE :
			VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED),
	};
	return sizeof(*info);
}

static size_t region_read(const void *in, void *payload)
{
	struct vfio_user_region_access *out = payload;
	size_t max = MODEL_ROOM - sizeof(struct vfio_user_header) - sizeof(*out);

	*out = *(const struct vfio_user_region_access *)in;
	if (out->count > max)
		out->count = (uint32_t)max;
	memset(out->data, 0x40, out->count);
	return sizeof(*out) + out->count;
}

static size_t feature(const void *in, void *payload)
{
	const struct vfio_user_device_feature *ask = in;
	struct vfio_user_device_feature *out = payload;

	*out = *ask;
	if (!(ask->flags & VFIO_DEVICE_FEATURE_GET))
		return sizeof(*out);
	memset(out->data, 7, 24);
	return sizeof(*out) + 24;
}

static size_t answer(uint16_t cmd, const void *in, void *out)
{
	switch (cmd) {
	case VFIO_USER_DEVICE_GET_INFO:
		return get_info(out);
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		return get_region_info(in, out);
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		return get_irq_info(in, out);
	case VFIO_USER_REGION_READ:
		return region_read(in, out);
	case VFIO_USER_REGION_WRITE:
		memcpy(out, in, sizeof(struct vfio_user_region_access));
		return sizeof(struct vfio_user_region_access);
	case VFIO_USER_DMA_UNMAP:
		memcpy(out, in, sizeof(struct vfio_user_dma_unmap));
		return sizeof(struct vfio_user_dma_unmap);
	case VFIO_USER_DEVICE_GET_REGION_IO_FDS:
		memset(out, 0, sizeof(struct vfio_user_region_io_fds));
		((struct vfio_user_region_io_fds *)out)->argsz =
			sizeof(struct vfio_user_region_io_fds);
		return sizeof(struct vfio_user_region_io_fds);
	case VFIO_USER_DEVICE_FEATURE:
		return feature(in, out);
	default:
		return 0;
	}
}

size_t model_reply(const void *msg, size_t size, void *reply)
{
	const struct vfio_user_header *hdr = msg;
	struct vfio_user_header *out = reply;

	if (size < sizeof(*hdr) || hdr->flags & VFIO_USER_F_NO_REPLY)
		return 0;
	*out = *hdr;
	out->flags = VFIO_USER_F_TYPE_REPLY;
	out->msg_size = (uint32_t)(sizeof(*out) + answer(hdr->cmd, hdr + 1, out + 1));
	return out->msg_size;
}
