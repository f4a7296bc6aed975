// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of the module's, and every copy from or to userspace, fails once
 * in every operation. Each time the one who asked is told, or the kernel's log says
 * what has happened, and the device works again.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/bar0.h"
#include "../lib/dma.h"
#include "../lib/fault.h"
#include "../lib/window.h"

#define IOVA		0x100000000ULL
#define TOUCHED		(24 * PAGE)
#define LARGE		(1U << 20)
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

static struct world w;
static struct consumer c;
static unsigned char *mem;

static const struct fault_tasks self = { .self = true };

/* For what has nothing to do with how the consumer has opened the device. */
static void need_by_group(void)
{
	fault_need();
	if (consumer_by_cdev())
		test_skip("by cdev: no different from what it is by group");
}

/* What fault_sweep() is told of a system call. */
static int result(long long ret)
{
	return ret < 0 ? -errno : 0;
}

static void sweep(const char *name, struct fault_tasks tasks,
		  int (*run)(unsigned int n), void (*recover)(int error))
{
	const struct sweep s = { name, tasks, 1, 1, run, recover };

	fault_sweep(&s);
}

/* The same for what allocates hundreds of pages, which fail all in the same way. */
static void sweep_pages(const char *name, struct fault_tasks tasks,
			int (*run)(unsigned int n), void (*recover)(int error))
{
	const struct sweep s = { name, tasks, 1, 37, run, recover };

	fault_sweep(&s);
}

/* A server that was detached is one of which the log tells. */
static void told(int error)
{
	if (error == -EIO || error == -ENODEV)
		CHECK(kernel_log_count(w.uuid, "detached") ||
		      kernel_log_count(w.uuid, "cannot be opened"));
}

/*
 * The helper tries again by itself, but takes longer each time, unless the socket
 * is changed; which is possible while nobody has the device open.
 */
static void attached_again(int error)
{
	char path[128];

	told(error);
	world_attr_path(&w, "socket", path, sizeof(path));
	if (error && !write_file(path, "/run/vfio-user/nobody.sock"))
		CHECK_EQ(write_file(path, w.socket), 0);
	world_wait_state(&w, "attached");
}

static void works_again(int error)
{
	attached_again(error);
	puppet_check(&c, 8);
}

static void up(const char *const *args)
{
	fault_need();
	world_up(&w, args);
	consumer_open(&c, &w);
}

static void open_again(int error)
{
	consumer_close(&c);
	attached_again(error);
	consumer_open(&c, &w);
	puppet_check(&c, 8);
}

/* An mdev comes, with what serves it, and goes. */

static struct world other;

static int run_create(unsigned int n)
{
	unsigned int said = file_count(world_helper_log(), "is not there although");
	int ret;

	(void)n;
	ret = write_file(MDEV_TYPE_DIR "create", other.uuid);
	fault_disarm_all();
	if (ret)
		return ret;
	/*
	 * The helper has heard of it, or been told that it has missed something. If
	 * devtmpfs has had no memory for the node, the kernel goes on without one,
	 * and the helper says so.
	 */
	CHECK_SOON(world_state_is(&other, "attached") ||
		   file_count(world_helper_log(), "is not there although") > said);
	world_remove(&other);
	return 0;
}

static void not_there(int error)
{
	char path[128];

	(void)error;
	snprintf(path, sizeof(path), MDEV_DIR "%s", other.uuid);
	CHECK(access(path, F_OK));
}

static void new_uuid(struct world *world)
{
	CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", world->uuid,
			   sizeof(world->uuid)), 0);
	snprintf(world->socket, sizeof(world->socket), "/run/vfio-user/%s.sock",
		 world->uuid);
}

TEST(create)
{
	need_by_group();
	new_uuid(&other);
	world_helper(&other, NULL);
	world_server(&other, NULL);
	sweep("create", self, run_create, not_there);
}

static int run_remove(unsigned int n)
{
	char path[128];

	(void)n;
	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", other.uuid);
	return write_file(path, "1");
}

static void there_again(int error)
{
	not_there(error);
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create", other.uuid), 0);
	world_wait_state(&other, "attached");
}

TEST(remove_attached)
{
	need_by_group();
	world_up(&other, NULL);
	sweep("remove", self, run_remove, there_again);
}

/* The server is attached anew; state, memory and interrupts with it. */

