// SPDX-License-Identifier: GPL-2.0
/* Writes to memory BARs are posted: nobody waits for the server. Others wait. */

#include <limits.h>
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
	up();
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
