// SPDX-License-Identifier: GPL-2.0
/* A VFIO consumer. See consumer.h. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "consumer.h"
#include "test.h"

static int group_open(const struct world *w)
{
	char link[PATH_MAX], target[PATH_MAX], path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(link, sizeof(link), MDEV_DIR "%s/iommu_group", w->uuid);
	n = readlink(link, target, sizeof(target) - 1);
	CHECK(n > 0);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio%s", strrchr(target, '/'));
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

void consumer_prepare(struct consumer *c, const struct world *w)
{
	c->device = -1;
	c->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(c->container >= 0);
	c->group = group_open(w);
	CHECK(!ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container));
	CHECK(!ioctl(c->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
}

int consumer_get_device(struct consumer *c, const struct world *w)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	c->device = ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, w->uuid);
	if (c->device < 0)
		return -errno;
	/* What every consumer begins with; its memory is the server's from now on. */
	CHECK(!ioctl(c->device, VFIO_DEVICE_GET_INFO, &info));
	return 0;
}

void consumer_open(struct consumer *c, const struct world *w)
{
	consumer_prepare(c, w);
	CHECK_EQ(consumer_get_device(c, w), 0);
}

void consumer_join(struct consumer *c, const struct world *w,
		   const struct consumer *other)
{
	c->container = other->container;
	c->group = group_open(w);
	CHECK(!ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container));
	CHECK_EQ(consumer_get_device(c, w), 0);
}

void consumer_close(struct consumer *c)
{
	int *fds[] = { &c->device, &c->group, &c->container };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] > 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* What VFIO_DEVICE_GET_REGION_INFO says; region.c's tests see to that. */
off_t region_at(unsigned int index, uint64_t offset)
{
	return (off_t)(((uint64_t)index << 40) + offset);
}

uint32_t region_read32(const struct consumer *c, unsigned int index,
		       uint64_t offset)
{
	uint32_t value;

	CHECK_EQ(pread(c->device, &value, 4, region_at(index, offset)), 4);
	return value;
}

void region_write32(const struct consumer *c, unsigned int index,
		    uint64_t offset, uint32_t value)
{
	CHECK_EQ(pwrite(c->device, &value, 4, region_at(index, offset)), 4);
}

int irq_set(const struct consumer *c, uint32_t flags, uint32_t index,
	    uint32_t start, uint32_t count, const void *data, size_t size)
{
	struct vfio_irq_set *set = malloc(sizeof(*set) + size);
	int ret, error;

	CHECK(set);
	set->argsz = (uint32_t)(sizeof(*set) + size);
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (size)
		memcpy(set->data, data, size);
	ret = ioctl(c->device, VFIO_DEVICE_SET_IRQS, set);
	error = errno;
	free(set);
	errno = error;
	return ret;
}

int irq_set_eventfds(const struct consumer *c, uint32_t index, uint32_t start,
		     uint32_t count, const int32_t *fds)
{
	return irq_set(c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		       index, start, count, fds, count * sizeof(*fds));
}

int irq_disable(const struct consumer *c, uint32_t index)
{
	return irq_set(c, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		       index, 0, 0, NULL, 0);
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

uint64_t eventfd_take(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&p, 1, timeout_ms) == 1 && read(fd, &count, 8) != 8)
		FAIL("read of an eventfd: %s", strerror(errno));
	return count;
}
