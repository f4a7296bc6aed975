// SPDX-License-Identifier: GPL-2.0
/* A device that is in use goes from one server to another. */

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/dma.h"
#include "../lib/puppet.h"

#define NR_USERS	4
#define NR_HANDOVERS	20

/* What a user has in BAR0, and what it does not have in common with the others. */
#define USER_AT(i)	(0x1000U + 0x1000U * (i))

static const char *const args[] = { "--migrate", "1", "--ballast", "100000", NULL };

/* In this time the first server has to be back, also on a machine that is busy. */
#define BACK_MS		2500

/* @w: the mdev and its server; @other: the other server, and no mdev */
static struct world w, other;
static struct consumer c;
static atomic_bool stop;

static void other_server(const char *program, const char *const *with)
{
	other = w;
	other.server = 0;
	snprintf(other.socket, sizeof(other.socket), "%.100s.2", w.socket);
	unlink(other.socket);
	world_serve(&other, program, with);
	CHECK_SOON(!access(other.socket, F_OK));
}

static void up(const char *const *with)
{
	world_up(&w, with);
	consumer_open(&c, &w);
	other_server("vum-puppet", args);
}

/* Returns 0 or -errno. */
static int hand_over(const char *socket)
{
	char path[PATH_MAX];

	world_attr_path(&w, "handover", path, sizeof(path));
	return write_file(path, socket);
}

static void give_up_soon(void)
{
	char ms[16];

	snprintf(ms, sizeof(ms), "%d", BACK_MS * test_slow());
	world_attr_set(&w, "attach_timeout_ms", ms);
}

static void check_result(const char *text)
{
	char now[256];

	world_attr_get(&w, "handover", now, sizeof(now));
	if (!strstr(now, text))
		FAIL("it says \"%s\", not \"%s\"", now, text);
}

static void check_socket(const char *socket)
{
	char now[128];

	world_attr_get(&w, "socket", now, sizeof(now));
	CHECK(!strcmp(now, socket));
}

static long pause_us(void)
{
	char now[256];
	long us = -1;

	world_attr_get(&w, "handover", now, sizeof(now));
	CHECK(sscanf(now, "paused for %ld us", &us) == 1);
	return us;
}

static uint32_t word(uint64_t offset)
{
	return region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, offset);
}

static void set_word(uint64_t offset, uint32_t value)
{
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, offset, value);
}

TEST(there_and_back)
{
	int fd = new_eventfd();

	up(args);
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, &fd));
	set_word(0x1230, 0xfeedf00d);
	CHECK_EQ(hand_over(other.socket), 0);
	check_socket(other.socket);
	check_result("paused for");
	CHECK_EQ(word(0x1230), 0xfeedf00d);
	CHECK_EQ(kernel_log_count(w.uuid, "handed over from"), 1);
	/* The new one knows the interrupts. */
	puppet_set(&c, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16 | 3);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	set_word(0x1230, 42);
	CHECK_EQ(hand_over(w.socket), 0);
	CHECK_EQ(word(0x1230), 42);
	CHECK(world_state_is(&w, "attached"));
}

/* Each has its own word, and never finds what it has not left there. */
static void *use(void *arg)
{
	uint64_t at = USER_AT((unsigned int)(uintptr_t)arg);
	unsigned long *count = calloc(1, sizeof(*count));

	for (uint32_t i = 1; !stop; i++, ++*count) {
		set_word(at, i);
		CHECK_EQ(word(at), i);
	}
	return count;
}

static int by_size(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

TEST(users_do_not_notice)
{
	pthread_t user[NR_USERS];
	long pauses[NR_HANDOVERS];
	unsigned long all = 0;
	void *count;

	up(args);
	stop = false;
	for (uintptr_t i = 0; i < NR_USERS; i++)
		CHECK(!pthread_create(&user[i], NULL, use, (void *)i));
	for (int i = 0; i < NR_HANDOVERS; i++) {
		test_sleep_ms(20);
		CHECK_EQ(hand_over(i & 1 ? w.socket : other.socket), 0);
		pauses[i] = pause_us();
	}
	stop = true;
	for (int i = 0; i < NR_USERS; i++) {
		CHECK(!pthread_join(user[i], &count));
		all += *(unsigned long *)count;
		free(count);
	}
	qsort(pauses, NR_HANDOVERS, sizeof(*pauses), by_size);
	test_say("%d handovers under %lu accesses; pauses: p50 %ld us, longest %ld us",
		 NR_HANDOVERS, 2 * all, pauses[NR_HANDOVERS / 2], pauses[NR_HANDOVERS - 1]);
	CHECK_EQ(dma_show(&w, "aborted"), 0);
}

/* Stores to a mapped region go to no server that has been asked for its state already. */
static void *store(void *arg)
{
	volatile uint32_t *p = arg;

	for (uint32_t i = 1; !stop; i++) {
		*p = i;
		CHECK_EQ(*p, i);
	}
	return NULL;
}

TEST(mapped_region)
{
	const char *const with[] = { "--migrate", "1", "--mmap-bar0", NULL };
	volatile uint32_t *p;
	pthread_t user;

	world_up(&w, with);
	consumer_open(&c, &w);
	other_server("vum-puppet", with);
	p = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, c.device,
		 region_at(VFIO_PCI_BAR0_REGION_INDEX, 0));
	CHECK(p != MAP_FAILED);
	stop = false;
	CHECK(!pthread_create(&user, NULL, store, (void *)p));
	for (int i = 0; i < 10; i++) {
		test_sleep_ms(10);
		CHECK_EQ(hand_over(i & 1 ? w.socket : other.socket), 0);
	}
	stop = true;
	CHECK(!pthread_join(user, NULL));
	CHECK_EQ(word(0), *p);
}

