// SPDX-License-Identifier: GPL-2.0
/*
 * Live migration as VFIO has it: a device's state goes from one server to another, by
 * the data files of two consumers.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/dma.h"
#include "../lib/puppet.h"

#define ERROR		VFIO_USER_STATE_ERROR
#define STOP		VFIO_USER_STATE_STOP
#define RUNNING		VFIO_USER_STATE_RUNNING
#define STOP_COPY	VFIO_USER_STATE_STOP_COPY
#define RESUMING	VFIO_USER_STATE_RESUMING
#define PRE_COPY	VFIO_USER_STATE_PRE_COPY

/* Not all headers have these. */
#define FEATURE_MIG_DATA_SIZE	9
#define GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)

struct precopy_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t initial_bytes;
	uint64_t dirty_bytes;
};

#define BALLAST		"3000000"
#define ROOM		0x1000000UL

static struct world w, other;
static struct consumer c, d;
static unsigned char state[ROOM];

struct feature {
	struct vfio_device_feature head;
	union {
		uint64_t number;
		struct vfio_user_mig_device_state mig;
	};
};

static int feature(const struct consumer *of, struct feature *f, uint32_t flags)
{
	f->head.argsz = sizeof(*f);
	f->head.flags = flags;
	return ioctl(of->device, VFIO_DEVICE_FEATURE, f);
}

static int migration_flags(const struct consumer *of, uint64_t *flags)
{
	struct feature f = { 0 };

	if (feature(of, &f, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION))
		return -1;
	*flags = f.number;
	return 0;
}

