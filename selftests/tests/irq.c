// SPDX-License-Identifier: GPL-2.0
/* Interrupts: every kind, and what VFIO_DEVICE_SET_IRQS refuses. */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define ERR	VFIO_PCI_ERR_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD	VFIO_IRQ_SET_DATA_EVENTFD
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER	VFIO_IRQ_SET_ACTION_TRIGGER

static struct world w;
static struct consumer c;

static void up(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
}

static void fire(uint32_t index, uint32_t sub)
{
	puppet_set(&c, PUPPET_TRIGGER, index << 16 | sub);
}

TEST(irq_info)
{
	static const struct vfio_irq_info want[VFIO_PCI_NUM_IRQS] = {
		[INTX] = { .count = 1, .flags = VFIO_IRQ_INFO_EVENTFD |
			VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED },
		[MSI] = { .count = PUPPET_NR_MSI, .flags =
			VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE },
		[MSIX] = { .count = PUPPET_NR_MSIX, .flags =
			VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE },
		[REQ] = { .count = 1, .flags =
			VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE },
	};
	struct vfio_irq_info info = { .argsz = sizeof(info) };

	up(NULL);
	for (info.index = 0; info.index < VFIO_PCI_NUM_IRQS; info.index++) {
		CHECK(!ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, &info));
		if (info.index == ERR) {
			CHECK_EQ(info.count, 1);
			continue;
		}
		CHECK_EQ(info.count, want[info.index].count);
		CHECK_EQ(info.flags, want[info.index].flags);
	}
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, &info), EINVAL);
	info.index = 0;
	info.argsz = 8;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, &info), EINVAL);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, NULL), EFAULT);
}

/* What the kernel itself knows of needs no server: that the device goes, or has failed. */
TEST(few_irqs)
{
	const char *const args[] = { "--num-irqs", "3", NULL };
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = REQ };
	int req;

	up(args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	CHECK_EQ(info.count, 1);
	req = new_eventfd();
	CHECK(!irq_set_eventfds(&c, REQ, 0, 1, &req));
	CHECK(!irq_set(&c, NONE | TRIGGER, REQ, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(req, TEST_SOON_MS), 1);
	info.index = ERR;
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_IRQ_INFO, &info));
	CHECK_EQ(info.count, 1);
	CHECK(!irq_set_eventfds(&c, ERR, 0, 1, &req));
	CHECK(!irq_set(&c, NONE | TRIGGER, ERR, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(req, TEST_SOON_MS), 1);
}

TEST(intx_masks_itself)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, INTX, 0, 1, &fd));
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	CHECK_EQ(eventfd_take(fd, 50), 0);
	/* Still asserted: comes again. */
	CHECK(!irq_set(&c, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	puppet_set(&c, PUPPET_INTX_LEVEL, 0);
	CHECK(!irq_set(&c, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(fd, 50), 0);
}

TEST(intx_mask_and_unmask)
{
	uint8_t yes = 1, no = 0;
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, INTX, 0, 1, &fd));
	CHECK(!irq_set(&c, NONE | MASK, INTX, 0, 1, NULL, 0));
	CHECK_EQ(puppet_get(&c, PUPPET_INTX_MASKED), 1);
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	CHECK_EQ(eventfd_take(fd, 50), 0);
	CHECK(!irq_set(&c, BOOL | UNMASK, INTX, 0, 1, &no, 1));
	CHECK_EQ(eventfd_take(fd, 50), 0);
	CHECK(!irq_set(&c, BOOL | UNMASK, INTX, 0, 1, &yes, 1));
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	puppet_set(&c, PUPPET_INTX_LEVEL, 0);
	CHECK(!irq_set(&c, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	CHECK(!irq_set(&c, BOOL | MASK, INTX, 0, 1, &no, 1));
	CHECK_EQ(puppet_get(&c, PUPPET_INTX_MASKED), 0);
	CHECK(!irq_set(&c, BOOL | MASK, INTX, 0, 1, &yes, 1));
	CHECK_EQ(puppet_get(&c, PUPPET_INTX_MASKED), 1);
}

/* QEMU with KVM does this: the resample fd of an irqfd. */
TEST(intx_unmask_by_eventfd)
{
	int fd, unmask;

	up(NULL);
	fd = new_eventfd();
	unmask = new_eventfd();
	CHECK(!irq_set_eventfds(&c, INTX, 0, 1, &fd));
	CHECK(!irq_set(&c, EVENTFD | UNMASK, INTX, 0, 1, &unmask, 4));
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	for (int i = 0; i < 10; i++) {
		uint64_t one = 1;

		CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
		CHECK_EQ(eventfd_take(fd, 10), 0);
		CHECK_EQ(write(unmask, &one, 8), 8);
	}
}

TEST(msi)
{
	int fds[PUPPET_NR_MSI];

	up(NULL);
	for (int i = 0; i < PUPPET_NR_MSI; i++)
		fds[i] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, MSI, 0, PUPPET_NR_MSI, fds));
	for (int i = 0; i < PUPPET_NR_MSI; i++) {
		fire(MSI, i);
		for (int j = 0; j < PUPPET_NR_MSI; j++)
			CHECK_EQ(eventfd_take(fds[j], i == j ? TEST_SOON_MS : 0), i == j);
	}
	CHECK(!irq_disable(&c, MSI));
	fire(MSI, 0);
	CHECK_EQ(eventfd_take(fds[0], 50), 0);
}

