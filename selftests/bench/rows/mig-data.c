// SPDX-License-Identifier: GPL-2.0
/*
 * A device's state, out of a server and into one, in messages of the largest size.
 * clocks: wall icount
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../paths.h"

/* What fits into a message of the largest size, and so many of them. */
#define CHUNK	(1048576U - (uint32_t)sizeof(struct vfio_user_mig_data))
#define CHUNKS	16U
#define BALLAST	"17825792"

struct feature {
	struct vfio_device_feature head;
	struct vfio_user_mig_device_state mig;
};

static struct paths paths;
static uint8_t *buf;

/* Returns the data file, if there is one. */
static int go(struct path *p, uint32_t state)
{
	struct feature f = {
		.head.argsz = sizeof(f),
		.head.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		.mig = { .device_state = state, .data_fd = -1 },
	}, reply;

	if (p->is_direct)
		direct_command(&p->direct, VFIO_USER_DEVICE_FEATURE, &f, sizeof(f), -1,
			       &reply, sizeof(reply), NULL);
	else
		CHECK(!ioctl(p->consumer.device, VFIO_DEVICE_FEATURE, &f));
	return f.mig.data_fd;
}

static void reset(struct path *p)
{
	if (p->is_direct)
		direct_command(&p->direct, VFIO_USER_DEVICE_RESET, NULL, 0, -1, NULL, 0, NULL);
	else
		CHECK(!ioctl(p->consumer.device, VFIO_DEVICE_RESET));
}

static void read_chunk(struct path *p, int fd)
{
	struct vfio_user_mig_data ask = { .argsz = 1048576, .size = CHUNK };

	if (p->is_direct)
		direct_command(&p->direct, VFIO_USER_MIG_DATA_READ, &ask, sizeof(ask), -1,
			       buf, sizeof(ask) + CHUNK, NULL);
	else
		CHECK_EQ(read(fd, buf, CHUNK), CHUNK);
}

static void write_chunk(struct path *p, int fd)
{
	if (p->is_direct) {
		*(struct vfio_user_mig_data *)(void *)buf =
			(struct vfio_user_mig_data){ .argsz = 1048576, .size = CHUNK };
		direct_command(&p->direct, VFIO_USER_MIG_DATA_WRITE, buf, 1048576, -1,
			       NULL, 0, NULL);
	} else {
		CHECK_EQ(write(fd, buf, CHUNK), CHUNK);
	}
}

/* MiB/s */
static double transfer(struct arm *arm, uint32_t state,
		       void (*chunk)(struct path *p, int fd))
{
	struct path *p = arm->opaque;
	int fd = go(p, state);
	uint64_t start = bench_now(), end;

	for (unsigned int i = 0; i < CHUNKS; i++)
		chunk(p, fd);
	end = bench_now();
	if (fd >= 0)
		close(fd);
	reset(p);
	return (double)CHUNK * CHUNKS / 1048576 * 1e9 / (double)(end - start);
}

static double save(struct arm *arm)
{
	return transfer(arm, VFIO_USER_STATE_STOP_COPY, read_chunk);
}

static double load(struct arm *arm)
{
	return transfer(arm, VFIO_USER_STATE_RESUMING, write_chunk);
}

static void measure(const char *variant, double (*run)(struct arm *))
{
	const struct plan plan = {
		.rounds = bench_rounds(10), .block = 1, .warm = 0, .seconds = 20,
	};
	struct arm arms[MAX_PATHS];

	for (size_t i = 0; i < paths.nr; i++) {
		path_arm(&paths, &paths.path[i], &arms[i], "mig-data", run);
		memset(arms[i].pids, 0, sizeof(arms[i].pids));
		arms[i].samples.variant = variant;
		arms[i].samples.unit = "MiB/s";
		arms[i].samples.higher = true;
	}
	bench_compare(arms, paths.nr, &plan);
}

TEST(mig_data)
{
	static const char *const args[] = { "--migrate", "1", "--ballast", BALLAST, NULL };

	bench_limit(300);
	buf = calloc(1, 1048576);
	CHECK(buf);
	paths_up(&paths, &(struct setup){ .args = args });
	measure("save", save);
	measure("load", load);
}
