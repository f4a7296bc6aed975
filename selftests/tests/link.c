// SPDX-License-Identifier: GPL-2.0
/* The kernel has the server's socket: what becomes of everybody's death. */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>

#include <vfio_user_mdev.h>

#include "../lib/dma.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static void up(const char *const *args)
{
	if (world_relayed())
		test_skip("the data path is the relay");
	world_up(&w, args);
	consumer_open(&c, &w);
	/* So that a descriptor of memory is not left waiting for a helper. */
	puppet_check(&c, 0);
}

static void data_path_is(const char *want)
{
	char path[32];

	dma_show_text(&w, "data_path", path, sizeof(path));
	if (strcmp(path, want) != 0)
		FAIL("data path is \"%s\", not \"%s\"", path, want);
}

static void interrupt_arrives(int fd)
{
	puppet_set(&c, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
}

static int set_msix(int fd)
{
	return irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd);
}

TEST(chosen_by_attribute)
{
	up(NULL);
	data_path_is("kernel");
	consumer_close(&c);
	world_attr_set(&w, "data_path", "relay");
	/* The one that is there goes on as it began. */
	data_path_is("kernel");
	world_attr_set(&w, "state", "detached");
	world_wait_state(&w, "attached");
	data_path_is("relay");
	consumer_open(&c, &w);
	puppet_check(&c, 0);
	world_attr_set(&w, "data_path", "kernel");
	world_attr_set(&w, "state", "detached");
	world_wait_state(&w, "attached");
	data_path_is("kernel");
	puppet_check(&c, 4);
}

/* How often it was taken off a CPU: the two last lines of its status. */
static void switches(pid_t pid, char *buf, size_t size)
{
	char path[64], status[4096], *p;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK_EQ(read_file(path, status, sizeof(status)), 0);
	p = strstr(status, "voluntary_ctxt_switches");
	CHECK(p);
	snprintf(buf, size, "%s", p);
}

static bool reads_run_without(pid_t pid)
{
	char before[128], after[128];

	switches(pid, before, sizeof(before));
	for (uint32_t i = 0; i < 1000; i++)
		puppet_check(&c, 4 * (i % 16));
	switches(pid, after, sizeof(after));
	return !strcmp(before, after);
}

TEST(helper_takes_no_part)
{
	up(NULL);
	puppet_check(&c, 0);
	/* It hears of the open, too, and has to have slept over it. */
	CHECK_SOON(reads_run_without(w.helper));
}

TEST(helper_killed)
{
	unsigned char *mem = dma_memory(4096);
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!set_msix(fd));
	dma_map(&c, mem, 0, 4096, DMA_READ | DMA_WRITE);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 0, 4096, 1), 0);
	world_kill(&w.helper, SIGKILL);
	CHECK(world_state_is(&w, "attached"));
	for (uint32_t i = 0; i < 100; i++)
		puppet_check(&c, 4 * i);
	interrupt_arrives(fd);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 0, 4096, 2), 0);
	CHECK_EQ(mem[0], 2);
	/* Its successor serves what is there, and is of use. */
	world_helper(&w, NULL);
	CHECK_SOON(file_count(world_helper_log(), "took over") == 1);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_CONNECTIONS), 1);
	fd = new_eventfd();
	CHECK(!set_msix(fd));
	interrupt_arrives(fd);
	CHECK_EQ(kernel_log_count(w.uuid, "went away"), 0);
}

/* Killed with an answer outstanding: it comes. */
TEST(helper_killed_with_a_read_in_flight)
{
	uint32_t value = 0;
	pid_t pid;

	up(NULL);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 1000);
	pid = fork();
	if (!pid) {
		test_sleep_ms(300);
		kill(w.helper, SIGKILL);
		_exit(0);
	}
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	CHECK_EQ(value, PUPPET_PATTERN);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(waitpid(w.helper, NULL, 0), w.helper);
	w.helper = 0;
}

static void *set_msix_run(void *arg)
{
	return (void *)(long)set_msix(*(int *)arg);
}

