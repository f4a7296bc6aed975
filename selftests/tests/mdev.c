// SPDX-License-Identifier: GPL-2.0
/* The mdev type, the mdev's attributes, and its coming and going. */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/puppet.h"
#include "../lib/test.h"

static void type_attr(const char *attr, char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MDEV_TYPE_DIR "%s", attr);
	CHECK_EQ(read_file(path, buf, size), 0);
}

static long available(void)
{
	char buf[64];

	type_attr("available_instances", buf, sizeof(buf));
	return strtol(buf, NULL, 10);
}

TEST(type_has_its_attributes)
{
	char buf[256];

	type_attr("device_api", buf, sizeof(buf));
	CHECK(!strcmp(buf, "vfio-pci"));
	type_attr("name", buf, sizeof(buf));
	CHECK(strstr(buf, "vfio-user"));
	type_attr("description", buf, sizeof(buf));
	CHECK(strlen(buf) > 10);
	CHECK_EQ(available(), 256);
}

TEST(create_and_remove)
{
	char path[PATH_MAX];
	struct world w;

	world_mdev(&w);
	CHECK_EQ(available(), 255);
	snprintf(path, sizeof(path), "/dev/vfio-user/%s", w.uuid);
	CHECK(!access(path, R_OK | W_OK));
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create", w.uuid), -EEXIST);
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create", "not-a-uuid"), -EINVAL);
	world_remove(&w);
	CHECK_EQ(available(), 256);
}

TEST(as_many_as_there_may_be)
{
	struct world w;

	for (int i = 0; i < 256; i++)
		world_mdev(&w);
	CHECK_EQ(available(), 0);
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create",
			    "11111111-2222-3333-4444-555555555555"), -EUSERS);
}

TEST(attributes_start_out_right)
{
	char buf[PATH_MAX];
	struct world w;

	world_mdev(&w);
	CHECK(world_state_is(&w, "detached"));
	world_attr_get(&w, "socket", buf, sizeof(buf));
	CHECK(!strcmp(buf, w.socket));
	world_attr_get(&w, "server", buf, sizeof(buf));
	CHECK(!strcmp(buf, ""));
	world_attr_get(&w, "attach_timeout_ms", buf, sizeof(buf));
	CHECK(!strcmp(buf, "5000"));
	world_attr_get(&w, "timeout_ms", buf, sizeof(buf));
	CHECK(!strcmp(buf, "0"));
	world_attr_get(&w, "data_path", buf, sizeof(buf));
	CHECK(!strcmp(buf, world_relayed() ? "relay" : "auto"));
	world_attr_get(&w, "poll_us", buf, sizeof(buf));
	CHECK(!strcmp(buf, "0"));
}

TEST(attributes_refuse_nonsense)
{
	char path[PATH_MAX], longer[200];
	struct world w;

	world_mdev(&w);
	world_attr_path(&w, "socket", path, sizeof(path));
	CHECK_EQ(write_file(path, "relative.sock"), -EINVAL);
	CHECK_EQ(write_file(path, "\n"), -EINVAL);
	CHECK_EQ(write_file(path, "/two\n/lines"), -EINVAL);
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[108] = '\0';
	CHECK_EQ(write_file(path, longer), -ENAMETOOLONG);
	longer[107] = '\0';
	CHECK_EQ(write_file(path, longer), 0);
	world_attr_path(&w, "timeout_ms", path, sizeof(path));
	CHECK_EQ(write_file(path, "soon"), -EINVAL);
	CHECK_EQ(write_file(path, "-1"), -EINVAL);
	CHECK_EQ(write_file(path, "4294967295"), -ERANGE);
	world_attr_path(&w, "attach_timeout_ms", path, sizeof(path));
	CHECK_EQ(write_file(path, "60001"), -ERANGE);
	CHECK_EQ(write_file(path, "60000"), 0);
	world_attr_path(&w, "poll_us", path, sizeof(path));
	CHECK_EQ(write_file(path, "10001"), -ERANGE);
	CHECK_EQ(write_file(path, "10000"), 0);
	world_attr_path(&w, "data_path", path, sizeof(path));
	CHECK_EQ(write_file(path, "none"), -EINVAL);
	world_attr_path(&w, "state", path, sizeof(path));
	CHECK_EQ(write_file(path, "attached"), -EINVAL);
}

TEST(server_names_the_peer)
{
	char buf[64], want[64];
	struct world w;

	world_up(&w, NULL);
	world_attr_get(&w, "server", buf, sizeof(buf));
	snprintf(want, sizeof(want), "%d 0 0", w.server);
	CHECK(!strcmp(buf, want));
}

TEST(socket_can_be_changed)
{
	const char *const elsewhere = "/run/vfio-user/elsewhere.sock";
	char path[PATH_MAX];
	struct consumer c;
	struct world w;

	world_up(&w, NULL);
	world_kill(&w.server, SIGTERM);
	world_wait_state(&w, "detached");
	snprintf(w.socket, sizeof(w.socket), "%s", elsewhere);
	world_server(&w, NULL);
	world_attr_set(&w, "socket", elsewhere);
	world_wait_state(&w, "attached");

	/* But not while somebody relies on the device behind it. */
	consumer_open(&c, &w);
	world_attr_path(&w, "socket", path, sizeof(path));
	CHECK_EQ(write_file(path, "/run/another.sock"), -EBUSY);
	CHECK_EQ(write_file(path, elsewhere), 0);
	CHECK(world_state_is(&w, "attached"));
}

TEST(one_helper_serves_many)
{
	enum { MANY = 8 };
	struct world w[MANY];
	struct consumer c;

	world_helper(&w[0], NULL);
	for (int i = 0; i < MANY; i++) {
		world_mdev(&w[i]);
		world_server(&w[i], NULL);
	}
	for (int i = 0; i < MANY; i++)
		world_wait_state(&w[i], "attached");
	for (int i = 0; i < MANY; i++) {
		consumer_open(&c, &w[i]);
		puppet_check(&c, 4U * i);
		consumer_close(&c);
	}
}
