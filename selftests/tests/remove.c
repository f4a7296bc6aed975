// SPDX-License-Identifier: GPL-2.0
/* Taking things away that are in use. */

#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/cgroup.h"
#include "../lib/dma.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

#define PAGE 4096UL

static struct world w;
static struct consumer c;

TEST(module_with_a_device)
{
	world_mdev(&w);
	CHECK_ERRNO(module_unload(), EAGAIN);
}

TEST(module_with_a_device_in_use)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
	CHECK_ERRNO(module_unload(), EAGAIN);
	puppet_check(&c, 0);
}

/*
 * A thread of the server's is in the module, and has no CPU to leave it, when the
 * attachment ends and its socket is closed, when the mdev goes, and the module.
 */
TEST(module_with_a_server_in_it)
{
	const char *const by_message[] = { "--dma", "message", NULL };
	const size_t size = 64UL << 20;

	/* Where busy processes starve the server, RCU waits for it for ten seconds or more. */
	const int rounds = test_slow() > 1 ? 1 : 5;

	module_need();
	for (int i = 0; i < rounds; i++) {
		world_up(&w, by_message);
		consumer_open(&c, &w);
		dma_map(&c, dma_memory(size), 1UL << 32, size, DMA_READ | DMA_WRITE);
		dma_start(&c, PUPPET_DMA_FILL, 1UL << 32, (uint32_t)size, 1);
		cgroup_starve(w.server);
		test_sleep_ms(150 + 20U * (unsigned int)i);
		consumer_close(&c);
		world_kill(&w.helper, SIGKILL);
		world_remove(&w);
		CHECK_SOON(!module_unload());
		module_load();
		world_kill(&w.server, SIGKILL);
	}
}

/* VFIO frees the container with its last device, unless the observer sees that coming. */
static void needs_delayed_removal(void)
{
	consumer_needs_container("memory that goes with its last device");
	if (!consumer_kernel_has_ftrace())
		test_skip("nothing delays a removal on a kernel without ftrace");
}

/* Returns the removal. */
static pid_t consumer_is_asked(void)
{
	int req = new_eventfd();
	pid_t removal;

	CHECK(!irq_set_eventfds(&c, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &req));
	removal = world_remove_start(&w);
	CHECK_EQ(eventfd_take(req, TEST_SOON_MS), 1);
	return removal;
}

TEST(mdev_in_use_is_asked_for)
{
	char path[256];
	pid_t pid;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	pid = consumer_is_asked();
	/* Until it is given, it works, and cannot be asked for twice. */
	puppet_check(&c, 0);
	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", w.uuid);
	CHECK(write_file(path, "1") < 0);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	consumer_close(&c);
	world_remove_ends(pid);
	CHECK_EQ(kernel_log_count(w.uuid, "asking the consumer"), 1);
}

/* Somebody who waits for a server until he is refused, and does that then. */
static pid_t opener_start(void (*then)(void))
{
	int ready = new_eventfd();
	pid_t pid;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "60000");
	pid = fork();
	if (!pid) {
		consumer_prepare(&c, &w);
		dma_map(&c, dma_memory(PAGE), 1 << 20, PAGE, DMA_READ);
		CHECK(!eventfd_write(ready, 1));
		CHECK_EQ(consumer_get_device(&c, &w), -ENODEV);
		if (then)
			then();
		_exit(0);
	}
	CHECK_EQ(eventfd_take(ready, TEST_SOON_MS), 1);
	return pid;
}

static void opener_ends(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* Nobody has it open, somebody just waits for its server. */
TEST(mdev_that_is_being_opened)
{
	pid_t opener = opener_start(NULL), removal;

	test_sleep_ms(500);
	removal = world_remove_start(&w);
	opener_ends(opener);
	world_remove_ends(removal);
}

TEST(mdev_in_use_by_someone_deaf)
{
	pid_t pid;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	pid = world_remove_start(&w);
	CHECK_SOON(kernel_log_count(w.uuid, "takes no requests") == 1);
	consumer_close(&c);
	world_remove_ends(pid);
}

TEST(mdev_in_use_by_someone_killed)
{
	pid_t consumer, removal;

	world_up(&w, NULL);
	consumer = fork();
	if (!consumer) {
		consumer_open(&c, &w);
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_STOP, 0);
		puppet_read(&c, 0, &(uint32_t){ 0 });
		_exit(0);
	}
	test_sleep_ms(500);
	removal = world_remove_start(&w);
	test_sleep_ms(300);
	world_kill(&consumer, SIGKILL);
	world_remove_ends(removal);
}

/* Nobody opens it any more. */
static bool device_refused(void)
{
	int ret = consumer_get_device(&c, &w);

	if (!ret)
		close(c.device);
	return ret == -ENODEV;
}

/* For a while, all that is mapped and unmapped works. */
static void container_used(void)
{
	unsigned char *p = dma_memory(16 * PAGE);

	for (long long start = test_now_ms(); test_now_ms() < start + 2000;) {
		dma_map(&c, p, 0, 16 * PAGE, DMA_READ | DMA_WRITE);
		dma_unmap(&c, 0, 16 * PAGE);
	}
	CHECK_SOON(device_refused());
}