/* Returns 0, or the data file if there is one, or -1. */
static int go(const struct consumer *of, uint32_t to)
{
	struct feature f = { .mig = { .device_state = to, .data_fd = -1 } };

	if (feature(of, &f, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		return -1;
	return f.mig.data_fd >= 0 ? f.mig.data_fd : 0;
}

static uint32_t at(const struct consumer *of)
{
	struct feature f = { 0 };

	CHECK(!feature(of, &f, VFIO_DEVICE_FEATURE_GET |
		       VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE));
	return f.mig.device_state;
}

static bool has_precopy(void)
{
	uint64_t flags;

	CHECK(!migration_flags(&c, &flags));
	return flags & VFIO_USER_MIGRATION_PRE_COPY;
}

static const char *const args[] = { "--migrate", "5", "--ballast", BALLAST, NULL };

static void up(void)
{
	world_up(&w, args);
	consumer_open(&c, &w);
	CHECK_EQ(at(&c), RUNNING);
}

static void up_both(void)
{
	up();
	world_up_beside(&other, args);
	consumer_open(&d, &other);
}

/* Reads to the end, in pieces of many sizes. Returns the number of bytes. */
static size_t save(int fd)
{
	size_t size = 0, pieces[] = { 1, 4096, 70000, 2000000 };
	ssize_t n;

	for (unsigned int i = 0;; i++) {
		n = read(fd, state + size, pieces[i % 4]);
		CHECK(n >= 0);
		if (!n)
			return size;
		size += (size_t)n;
		CHECK(size < ROOM);
	}
}

static void load(int fd, size_t size)
{
	size_t done = 0, pieces[] = { 3, 5000, 3000000 };

	for (unsigned int i = 0; done < size; i++) {
		size_t piece = pieces[i % 3];

		if (piece > size - done)
			piece = size - done;
		CHECK_EQ(write(fd, state + done, piece), (ssize_t)piece);
		done += piece;
	}
}

static void reset(const struct consumer *of)
{
	CHECK(!ioctl(of->device, VFIO_DEVICE_RESET));
	CHECK_EQ(at(of), RUNNING);
	puppet_check(of, 0x40);
}

/* A server that says nothing of migration, or whose device cannot be reset. */
TEST(no_migration)
{
	const char *const no_reset[] = { "--migrate", "1", "--no-reset", NULL };
	uint64_t flags;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	CHECK_ERRNO(migration_flags(&c, &flags), ENOTTY);
	CHECK_ERRNO(go(&c, STOP), ENOTTY);
	consumer_close(&c);
	world_kill(&w.server, SIGKILL);
	world_server(&w, no_reset);
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	CHECK_ERRNO(migration_flags(&c, &flags), ENOTTY);
	CHECK_EQ(kernel_log_count(w.uuid, "no migration: the device cannot be reset"), 1);
}

TEST(what_is_offered)
{
	uint64_t flags;

	up();
	CHECK(!migration_flags(&c, &flags));
	CHECK(flags & VFIO_USER_MIGRATION_STOP_COPY);
	CHECK(!(flags & VFIO_USER_MIGRATION_P2P));
	CHECK_ERRNO(go(&c, ERROR), EINVAL);
	CHECK_ERRNO(go(&c, 100), EINVAL);
	CHECK_ERRNO(go(&c, VFIO_USER_STATE_RUNNING_P2P), EINVAL);
	CHECK_EQ(at(&c), RUNNING);
}

TEST(from_one_server_to_another)
{
	struct feature f = { 0 };
	size_t size;
	int fd, to;

	up_both();
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x1230, 0xfeedf00d);
	region_write32(&c, VFIO_PCI_BAR4_REGION_INDEX, 0x10, 42);
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	size = save(fd);
	CHECK_EQ(read(fd, state, 1), 0);
	CHECK_ERRNO(write(fd, state, 1), EBADF);
	CHECK(size > (size_t)atoi(BALLAST));
	CHECK_EQ(go(&c, STOP), 0);
	CHECK_ERRNO(read(fd, state, 1), ENODEV);
	if (!feature(&c, &f, VFIO_DEVICE_FEATURE_GET | FEATURE_MIG_DATA_SIZE))
		CHECK_EQ(f.number, size);

	to = go(&d, RESUMING);
	CHECK(to > 0);
	CHECK_ERRNO(read(to, state, 1), EBADF);
	load(to, size);
	CHECK_EQ(go(&d, RUNNING), 0);
	CHECK_ERRNO(write(to, state, 1), ENODEV);
	CHECK_EQ(at(&d), RUNNING);
	CHECK_EQ(region_read32(&d, VFIO_PCI_BAR0_REGION_INDEX, 0x1230), 0xfeedf00d);
	CHECK_EQ(region_read32(&d, VFIO_PCI_BAR4_REGION_INDEX, 0x10), 42);
	close(fd);
	close(to);
	/* The first goes on, as after a migration that was called off. */
	CHECK_EQ(go(&c, RUNNING), 0);
	puppet_check(&c, 0x40);
}

TEST(saved_while_it_runs)
{
	struct precopy_info info = { .argsz = sizeof(info) };
	size_t size = 0;
	ssize_t n;
	int fd, to;

	up_both();
	if (!has_precopy())
		test_skip("this kernel's VFIO has no PRE_COPY");
	fd = go(&c, PRE_COPY);
	CHECK(fd > 0);
	CHECK(!ioctl(fd, GET_PRECOPY_INFO, &info));
	CHECK(info.initial_bytes > 0);
	while ((n = read(fd, state + size, 1000000)) > 0)
		size += (size_t)n;
	CHECK_EQ(errno, ENOMSG);
	CHECK(!ioctl(fd, GET_PRECOPY_INFO, &info));
	CHECK_EQ(info.initial_bytes, 0);
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x20, 0xabcd);
	CHECK_EQ(go(&c, STOP_COPY), 0);
	CHECK_ERRNO(ioctl(fd, GET_PRECOPY_INFO, &info), EINVAL);
	while ((n = read(fd, state + size, 1000000)) > 0)
		size += (size_t)n;
	CHECK_EQ(n, 0);

	to = go(&d, RESUMING);
	CHECK(to > 0);
	load(to, size);
	CHECK_EQ(go(&d, RUNNING), 0);
	CHECK_EQ(region_read32(&d, VFIO_PCI_BAR0_REGION_INDEX, 0x20), 0xabcd);
}

/* Whoever migrates changes their mind at each point. */
TEST(called_off)
{
	int fd;

	up();
	for (int i = 0; i < 4; i++) {
		fd = go(&c, i & 1 && has_precopy() ? PRE_COPY : STOP_COPY);
		CHECK(fd > 0);
		CHECK(read(fd, state, 100) > 0);
		if (i & 2)
			close(fd);
		CHECK_EQ(go(&c, RUNNING), 0);
		CHECK_EQ(at(&c), RUNNING);
		puppet_check(&c, 0x40);
		if (!(i & 2)) {
			CHECK_ERRNO(read(fd, state, 100), ENODEV);
			close(fd);
		}
	}
	fd = go(&c, RESUMING);
	CHECK(fd > 0);
	reset(&c);
	CHECK_ERRNO(write(fd, state, 100), ENODEV);
	close(fd);
	/* As QEMU does with a device that the snapshot which it loads does not know. */
	fd = go(&c, RESUMING);
	CHECK(fd > 0);
	close(fd);
	CHECK_EQ(go(&c, RUNNING), 0);
	puppet_check(&c, 0x40);
}