static void all_vectors(const char *max_fds, uint32_t most)
{
	const char *const args[] = { "--max-msg-fds", max_fds, NULL };
	int fds[PUPPET_NR_MSIX];

	up(args);
	for (int i = 0; i < PUPPET_NR_MSIX; i++)
		fds[i] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), PUPPET_NR_MSIX);
	CHECK_EQ(puppet_get(&c, PUPPET_MAX_FDS), most);
	for (int i = 0; i < PUPPET_NR_MSIX; i++) {
		fire(MSIX, i);
		CHECK_EQ(eventfd_take(fds[i], TEST_SOON_MS), 1);
	}
	CHECK(!irq_disable(&c, MSIX));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
}

TEST(msix_64_vectors_in_one_message)
{
	all_vectors("64", 64);
}

TEST(msix_64_vectors_8_at_a_time)
{
	all_vectors("8", 8);
}

TEST(msix_64_vectors_one_at_a_time)
{
	all_vectors("1", 1);
}

TEST(msix_set_some_unset_some)
{
	int fds[PUPPET_NR_MSIX];
	uint32_t set = 0;

	up(NULL);
	for (int i = 0; i < PUPPET_NR_MSIX; i++) {
		fds[i] = i % 3 ? new_eventfd() : -1;
		set += fds[i] >= 0;
	}
	CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), set);
	fire(MSIX, 4);
	CHECK_EQ(eventfd_take(fds[4], TEST_SOON_MS), 1);
	fds[4] = -1;
	CHECK(!irq_set_eventfds(&c, MSIX, 4, 1, &fds[4]));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), set - 1);
	fds[4] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, MSIX, 4, 1, &fds[4]));
	fire(MSIX, 4);
	CHECK_EQ(eventfd_take(fds[4], TEST_SOON_MS), 1);
}

TEST(trigger_by_hand)
{
	uint8_t bools[4] = { 0, 1, 0, 1 };
	int fds[4];

	up(NULL);
	for (int i = 0; i < 4; i++)
		fds[i] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, MSIX, 8, 4, fds));
	CHECK(!irq_set(&c, NONE | TRIGGER, MSIX, 8, 1, NULL, 0));
	CHECK_EQ(eventfd_take(fds[0], TEST_SOON_MS), 1);
	CHECK(!irq_set(&c, BOOL | TRIGGER, MSIX, 8, 4, bools, 4));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(eventfd_take(fds[i], i & 1 ? TEST_SOON_MS : 0), i & 1);
}

