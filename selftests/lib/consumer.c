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

#include "cdev.h"
#include "consumer.h"
#include "test.h"

bool consumer_by_cdev(void)
{
	const char *by = getenv("VUM_CONSUMER");

	if (!by || !strcmp(by, "group"))
		return false;
	if (strcmp(by, "cdev") != 0)
		FAIL("VUM_CONSUMER is \"%s\", neither \"group\" nor \"cdev\"", by);
	return true;
}

void consumer_needs_container(const char *what)
{
	if (consumer_by_cdev())
		test_skip("by cdev: %s takes a type1 container", what);
}

bool consumer_kernel_has_ftrace(void)
{
	char tracers[256];

	CHECK_EQ(read_file("/sys/kernel/tracing/available_tracers", tracers,
			   sizeof(tracers)), 0);
	return strstr(tracers, "function");
}

void consumer_needs_observer(void)
{
	consumer_needs_container("an exact announcement");
	if (!consumer_kernel_has_ftrace())
		test_skip("an exact announcement takes a kernel with ftrace");
}

void consumer_needs_iommufd(const char *what)
{
	if (!consumer_by_cdev())
		test_skip("by group: %s takes an iommufd", what);
}

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
	if (consumer_by_cdev()) {
		c->container = cdev_iommufd();
		c->group = -1;
		return;
	}
	c->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(c->container >= 0);
	c->group = group_open(w);
	CHECK(!ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container));
	CHECK(!ioctl(c->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
}

/* A descriptor or -errno. */
static int get_device(const struct consumer *c, const struct world *w)
{
	int fd;

	if (consumer_by_cdev())
		return cdev_device(c->container, w);
	fd = ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, w->uuid);
	return fd < 0 ? -errno : fd;
}

int consumer_get_device(struct consumer *c, const struct world *w)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = get_device(c, w);

	c->device = fd < 0 ? -1 : fd;
	if (fd < 0)
		return fd;
	/* What every consumer begins with; its memory is the server's from now on. */
	return ioctl(c->device, VFIO_DEVICE_GET_INFO, &info) ? -errno : 0;
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
	c->group = -1;
	if (!consumer_by_cdev()) {
		c->group = group_open(w);
		CHECK(!ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container));
	}
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