/*
 * VFIO takes the container away with its last device, even from who is in an
 * ioctl of it. QEMU closes the device first, and unmaps its memory then.
 */
TEST(container_is_left_in_peace)
{
	pid_t removal;

	needs_delayed_removal();
	world_up(&w, NULL);
	consumer_open(&c, &w);
	/* Longer than makes a container one that nobody uses. */
	test_sleep_ms(6000);
	removal = consumer_is_asked();
	close(c.device);
	test_sleep_ms(500);
	container_used();
	CHECK_EQ(waitpid(removal, NULL, WNOHANG), 0);
	CHECK(!ioctl(c.group, VFIO_GROUP_UNSET_CONTAINER));
	world_remove_ends(removal);
}

/* Whoever gives up waiting does not call it off, nor does he hurry it. */
TEST(container_and_a_removal_that_is_killed)
{
	char path[256];
	pid_t removal;

	needs_delayed_removal();
	world_up(&w, NULL);
	consumer_open(&c, &w);
	removal = consumer_is_asked();
	kill(removal, SIGKILL);
	test_sleep_ms(500);
	puppet_check(&c, 0);
	close(c.device);
	container_used();
	CHECK_EQ(waitpid(removal, NULL, WNOHANG), 0);
	consumer_close(&c);
	CHECK_EQ(waitpid(removal, NULL, 0), removal);
	snprintf(path, sizeof(path), MDEV_DIR "%s", w.uuid);
	CHECK(access(path, F_OK) < 0);
}

/* Nobody has to leave a container in which he does nothing. */
TEST(container_that_is_not_left)
{
	pid_t removal;
	int status;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	removal = world_remove_start(&w);
	test_sleep_ms(300);
	close(c.device);
	c.device = -1;
	CHECK_SOON(waitpid(removal, &status, WNOHANG) == removal);
	CHECK_EQ(status, 0);
}

/* The device need not have been open yet: QEMU maps its memory first. */
TEST(container_before_the_device)
{
	pid_t removal;

	needs_delayed_removal();
	world_up(&w, NULL);
	consumer_prepare(&c, &w);
	dma_map(&c, dma_memory(PAGE), 1 << 20, PAGE, DMA_READ);
	removal = world_remove_start(&w);
	container_used();
	CHECK_EQ(waitpid(removal, NULL, WNOHANG), 0);
	consumer_close(&c);
	world_remove_ends(removal);
}

/* An iommufd stays: whoever goes on with it is not waited for, and not hurt. */
TEST(iommufd_that_is_used_on)
{
	pid_t removal;

	consumer_needs_iommufd("memory that stays when its last device goes");
	world_up(&w, NULL);
	consumer_open(&c, &w);
	removal = consumer_is_asked();
	close(c.device);
	world_remove_ends(removal);
	container_used();
}

static void refused_and_goes_on(void)
{
	test_sleep_ms(500);
	container_used();
}

/* Nor will it be, if somebody has been waiting for its server. */
TEST(container_of_an_open_that_is_refused)
{
	pid_t opener, removal;

	if (!consumer_by_cdev())
		needs_delayed_removal();
	opener = opener_start(refused_and_goes_on);
	test_sleep_ms(6000);
	removal = world_remove_start(&w);
	opener_ends(opener);
	world_remove_ends(removal);
}

/* Nothing is taken from whoever has another device in there. */
TEST(container_with_another_device)
{
	unsigned char *p = dma_memory(16 * PAGE);
	struct consumer d;
	struct world other;
	long long start;
	int status = -1;
	pid_t removal;

	world_up(&w, NULL);
	world_mdev(&other);
	world_server(&other, NULL);
	world_wait_state(&other, "attached");
	consumer_open(&c, &w);
	consumer_join(&d, &other, &c);
	close(c.device);
	removal = world_remove_start(&w);
	start = test_now_ms();
	while (!waitpid(removal, &status, WNOHANG)) {
		dma_map(&d, p, 0, 16 * PAGE, DMA_READ | DMA_WRITE);
		dma_unmap(&d, 0, 16 * PAGE);
		CHECK(test_now_ms() < start + TEST_SOON_MS);
	}
	CHECK_EQ(status, 0);
	dma_map(&d, p, 0, 16 * PAGE, DMA_READ | DMA_WRITE);
	puppet_check(&d, 0);
}

TEST(create_and_remove_over_and_over)
{
	struct world first;

	world_mdev(&first);
	world_helper(&first, NULL);
	for (int i = 0; i < 30; i++) {
		world_mdev(&w);
		world_server(&w, NULL);
		if (i % 3)
			world_wait_state(&w, "attached");
		if (i % 3 == 2) {
			consumer_open(&c, &w);
			puppet_check(&c, 0);
			consumer_close(&c);
		}
		world_remove_ends(world_remove_start(&w));
		world_kill(&w.server, SIGKILL);
	}
}
