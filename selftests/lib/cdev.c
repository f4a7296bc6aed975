// SPDX-License-Identifier: GPL-2.0
/* A device by its own node, and its memory by iommufd. See cdev.h. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The headers of 6.1 have none of this, those of 6.2 to 6.5 not all of it. */
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif

#include "cdev.h"
#include "test.h"

#if defined(IOMMU_IOAS_ALLOC) && defined(VFIO_DEVICE_BIND_IOMMUFD)

#define NODE_DIR "/dev/vfio/devices"

void cdev_new_ioas(int iommufd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_vfio_ioas set = {
		.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET,
	};

	CHECK(!ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	set.ioas_id = alloc.out_ioas_id;
	CHECK(!ioctl(iommufd, IOMMU_VFIO_IOAS, &set));
}

int cdev_iommufd(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		FAIL("/dev/iommu: %s; has this kernel CONFIG_IOMMUFD?",
		     strerror(errno));
	if (access(NODE_DIR, F_OK))
		FAIL(NODE_DIR ": %s; has this kernel CONFIG_VFIO_DEVICE_CDEV?",
		     strerror(errno));
	cdev_new_ioas(fd);
	return fd;
}

/* It is called as what is in a directory of the mdev's, which may have gone. */
static bool find_node(const struct world *w, char *path, size_t size)
{
	bool found = false;
	struct dirent *e;
	DIR *dir;

	snprintf(path, size, MDEV_DIR "%s/vfio-dev", w->uuid);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		found = !strncmp(e->d_name, "vfio", 4);
		snprintf(path, size, NODE_DIR "/%s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* A descriptor, or -1 if the mdev has gone, or is about to. */
static int open_node(const struct world *w)
{
	char path[PATH_MAX];
	int fd;

	if (!find_node(w, path, sizeof(path)))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC);
	/* The node goes before the directory, and may be open for a moment longer. */
	CHECK(fd >= 0 || errno == ENOENT || errno == ENODEV);
	return fd;
}

void cdev_attach(int device, int iommufd)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_vfio_ioas get = {
		.size = sizeof(get), .op = IOMMU_VFIO_IOAS_GET,
	};

	CHECK(!ioctl(iommufd, IOMMU_VFIO_IOAS, &get));
	attach.pt_id = get.ioas_id;
	CHECK(!ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

void cdev_detach(int device)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	CHECK(!ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

int cdev_device(int iommufd, const struct world *w)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = iommufd,
	};
	int fd = open_node(w), error;

	if (fd < 0)
		return -ENODEV;
	if (ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)) {
		error = errno;
		close(fd);
		return -error;
	}
	cdev_attach(fd, iommufd);
	return fd;
}

#else

static void __attribute__((noreturn)) unknown(void)
{
	FAIL("compiled with kernel headers that know no VFIO_DEVICE_BIND_IOMMUFD");
}

int cdev_iommufd(void)
{
	unknown();
}

void cdev_new_ioas(int iommufd)
{
	(void)iommufd;
	unknown();
}

int cdev_device(int iommufd, const struct world *w)
{
	(void)iommufd;
	(void)w;
	unknown();
}

void cdev_attach(int device, int iommufd)
{
	(void)device;
	(void)iommufd;
	unknown();
}

void cdev_detach(int device)
{
	(void)device;
	unknown();
}

#endif
