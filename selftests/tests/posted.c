// SPDX-License-Identifier: GPL-2.0
/* Writes to memory BARs are posted: nobody waits for the server. Others wait. */

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"

static struct world w;
static struct consumer c;

static void up_with(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
	puppet_check(&c, 0);
}

static void up(void)
{
	up_with(NULL);
}

/* In a process of its own, with a server that does not answer for now. */
static pid_t start(void (*what)(void))
{
	pid_t pid;

	CHECK(!kill(w.server, SIGSTOP));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		what();
		_exit(0);
	}
	return pid;
}

static void is_posted(void (*what)(void))
{
	pid_t pid = start(what);

	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(!kill(w.server, SIGCONT));
	puppet_check(&c, 4);
}

static void is_waited_for(void (*what)(void))
{
	pid_t pid = start(what);

	test_sleep_ms(300);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK(!kill(w.server, SIGCONT));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	puppet_check(&c, 4);
}

static void write_bar(void)
{
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, 0x12345678);
}

static void write_bar4(void)
{
	region_write32(&c, VFIO_PCI_BAR4_REGION_INDEX, 0, 0x12345678);
}

static void write_much(void)
{
	char buf[16] = { 0 };

	CHECK_EQ(pwrite(c.device, buf, sizeof(buf),
			region_at(VFIO_PCI_BAR0_REGION_INDEX, 64)), sizeof(buf));
}

static void write_config(void)
{
	region_write32(&c, VFIO_PCI_CONFIG_REGION_INDEX, 0x10, 0);
}

TEST(write_to_a_memory_bar)
{
	up();
	is_posted(write_bar);
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0), 0x12345678);
}

/* By what the server says of each BAR, not by its number. */
TEST(write_to_an_io_bar)
{
	const char *const args[] = { "--io-bar0", NULL };

	up_with(args);
	is_waited_for(write_bar);
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0), 0x12345678);
	is_posted(write_bar4);
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR4_REGION_INDEX, 0), 0x12345678);
}

TEST(write_to_config_space)
{
	up();
	is_waited_for(write_config);
}

TEST(write_of_more_than_a_word)
{
	up();
	is_waited_for(write_much);
}

TEST(switched_off)
{
	char path[PATH_MAX];

	up();
	world_attr_path(&w, "posted_writes", path, sizeof(path));
	CHECK_EQ(write_file(path, "perhaps"), -EINVAL);
	CHECK_EQ(write_file(path, "0"), 0);
	is_waited_for(write_bar);
	CHECK_EQ(write_file(path, "1"), 0);
	is_posted(write_bar);
}

/* A reply to what wants none is of no harm: the next write waits for its own. */
TEST(server_replies_all_the_same)
{
	const char *const args[] = { "--single-writes", NULL };

	up_with(args);
	puppet_fault(&c, VFIO_USER_REGION_WRITE, PUPPET_FAULT_REPLY, 2);
	/* The third has a reply of its own to wait for, behind those of the others. */
	for (uint32_t i = 0; i < 3; i++)
		region_write32(&c, VFIO_PCI_BAR1_REGION_INDEX, 4UL * i, 1);
	write_config();
	puppet_check(&c, 4);
	is_waited_for(write_bar);
	CHECK(world_state_is(&w, "attached"));
	CHECK_EQ(kernel_log_count(w.uuid, "no posted writes"), 1);
	world_attr_set(&w, "state", "detached");
	world_wait_state(&w, "attached");
	is_posted(write_bar);
}

static void write_twenty(void)
{
	for (uint32_t i = 0; i < 20; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 4UL * i, 1000 + i);
}

/* How many messages with several writes twenty of them have made, all of them done. */
static uint32_t bulk(void)
{
	uint32_t multi = puppet_get(&c, PUPPET_NR_MULTI);
	uint32_t writes = puppet_get(&c, PUPPET_NR_WRITES);

	is_posted(write_twenty);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_WRITES) - writes, 20);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 4UL * i), 1000 + i);
	return puppet_get(&c, PUPPET_NR_MULTI) - multi;
}

static void write_twenty4(void)
{
	for (uint32_t i = 0; i < 20; i++)
		region_write32(&c, VFIO_PCI_BAR4_REGION_INDEX, 4UL * i, i);
}

/* The same with another BAR. */
static uint32_t bulk4(void)
{
	uint32_t multi = puppet_get(&c, PUPPET_NR_MULTI);

	is_posted(write_twenty4);
	return puppet_get(&c, PUPPET_NR_MULTI) - multi;
}

/* While the server is busy, writes gather; by relay, the helper takes what it can at once. */
TEST(together)
{
	up();
	if (world_relayed())
		bulk();
	else
		CHECK_EQ(bulk(), 1);
}

TEST(one_by_one)
{
	const char *const args[] = { "--single-writes", NULL };

	up_with(args);
	CHECK_EQ(bulk(), 0);
}

/* Five fit into 128 bytes. */
TEST(together_in_small_messages)
{
	const char *const args[] = { "--max-data-xfer-size", "128", NULL };

	up_with(args);
	if (world_relayed())
		bulk();
	else
		CHECK_EQ(bulk(), 4);
}

static void write_sizes(void)
{
	static const char data[8] = "abcdefgh";

	write_bar();
	for (size_t size = 1; size <= 8; size *= 2)
		CHECK_EQ(pwrite(c.device, data, size,
				region_at(VFIO_PCI_BAR0_REGION_INDEX, 16 * size)), size);
	write_bar();
}