static int run_attach(unsigned int n)
{
	(void)n;
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(world_state_is(&w, "attached") || world_state_is(&w, "broken"));
	return world_state_is(&w, "attached") ? 0 : -EIO;
}

static void opens_again(int error)
{
	attached_again(error);
	consumer_open(&c, &w);
	puppet_check(&c, 8);
	consumer_close(&c);
}

/*
 * The same by another path to the same server: for that the helper does not wait as it
 * does after an attachment that has ended early.
 */
static int run_attach_elsewhere(unsigned int n)
{
	char attr[128], path[128], other[128];

	(void)n;
	world_attr_path(&w, "socket", attr, sizeof(attr));
	CHECK_EQ(read_file(attr, path, sizeof(path)), 0);
	snprintf(other, sizeof(other), "%s.link", w.socket);
	CHECK_EQ(write_file(attr, strcmp(path, other) ? other : w.socket), 0);
	CHECK_SOON(world_state_is(&w, "attached") || world_state_is(&w, "broken"));
	return world_state_is(&w, "attached") ? 0 : -EIO;
}

/* The helper does the same for each message that it carries, if it does. */
static void attach_sweeps(const char *path, unsigned int step)
{
	struct sweep by_helper = {
		.tasks = { .process = w.helper }, .first = 1, .step = step,
		.run = run_attach_elsewhere, .recover = opens_again,
	};
	char name[64], other[128];

	snprintf(other, sizeof(other), "%s.link", w.socket);
	CHECK(!symlink(w.socket, other));
	world_attr_set(&w, "data_path", path);
	snprintf(name, sizeof(name), "attach, %s, worker", path);
	sweep(name, (struct fault_tasks) { .workers = true }, run_attach_elsewhere,
	      opens_again);
	snprintf(name, sizeof(name), "attach, %s, helper", path);
	by_helper.name = name;
	fault_sweep(&by_helper);
	CHECK(!unlink(other));
}

TEST(attach_by_kernel)
{
	need_by_group();
	world_up(&w, NULL);
	attach_sweeps("kernel", 1);
}

TEST(attach_by_relay)
{
	need_by_group();
	world_up(&w, NULL);
	attach_sweeps("relay", 5);
}

static void all_again(int error)
{
	works_again(error);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), PUPPET_NR_MSIX);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 0x01010101), 0);
	CHECK_EQ(mem[0], 1);
	mem[0] = 0;
}

/*
 * The server is asked first, and told then what is in use: some of the asking, which
 * is the same as in attach_by_kernel, and all of the telling.
 */
TEST(attach_in_use)
{
	const struct sweep in_use = {
		"attach in use, worker", { .workers = true }, 40, 1, run_attach,
		all_again,
	};
	int fds[PUPPET_NR_MSIX];

	need_by_group();
	up(NULL);
	for (int i = 0; i < PUPPET_NR_MSIX; i++)
		fds[i] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	mem = dma_memory(PAGE);
	dma_map(&c, mem, IOVA, PAGE, DMA_READ | DMA_WRITE);
	fault_sweep(&in_use);
}

/* The helper is killed, and the next one takes over what it had. */

static int run_resume(unsigned int n)
{
	struct fault_tasks tasks = { .process = 0 };
	int fd = new_eventfd(), ret;

	if (w.helper)
		world_kill(&w.helper, SIGKILL);
	world_helper(&w, NULL);
	/* Long before it has anything to do with the module. */
	tasks.process = w.helper;
	fault_arm(&tasks, n);
	CHECK_SOON(dma_show(&w, "helper") == 1 ||
		   waitpid(w.helper, NULL, WNOHANG) == w.helper);
	if (kill(w.helper, 0)) {
		w.helper = 0;
		return -ENODEV;
	}
	/* Needs the helper, for the descriptor. */
	ret = result(irq_set_eventfds(&c, MSIX, 0, 1, &fd));
	close(fd);
	return ret;
}

/* A helper that gave up has said why, and its unit starts another. */
static void resumes_again(int error)
{
	if (!w.helper) {
		CHECK(file_count(world_helper_log(), "error"));
		world_helper(&w, NULL);
		error = 0;
	}
	works_again(error);
	CHECK(!irq_disable(&c, MSIX));
}