/* What carries descriptors waits for the next helper, and so does what follows. */
TEST(descriptors_wait_for_a_helper)
{
	pthread_t setter;
	void *result;
	int fd;

	up(NULL);
	fd = new_eventfd();
	world_kill(&w.helper, SIGKILL);
	CHECK(!pthread_create(&setter, NULL, set_msix_run, &fd));
	test_sleep_ms(300);
	CHECK_EQ(pthread_tryjoin_np(setter, NULL), EBUSY);
	world_helper(&w, NULL);
	CHECK(!pthread_join(setter, &result));
	CHECK(!result);
	interrupt_arrives(fd);
}

/* But it can be killed meanwhile. */
TEST(consumer_killed_while_descriptors_wait)
{
	int ready[2];
	pid_t pid;
	char go;

	if (world_relayed())
		test_skip("the data path is the relay");
	world_up(&w, NULL);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ready));
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		CHECK_EQ(write(ready[1], "!", 1), 1);
		CHECK_EQ(read(ready[1], &go, 1), 1);
		set_msix(new_eventfd());
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &go, 1), 1);
	world_kill(&w.helper, SIGKILL);
	CHECK_EQ(write(ready[0], "!", 1), 1);
	test_sleep_ms(300);
	world_kill(&pid, SIGKILL);
	world_helper(&w, NULL);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 0);
}

/* Nobody is left to receive them; the rest of the traffic goes on. */
TEST(helper_killed_while_descriptors_are_awaited)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = (uint64_t)region_at(VFIO_PCI_BAR0_REGION_INDEX, 8),
	};
	uint32_t value;
	pid_t pid;

	up(NULL);
	puppet_fault(&c, VFIO_USER_DEVICE_GET_REGION_IO_FDS, PUPPET_FAULT_DELAY, 1000);
	pid = fork();
	if (!pid) {
		io.fd = new_eventfd();
		/* Without the server's own it becomes a write. */
		_exit(ioctl(c.device, VFIO_DEVICE_IOEVENTFD, &io) != 0);
	}
	test_sleep_ms(300);
	world_kill(&w.helper, SIGKILL);
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	test_sleep_ms(1200);
	puppet_check(&c, 4);
	CHECK(world_state_is(&w, "attached"));
}

TEST(server_killed_without_a_helper)
{
	uint32_t value;
	pid_t pid;

	up(NULL);
	world_kill(&w.helper, SIGKILL);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	pid = fork();
	if (!pid) {
		puppet_wait_struck(&c);
		kill(w.server, SIGKILL);
		_exit(0);
	}
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(waitpid(w.server, NULL, 0), w.server);
	CHECK(world_state_is(&w, "detached"));
	world_start(&w, NULL);
	puppet_check(&c, 0);
}

static void *reads(void *arg)
{
	long n = (long)arg;

	for (uint32_t i = 0; i < (uint32_t)n; i++)
		puppet_check(&c, 4 * (i % 64));
	return NULL;
}

/* Whoever reads may be killed at any time: another has to go on. */
TEST(readers_die)
{
	pthread_t thread[3];
	pid_t pid;

	up(NULL);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&thread[i], NULL, reads, (void *)1500L));
	for (int i = 0; i < 30; i++) {
		pid = fork();
		if (!pid)
			reads((void *)1000000L);
		test_sleep_ms(20);
		world_kill(&pid, SIGKILL);
	}
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 0);
}

/* One that is never answered keeps nobody else from reading. */
TEST(the_oldest_waits_for_ever)
{
	uint32_t value;
	pid_t pid;

	up(NULL);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	pid = fork();
	if (!pid) {
		puppet_read(&c, 0, &value);
		_exit(0);
	}
	puppet_wait_struck(&c);
	reads((void *)200L);
	world_kill(&pid, SIGKILL);
	reads((void *)200L);
}

