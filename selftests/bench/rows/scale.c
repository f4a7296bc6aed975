// SPDX-License-Identifier: GPL-2.0
/*
 * A read of a trapped BAR with many devices beside it, and by many threads; and
 * what a device costs that nobody uses.
 */
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../paths.h"

/* As many as the module allows, with those that are measured. */
#define MAX_DEVICES	256
#define MAX_THREADS	8
#define IDLE_SECONDS	5
/* So long at most for one number of threads. */
#define THREADS_NS	6000000000ULL

static struct paths paths;
static struct world idle[MAX_DEVICES];
static size_t nr_idle;

static double read_bar(struct arm *arm)
{
	uint64_t start = bench_now();
	uint32_t value = path_read32(arm->opaque, VFIO_PCI_BAR1_REGION_INDEX,
				     0x40);
	uint64_t end = bench_now();

	CHECK_EQ(value, PUPPET_PATTERN ^ 0x40);
	return (double)(end - start);
}

/* in /proc/<pid>/smaps_rollup and /proc/meminfo: bytes. */
static double bytes_in(const char *path, const char *key)
{
	char buf[8192], *p;

	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	p = strstr(buf, key);
	if (!p)
		FAIL("%s: no %s", path, key);
	return (double)strtoull(p + strlen(key), NULL, 10) * 1024;
}

static double helper_memory(void)
{
	char path[64];

	/* Not status, where it is off by up to 64 pages. */
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", paths.helper);
	return bytes_in(path, "\nRss:");
}

/* Where the kernel counts what it takes for itself. */
static const struct part {
	const char *key;
	const char *name;
} parts[] = {
	{ NULL, "objects" },
	{ "\nPercpu:", "percpu" },
	{ "\nKernelStack:", "stacks" },
	{ "\nPageTables:", "page-tables" },
	/* Not in the sum: it has the room for more objects in it. */
	{ "\nSlab:", "slab" },
};

#define NR_PARTS (sizeof(parts) / sizeof(*parts))
#define NR_SUMMED (NR_PARTS - 1)

/*
 * How many pages there are behind the objects depends on what has been in those
 * pages before: by 4 KiB a device, from one run to the next.
 */
static double object_bytes(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	unsigned long active, size;
	double sum = 0;
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %lu %*u %lu", &active, &size) == 2)
			sum += (double)active * (double)size;
	fclose(f);
	CHECK(sum > 0);
	return sum;
}

/*
 * What a CPU has at hand to allocate from counts as allocated: 2 KiB a device,
 * with many caches and few devices.
 */
static void shrink_caches(void)
{
	glob_t caches;

	CHECK(!glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches));
	for (size_t i = 0; i < caches.gl_pathc; i++)
		CHECK_EQ(write_file(caches.gl_pathv[i], "1"), 0);
	globfree(&caches);
}

/* Without what it would give back, some of it only when asked again. */
static void kernel_memory(double *bytes)
{
	sync();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(write_file("/proc/sys/vm/drop_caches", "3"), 0);
		test_sleep_ms(500);
	}
	shrink_caches();
	for (size_t i = 0; i < NR_PARTS; i++)
		bytes[i] = parts[i].key ? bytes_in("/proc/meminfo", parts[i].key) :
					  object_bytes();
}

/* What a process has run so far, in ns. */
static double ran(pid_t pid)
{
	char path[64], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	return strtod(buf, NULL);
}

/* So that the memory of the servers' processes is not taken for the devices'. */
static void serve_idle(void)
{
	const size_t nr = MAX_DEVICES - (paths.nr - 1);
	char uuid[37];

	for (nr_idle = 0; nr_idle < nr; nr_idle++) {
		struct world *w = &idle[nr_idle];

		CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", uuid,
				   sizeof(uuid)), 0);
		memcpy(w->uuid, uuid, sizeof(uuid));
		snprintf(w->socket, sizeof(w->socket), "/run/vfio-user/%s.sock",
			 uuid);
		world_server(w, NULL);
	}
	for (size_t i = 0; i < nr; i++) {
		struct direct direct;

		CHECK_SOON(!access(idle[i].socket, F_OK));
		/* The first client makes them grow once more. */
		direct_open(&direct, idle[i].socket);
		direct_close(&direct);
	}
}

/* One by one: a crowd would make the kernel take on workers for a few minutes. */
static void attach_idle(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		CHECK_EQ(write_file(MDEV_TYPE_DIR "create", idle[i].uuid), 0);
		world_attr_try(&idle[i], "data_path", paths.path[paths.nr - 1].name);
		CHECK_SOON(world_state_is(&idle[i], "attached"));
	}
}

static void remove_idle(void)
{
	for (size_t i = 0; i < nr_idle; i++)
		world_remove(&idle[i]);
}

static void measure(struct arm *arms)
{
	const struct plan plan = {
		.rounds = bench_rounds(60), .block = 100, .warm = 10,
		.seconds = 8,
	};

	bench_measure(arms + 1, paths.nr - 1, &plan);
}

static void prepare(struct arm *arms, const char *name)
{
	for (size_t i = 1; i < paths.nr; i++)
		path_arm(&paths, &paths.path[i], &arms[i], name, read_bar);
}