TEST(resume)
{
	need_by_group();
	up(NULL);
	sweep("resume", (struct fault_tasks) { .self = false }, run_resume,
	      resumes_again);
}

/* The device is saved, and goes on. */

static int mig_go(uint32_t state, int *fd)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_user_mig_device_state mig;
	} f = {
		.head.argsz = sizeof(f),
		.head.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		.mig.device_state = state,
	};
	int ret = result(ioctl(c.device, VFIO_DEVICE_FEATURE, &f));

	*fd = f.mig.data_fd;
	return ret;
}

static int run_save(unsigned int n)
{
	static char buf[LARGE];
	int fd, unused, ret;
	ssize_t got;

	(void)n;
	ret = mig_go(VFIO_USER_STATE_STOP_COPY, &fd);
	if (ret)
		return ret;
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		;
	ret = result(got);
	close(fd);
	return ret ? ret : mig_go(VFIO_USER_STATE_RUNNING, &unused);
}

static void runs_again(int error)
{
	/* Without memory for a message, the server is detached, and another has no state. */
	attached_again(error);
	CHECK(!ioctl(c.device, VFIO_DEVICE_RESET));
	works_again(0);
}

TEST(migrate)
{
	const char *const args[] = { "--migrate", "1", NULL };

	need_by_group();
	up(args);
	sweep("save", self, run_save, runs_again);
}

/* It goes to another server, or stays with the one that it has. */

static const char *heir, *holder;

static int run_handover(unsigned int n)
{
	char path[128];
	int ret;

	(void)n;
	world_attr_path(&w, "handover", path, sizeof(path));
	ret = write_file(path, heir);
	if (!ret) {
		const char *last = holder;

		holder = heir;
		heir = last;
	}
	/* The log says why the other server was detached. */
	return ret == -ENOTCONN ? -EIO : ret;
}

static void kept(int error)
{
	told(error);
	world_wait_state(&w, "attached");
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x40), 0x1234);
}

TEST(handover)
{
	const char *const args[] = { "--migrate", "1", NULL };
	const struct sweep s = {
		"handover, worker", { .workers = true }, 1, 1, run_handover, kept,
	};

	need_by_group();
	up(args);
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x40, 0x1234);
	other = w;
	other.server = 0;
	snprintf(other.socket, sizeof(other.socket), "%.100s.2", w.socket);
	world_serve(&other, "vum-puppet", args);
	CHECK_SOON(!access(other.socket, F_OK));
	holder = w.socket;
	heir = other.socket;
	fault_sweep(&s);
}

/* A consumer opens the device, and closes it. */

static int run_open(unsigned int n)
{
	(void)n;
	consumer_prepare(&c, &w);
	return consumer_get_device(&c, &w);
}

/* It may have been opened, and the server been detached after that. */
static void closes_again(int error)
{
	if (!error)
		works_again(error);
	consumer_close(&c);
	opens_again(error);
}

TEST(open_device)
{
	fault_need();
	world_up(&w, NULL);
	sweep("open", self, run_open, closes_again);
}

static int run_close(unsigned int n)
{
	(void)n;
	consumer_close(&c);
	return 0;
}

TEST(close_device)
{
	int fd = new_eventfd();

	up(NULL);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 1, &fd));
	sweep("close", self, run_close, open_again);
}

/* Accesses */

static unsigned char out[LARGE], in[LARGE];

static int write_and_read(unsigned int n, size_t size)
{
	off_t at = region_at(VFIO_PCI_BAR0_REGION_INDEX, 0);
	ssize_t ret;

	memset(out, (int)n, size);
	ret = pwrite(c.device, out, size, at);
	if (ret == (ssize_t)size)
		ret = pread(c.device, in, size, at);
	if (ret < 0)
		return -errno;
	/* Some of it has gone, and the caller knows how much. */
	if (ret < (ssize_t)size)
		return -ENOMEM;
	CHECK(!memcmp(in, out, size));
	return 0;
}

static int run_large(unsigned int n)
{
	return write_and_read(n, LARGE);
}

/* A page and the structs around it, whose memory is not taken by the page. */
static int run_page(unsigned int n)
{
	return write_and_read(n, 4096);
}

