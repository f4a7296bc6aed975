// SPDX-License-Identifier: GPL-2.0
/* The helper or the server dies under a consumer's hands, and comes back. */

#include <pthread.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static void up(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
}

/* A read of BAR1 in a thread of its own. */
struct reader {
	pthread_t thread;
	int result;
	long long ended;
};

static void *reader_run(void *arg)
{
	struct reader *r = arg;
	uint32_t value;

	r->result = puppet_read(&c, 0, &value);
	r->ended = test_now_ms();
	return NULL;
}

static void reader_start(struct reader *r)
{
	CHECK(!pthread_create(&r->thread, NULL, reader_run, r));
	puppet_wait_struck(&c);
}

static void reader_fails(struct reader *r, long long killed)
{
	CHECK(!pthread_join(r->thread, NULL));
	CHECK_EQ(r->result, -EIO);
	CHECK(r->ended >= killed);
}

static void interrupt_arrives(uint32_t index, uint32_t sub, int fd)
{
	puppet_set(&c, PUPPET_TRIGGER, index << 16 | sub);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
}

/* Or the helper has, but its kernel goes on: see link.c. */
TEST(connection_lost_with_a_read_in_flight)
{
	struct reader r;
	long long killed;
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 5, 1, &fd));
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	reader_start(&r);
	killed = test_now_ms();
	world_cut(&w);
	reader_fails(&r, killed);
	CHECK(world_state_is(&w, "detached"));
	CHECK_EQ(puppet_read(&c, 0, &(uint32_t){ 0 }), -EIO);

	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0x40);
	interrupt_arrives(VFIO_PCI_MSIX_IRQ_INDEX, 5, fd);
}

TEST(server_killed_with_a_read_in_flight)
{
	struct reader r;
	long long killed;
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 5, 1, &fd));
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	reader_start(&r);
	killed = test_now_ms();
	world_kill(&w.server, SIGKILL);
	reader_fails(&r, killed);
	CHECK_SOON(kernel_log_count(w.uuid, "server went away") == 1);

	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0x40);
	interrupt_arrives(VFIO_PCI_MSIX_IRQ_INDEX, 5, fd);
}

TEST(over_and_over)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd));
	for (int i = 0; i < 10; i++) {
		if (i & 1) {
			world_kill(&w.server, SIGKILL);
			world_wait_state(&w, "detached");
			world_server(&w, NULL);
		} else {
			world_cut(&w);
			world_wait_state(&w, "detached");
			world_helper(&w, NULL);
		}
		world_wait_state(&w, "attached");
		interrupt_arrives(VFIO_PCI_MSIX_IRQ_INDEX, 0, fd);
	}
}

/* Set, unset and unmasked while nobody was there to be told. */
TEST(interrupts_changed_while_detached)
{
	int old, fresh, none = -1;

	up(NULL);
	old = new_eventfd();
	fresh = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 1, 1, &old));
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 2, 1, &old));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 1, 1, &none));
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, &fresh));
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 2);
	interrupt_arrives(VFIO_PCI_MSIX_IRQ_INDEX, 2, old);
	interrupt_arrives(VFIO_PCI_MSIX_IRQ_INDEX, 3, fresh);
}

/* An interrupt that masked itself, its unmask lost with the helper. */
TEST(intx_unmask_lost)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd));
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	world_cut(&w);
	world_wait_state(&w, "detached");
	CHECK(!irq_set(&c, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0));
	world_helper(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK(eventfd_take(fd, TEST_SOON_MS) > 0);
	/* This server forgets masks with the connection, others may not: told. */
	CHECK_EQ(puppet_get(&c, PUPPET_NR_SET_IRQS), 3);
}

/* With a resample fd, as QEMU with KVM has it: in the order that enables. */
TEST(intx_unmask_by_eventfd_kept)
{
	uint64_t one = 1;
	int fd, unmask;

	up(NULL);
	fd = new_eventfd();
	unmask = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd));
	CHECK(!irq_set(&c, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &unmask, sizeof(unmask)));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	CHECK_EQ(write(unmask, &one, sizeof(one)), sizeof(one));
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
}

/* A new server is told what is set, not what is not. */
TEST(only_what_is_set_is_told)
{
	int fds[8];

	up(NULL);
	for (int i = 0; i < 8; i++)
		fds[i] = i & 4 ? new_eventfd() : -1;
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 8, fds));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(puppet_get(&c, PUPPET_NR_SET_IRQS), 1);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 4);
}

TEST(trigger_by_hand_while_detached)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK_ERRNO(irq_set(&c, VFIO_IRQ_SET_DATA_NONE |
			    VFIO_IRQ_SET_ACTION_TRIGGER,
			    VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL, 0), EIO);
	CHECK(!irq_disable(&c, VFIO_PCI_MSIX_IRQ_INDEX));
}

