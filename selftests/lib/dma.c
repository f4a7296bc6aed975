// SPDX-License-Identifier: GPL-2.0
/* See dma.h. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "dma.h"

void dma_up_aperture(struct world *w, struct consumer *c, const char *const *args)
{
	world_mdev(w);
	world_attr_set(w, "dma_announce", "aperture");
	world_start(w, args);
	consumer_open(c, w);
}

unsigned char *dma_memory(size_t size)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

void *dma_missing_page(void)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
		.range.len = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	void *page = dma_memory(reg.range.len);

	CHECK(uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)page;
	CHECK(!ioctl(uffd, UFFDIO_REGISTER, &reg));
	return page;
}

void dma_map(const struct consumer *c, void *vaddr, uint64_t iova, size_t size,
	     uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)vaddr,
		.iova = iova, .size = size,
	};

	CHECK(!ioctl(c->container, VFIO_IOMMU_MAP_DMA, &m));
}

void dma_unmap(const struct consumer *c, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = iova, .size = size,
	};

	CHECK(!ioctl(c->container, VFIO_IOMMU_UNMAP_DMA, &u));
	CHECK_EQ(u.size, size);
}

void dma_start(const struct consumer *c, enum puppet_dma_op op, uint64_t iova,
	       uint32_t size, uint32_t value)
{
	uint32_t word = op;

	puppet_set(c, PUPPET_DMA_IOVA, (uint32_t)iova);
	puppet_set(c, PUPPET_DMA_IOVA + 4, (uint32_t)(iova >> 32));
	puppet_set(c, PUPPET_DMA_LENGTH, size);
	puppet_set(c, PUPPET_DMA_VALUE, value);
	/* The device may fail before it has replied. */
	if (pwrite(c->device, &word, sizeof(word),
		   region_at(VFIO_PCI_BAR2_REGION_INDEX, PUPPET_DMA_OP)) < 0)
		CHECK_EQ(errno, EIO);
}

int dma_run(const struct consumer *c, enum puppet_dma_op op, uint64_t iova,
	    uint32_t size, uint32_t value)
{
	long long end = test_now_ms() + TEST_SOON_MS;
	uint32_t status;

	dma_start(c, op, iova, size, value);
	while ((status = puppet_get(c, PUPPET_DMA_STATUS)) == EINPROGRESS)
		CHECK(test_now_ms() < end);
	return (int)status;
}

long dma_show(const struct world *w, const char *key)
{
	struct json_object *json = ctl_run_json("show --json %s", w->uuid);
	long n = json_get_number(json, key);

	json_object_put(json);
	return n;
}

void dma_show_text(const struct world *w, const char *key, char *buf,
		   size_t size)
{
	struct json_object *json = ctl_run_json("show --json %s", w->uuid);
	const char *text = json_get_text(json, key);

	snprintf(buf, size, "%s", text ? text : "");
	json_object_put(json);
}

static unsigned long vmstat(const char *key)
{
	char buf[16384], *p;

	CHECK_EQ(read_file("/proc/vmstat", buf, sizeof(buf)), 0);
	p = strstr(buf, key);
	CHECK(p);
	return strtoul(p + strlen(key), NULL, 10);
}

bool dma_pins_balance(void)
{
	/* The counters are kept by CPU. */
	CHECK_EQ(write_file("/proc/sys/vm/stat_refresh", "1"), 0);
	return vmstat("nr_foll_pin_acquired ") == vmstat("nr_foll_pin_released ");
}

void dma_check_nothing_left(const struct world *w)
{
	CHECK_SOON(dma_pins_balance());
	CHECK_EQ(dma_show(w, "pinned"), 0);
	CHECK_SOON(live_messages() == 0);
	CHECK_EQ(waitpid(w->server, NULL, WNOHANG), 0);
	CHECK(world_state_is(w, "attached"));
}