TEST(large_access)
{
	const char *const args[] = { "--bar0-size", "1048576", NULL };

	need_by_group();
	up(args);
	sweep("4 KiB write and read", self, run_page, works_again);
	sweep_pages("1 MiB write and read", self, run_large, works_again);
	world_attr_set(&w, "data_path", "relay");
	world_attr_set(&w, "state", "detached");
	world_wait_state(&w, "attached");
	sweep("4 KiB write and read, relay, helper",
	      (struct fault_tasks) { .process = w.helper }, run_page, works_again);
	sweep_pages("1 MiB write and read, relay, helper",
		    (struct fault_tasks) { .process = w.helper }, run_large, works_again);
}

static uint32_t bar0(uint64_t offset, int *error)
{
	uint32_t value = 0;

	*error = result(pread(c.device, &value, 4,
			      region_at(VFIO_PCI_BAR0_REGION_INDEX, offset)));
	return value;
}

static int run_posted(unsigned int n)
{
	uint32_t value = n;
	int error;

	if (pwrite(c.device, &value, 4,
		   region_at(VFIO_PCI_BAR0_REGION_INDEX, 0x40)) != 4)
		return -errno;
	/* It is there, or the server was detached. */
	value = bar0(0x40, &error);
	if (!error)
		CHECK_EQ(value, n);
	return error;
}

TEST(posted_write)
{
	need_by_group();
	up(NULL);
	sweep("posted write", self, run_posted, works_again);
}

static int set_ioeventfd(int fd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32, .data = 77,
		.offset = (uint64_t)region_at(VFIO_PCI_BAR0_REGION_INDEX, 0x40),
		.fd = fd,
	};

	return result(ioctl(c.device, VFIO_DEVICE_IOEVENTFD, &io));
}

static int ioeventfd;

static int run_ioeventfd(unsigned int n)
{
	(void)n;
	return set_ioeventfd(ioeventfd);
}

static void ioeventfd_again(int error)
{
	works_again(error);
	if (error)
		CHECK(!set_ioeventfd(ioeventfd));
	CHECK(!set_ioeventfd(-1));
}

static int run_signal(unsigned int n)
{
	int error;

	(void)n;
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x40, 0);
	CHECK_EQ(bar0(0x40, &error), 0);
	CHECK(!eventfd_write(ioeventfd, 1));
	CHECK_SOON(bar0(0x40, &error) == 77 || error);
	return error;
}

TEST(ioeventfd_set)
{
	need_by_group();
	up(NULL);
	ioeventfd = new_eventfd();
	sweep("IOEVENTFD", self, run_ioeventfd, ioeventfd_again);
}

TEST(ioeventfd_signal)
{
	need_by_group();
	up(NULL);
	ioeventfd = new_eventfd();
	CHECK(!set_ioeventfd(ioeventfd));
	sweep("IOEVENTFD's signal", (struct fault_tasks) { .workers = true },
	      run_signal, works_again);
}

static int vectors[PUPPET_NR_MSIX];

static int run_irqs(unsigned int n)
{
	(void)n;
	return result(irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, vectors));
}

/* As vfio-pci has it: all of a block, or none. */
static void irqs_again(int error)
{
	works_again(error);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), error ? 0 : PUPPET_NR_MSIX);
	if (error)
		CHECK_EQ(run_irqs(0), 0);
	CHECK(!irq_disable(&c, MSIX));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
}

TEST(set_irqs)
{
	need_by_group();
	up(NULL);
	for (int i = 0; i < PUPPET_NR_MSIX; i++)
		vectors[i] = new_eventfd();
	sweep("SET_IRQS, 64 vectors", self, run_irqs, irqs_again);
}

static int run_mmap(unsigned int n)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, c.device,
		       region_at(BAR0, 0));
	uint32_t value = 0;
	int error;

	if (p == MAP_FAILED)
		return -errno;
	error = -window_store(p, n);
	if (!error)
		value = bar0(0, &error);
	if (!error)
		CHECK_EQ(value, n);
	CHECK(!munmap(p, PAGE));
	return error;
}

/* The last page has been touched, and is kept: a new consumer begins anew. */
TEST(region_mmap)
{
	const char *const args[] = { "--mmap-bar0", NULL };

	need_by_group();
	up(args);
	sweep("mmap of a region, touch", self, run_mmap, open_again);
}

/* Memory */

static int map_memory(void)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = DMA_READ | DMA_WRITE,
		.vaddr = (uintptr_t)mem, .iova = IOVA, .size = TOUCHED,
	};

	return result(ioctl(c.container, VFIO_IOMMU_MAP_DMA, &m));
}