TEST(intx_mask_kept)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd));
	CHECK(!irq_set(&c, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK_EQ(puppet_get(&c, PUPPET_INTX_MASKED), 1);
}

/* QEMU asks for it when MSI-X is turned off, and takes an error for a pin. */
TEST(interrupt_pin_kept)
{
	const off_t pin = region_at(VFIO_PCI_CONFIG_REGION_INDEX,
				    PCI_INTERRUPT_PIN);
	uint8_t value[4] = { 0 };

	up(NULL);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK_EQ(pread(c.device, value, 1, pin), 1);
	CHECK_EQ(value[0], 1);
	CHECK_ERRNO(pread(c.device, value, 1, pin - 1), EIO);
	CHECK_ERRNO(pread(c.device, value, 2, pin), EIO);
	CHECK_ERRNO(pread(c.device, value, 4, pin - 1), EIO);
	CHECK_ERRNO(pwrite(c.device, value, 1, pin), EIO);
}

static void refused_in_its_place(const char *const *args)
{
	up(NULL);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, args);
	world_wait_state(&w, "broken");
	CHECK_SOON(kernel_log_count(w.uuid, "differs from the one") == 1);
	CHECK_EQ(puppet_read(&c, 0, &(uint32_t){ 0 }), -EIO);

	/* The right one is still welcome. */
	world_kill(&w.server, SIGKILL);
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
}

TEST(another_device_in_its_place)
{
	refused_in_its_place((const char *const[]){ "--msix", "32", NULL });
}

TEST(a_device_with_other_bars_in_its_place)
{
	refused_in_its_place((const char *const[]){ "--io-bar0", NULL });
}

TEST(another_device_while_nobody_has_it_open)
{
	const char *const args[] = { "--msix", "32", NULL };
	int fds[64];

	up(NULL);
	consumer_close(&c);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, args);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	for (int i = 0; i < 64; i++)
		fds[i] = -1;
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 32, fds));
	CHECK_ERRNO(irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 33, fds),
		    EINVAL);
}

/* Accesses from all sides while everything dies: no hang, no wrong value. */
static void *hammer(void *arg)
{
	unsigned int *good = arg;

	for (;;) {
		uint32_t value, offset = *good % 1024 * 4;
		int n = puppet_read(&c, offset, &value);

		if (n == 4 && value != (PUPPET_PATTERN ^ offset))
			FAIL("wrong value 0x%x at 0x%x", value, offset);
		if (n != 4 && n != -EIO)
			FAIL("read: %s", strerror(-n));
		*good += n == 4;
	}
	return NULL;
}

TEST(under_load)
{
	unsigned int good[4] = { 0 };
	pthread_t thread;

	up(NULL);
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&thread, NULL, hammer, &good[i]));
	for (int i = 0; i < 6; i++) {
		unsigned int before;

		if (i & 1) {
			world_kill(&w.server, SIGKILL);
			world_server(&w, NULL);
		} else {
			world_cut(&w);
			world_helper(&w, NULL);
		}
		before = good[0];
		CHECK_SOON(*(volatile unsigned int *)&good[0] > before);
	}
}

#define CHUNK	65536U

/* Reads two chunks into memory whose first touch waits for the main thread. */
static void *large_read(void *arg)
{
	void **into = arg;

	return (void *)pread(c.device, *into, 2 * (size_t)CHUNK, region_at(0, 0));
}

static int watch_memory(void *mem, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)mem, size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	CHECK(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) &&
	      !ioctl(fd, UFFDIO_REGISTER, &range));
	return fd;
}

/* The consumer gets what the first server has read, and not more. */
TEST(one_access_is_for_one_server)
{
	const char *const args[] = { "--bar0-size", "131072",
				     "--max-data-xfer-size", "65536", NULL };
	struct uffdio_zeropage zero = { .range.len = 2 * (size_t)CHUNK };
	struct uffd_msg msg;
	pthread_t thread;
	void *mem, *result;
	int fd;

	up(args);
	mem = mmap(NULL, zero.range.len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	fd = watch_memory(mem, zero.range.len);
	CHECK(!pthread_create(&thread, NULL, large_read, &mem));
	/* The first chunk has come, and is about to be copied. */
	CHECK_EQ(read(fd, &msg, sizeof(msg)), sizeof(msg));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, args);
	world_wait_state(&w, "attached");
	zero.range.start = (uintptr_t)mem;
	CHECK(!ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	CHECK(!pthread_join(thread, &result));
	CHECK_EQ((long)result, CHUNK);
	CHECK_EQ(pread(c.device, mem, zero.range.len, region_at(0, 0)),
		 zero.range.len);
}