/* More than the socket takes, in both directions. */
TEST(large_and_small_at_once)
{
	static unsigned char big[2][1 << 16];
	pthread_t thread;

	up(NULL);
	CHECK(!pthread_create(&thread, NULL, reads, (void *)2000L));
	for (int i = 0; i < 20; i++) {
		memset(big[0], i + 1, sizeof(big[0]));
		CHECK_EQ(pwrite(c.device, big[0], PUPPET_BAR0_SIZE,
				region_at(VFIO_PCI_BAR0_REGION_INDEX, 0)),
			 PUPPET_BAR0_SIZE);
		CHECK_EQ(pread(c.device, big[1], PUPPET_BAR0_SIZE,
			       region_at(VFIO_PCI_BAR0_REGION_INDEX, 0)),
			 PUPPET_BAR0_SIZE);
		CHECK(!memcmp(big[0], big[1], PUPPET_BAR0_SIZE));
	}
	CHECK(!pthread_join(thread, NULL));
}

TEST(polling)
{
	long long start;
	uint32_t value;
	pid_t pid;

	up(NULL);
	world_attr_set(&w, "poll_us", "10000");
	reads((void *)500L);
	/* It can be killed, and it gives way to a server that takes its time. */
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 500);
	start = test_now_ms();
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	CHECK(test_now_ms() - start >= 500);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	pid = fork();
	if (!pid) {
		puppet_read(&c, 0, &value);
		_exit(0);
	}
	puppet_wait_struck(&c);
	world_kill(&pid, SIGKILL);
	reads((void *)100L);
}

/* Commands of the server's, a reply to each, and all that in messages. */
TEST(commands_of_the_server)
{
	const char *const args[] = { "--dma", "message", NULL };
	unsigned char *mem = dma_memory(1 << 20);

	up(args);
	dma_map(&c, mem, 0, 1 << 20, DMA_READ | DMA_WRITE);
	for (uint32_t i = 1; i < 4; i++) {
		CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, 0, 1 << 20, i * 0x01010101), 0);
		CHECK_EQ(mem[0], i);
		CHECK_EQ(mem[(1 << 20) - 1], i);
		CHECK_EQ(dma_run(&c, PUPPET_DMA_SUM, 0, 1 << 20, 0), 0);
		CHECK_EQ(puppet_get(&c, PUPPET_DMA_SUM_RESULT), i << 20);
	}
}

/* Then it waits until it has descriptors again, and nothing is lost. */
TEST(helper_out_of_descriptors)
{
	struct rlimit few = { 16, 4096 }, enough = { 1024, 4096 };
	pthread_t setter;
	void *result;
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!prlimit(w.helper, RLIMIT_NOFILE, &few, NULL));
	CHECK(!pthread_create(&setter, NULL, set_msix_run, &fd));
	CHECK_SOON(file_count(world_helper_log(), "raise the limit") == 1);
	test_sleep_ms(1500);
	CHECK_EQ(pthread_tryjoin_np(setter, NULL), EBUSY);
	CHECK_EQ(file_count(world_helper_log(), "raise the limit"), 1);
	CHECK(!prlimit(w.helper, RLIMIT_NOFILE, &enough, NULL));
	CHECK(!pthread_join(setter, &result));
	CHECK(!result);
	interrupt_arrives(fd);
}

/* A socket in a BPF map: what comes in is the map's to deal with. */
static int socket_in_a_map(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4,
		.max_entries = 1,
	};
	union bpf_attr elem = { 0 };
	int key = 0, pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	elem.map_fd = (uint32_t)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map));
	elem.key = (uintptr_t)&key;
	elem.value = (uintptr_t)&pair[0];
	CHECK(!syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &elem, sizeof(elem)));
	return pair[0];
}

static void channel(const struct world *of, int *fd)
{
	char path[128];

	snprintf(path, sizeof(path), VUM_CHANNEL_DIR "%s", of->uuid);
	*fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	CHECK(*fd >= 0);
}