TEST(err_and_req)
{
	int fd, req;

	up(NULL);
	fd = new_eventfd();
	req = new_eventfd();
	CHECK(!irq_set_eventfds(&c, ERR, 0, 1, &fd));
	CHECK(!irq_set_eventfds(&c, REQ, 0, 1, &req));
	fire(ERR, 0);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	CHECK(!irq_set(&c, NONE | TRIGGER, REQ, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(req, TEST_SOON_MS), 1);
	fd = -1;
	CHECK(!irq_set_eventfds(&c, REQ, 0, 1, &fd));
	CHECK(!irq_set(&c, NONE | TRIGGER, REQ, 0, 1, NULL, 0));
	CHECK_EQ(eventfd_take(req, 50), 0);
	CHECK_ERRNO(irq_set(&c, NONE | MASK, REQ, 0, 1, NULL, 0), ENOTTY);
}

TEST(kinds_exclude_each_other)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	CHECK(!irq_set_eventfds(&c, INTX, 0, 1, &fd));
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 1, &fd), EINVAL);
	CHECK_ERRNO(irq_set_eventfds(&c, MSI, 0, 1, &fd), EINVAL);
	CHECK(!irq_set_eventfds(&c, REQ, 0, 1, &fd));
	CHECK(!irq_disable(&c, INTX));
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 1, &fd));
	CHECK_ERRNO(irq_disable(&c, INTX), EINVAL);
}

TEST(bad_arguments)
{
	struct vfio_irq_set set = { .argsz = sizeof(set) };
	int32_t fds[4] = { -1, -1, -1, -1 };

	up(NULL);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_SET_IRQS, NULL), EFAULT);
	set.argsz = 8;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_SET_IRQS, &set), EINVAL);
	/* index, start, count */
	CHECK_ERRNO(irq_set(&c, NONE | TRIGGER, 5, 0, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(irq_set(&c, NONE | TRIGGER, UINT32_MAX, 0, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 64, 1, fds), EINVAL);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 62, 4, fds), EINVAL);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 0, fds), EINVAL);
	CHECK_ERRNO(irq_set(&c, EVENTFD | TRIGGER, MSIX, 1, UINT32_MAX, fds, 16), EINVAL);
	CHECK_ERRNO(irq_set(&c, EVENTFD | TRIGGER, MSIX, 0, 64, fds, 16), EINVAL);
	/* flags: two kinds of data, none, two actions, none, unknown ones */
	CHECK_ERRNO(irq_set(&c, EVENTFD | BOOL | TRIGGER, MSIX, 0, 4, fds, 16), EINVAL);
	CHECK_ERRNO(irq_set(&c, TRIGGER, MSIX, 0, 4, fds, 16), EINVAL);
	CHECK_ERRNO(irq_set(&c, EVENTFD | TRIGGER | MASK, MSIX, 0, 4, fds, 16), ENOTTY);
	CHECK_ERRNO(irq_set(&c, EVENTFD, MSIX, 0, 4, fds, 16), ENOTTY);
	CHECK_ERRNO(irq_set(&c, 0x100 | NONE | TRIGGER, MSIX, 0, 4, NULL, 0), EINVAL);
	/* what is not enabled */
	CHECK_ERRNO(irq_set(&c, NONE | TRIGGER, MSIX, 0, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(irq_set(&c, NONE | UNMASK, INTX, 0, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(irq_set(&c, NONE | MASK, MSIX, 0, 1, NULL, 0), ENOTTY);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_SET_IRQS), 0);
}

TEST(bad_descriptors)
{
	int32_t fds[3];
	int pipefd[2];

	up(NULL);
	CHECK(!pipe(pipefd));
	fds[0] = new_eventfd();
	fds[1] = pipefd[0];
	fds[2] = new_eventfd();
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 3, fds), EINVAL);
	fds[1] = 12345;
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 3, fds), EBADF);
	/* All or nothing, and nothing it was. */
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_SET_IRQS), 0);
}

TEST(server_refuses)
{
	int32_t fds[2];

	up(NULL);
	fds[0] = new_eventfd();
	fds[1] = new_eventfd();
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, ENOSPC);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 2, fds), ENOSPC);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 2, fds));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 2);
}