TEST(together_of_all_sizes)
{
	char zero[256] = { 0 }, data[9] = "";

	up();
	CHECK_EQ(pwrite(c.device, zero, sizeof(zero), region_at(VFIO_PCI_BAR0_REGION_INDEX, 0)),
		 sizeof(zero));
	is_posted(write_sizes);
	for (size_t size = 1; size <= 8; size *= 2) {
		CHECK_EQ(pread(c.device, data, 8, region_at(VFIO_PCI_BAR0_REGION_INDEX,
							    16 * size)), 8);
		CHECK(!memcmp(data, "abcdefgh", size) && !memcmp(data + size, zero, 8 - size));
	}
}

static void write_and_break_the_order(void)
{
	for (uint32_t i = 0; i < 6; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, i);
	write_config();
	for (uint32_t i = 6; i < 12; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, i);
}

/* What is not posted goes in between, and no write overtakes it. */
TEST(together_around_another)
{
	up();
	is_waited_for(write_and_break_the_order);
	CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0), 11);
}

/* A write that waits for others to go with it goes by itself if none comes. */
TEST(nobody_else_writes)
{
	int fd = new_eventfd();
	uint64_t n = 0, got;

	up();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd));
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 3; i++)
			puppet_set(&c, PUPPET_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX << 16);
		for (n = 0; n < 3; n += got) {
			struct pollfd p = { .fd = fd, .events = POLLIN };

			CHECK_EQ(poll(&p, 1, TEST_SOON_MS), 1);
			CHECK_EQ(read(fd, &got, sizeof(got)), sizeof(got));
		}
		CHECK_EQ(n, 3);
	}
}

/* Such a server is known by its reply to several writes as well. */
TEST(server_replies_to_several)
{
	if (world_relayed())
		test_skip("by relay, it depends on the helper how many go together");
	up();
	puppet_fault(&c, VFIO_USER_REGION_WRITE_MULTI, PUPPET_FAULT_REPLY, 1);
	CHECK_EQ(bulk(), 1);
	CHECK_EQ(kernel_log_count(w.uuid, "no posted writes"), 1);
	is_waited_for(write_bar);
	CHECK(world_state_is(&w, "attached"));
}

/* Whoever writes and then reads, reads what he wrote. */
TEST(order)
{
	up();
	for (uint32_t i = 0; i < 500; i++) {
		for (uint32_t j = 0; j < i % 8; j++)
			region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 8, i + j);
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 8, i);
		CHECK_EQ(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 8), i);
	}
}

/* A server that stalls makes the kernel keep a few writes, not all of them. */
TEST(stalled_server)
{
	volatile uint32_t *written = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t before = 0;
	pid_t pid;

	CHECK(written != MAP_FAILED);
	up();
	CHECK(!kill(w.server, SIGSTOP));
	pid = fork();
	if (!pid) {
		for (uint32_t i = 1; i < 1000000; i++) {
			region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 12, i);
			*written = i;
		}
		_exit(0);
	}
	CHECK_SOON(*written >= 64);
	while (before != *written) {
		before = *written;
		test_sleep_ms(1000);
	}
	test_say("%u writes before the writer had to wait, %d messages kept",
		 before, live_messages());
	/* As many as the kernel keeps, and what the helper took before. */
	CHECK(before >= 64 && before < 10000);
	CHECK(live_messages() <= 66);
	/* It can be killed all the same, and nothing is lost of what it wrote. */
	world_kill(&pid, SIGKILL);
	before = *written;
	CHECK(!kill(w.server, SIGCONT));
	CHECK(region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, 12) - before <= 1);
}

static void post(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, i);
}

/*
 * The first write that has to wait for the server, since too many do, must not be taken for
 * one that others may join.
 */
TEST(write_beside_one_that_waits)
{
	pid_t first, second;

	up();
	CHECK(!kill(w.server, SIGSTOP));
	first = fork();
	if (!first) {
		/* By relay, the helper takes what the socket has room for. */
		post(world_relayed() ? 10000 : 66);
		_exit(0);
	}
	test_sleep_ms(500);
	CHECK_EQ(waitpid(first, NULL, WNOHANG), 0);
	second = fork();
	if (!second) {
		post(3);
		_exit(0);
	}
	CHECK_EQ(waitpid(second, NULL, 0), second);
	CHECK(!kill(w.server, SIGCONT));
	CHECK_EQ(waitpid(first, NULL, 0), first);
	puppet_check(&c, 4);
	CHECK(world_state_is(&w, "attached"));
}

/* With a BAR mapped, a store could overtake a write that waits: none does. */
TEST(not_together_beside_a_mapping)
{
	const char *const args[] = { "--mmap-bar0", NULL };
	void *bar;

	up_with(args);
	CHECK(bulk4() > 0 || world_relayed());
	bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c.device,
		   region_at(VFIO_PCI_BAR0_REGION_INDEX, 0));
	CHECK(bar != MAP_FAILED);
	if (!world_relayed())
		CHECK_EQ(bulk4(), 0);
}

/* What was posted when the server went is lost; nothing else is. */
TEST(server_killed)
{
	up();
	CHECK(!kill(w.server, SIGSTOP));
	for (uint32_t i = 0; i < 50; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, i);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK_SOON(live_messages() == 0);
	CHECK_ERRNO(pwrite(c.device, "1234", 4,
			   region_at(VFIO_PCI_BAR0_REGION_INDEX, 0)), EIO);
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
}
