// SPDX-License-Identifier: GPL-2.0
/*
 * Servers that break the protocol: one clear message, an error for the
 * consumer, and a device that works again once the server has thought better
 * of it.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static void up(const char *const *args)
{
	world_up(&w, args);
	consumer_open(&c, &w);
}

/* The fault ends the attachment; @message is what the kernel's log says. */
static void breaks(enum puppet_fault fault, uint32_t arg, const char *message)
{
	uint32_t value;

	up(NULL);
	puppet_check(&c, 4);
	puppet_fault(&c, VFIO_USER_REGION_READ, fault, arg);
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	if (message)
		CHECK_SOON(kernel_log_count(w.uuid, message) == 1);
	world_wait_state(&w, "attached");
	puppet_check(&c, 8);
	/* Nothing was said twice. */
	if (message)
		CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 1);
}

/* The fault strikes while nobody waits any more, or beside the point. */
static void breaks_later(enum puppet_fault fault, const char *message)
{
	uint32_t value;

	up(NULL);
	puppet_fault(&c, VFIO_USER_REGION_READ, fault, 0);
	puppet_read(&c, 0, &value);
	CHECK_SOON(kernel_log_count(w.uuid, message) == 1);
	world_wait_state(&w, "attached");
	puppet_check(&c, 8);
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 1);
}

TEST(short_reply)
{
	breaks(PUPPET_FAULT_SHORT_REPLY, 0, "too short");
}

TEST(reply_without_payload)
{
	breaks(PUPPET_FAULT_SHORT_REPLY, 20, "too short");
}

TEST(long_reply)
{
	breaks(PUPPET_FAULT_LONG_REPLY, 0, "too long");
}

TEST(wrong_id)
{
	breaks(PUPPET_FAULT_WRONG_ID, 0, "reply to no request");
}

TEST(wrong_command)
{
	breaks(PUPPET_FAULT_WRONG_CMD, 0, "another command");
}

TEST(wrong_region)
{
	breaks(PUPPET_FAULT_WRONG_REGION, 0, "does not match");
}

TEST(wrong_count)
{
	breaks(PUPPET_FAULT_WRONG_COUNT, 0, "too short");
}

TEST(bad_type)
{
	breaks(PUPPET_FAULT_BAD_TYPE, 0, "unknown type");
}

TEST(unknown_command)
{
	breaks(PUPPET_FAULT_UNKNOWN_COMMAND, 0, "command that servers do not send");
}

TEST(descriptor_nobody_asked_for)
{
	breaks(PUPPET_FAULT_EXTRA_FD, 0, "nobody asked for");
}

TEST(reply_twice)
{
	breaks_later(PUPPET_FAULT_TWICE, "reply to no request");
}

TEST(unsolicited_reply)
{
	breaks_later(PUPPET_FAULT_UNSOLICITED, "reply to no request");
}

/* What is no message at all is seen by the one who has to frame it. */
static void breaks_framing(enum puppet_fault fault)
{
	uint32_t value;

	up(NULL);
	puppet_fault(&c, VFIO_USER_REGION_READ, fault, 0);
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	if (world_relayed())
		CHECK_EQ(file_count(world_helper_log(), "bytes long"), 1);
	else
		CHECK_SOON(kernel_log_count(w.uuid, "bytes long") == 1);
	world_wait_state(&w, "attached");
	puppet_check(&c, 8);
}

TEST(huge_size)
{
	breaks_framing(PUPPET_FAULT_HUGE);
}

TEST(tiny_size)
{
	breaks_framing(PUPPET_FAULT_TINY);
}

TEST(garbage)
{
	for (int i = 0; i < 4; i++) {
		uint32_t value;

		if (!i)
			up(NULL);
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_GARBAGE, i);
		CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
		world_wait_state(&w, "attached");
		puppet_check(&c, 8);
	}
}

TEST(hangup)
{
	breaks(PUPPET_FAULT_HANGUP, 0, NULL);
}

TEST(errors_reach_the_consumer)
{
	static const int errors[] = { EPERM, ENOENT, EIO, EINVAL, ENOSPC,
				      EOPNOTSUPP, EHWPOISON };
	uint32_t value;

	up(NULL);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR,
			     (uint32_t)errors[i]);
		CHECK_EQ(puppet_read(&c, 0, &value), -errors[i]);
		puppet_check(&c, 4);
	}
	CHECK(world_state_is(&w, "attached"));
	CHECK_EQ(kernel_log_count(w.uuid, "detached"), 0);
}

