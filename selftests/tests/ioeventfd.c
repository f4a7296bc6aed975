// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_IOEVENTFD: the consumer's eventfd writes to a BAR. */

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/dma.h"
#include "../lib/puppet.h"

static struct world w;
static struct consumer c;

static int set(uint64_t offset, uint64_t data, uint32_t size, int fd)
{
	struct vfio_device_ioeventfd io = {
		.argsz = sizeof(io), .flags = size, .data = data, .fd = fd,
		.offset = (uint64_t)region_at(VFIO_PCI_BAR0_REGION_INDEX, offset),
	};

	return ioctl(c.device, VFIO_DEVICE_IOEVENTFD, &io);
}

static void up(void)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
}

static uint32_t word(uint64_t offset)
{
	return region_read32(&c, VFIO_PCI_BAR0_REGION_INDEX, offset);
}

/* For which the server has no eventfd. */
TEST(signal_is_a_write)
{
	int fd = new_eventfd(), fd8 = new_eventfd();

	up();
	CHECK(!set(0x40, 0x11223344, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK(!set(0x48, 0x1122334455667788, VFIO_DEVICE_IOEVENTFD_64, fd8));
	CHECK_EQ(word(0x40), 0);
	CHECK(!eventfd_write(fd, 1) && !eventfd_write(fd8, 1));
	CHECK_SOON(word(0x40) == 0x11223344);
	CHECK_SOON(word(0x48) == 0x55667788 && word(0x4c) == 0x11223344);
	CHECK_EQ(puppet_get(&c, PUPPET_IO_FD_HITS), 0);
	/* Again and again. */
	for (int i = 0; i < 50; i++) {
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x40, 0);
		CHECK(!eventfd_write(fd, 1));
		CHECK_SOON(word(0x40) == 0x11223344);
	}
	CHECK(!set(0x40, 0x11223344, VFIO_DEVICE_IOEVENTFD_32, -1));
	region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0x40, 0);
	CHECK(!eventfd_write(fd, 1));
	test_sleep_ms(50);
	CHECK_EQ(word(0x40), 0);
}

/* For which it has one: no message. */
TEST(signal_is_a_signal)
{
	int any = new_eventfd(), match = new_eventfd(), other = new_eventfd();
	uint32_t writes;

	up();
	CHECK(!set(PUPPET_IO_FD_ANY, 5, VFIO_DEVICE_IOEVENTFD_32, any));
	CHECK(!set(PUPPET_IO_FD_MATCH, PUPPET_IO_FD_DATA, VFIO_DEVICE_IOEVENTFD_32,
		   match));
	CHECK(!set(PUPPET_IO_FD_MATCH, 1, VFIO_DEVICE_IOEVENTFD_32, other));
	writes = puppet_get(&c, PUPPET_NR_WRITES);
	CHECK(!eventfd_write(any, 1));
	CHECK_SOON(puppet_get(&c, PUPPET_IO_FD_HITS) == 1);
	CHECK(!eventfd_write(match, 1));
	CHECK_SOON(puppet_get(&c, PUPPET_IO_FD_HITS) == 2);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_WRITES), writes);
	CHECK(!eventfd_write(other, 1));
	CHECK_SOON(puppet_get(&c, PUPPET_NR_WRITES) == writes + 1);
	CHECK_EQ(puppet_get(&c, PUPPET_IO_FD_HITS), 2);
}

/* A server that has none, or does not want to say: it costs nothing but time. */
TEST(server_refuses)
{
	struct json_object *show;
	int fd = new_eventfd();

	up();
	for (uint64_t i = 0; i < 2; i++) {
		puppet_fault(&c, VFIO_USER_DEVICE_GET_REGION_IO_FDS, PUPPET_FAULT_ERROR,
			     EINVAL);
		CHECK(!set(0x40 + 8 * i, 1, VFIO_DEVICE_IOEVENTFD_32, fd));
	}
	CHECK(!eventfd_write(fd, 1));
	CHECK_SOON(word(0x40) == 1 && word(0x48) == 1);
	show = ctl_run_json("show --json %s", w.uuid);
	show = json_object_array_get_idx(json_get(show, "without"), 0);
	CHECK(strstr(json_get_text(show, "text"), "GET_REGION_IO_FDS: error -22"));
	CHECK_EQ(json_get_number(show, "count"), 2);
	CHECK_EQ(kernel_log_count(w.uuid, "GET_REGION_IO_FDS"), 1);
}