static int unmap_memory(void)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = IOVA, .size = TOUCHED,
	};

	return result(ioctl(c.container, VFIO_IOMMU_UNMAP_DMA, &u));
}

/* dma_run() of a server that may be detached meanwhile. */
static int fill(uint32_t value)
{
	const struct { uint32_t reg, value; } orders[] = {
		{ PUPPET_DMA_IOVA, (uint32_t)IOVA },
		{ PUPPET_DMA_IOVA + 4, (uint32_t)(IOVA >> 32) },
		{ PUPPET_DMA_LENGTH, TOUCHED },
		{ PUPPET_DMA_VALUE, value },
		{ PUPPET_DMA_OP, PUPPET_DMA_FILL },
	};
	const off_t bar2 = region_at(VFIO_PCI_BAR2_REGION_INDEX, 0);
	uint32_t status = EINPROGRESS;

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++)
		if (pwrite(c.device, &orders[i].value, 4, bar2 + orders[i].reg) != 4)
			return errno;
	while (status == EINPROGRESS)
		if (pread(c.device, &status, 4, bar2 + PUPPET_DMA_STATUS) != 4)
			return errno;
	return (int)status;
}

/* The server reaches all of it, or was told that it does not. */
static int touch_memory(unsigned int n)
{
	uint32_t value = 0x01010101U * (n % 251 + 1);
	int status;

	memset(mem, 0, TOUCHED);
	status = fill(value);
	for (size_t i = 0; !status && i < TOUCHED; i++)
		if (mem[i] != (value & 0xff))
			return -EFAULT;
	return -status;
}

static int run_map(unsigned int n)
{
	(void)n;
	return map_memory();
}

static void map_again(int error)
{
	/* The task that maps may be the one that tells the server, and fail at that. */
	attached_again(error);
	if (error)
		CHECK(!map_memory());
	CHECK_EQ(touch_memory(1), 0);
	CHECK(!unmap_memory());
	/* In a new container, where nothing has been missed. */
	open_again(error);
}

TEST(map)
{
	need_by_group();
	mem = dma_memory(TOUCHED);
	up(NULL);
	sweep("map", self, run_map, map_again);
}

/* The server is told of it before the next access. */
static int run_unmap(unsigned int n)
{
	int error = unmap_memory();

	(void)n;
	if (!error)
		bar0(0, &error);
	return error;
}

static void unmap_again(int error)
{
	if (error)
		unmap_memory();
	CHECK_SOON(dma_pins_balance());
	open_again(error);
	CHECK(!map_memory());
	CHECK_EQ(touch_memory(2), 0);
}

TEST(unmap)
{
	mem = dma_memory(TOUCHED);
	up(NULL);
	unmap_again(-ENOMEM);
	sweep("unmap", (struct fault_tasks) { .self = true, .workers = true },
	      run_unmap, unmap_again);
}

/* What the server's touch does not find is counted, and told once. */
static int run_touch(unsigned int n)
{
	long before = dma_show(&w, "dma_faults");
	int error = touch_memory(n);

	if (error == -EFAULT) {
		CHECK(dma_show(&w, "dma_faults") > before);
		CHECK(kernel_log_count(w.uuid, "server touched IOVA"));
	}
	return error;
}

static void touch_again(int error)
{
	works_again(error);
	CHECK(!unmap_memory());
	CHECK(!map_memory());
	CHECK_EQ(touch_memory(3), 0);
	CHECK(!unmap_memory());
	CHECK(!map_memory());
}

TEST(first_touch)
{
	mem = dma_memory(TOUCHED);
	up(NULL);
	CHECK(!map_memory());
	/* The server's thread allocates nothing but the kernel's page tables. */
	sweep("first touch, worker", (struct fault_tasks) { .workers = true }, run_touch,
	      touch_again);
}

TEST(dma_message)
{
	const char *const args[] = { "--dma", "message", NULL };

	mem = dma_memory(TOUCHED);
	up(args);
	CHECK(!map_memory());
	sweep("DMA_WRITE, worker", (struct fault_tasks) { .workers = true },
	      touch_memory, touch_again);
	sweep("DMA_WRITE, server", (struct fault_tasks) { .process = w.server },
	      touch_memory, touch_again);
}