TEST(errors_that_are_none)
{
	/* None named; the kernel's own, which would restart system calls; huge */
	static const uint32_t errors[] = { 0, 512, 516, 4096, 0xffffffff };
	uint32_t value;

	up(NULL);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR,
			     errors[i]);
		CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
		puppet_check(&c, 4);
	}
}

TEST(error_halfway_through_a_large_read)
{
	const char *const args[] = { "--max-data-xfer-size", "4096", NULL };
	unsigned char buf[16384];

	up(args);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR, ENXIO);
	CHECK_ERRNO(pread(c.device, buf, sizeof(buf), region_at(1, 0)), ENXIO);
	CHECK_EQ(pread(c.device, buf, sizeof(buf), region_at(1, 0)), 16384);
}

/* What comes after them has to wait, and is not forgotten. */
TEST(dma_that_wants_no_reply)
{
	up(NULL);
	for (uint32_t i = 0; i < 5; i++) {
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_FLOOD, 1U << 20);
		puppet_check(&c, 4 * i);
	}
	CHECK(world_state_is(&w, "attached"));
}

TEST(dma_that_was_never_mapped)
{
	uint32_t value;

	up(NULL);
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DMA_READ, 0x1000);
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	CHECK_EQ(puppet_get(&c, PUPPET_DMA_RESULT), EFAULT);
}

/* In every command that a consumer can cause, and in those of attaching. */
static void in_command(enum vfio_user_command cmd, enum puppet_fault fault)
{
	up(NULL);
	puppet_fault(&c, cmd, fault, 0);
	world_cut(&w);
	world_wait_state(&w, "detached");
	world_helper(&w, NULL);
	/* Struck once, cured the next time. */
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
	CHECK_EQ(kernel_log_count(w.uuid, "detached:"), 1);
}

TEST(short_device_info)
{
	in_command(VFIO_USER_DEVICE_GET_INFO, PUPPET_FAULT_SHORT_REPLY);
}

TEST(refused_device_info)
{
	in_command(VFIO_USER_DEVICE_GET_INFO, PUPPET_FAULT_ERROR);
}

TEST(short_region_info)
{
	in_command(VFIO_USER_DEVICE_GET_REGION_INFO, PUPPET_FAULT_SHORT_REPLY);
}

TEST(refused_region_info)
{
	in_command(VFIO_USER_DEVICE_GET_REGION_INFO, PUPPET_FAULT_ERROR);
}

TEST(short_irq_info)
{
	in_command(VFIO_USER_DEVICE_GET_IRQ_INFO, PUPPET_FAULT_SHORT_REPLY);
}

TEST(irq_info_under_another_id)
{
	in_command(VFIO_USER_DEVICE_GET_IRQ_INFO, PUPPET_FAULT_WRONG_ID);
}

/* Between the description of the device and the announcement of memory. */
TEST(server_exits_while_it_is_asked)
{
	up(NULL);
	puppet_fault(&c, VFIO_USER_DEVICE_GET_IRQ_INFO, PUPPET_FAULT_EXIT, 0);
	consumer_close(&c);
	world_cut(&w);
	world_wait_state(&w, "detached");
	world_helper(&w, NULL);
	CHECK_SOON(waitpid(w.server, NULL, WNOHANG) == w.server);
	w.server = 0;
	world_wait_state(&w, "detached");
	/* The end of the case finds the module in use if anything is left. */
}

static void never_attaches(const char *const *args, const char *message)
{
	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "broken");
	CHECK_SOON(kernel_log_count(w.uuid, message) == 1);
}

TEST(no_pci_device)
{
	const char *const args[] = { "--no-pci", NULL };

	never_attaches(args, "not a PCI device");
}

TEST(too_many_regions)
{
	const char *const args[] = { "--num-regions", "1000", NULL };

	never_attaches(args, "number of regions");
}

TEST(too_few_regions)
{
	const char *const args[] = { "--num-regions", "3", NULL };

	never_attaches(args, "number of regions");
}

TEST(too_many_irq_indexes)
{
	const char *const args[] = { "--num-irqs", "1000", NULL };

	never_attaches(args, "number of IRQ indexes");
}