/* What is no state, not all of one, or another device's. */
static void refused(size_t size)
{
	int fd = go(&d, RESUMING);

	CHECK(fd > 0);
	load(fd, size);
	close(fd);
	CHECK_ERRNO(go(&d, RUNNING), EINVAL);
	CHECK_EQ(at(&d), ERROR);
	CHECK_ERRNO(go(&d, RUNNING), EINVAL);
	CHECK_ERRNO(go(&d, STOP), EINVAL);
	reset(&d);
}

TEST(bad_states)
{
	size_t size;
	int fd;

	up_both();
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	size = save(fd);
	refused(7);
	refused(size / 2);
	refused(size - 1);
	state[size - 1]++;
	refused(size);
	state[size - 1]--;
	state[20]++;
	refused(size);
	state[20]--;
	memset(state, 0xa5, 100000);
	refused(100000);
	CHECK_EQ(kernel_log_count(other.uuid, "reset the device"), 6);
}

/* The server goes in each state. Another knows nothing of that: ERROR, until a reset. */
static void server_goes_at(uint32_t to)
{
	int fd = go(&c, to);
	int attaches = (int)dma_show(&w, "attaches");

	CHECK(fd >= 0);
	world_kill(&w.server, SIGKILL);
	CHECK_SOON(at(&c) == ERROR);
	if (fd) {
		CHECK_ERRNO(to == RESUMING ? write(fd, state, 8) : read(fd, state, 8), ENODEV);
		close(fd);
	}
	world_server(&w, args);
	CHECK_SOON(dma_show(&w, "attaches") == attaches + 1);
	world_wait_state(&w, "attached");
	CHECK_EQ(at(&c), ERROR);
	CHECK_ERRNO(go(&c, RUNNING), EINVAL);
	reset(&c);
	CHECK_EQ(go(&c, STOP), 0);
	CHECK_EQ(go(&c, RUNNING), 0);
}

TEST(server_goes)
{
	up();
	server_goes_at(STOP);
	server_goes_at(STOP_COPY);
	server_goes_at(RESUMING);
	if (has_precopy())
		server_goes_at(PRE_COPY);
	/* Nothing is lost of a device that runs. */
	world_kill(&w.server, SIGKILL);
	CHECK_SOON(!world_state_is(&w, "attached"));
	CHECK_EQ(at(&c), RUNNING);
	CHECK_ERRNO(go(&c, STOP), EIO);
}

TEST(helper_goes)
{
	size_t size;
	int fd;

	if (world_relayed())
		test_skip("by relay, a server goes with its helper");
	up();
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	CHECK(read(fd, state, 1000) > 0);
	world_kill(&w.helper, SIGKILL);
	size = save(fd);
	CHECK(size + 1000 > (size_t)atoi(BALLAST));
	world_helper(&w, NULL);
	CHECK_EQ(go(&c, RUNNING), 0);
	puppet_check(&c, 0x40);
}

/* It says no: an error, and the device is where it was. */
TEST(server_refuses)
{
	int fd;

	up();
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_ERROR, EBUSY);
	CHECK_ERRNO(go(&c, STOP), EBUSY);
	CHECK_EQ(at(&c), RUNNING);
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	puppet_fault(&c, VFIO_USER_MIG_DATA_READ, PUPPET_FAULT_ERROR, ENOSPC);
	CHECK_ERRNO(read(fd, state, 100), ENOSPC);
	CHECK_EQ(at(&c), STOP_COPY);
	CHECK(read(fd, state, 100) > 0);
	CHECK_ERRNO(read(fd, test_bad_address(), 100), EFAULT);
	CHECK_ERRNO(read(fd, state, 100), EIO);
	CHECK_EQ(go(&c, RUNNING), 0);
}

/* Less than it says it is, and more than was asked for. */
TEST(lying_server)
{
	int fd;

	up();
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	puppet_fault(&c, VFIO_USER_MIG_DATA_READ, PUPPET_FAULT_SHORT_REPLY, 50);
	CHECK_ERRNO(read(fd, state, 100), EIO);
	CHECK_EQ(at(&c), ERROR);
	CHECK_EQ(kernel_log_count(w.uuid, "migration data are cut short"), 1);
	close(fd);
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	reset(&c);
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	puppet_fault(&c, VFIO_USER_MIG_DATA_READ, PUPPET_FAULT_LONG_REPLY, 8);
	CHECK_ERRNO(read(fd, state, 100), EIO);
	CHECK_EQ(at(&c), ERROR);
}

/*
 * The data file outlives the device's consumer, the mdev and, if need be, the server. The
 * device runs again, but not before it has forgotten what it had to do.
 */