/* Another kind of device: a UART's registers, the last of which is for notes. */
TEST(serial_card)
{
	unsigned char divisor[2] = { 0x34, 0x12 }, lcr = 0x83, scratch = 0x5a, got[8];

	world_mdev(&w);
	world_serve(&w, "vum-serial", NULL);
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	other_server("vum-serial", NULL);
	CHECK_EQ(pwrite(c.device, &scratch, 1, region_at(0, 7)), 1);
	CHECK_EQ(pwrite(c.device, &lcr, 1, region_at(0, 3)), 1);
	CHECK_EQ(pwrite(c.device, divisor, 2, region_at(0, 0)), 2);
	CHECK_EQ(hand_over(other.socket), 0);
	CHECK_EQ(pread(c.device, got, 2, region_at(0, 0)), 2);
	CHECK(!memcmp(got, divisor, 2));
	CHECK_EQ(pread(c.device, got, 1, region_at(0, 7)), 1);
	CHECK_EQ(got[0], scratch);
	CHECK_EQ(pread(c.device, got, 1, region_at(0, 3)), 1);
	CHECK_EQ(got[0], lcr);
	CHECK_EQ(hand_over(w.socket), 0);
}

static void *hand_over_run(void *unused)
{
	(void)unused;
	CHECK_EQ(hand_over(other.socket), 0);
	return NULL;
}

/* Signals that come while nobody can be told are not lost. */
TEST(ioeventfd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = (uint64_t)region_at(VFIO_PCI_BAR0_REGION_INDEX, 0x300),
		.data = 0x77, .fd = new_eventfd(),
	};
	pthread_t thread;

	up(args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_IOEVENTFD, &io));
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_DELAY, 300);
	CHECK(!pthread_create(&thread, NULL, hand_over_run, NULL));
	test_sleep_ms(100);
	check_result("under way");
	CHECK_EQ(write(io.fd, &(uint64_t){ 1 }, 8), 8);
	CHECK(!pthread_join(thread, NULL));
	CHECK_SOON(word(0x300) == 0x77);
}

/* Whatever is wrong with the other server: the first goes on, with what it had. */
static void fails(int err, const char *why)
{
	set_word(0x40, 0xabcd);
	CHECK_EQ(hand_over(other.socket), err);
	check_result(why);
	check_socket(w.socket);
	CHECK(world_state_is(&w, "attached"));
	CHECK_EQ(word(0x40), 0xabcd);
	puppet_check(&c, 0x40);
}

static void other_fails(const char *program, const char *const *with, const char *why)
{
	world_kill(&other.server, SIGKILL);
	other_server(program, with);
	fails(-ENOTCONN, why);
}

TEST(bad_servers)
{
	const char *const other_shape[] = { "--migrate", "1", "--msix", "3", NULL };
	const char *const unable[] = { "--version-json", "{}", NULL };
	const char *const silent[] = { "--migrate", "1", "--stall", "18", NULL };
	const char *const refuses[] = { "--migrate", "1", "--ballast", "5", NULL };
	const char *const hangs_up[] = { "--migrate", "1", "--sloppy", "18", NULL };
	const char *const mute[] = {
		"--migrate", "1", "--ballast", "100000", "--stall", "2", NULL,
	};

	up(args);
	give_up_soon();
	other_fails("vum-puppet", other_shape, "differs from the one that is in use");
	other_fails("vum-serial", NULL, "differs from the one that is in use");
	other_fails("vum-puppet", unable, "cannot load the state");
	other_fails("vum-puppet", silent, "timeout_ms");
	other_fails("vum-puppet", refuses, "does not take the state");
	/* Which of the two is seen first is a matter of luck. */
	other_fails("vum-puppet", hangs_up, "failed: ");
	other_fails("vum-puppet", mute, "attach_timeout_ms");
	world_kill(&other.server, SIGKILL);
	fails(-ENOTCONN, "attach_timeout_ms");
	/* And then it can be had. */
	other_server("vum-puppet", args);
	CHECK_EQ(hand_over(other.socket), 0);
	CHECK_EQ(word(0x40), 0xabcd);
}

