// SPDX-License-Identifier: GPL-2.0
/* A server that never answers: nothing hangs that cannot be killed. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;

static void must_go(const struct world *world)
{
	char path[256];

	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", world->uuid);
	CHECK_EQ(write_file(path, "1"), 0);
	CHECK(access(path, F_OK));
	CHECK_SOON(live_messages() == 0);
}

static void consumer_killed_in(void (*call)(struct consumer *),
			       enum puppet_fault fault,
			       enum vfio_user_command cmd)
{
	pid_t pid;

	world_up(&w, NULL);
	pid = puppet_fault_in_child(&w, cmd, fault, 0, call);
	CHECK_EQ(WTERMSIG(world_kill(&pid, SIGKILL)), SIGKILL);
	must_go(&w);
}

static void do_read(struct consumer *c)
{
	uint32_t value;

	puppet_read(c, 0, &value);
}

static void do_large_write(struct consumer *c)
{
	static char buf[0x10000];

	pwrite(c->device, buf, sizeof(buf), region_at(1, 0));
}

static void do_reset(struct consumer *c)
{
	ioctl(c->device, VFIO_DEVICE_RESET);
}

static void do_set_irqs(struct consumer *c)
{
	int fd = new_eventfd();

	irq_set_eventfds(c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd);
}

TEST(consumer_killed_in_read)
{
	consumer_killed_in(do_read, PUPPET_FAULT_SILENT, VFIO_USER_REGION_READ);
}

TEST(consumer_killed_in_write)
{
	consumer_killed_in(do_large_write, PUPPET_FAULT_SILENT,
			   VFIO_USER_REGION_WRITE);
}

TEST(consumer_killed_in_reset)
{
	consumer_killed_in(do_reset, PUPPET_FAULT_SILENT,
			   VFIO_USER_DEVICE_RESET);
}

TEST(consumer_killed_in_set_irqs)
{
	consumer_killed_in(do_set_irqs, PUPPET_FAULT_SILENT,
			   VFIO_USER_DEVICE_SET_IRQS);
}

/* The server does not even read: not the request, not what close() sends. */
TEST(consumer_killed_with_a_server_that_stopped)
{
	consumer_killed_in(do_read, PUPPET_FAULT_STOP, VFIO_USER_REGION_READ);
}

/* The process stopped from outside; the request never reached it. */
TEST(consumer_killed_with_a_helper_that_stopped)
{
	struct consumer c;
	int ready[2];
	pid_t pid;
	char go;

	world_up(&w, NULL);
	CHECK(!pipe(ready));
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		kill(w.helper, SIGSTOP);
		CHECK_EQ(write(ready[1], "!", 1), 1);
		do_read(&c);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &go, 1), 1);
	test_sleep_ms(300);
	world_kill(&pid, SIGKILL);
	must_go(&w);
	kill(w.helper, SIGCONT);
	test_sleep_ms(300);
	CHECK_EQ(world_kill(&w.helper, SIGTERM), 0);
}

/* An answer that comes when its consumer is long dead is no offence. */
TEST(late_reply)
{
	struct consumer c;
	pid_t pid;

	world_up(&w, NULL);
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 1000);
		do_read(&c);
		_exit(0);
	}
	test_sleep_ms(600);
	world_kill(&pid, SIGKILL);
	test_sleep_ms(1000);
	CHECK(world_state_is(&w, "attached"));
	consumer_open(&c, &w);
	puppet_check(&c, 0);
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 0);
}

/* The next consumer is not let in before the server has let go of the last. */
TEST(close_unanswered)
{
	struct consumer c;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_DEVICE_RESET, PUPPET_FAULT_SILENT, 0);
	consumer_close(&c);
	world_attr_set(&w, "attach_timeout_ms", "300");
	consumer_prepare(&c, &w);
	CHECK_EQ(consumer_get_device(&c, &w), -ENODEV);
	CHECK_EQ(kernel_log_count(w.uuid, "does not answer"), 1);
}

TEST(timeout_breaks_the_device_once)
{
	struct consumer c;
	uint32_t value;
	long long start;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_STOP, 0);
	world_attr_set(&w, "timeout_ms", "500");
	start = test_now_ms();
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	CHECK(test_now_ms() - start >= 500);
	CHECK(!world_state_is(&w, "attached"));
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	CHECK_EQ(kernel_log_count(w.uuid, "within timeout_ms"), 1);
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 1);
}

TEST(no_timeout_by_default)
{
	struct consumer c;
	uint32_t value;

	world_up(&w, NULL);
	consumer_open(&c, &w);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 8000);
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	CHECK_EQ(value, PUPPET_PATTERN);
}

TEST(stalled_while_attaching_is_no_obstacle_to_removal)
{
	const char *const args[] = { "--stall", "5", NULL };

	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "attaching");
	must_go(&w);
}
