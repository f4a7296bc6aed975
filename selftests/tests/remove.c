// SPDX-License-Identifier: GPL-2.0
/* Taking things away that are in use. */

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static int module_unload(void)
{
	return (int)syscall(SYS_delete_module, "vfio_user_mdev", 0x800 /* O_NONBLOCK */);
}

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

TEST(mdev_in_use_is_asked_for)
{
	char path[256];
	pid_t pid;
	int req;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	req = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &req));
	pid = world_remove_start(&w);
	CHECK_EQ(eventfd_take(req, TEST_SOON_MS), 1);
	/* Until it is given, it works, and cannot be asked for twice. */
	puppet_check(&c, 0);
	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", w.uuid);
	CHECK(write_file(path, "1") < 0);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	consumer_close(&c);
	world_remove_ends(pid);
	CHECK_EQ(kernel_log_count(w.uuid, "asking the consumer"), 1);
}

/* Nobody has it open, somebody just waits for its server. */
TEST(mdev_that_is_being_opened)
{
	pid_t opener, removal;

	world_mdev(&w);
	world_attr_set(&w, "attach_timeout_ms", "60000");
	opener = fork();
	if (!opener) {
		consumer_prepare(&c, &w);
		_exit(consumer_get_device(&c, &w) == -ENODEV ? 0 : 1);
	}
	test_sleep_ms(500);
	removal = world_remove_start(&w);
	CHECK(waitpid(opener, &(int){ 0 }, 0) == opener);
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
