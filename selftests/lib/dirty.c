// SPDX-License-Identifier: GPL-2.0
/* See dirty.h. */

#include <sys/ioctl.h>

#include "dirty.h"
#include "test.h"

static int feature(const struct consumer *c, struct vfio_device_feature *f, size_t size,
		   uint32_t flags)
{
	f->argsz = (uint32_t)(sizeof(*f) + size);
	f->flags = flags;
	return ioctl(c->device, VFIO_DEVICE_FEATURE, f);
}

void dirty_needs_log(const struct consumer *c)
{
	struct vfio_device_feature f;

	if (feature(c, &f, 0, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
		    VFIO_DEVICE_FEATURE_DMA_LOGGING_START))
		test_skip("this kernel's VFIO has no iova_bitmap, so it asks no device");
}

int dirty_start(const struct consumer *c, uint64_t iova, uint64_t size)
{
	struct vfio_device_feature_dma_logging_range range = { .iova = iova, .length = size };
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_dma_logging_control control;
	} start = {
		.control = {
			.page_size = DIRTY_PAGE, .num_ranges = 1, .ranges = (uintptr_t)&range,
		},
	};

	if (feature(c, &start.f, sizeof(start.control),
		    VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START))
		return -1;
	CHECK_EQ(start.control.page_size, DIRTY_PAGE);
	return 0;
}

int dirty_stop(const struct consumer *c)
{
	struct vfio_device_feature f;

	return feature(c, &f, 0,
		       VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP);
}

int dirty_report(const struct consumer *c, uint64_t iova, uint64_t size, uint64_t *bits)
{
	struct {
		struct vfio_device_feature f;
		struct vfio_device_feature_dma_logging_report report;
	} ask = {
		.report = {
			.iova = iova, .length = size, .page_size = DIRTY_PAGE,
			.bitmap = (uintptr_t)bits,
		},
	};

	return feature(c, &ask.f, sizeof(ask.report),
		       VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT);
}
