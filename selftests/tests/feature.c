// SPDX-License-Identifier: GPL-2.0
/* VFIO_DEVICE_FEATURE reaches the server, if that knows it. */

#include <signal.h>
#include <sys/ioctl.h>

#include "../lib/dma.h"
#include "../lib/puppet.h"

static struct world w;
static struct consumer c;

struct feature {
	struct vfio_device_feature head;
	unsigned char data[PUPPET_FEATURE_SIZE];
};

static int feature(struct feature *f, uint32_t flags, size_t size)
{
	f->head.argsz = (uint32_t)(sizeof(f->head) + size);
	f->head.flags = flags;
	return ioctl(c.device, VFIO_DEVICE_FEATURE, f);
}

static void up(void)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
}

TEST(set_and_get)
{
	struct feature in = { .data = "what is set can be got" }, out = { 0 };

	up();
	CHECK(!feature(&in, VFIO_DEVICE_FEATURE_SET | PUPPET_FEATURE,
		       sizeof(in.data)));
	CHECK(!feature(&out, VFIO_DEVICE_FEATURE_GET | PUPPET_FEATURE,
		       sizeof(out.data)));
	CHECK(!memcmp(in.data, out.data, sizeof(in.data)));
}

TEST(probe)
{
	struct feature f = { 0 };

	up();
	CHECK(!feature(&f, VFIO_DEVICE_FEATURE_PROBE | PUPPET_FEATURE, 0));
	CHECK(!feature(&f, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
		       VFIO_DEVICE_FEATURE_SET | PUPPET_FEATURE, 0));
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_PROBE | 0x7f01, 0), ENOTTY);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_GET | 0x7f01,
			    sizeof(f.data)), ENOTTY);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_GET | PUPPET_FEATURE_INVALID,
			    sizeof(f.data)), ENOTTY);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_SET | PUPPET_FEATURE_INVALID,
			    sizeof(f.data)), ENOTTY);
}

TEST(what_the_server_says_against_it)
{
	struct feature f = { 0 };

	up();
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_GET | PUPPET_FEATURE, 8),
		    EINVAL);
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_ERROR, EBUSY);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_SET | PUPPET_FEATURE,
			    sizeof(f.data)), EBUSY);
	/* More than any feature has. */
	f.head.argsz = 1 << 20;
	f.head.flags = VFIO_DEVICE_FEATURE_GET | PUPPET_FEATURE;
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_FEATURE, &f), E2BIG);
	CHECK_ERRNO(ioctl(c.device, VFIO_DEVICE_FEATURE, test_bad_address()),
		    EFAULT);
}

/* A reply that is shorter than its head, or longer than was asked for. */
TEST(wrong_replies)
{
	struct feature f = { 0 };

	up();
	puppet_fault(&c, VFIO_USER_DEVICE_FEATURE, PUPPET_FAULT_LONG_REPLY, 0);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_GET | PUPPET_FEATURE,
			    sizeof(f.data)), EIO);
	world_wait_state(&w, "attached");
	puppet_check(&c, 0);
}

/*
 * A server that refuses the command, and takes its payload for the next message: a
 * consumer that only asks costs it one attachment, and then no more.
 */
TEST(sloppy_server)
{
	const char *const args[] = { "--sloppy", "16", NULL };
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE | PUPPET_FEATURE;
	struct feature f = { 0 };
	char text[64];

	world_up(&w, args);
	consumer_open(&c, &w);
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(feature(&f, probe, 0), ENOTTY);
		world_wait_state(&w, "attached");
		puppet_check(&c, 0);
	}
	CHECK_EQ(dma_show(&w, "attaches"), 2);
	CHECK_EQ(kernel_log_count(w.uuid, "device_feature not sent"), 1);
	world_attr_get(&w, "optional_commands", text, sizeof(text));
	CHECK(!strcmp(text, "get_region_io_fds"));

	world_attr_set(&w, "optional_commands", "device_feature get_region_io_fds");
	CHECK_ERRNO(feature(&f, probe, 0), ENOTTY);
	world_wait_state(&w, "attached");
	CHECK_EQ(dma_show(&w, "attaches"), 3);
}

/* A refusal costs nothing; nor does what the operator has switched off. */
/* Without a server nothing is sent, so nothing can have broken a connection. */
TEST(without_server)
{
	struct feature f = { 0 };
	char text[64];

	up();
	for (int i = 0; i < 16; i++)
		puppet_check(&c, 0);
	world_kill(&w.server, SIGKILL);
	CHECK_SOON(!world_state_is(&w, "attached"));
	for (int i = 0; i < 16; i++)
		CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_PROBE | 0x7f01, 0), EIO);
	world_attr_get(&w, "optional_commands", text, sizeof(text));
	CHECK(!strcmp(text, "device_feature get_region_io_fds"));
}

TEST(switched_off)
{
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE | PUPPET_FEATURE;
	struct feature f = { 0 };
	char path[128];

	up();
	world_attr_path(&w, "optional_commands", path, sizeof(path));
	CHECK_EQ(write_file(path, "device_future"), -EINVAL);
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_PROBE | 0x7f01, 0), ENOTTY);
	CHECK(!feature(&f, probe, 0));
	world_attr_set(&w, "optional_commands", "\n");
	CHECK_ERRNO(feature(&f, probe, 0), ENOTTY);
	world_attr_set(&w, "optional_commands", "device_feature");
	CHECK(!feature(&f, probe, 0));
	CHECK_EQ(dma_show(&w, "attaches"), 1);
}

/* That is the core's, as long as the server has no migration; for DMA_LOGGING see dirty.c. */
TEST(migration)
{
	struct feature f = { 0 };

	up();
	CHECK_ERRNO(feature(&f, VFIO_DEVICE_FEATURE_GET |
			    VFIO_DEVICE_FEATURE_MIGRATION, 8), ENOTTY);
}