/* By hand what the helper does; and what it had better not do. */
TEST(interface)
{
	char buf[CMSG_SPACE(VUM_MAX_MSG_FDS * sizeof(int))];
	struct vum_attach a = {
		.argsz = sizeof(a), .api_version = VUM_API_VERSION,
		.max_msg_fds = 1, .max_data_xfer_size = 4096,
	};
	struct vum_carry carry = {
		.argsz = sizeof(carry), .size = sizeof(buf), .buf = (uintptr_t)buf,
	};
	int fd, sock, pair[2];

	up(NULL);
	world_kill(&w.helper, SIGKILL);
	channel(&w, &fd);
	CHECK_ERRNO(ioctl(fd, VUM_CARRY, &carry), ENOTCONN);
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EISCONN);
	a.api_version++;
	CHECK_ERRNO(ioctl(fd, VUM_RESUME, &a), EPROTONOSUPPORT);
	a.api_version--;
	CHECK_ERRNO(ioctl(fd, VUM_RESUME, NULL), EFAULT);
	CHECK(!ioctl(fd, VUM_RESUME, &a));
	CHECK_EQ(a.server_pid, w.server);
	CHECK_ERRNO(ioctl(fd, VUM_RESUME, &a), EISCONN);
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EBUSY);
	CHECK_ERRNO(write(fd, buf, 16), EBUSY);
	CHECK(!ioctl(fd, VUM_CARRY, &carry));
	carry.size--;
	CHECK_ERRNO(ioctl(fd, VUM_CARRY, &carry), EINVAL);
	CHECK_ERRNO(ioctl(fd, VUM_CARRY, NULL), EFAULT);
	world_attr_set(&w, "state", "detached");
	carry.size++;
	CHECK_ERRNO(ioctl(fd, VUM_CARRY, &carry), EPIPE);
	close(fd);

	channel(&w, &fd);
	a = (struct vum_attach){
		.argsz = sizeof(a), .api_version = VUM_API_VERSION,
		.max_msg_fds = 1, .max_data_xfer_size = 4096,
		.flags = VUM_ATTACH_SOCKET, .socket = -1,
	};
	CHECK_ERRNO(ioctl(fd, VUM_RESUME, &a), ENOTCONN);
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EBADF);
	a.socket = fd;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), ENOTSOCK);
	a.socket = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EPROTOTYPE);
	sock = socket(AF_INET, SOCK_STREAM, 0);
	a.socket = sock;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EPROTOTYPE);
	a.socket = socket_in_a_map();
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EBUSY);
	world_attr_set(&w, "data_path", "kernel");
	a.flags = 0;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EINVAL);
	a.socket = 0;
	CHECK_ERRNO(ioctl(fd, VUM_ATTACH, &a), EPROTOTYPE);
	/* It is taken away, and woe to who has another descriptor of it. */
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	a.flags = VUM_ATTACH_SOCKET;
	a.socket = pair[0];
	CHECK(dup(pair[0]) >= 0);
	CHECK_EQ(ioctl(fd, VUM_ATTACH, &a), 1);
	CHECK_ERRNO(close(pair[0]), EBADF);
	CHECK(world_state_is(&w, "broken"));
	CHECK_EQ(kernel_log_count(w.uuid, "keeps its socket"), 1);
}

/* Which would look like something to be read, and never be. */
TEST(out_of_band_data)
{
	struct vum_attach a = {
		.argsz = sizeof(a), .api_version = VUM_API_VERSION,
		.max_msg_fds = 1, .max_data_xfer_size = 4096,
		.flags = VUM_ATTACH_SOCKET,
	};
	int fd, pair[2];

	up(NULL);
	world_kill(&w.helper, SIGKILL);
	world_attr_set(&w, "state", "detached");
	channel(&w, &fd);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	a.socket = pair[0];
	CHECK_EQ(ioctl(fd, VUM_ATTACH, &a), 1);
	CHECK_EQ(send(pair[1], "!", 1, MSG_OOB), 1);
	CHECK_SOON(kernel_log_count(w.uuid, "out-of-band") == 1);
	CHECK(world_state_is(&w, "broken"));
}