/* It is remembered that the server does not know the command, and breaks by it. */
TEST(sloppy_server)
{
	const char *const args[] = { "--sloppy", "6", NULL };
	int fd = new_eventfd();

	world_up(&w, args);
	consumer_open(&c, &w);
	for (uint64_t i = 0; i < 3; i++) {
		CHECK(!set(0x40 + 8 * i, 1, VFIO_DEVICE_IOEVENTFD_32, fd));
		world_wait_state(&w, "attached");
	}
	CHECK(!eventfd_write(fd, 1));
	CHECK_SOON(word(0x40) == 1 && word(0x48) == 1 && word(0x50) == 1);
	CHECK_EQ(dma_show(&w, "attaches"), 2);
	CHECK_EQ(kernel_log_count(w.uuid, "get_region_io_fds not sent"), 1);
}

/* An interrupt's eventfd that is an ioeventfd, and that the server returns, too. */
TEST(signals_in_a_circle)
{
	int fd = new_eventfd();

	up();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd));
	CHECK(!set(PUPPET_IO_FD_IRQ, 7, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK(!eventfd_write(fd, 1));
	CHECK_SOON(word(PUPPET_IO_FD_IRQ) == 7);
	CHECK_EQ(kernel_log_count(w.uuid, "one of the consumer's ioeventfds"), 1);
}

/* The same with one more in between. */
TEST(signals_in_a_larger_circle)
{
	int fd[2] = { new_eventfd(), new_eventfd() };

	up();
	for (int i = 0; i < 2; i++) {
		CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd[i]));
		CHECK(!set(PUPPET_IO_FD_IRQ, 7U + i, VFIO_DEVICE_IOEVENTFD_32, fd[!i]));
	}
	CHECK(!eventfd_write(fd[1], 1));
	CHECK_SOON(word(PUPPET_IO_FD_IRQ) == 8);
	CHECK_EQ(kernel_log_count(w.uuid, "one of the consumer's ioeventfds"), 1);
}

TEST(nonsense)
{
	int fd = new_eventfd();

	up();
	CHECK_ERRNO(set(0x40, 0, 0, fd), EINVAL);
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32 | VFIO_DEVICE_IOEVENTFD_8,
			fd), EINVAL);
	CHECK_ERRNO(set(0x40, 0, 1 << 9, fd), EINVAL);
	CHECK_ERRNO(set(PUPPET_BAR0_SIZE - 2, 0, VFIO_DEVICE_IOEVENTFD_32, fd),
		    EINVAL);
	CHECK_ERRNO(set(7ULL << 40, 0, VFIO_DEVICE_IOEVENTFD_32, fd), EINVAL);
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, -2), EINVAL);
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, -1), ENODEV);
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, 999), EBADF);
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, c.container), EINVAL);
	CHECK(!set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK_ERRNO(set(0x40, 0, VFIO_DEVICE_IOEVENTFD_32, fd), EEXIST);
	/* Other data, or another size, is another one. */
	CHECK(!set(0x40, 1, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK(!set(0x40, 0, VFIO_DEVICE_IOEVENTFD_16, fd));
}

/* The next server may have no such eventfd, or another one. */
TEST(server_comes_back)
{
	int fd = new_eventfd();

	up();
	CHECK(!set(PUPPET_IO_FD_ANY, 5, VFIO_DEVICE_IOEVENTFD_32, fd));
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	CHECK(!eventfd_write(fd, 1));
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	CHECK(!eventfd_write(fd, 1));
	CHECK_SOON(word(PUPPET_IO_FD_ANY) == 5);
}

/* A server that stalls: one write is kept, however often it is asked for. */
TEST(stalled_server)
{
	int fd = new_eventfd();

	up();
	CHECK(!set(0x40, 9, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK(!kill(w.server, SIGSTOP));
	for (int i = 0; i < 5000; i++)
		CHECK(!eventfd_write(fd, 1));
	test_sleep_ms(100);
	CHECK(live_messages() <= 66);
	/* And closing waits for nobody. */
	consumer_close(&c);
	CHECK(!kill(w.server, SIGCONT));
	CHECK_SOON(live_messages() == 0);
}

TEST(many)
{
	int fd = new_eventfd();

	up();
	for (uint32_t i = 0; i < 1000; i++)
		CHECK(!set(0x40, i, VFIO_DEVICE_IOEVENTFD_32, fd));
	CHECK_ERRNO(set(0x40, 1000, VFIO_DEVICE_IOEVENTFD_32, fd), ENOSPC);
	consumer_close(&c);
	consumer_open(&c, &w);
	CHECK(!set(0x40, 1000, VFIO_DEVICE_IOEVENTFD_32, fd));
}