/* An errno that the kernel has a use of its own for, if it is not careful. */
TEST(server_says_again)
{
	int32_t fds[2];

	up(NULL);
	fds[0] = new_eventfd();
	fds[1] = new_eventfd();
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, EAGAIN);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 2, fds), EAGAIN);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 2, fds));
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, EAGAIN);
	CHECK_ERRNO(irq_set(&c, NONE | TRIGGER, MSIX, 0, 1, NULL, 0), EAGAIN);
	fire(MSIX, 1);
	CHECK_EQ(eventfd_take(fds[1], TEST_SOON_MS), 1);
	CHECK_EQ(eventfd_take(fds[0], 0), 0);
}

/* What could not be enabled stands in nothing's way. */
TEST(another_kind_after_a_refusal)
{
	int fd;

	up(NULL);
	fd = new_eventfd();
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, ENOSPC);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 1, &fd), ENOSPC);
	CHECK(!irq_set_eventfds(&c, INTX, 0, 1, &fd));
	puppet_set(&c, PUPPET_INTX_LEVEL, 1);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
}

/* Half of a change refused: none of it stays. */
TEST(server_refuses_the_second_message)
{
	const char *const args[] = { "--max-msg-fds", "1", NULL };
	int32_t fds[3] = { -1, -1, -1 };

	up(args);
	fds[1] = new_eventfd();
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, ENOSPC);
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 3, fds), ENOSPC);
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 0);
}

TEST(change_vectors_while_interrupts_arrive)
{
	int32_t fds[16];
	pid_t pid;

	up(NULL);
	for (int i = 0; i < 16; i++)
		fds[i] = new_eventfd();
	pid = fork();
	if (!pid) {
		for (unsigned int i = 0;; i++)
			fire(MSIX, i % 16);
	}
	for (int i = 0; i < 100; i++) {
		int32_t none = -1;

		CHECK(!irq_set_eventfds(&c, MSIX, 0, 16, fds));
		CHECK(!irq_set_eventfds(&c, MSIX, i % 16, 1, &none));
		if (i % 10 == 9)
			CHECK(!irq_disable(&c, MSIX));
	}
	world_kill(&pid, SIGKILL);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 16, fds));
	for (int i = 0; i < 16; i++) {
		eventfd_take(fds[i], 0);
		fire(MSIX, i);
		CHECK_EQ(eventfd_take(fds[i], TEST_SOON_MS), 1);
	}
}

static long open_files(void)
{
	char buf[64];

	CHECK_EQ(read_file("/proc/sys/fs/file-nr", buf, sizeof(buf)), 0);
	return strtol(buf, NULL, 10);
}

/* Sets, replaces, unsets, disables, and closes with some set. */
static void use_up_eventfds(void)
{
	int fds[PUPPET_NR_MSIX], none = -1;

	consumer_open(&c, &w);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < PUPPET_NR_MSIX; i++)
			fds[i] = new_eventfd();
		CHECK(!irq_set_eventfds(&c, MSIX, 0, PUPPET_NR_MSIX, fds));
		CHECK(!irq_set_eventfds(&c, REQ, 0, 1, fds));
		CHECK(!irq_set_eventfds(&c, MSIX, round, 1, &none));
		if (!round)
			CHECK(!irq_disable(&c, MSIX));
		for (int i = 0; i < PUPPET_NR_MSIX; i++)
			close(fds[i]);
	}
	puppet_fault(&c, VFIO_USER_DEVICE_SET_IRQS, PUPPET_FAULT_ERROR, EIO);
	fds[0] = new_eventfd();
	CHECK_ERRNO(irq_set_eventfds(&c, MSIX, 0, 1, fds), EIO);
	close(fds[0]);
	consumer_close(&c);
}

TEST(no_descriptor_is_leaked)
{
	long before;

	world_up(&w, NULL);
	use_up_eventfds();
	before = open_files();
	for (int i = 0; i < 30; i++)
		use_up_eventfds();
	/* The count is rough: each CPU keeps some of it to itself. */
	CHECK_SOON(open_files() - before < 4L * PUPPET_NR_MSIX);
}