static void emit(struct arm *arms)
{
	for (size_t i = 1; i < paths.nr; i++)
		samples_emit(&arms[i].samples);
}

static void emit_idle(const char *name, const char *variant, double bytes)
{
	bench_emit(name, paths.path[paths.nr - 1].name, variant, "bytes", false,
		   bytes / (double)nr_idle);
}

static void emit_memory(double helper, const double *kernel)
{
	double now[NR_PARTS], sum = 0;

	kernel_memory(now);
	for (size_t i = 0; i < NR_PARTS; i++) {
		if (i < NR_SUMMED)
			sum += now[i] - kernel[i];
		emit_idle("scale-kernel-memory", parts[i].name,
			  now[i] - kernel[i]);
	}
	emit_idle("scale-kernel-memory", "", sum);
	emit_idle("scale-helper-memory", "", helper_memory() - helper);
}

/*
 * The devices that are measured are one for each path; while one of them is,
 * the others are idle, too.
 */
TEST(devices)
{
	static struct arm alone[MAX_PATHS], few[MAX_PATHS], many[MAX_PATHS];
	double helper, kernel[NR_PARTS], before;

	bench_limit(380);
	paths_up(&paths, &(struct setup){ 0 });
	prepare(alone, "scale-0-idle");
	prepare(few, "scale-15-idle");
	prepare(many, "scale-255-idle");
	serve_idle();
	measure(alone);
	helper = helper_memory();
	kernel_memory(kernel);
	attach_idle(0, 16 - (paths.nr - 1));
	measure(few);
	attach_idle(16 - (paths.nr - 1), nr_idle);
	emit_memory(helper, kernel);
	measure(many);
	before = ran(paths.helper);
	test_sleep_ms(IDLE_SECONDS * 1000);
	bench_emit("scale-idle-cpu", paths.path[paths.nr - 1].name, "", "ns/s",
		   false, (ran(paths.helper) - before) / IDLE_SECONDS);
	remove_idle();
	/* The machine may have become faster or slower meanwhile. */
	measure(alone);
	emit(alone);
	emit(few);
	emit(many);
	for (size_t i = 0; i < nr_idle; i++)
		world_kill(&idle[i].server, SIGTERM);
}

/**
 * struct reader - one of several threads
 * @path: what it reads from
 * @left: how often
 * @samples: what it has measured
 */
struct reader {
	struct path *path;
	unsigned int left;
	struct samples samples;
};

static pthread_barrier_t together;

static void *read_in_thread(void *arg)
{
	struct reader *r = arg;
	struct arm arm = { .opaque = r->path };

	pthread_barrier_wait(&together);
	for (; r->left; r->left--)
		samples_add(&r->samples, read_bar(&arm));
	return NULL;
}

/* Adds to the two what so many threads take for so many reads. */
static void run_threads(struct path *p, unsigned int nr, struct samples *latency,
			struct samples *rate)
{
	const unsigned int reads = 400;
	struct reader readers[MAX_THREADS] = { 0 };
	pthread_t threads[MAX_THREADS];
	uint64_t start;

	CHECK(!pthread_barrier_init(&together, NULL, nr + 1));
	for (unsigned int i = 0; i < nr; i++) {
		readers[i].path = p;
		readers[i].left = reads / nr;
		CHECK(!pthread_create(&threads[i], NULL, read_in_thread,
				      &readers[i]));
	}
	pthread_barrier_wait(&together);
	start = bench_now();
	for (unsigned int i = 0; i < nr; i++)
		CHECK(!pthread_join(threads[i], NULL));
	samples_add(rate, reads * 1e9 / (double)(bench_now() - start));
	for (unsigned int i = 0; i < nr; i++) {
		for (size_t s = 0; s < readers[i].samples.nr; s++)
			samples_add(latency, readers[i].samples.value[s]);
		free(readers[i].samples.value);
	}
}

TEST(threads)
{
	static struct samples latency[MAX_PATHS], rate[MAX_PATHS];

	bench_limit(300);
	paths_up(&paths, &(struct setup){ 0 });
	for (unsigned int nr = 1; nr <= MAX_THREADS; nr *= 2) {
		char name[24], rates[24];
		uint64_t end;

		snprintf(name, sizeof(name), "scale-threads-%u", nr);
		snprintf(rates, sizeof(rates), "scale-rate-%u", nr);
		for (size_t i = 1; i < paths.nr; i++) {
			samples_init(&latency[i], name, paths.path[i].name, "",
				     "ns", false);
			samples_init(&rate[i], rates, paths.path[i].name, "",
				     "reads/s", true);
		}
		end = bench_now() + THREADS_NS;
		for (unsigned int round = 0; round < bench_rounds(20) &&
		     (round < 3 || bench_now() < end); round++)
			for (size_t i = 1; i < paths.nr; i++)
				run_threads(&paths.path[i], nr, &latency[i],
					    &rate[i]);
		for (size_t i = 1; i < paths.nr; i++) {
			samples_emit(&latency[i]);
			samples_emit(&rate[i]);
		}
	}
}