TEST(consumer_closes)
{
	int fd;

	up();
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	consumer_close(&c);
	CHECK_ERRNO(read(fd, state, 100), ENODEV);
	consumer_open(&c, &w);
	CHECK_EQ(at(&c), RUNNING);
	puppet_check(&c, 0x40);
	CHECK(puppet_get(&c, PUPPET_RESETS_TO_RUN) > 0);
	consumer_close(&c);
	world_remove(&w);
	CHECK_ERRNO(read(fd, state, 100), ENODEV);
	close(fd);
}

/* Nothing can be done about it but to say so. */
TEST(server_that_stays_stopped)
{
	const char *const args[] = { "--migrate", "5", "--stay-stopped", NULL };
	char cmd[128], out[4096];

	world_up(&w, args);
	consumer_open(&c, &w);
	CHECK_EQ(go(&c, STOP), 0);
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	snprintf(cmd, sizeof(cmd), "%s show %s", world_bin("vfio-user-mdevctl"), w.uuid);
	CHECK_EQ(command_output(cmd, out, sizeof(out)), 0);
	CHECK(strstr(out, "the device is stopped: server refuses to have it run"));
	CHECK_EQ(kernel_log_count(w.uuid, "the device is stopped: server refuses"), 1);
}

/*
 * As libvfio-user has it: neither a reset nor a new client makes a stopped device run, and
 * while it is stopped, the server refuses both.
 */
TEST(server_that_keeps_its_state)
{
	const char *const keeping[] = { "--migrate", "5", "--keep-state", NULL };
	int fd, irq = new_eventfd();

	world_up(&w, keeping);
	consumer_open(&c, &w);
	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	consumer_close(&c);
	close(fd);
	consumer_open(&c, &w);
	CHECK_EQ(at(&c), RUNNING);
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, &irq));
	puppet_set(&c, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16 | 3);
	CHECK_EQ(eventfd_take(irq, TEST_SOON_MS), 1);

	CHECK_EQ(go(&c, STOP), 0);
	reset(&c);
	fd = go(&c, RESUMING);
	CHECK(fd > 0);
	reset(&c);
	CHECK_ERRNO(write(fd, state, 1), ENODEV);
	close(fd);

	fd = go(&c, STOP_COPY);
	CHECK(fd > 0);
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	CHECK_EQ(at(&c), ERROR);
	reset(&c);
	close(fd);
}

/* Nothing says which pages a server writes that has the consumer's files. */
TEST(shared_memory)
{
	uint64_t flags;

	world_mdev(&w);
	world_attr_set(&w, "dma_mode", "share");
	world_start(&w, args);
	consumer_open(&c, &w);
	CHECK_ERRNO(migration_flags(&c, &flags), ENOTTY);
	CHECK_EQ(kernel_log_count(w.uuid, "no migration: dma_mode is share"), 1);
	consumer_close(&c);

	/* The mode changes while a consumer has been told that it can be migrated. */
	world_attr_set(&w, "dma_mode", "auto");
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	CHECK(!migration_flags(&c, &flags));
	world_attr_set(&w, "dma_mode", "share");
	world_attr_set(&w, "state", "detached");
	CHECK_SOON(dma_show(&w, "attaches") == 3);
	world_wait_state(&w, "attached");
	CHECK_ERRNO(go(&c, STOP_COPY), EOPNOTSUPP);
	CHECK_EQ(at(&c), RUNNING);
}

static int data_file;

static void *write_for_ever(void *page)
{
	return (void *)write(data_file, page, 100);
}

/* A task whose memory does not come keeps nothing but its data file from others. */
TEST(memory_that_does_not_come)
{
	pthread_t writer;

	up();
	data_file = go(&c, RESUMING);
	CHECK(data_file > 0);
	CHECK(!pthread_create(&writer, NULL, write_for_ever, dma_missing_page()));
	test_sleep_ms(100);
	CHECK_EQ(pthread_tryjoin_np(writer, NULL), EBUSY);
	reset(&c);
	CHECK_EQ(go(&c, STOP), 0);
	CHECK_EQ(go(&c, RUNNING), 0);
	consumer_close(&c);
	consumer_open(&c, &w);
	reset(&c);
}

static void *read_slowly(void *arg)
{
	CHECK(read(data_file, arg, 100) > 0);
	return NULL;
}

/* What is under way comes to its end before the next thing begins. */
TEST(several_at_once)
{
	static unsigned char there[100];
	pthread_t reader;

	up();
	data_file = go(&c, STOP_COPY);
	CHECK(data_file > 0);
	puppet_fault(&c, VFIO_USER_MIG_DATA_READ, PUPPET_FAULT_DELAY, 500);
	CHECK(!pthread_create(&reader, NULL, read_slowly, there));
	puppet_wait_struck(&c);
	reset(&c);
	CHECK(!pthread_join(reader, NULL));
	CHECK_ERRNO(read(data_file, state, 100), ENODEV);
}
