// SPDX-License-Identifier: GPL-2.0
/* VFIO_USER_VERSION: what the helper takes from a server, and what not. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/dma.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

static struct world w;
static struct consumer c;

static void start(const char *option, const char *value)
{
	const char *const args[] = { option, value, NULL };

	world_mdev(&w);
	world_server(&w, args);
	world_helper(&w, NULL);
}

static void refused(const char *option, const char *value, const char *message)
{
	char reason[128];

	start(option, value);
	CHECK_SOON(file_count(world_helper_log(), message) == 1);
	/* It tries again, and does not say so again. */
	test_sleep_ms(2500);
	CHECK_EQ(file_count(world_helper_log(), message), 1);
	CHECK(world_state_is(&w, "broken"));
	dma_show_text(&w, "reason", reason, sizeof(reason));
	CHECK(strstr(reason, message));
	CHECK_EQ(kernel_log_count(w.uuid, "server refused"), 1);
	CHECK_EQ(kill(w.helper, 0), 0);
}

static void taken(const char *option, const char *value)
{
	start(option, value);
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	puppet_check(&c, 0);
}

TEST(another_major)
{
	refused("--major", "1", "speaks vfio-user 1.1");
}

TEST(a_newer_minor)
{
	refused("--minor", "9", "speaks vfio-user 0.9");
}

TEST(an_older_minor)
{
	taken("--minor", "0");
}

TEST(no_answer)
{
	start("--version-stall", NULL);
	CHECK_SOON(file_count(world_helper_log(), "does not answer VERSION") == 1);
	CHECK_SOON(world_state_is(&w, "broken"));
}

TEST(no_capabilities)
{
	taken("--version-json", "{}");
}

TEST(unknown_capabilities)
{
	taken("--version-json",
	      "{\"x\": [1, {}], \"capabilities\": {\"new\": {\"a\": null}, \"max_msg_fds\": 4}}");
}

TEST(no_json)
{
	refused("--version-json", "{\"capabilities\": ", "JSON");
}

TEST(json_that_is_no_object)
{
	refused("--version-json", "[1]", "VERSION");
}

TEST(capability_of_the_wrong_type)
{
	refused("--version-json", "{\"capabilities\": {\"max_msg_fds\": \"8\"}}",
		"max_msg_fds");
}

TEST(negative_capability)
{
	refused("--version-json",
		"{\"capabilities\": {\"max_data_xfer_size\": -1}}",
		"max_data_xfer_size");
}

TEST(capability_of_zero)
{
	refused("--version-json", "{\"capabilities\": {\"max_msg_fds\": 0}}",
		"max_msg_fds");
}

TEST(transfers_smaller_than_a_register)
{
	refused("--version-json",
		"{\"capabilities\": {\"max_data_xfer_size\": 7}}",
		"max_data_xfer_size");
}

TEST(huge_capabilities)
{
	taken("--version-json",
	      "{\"capabilities\": {\"max_msg_fds\": 1000000, \"max_data_xfer_size\": 99999999999}}");
}

/* Without a word about it, one descriptor in a message is the limit. */
TEST(one_descriptor_by_default)
{
	int fds[8];

	taken("--version-json", "{\"capabilities\": {}}");
	for (int i = 0; i < 8; i++)
		fds[i] = new_eventfd();
	CHECK(!irq_set_eventfds(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, 8, fds));
	CHECK_EQ(puppet_get(&c, PUPPET_NR_VECTORS), 8);
	CHECK_EQ(puppet_get(&c, PUPPET_MAX_FDS), 1);
}