/* What is known beforehand costs no pause. */
TEST(not_now)
{
	up(args);
	CHECK_EQ(hand_over(w.socket), -EEXIST);
	check_result("the present server has that socket");
	if (!world_relayed()) {
		world_kill(&w.helper, SIGKILL);
		CHECK_SOON(dma_show(&w, "helper") == 0);
		fails(-ENOTCONN, "no helper");
	}
}

TEST(first_server_cannot_save)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
	other_server("vum-puppet", args);
	fails(-EOPNOTSUPP, "cannot save");
	CHECK_EQ(dma_show(&w, "attaches"), 1);
}

static void *read_slowly(void *unused)
{
	(void)unused;
	puppet_check(&c, 0x50);
	return NULL;
}

TEST(first_server_refuses)
{
	pthread_t reader;

	up(args);
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_ERROR, EBUSY);
	fails(-EBUSY, "does not save the device's state: error -16");
	puppet_fault(&c, VFIO_USER_MIG_DATA_READ, PUPPET_FAULT_ERROR, ENOSPC);
	fails(-ENOSPC, "does not save the device's state: error -28");
	CHECK_EQ(dma_show(&w, "attaches"), 1);
	/* A request that is not answered stands in the way; nothing has been stopped. */
	world_attr_set(&w, "attach_timeout_ms", "300");
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 1500);
	CHECK(!pthread_create(&reader, NULL, read_slowly, NULL));
	puppet_wait_struck(&c);
	fails(-ETIMEDOUT, "does not save");
	CHECK(!pthread_join(reader, NULL));
}

/* Both are gone: the consumer hears of it, and can go on with a reset. */
TEST(neither_goes_on)
{
	int fd = new_eventfd();

	up(args);
	world_attr_set(&w, "attach_timeout_ms", "500");
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &fd));
	world_kill(&other.server, SIGKILL);
	unlink(w.socket);
	CHECK_EQ(hand_over(other.socket), -EREMOTEIO);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	CHECK_EQ(kernel_log_count(w.uuid, "the device's state is lost"), 1);
	world_kill(&w.server, SIGKILL);
	world_server(&w, args);
	world_wait_state(&w, "attached");
	CHECK(!ioctl(c.device, VFIO_DEVICE_RESET));
	puppet_check(&c, 0x40);
}

TEST(not_open)
{
	world_up(&w, NULL);
	other_server("vum-puppet", NULL);
	CHECK_EQ(hand_over(other.socket), 0);
	check_socket(other.socket);
	CHECK_SOON(dma_show(&w, "attaches") == 2);
	world_wait_state(&w, "attached");
	CHECK_EQ(hand_over("no/path"), -EINVAL);
}

/* Nobody waits for it any more, but it comes to its end; and there is one at a time. */
TEST(killed_in_the_middle)
{
	pid_t pid;

	up(args);
	set_word(0x40, 0x1234);
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_DELAY, 500);
	pid = fork();
	if (!pid)
		_exit(hand_over(other.socket) != 0);
	test_sleep_ms(200);
	CHECK_EQ(hand_over(other.socket), -EBUSY);
	world_kill(&pid, SIGKILL);
	CHECK_EQ(word(0x40), 0x1234);
	check_socket(other.socket);
}

TEST(consumer_closes_in_the_middle)
{
	pthread_t thread;

	up(args);
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_DELAY, 300);
	CHECK(!pthread_create(&thread, NULL, hand_over_run, NULL));
	test_sleep_ms(100);
	consumer_close(&c);
	CHECK(!pthread_join(thread, NULL));
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	puppet_check(&c, 0x40);
}

TEST(tool)
{
	char command[512], out[1024];

	up(args);
	snprintf(command, sizeof(command), "%s handover %s %s 2>&1",
		 world_bin("vfio-user-mdevctl"), w.uuid, other.socket);
	CHECK_EQ(command_output(command, out, sizeof(out)), 0);
	CHECK(strstr(out, "paused for"));
	world_kill(&w.server, SIGKILL);
	give_up_soon();
	snprintf(command, sizeof(command), "%s handover %s %s 2>&1",
		 world_bin("vfio-user-mdevctl"), w.uuid, w.socket);
	CHECK_EQ(command_output(command, out, sizeof(out)), 1);
	CHECK(strstr(out, "is not handed over"));
	puppet_check(&c, 0x40);
}
