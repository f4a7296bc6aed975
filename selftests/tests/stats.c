// SPDX-License-Identifier: GPL-2.0
/* Figures for operators: vfio-user-mdevctl stats, and the tracepoints. */

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/ctl.h"
#include "../lib/puppet.h"
#include "../lib/test.h"

#define WATCH_LOG	"/run/vum-test-watch.log"
#define TRACING		"/sys/kernel/tracing/"
#define NOBODY		"11111111-2222-3333-4444-555555555555"

static struct world w;
static struct consumer c;

static void up(void)
{
	world_up(&w, NULL);
	consumer_open(&c, &w);
}

static struct json_object *stats(void)
{
	return ctl_run_json("stats --json %s", w.uuid);
}

/* Replies to a command: their histogram, NULL if there has been none. */
static struct json_object *latency(struct json_object *figures, const char *cmd)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(json_get(figures, "latency"), cmd, &value);
	return value;
}

static long replies(struct json_object *figures, const char *cmd)
{
	struct json_object *histogram = latency(figures, cmd);

	return histogram ? json_get_number(histogram, "count") : 0;
}

/* What has become more from one to the other. */
static long more(struct json_object *from, struct json_object *to,
		 const char *cmd)
{
	return replies(to, cmd) - replies(from, cmd);
}

static long number_more(struct json_object *from, struct json_object *to,
			const char *key)
{
	return json_get_number(to, key) - json_get_number(from, key);
}

static void read_bar1(int n)
{
	for (int i = 0; i < n; i++)
		puppet_check(&c, 4 * (uint32_t)i);
}

static void write_bar0(int n)
{
	for (int i = 0; i < n; i++)
		region_write32(&c, VFIO_PCI_BAR0_REGION_INDEX, 0, 1);
}

/* Each access is one message, each message is counted once. */
TEST(what_a_consumer_does)
{
	struct json_object *before, *after;
	uint32_t value;

	up();
	world_attr_set(&w, "posted_writes", "0");
	before = stats();
	read_bar1(100);
	write_bar0(50);
	after = stats();
	CHECK_EQ(more(before, after, "REGION_READ"), 100);
	CHECK_EQ(more(before, after, "REGION_WRITE"), 50);
	CHECK_EQ(number_more(before, after, "requests"), 150);
	CHECK_EQ(number_more(before, after, "errors"), 0);

	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_ERROR, ENXIO);
	before = stats();
	CHECK_EQ(puppet_read(&c, 0, &value), -ENXIO);
	after = stats();
	CHECK_EQ(number_more(before, after, "errors"), 1);
	/* That, too, is a reply. */
	CHECK_EQ(more(before, after, "REGION_READ"), 1);
}

/* There is no reply to a posted write, and so no time that it took. */
TEST(posted_writes)
{
	struct json_object *before, *after;

	up();
	before = stats();
	write_bar0(10);
	after = stats();
	CHECK_EQ(number_more(before, after, "requests"), 10);
	CHECK_EQ(more(before, after, "REGION_WRITE"), 0);
}

/* What was asked of a server when it was attached; the first has had no consumer. */
TEST(attaching)
{
	struct json_object *figures;

	world_up(&w, NULL);
	figures = stats();
	CHECK_EQ(json_get_number(figures, "attaches"), 1);
	CHECK_EQ(replies(figures, "DEVICE_GET_INFO"), 0);
	consumer_open(&c, &w);
	consumer_close(&c);
	CHECK_SOON(replies(stats(), "DEVICE_RESET") == 2);
	world_kill(&w.server, SIGKILL);
	world_wait_state(&w, "detached");
	world_server(&w, NULL);
	world_wait_state(&w, "attached");
	figures = stats();
	CHECK_EQ(json_get_number(figures, "attaches"), 2);
	CHECK_EQ(replies(figures, "DEVICE_GET_INFO"), 1);
	CHECK_EQ(replies(figures, "DEVICE_GET_REGION_INFO"), 9);
	CHECK_EQ(replies(figures, "DEVICE_GET_IRQ_INFO"), 5);
	/* Those of opening and closing: none of attaching. */
	CHECK_EQ(replies(figures, "DEVICE_RESET"), 2);
}

/* A server need not have all that VFIO has a number for. */
TEST(attaching_a_small_device)
{
	const char *const args[] = { "--num-regions", "8", "--num-irqs", "1", NULL };
	struct json_object *figures;

	world_up(&w, args);
	consumer_open(&c, &w);
	consumer_close(&c);
	world_attr_set(&w, "state", "detached");
	world_wait_state(&w, "attached");
	figures = stats();
	CHECK_EQ(replies(figures, "DEVICE_GET_REGION_INFO"), 8);
	CHECK_EQ(replies(figures, "DEVICE_GET_IRQ_INFO"), 1);
	CHECK_EQ(json_get_number(figures, "errors"), 0);
}

/* How many replies took some time in between? Buckets are powers of two. */
static long replies_within(struct json_object *histogram, long long from_ns,
			   long long to_ns)
{
	struct json_object *buckets = json_get(histogram, "buckets");
	long long least = 0, below = 512;
	long count = 0;

	for (size_t i = 0; i < json_object_array_length(buckets); i++) {
		struct json_object *b = json_object_array_get_idx(buckets, i);

		if (i + 1 == json_object_array_length(buckets))
			CHECK(!json_get(b, "below_ns"));
		else
			CHECK_EQ(json_get_number(b, "below_ns"), below);
		if (below > from_ns && least <= to_ns)
			count += json_get_number(b, "count");
		least = below;
		below *= 2;
	}
	return count;
}

static void delayed_read(unsigned int ms)
{
	struct json_object *before, *after;
	long long start, least = ms * 1000000LL, most;
	uint32_t value;

	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, ms);
	before = latency(stats(), "REGION_READ");
	start = test_now_ms();
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	most = (test_now_ms() - start + 1) * 1000000;
	after = latency(stats(), "REGION_READ");
	test_say("the consumer waited for less than %lld ms", most / 1000000);
	CHECK_EQ(replies_within(after, least, most) -
		 replies_within(before, least, most), 1);
	CHECK_EQ(json_get_number(after, "count") -
		 json_get_number(before, "count"), 1);
}

/*
 * What the consumer sees is the bound on the other side, since the machine may
 * be slow: 500 ms and a few are less than 2^29 ns, 100 more are not. 300 ms have
 * a bucket that even slow machines do not miss.
 */
TEST(delay_is_in_its_bucket)
{
	up();
	delayed_read(300);
	delayed_read(500);
}

/* Past the last bound, which is 2^31 ns. */
TEST(delay_beyond_all_buckets)
{
	struct json_object *buckets;
	uint32_t value;

	up();
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 2300);
	CHECK_EQ(puppet_read(&c, 0, &value), 4);
	buckets = json_get(latency(stats(), "REGION_READ"), "buckets");
	CHECK(json_get_number(json_object_array_get_idx(buckets, 23), "count") >= 1);
	CHECK_EQ(ctl_run("stats %s", w.uuid), 0);
	if (!strstr(ctl_out, ">= 2.14 s"))
		FAIL("%s", ctl_out);
}

/* Of a line of the table for people: command, replies, p50, p99, max. */
static void check_row(const char *cmd, long count)
{
	static const char spaces[] = "        ";
	const char *p = ctl_out;
	char name[64];

	snprintf(name, sizeof(name), "\n%s%s", cmd, spaces);
	p = strstr(p, name);
	if (!p || strtol(p + strlen(name), NULL, 10) != count)
		FAIL("no row %s of %ld in: %s", cmd, count, ctl_out);
}

TEST(for_people)
{
	const char *histogram;
	long count = 200;
	long long start;
	uint32_t value;

	up();
	read_bar1(200);
	/* Until one has not taken longer than its delay. */
	do {
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_DELAY, 300);
		start = test_now_ms();
		CHECK_EQ(puppet_read(&c, 0, &value), 4);
		/* That, and the one that sees to it that the fault is set. */
		count += 2;
	} while (test_now_ms() - start > 500);
	CHECK_EQ(ctl_run("stats %s", w.uuid), 0);
	CHECK(strstr(ctl_out, w.uuid));
	check_row("REGION_READ", count);
	/* The bound above 300 ms is the most of all; then the busiest. */
	histogram = strstr(ctl_out, "\n\nREGION_READ\n");
	CHECK(histogram);
	CHECK(strstr(histogram, "< 537 ms  #  "));
	CHECK(strstr(histogram, "  ########################################  "));
	CHECK_EQ(ctl_run("stats"), 0);
	CHECK(strstr(ctl_out, w.uuid));
}

/* More than a message holds, of which one has all that there is. */
TEST(all_of_them)
{
	struct json_object *json;
	struct world other;
	long requests = 0;

	CHECK_EQ(json_object_array_length(ctl_run_json("stats --json")), 0);
	world_up(&w, NULL);
	for (int i = 0; i < 150; i++)
		world_mdev(&other);
	json = ctl_run_json("stats --json");
	CHECK_EQ(json_object_array_length(json), 151);
	for (size_t i = 0; i < 151; i++) {
		struct json_object *one = json_object_array_get_idx(json, i);

		if (!strcmp(json_get_text(one, "uuid"), w.uuid))
			requests = json_get_number(one, "requests");
		else
			CHECK_EQ(json_get_number(one, "requests"), 0);
	}
	CHECK(requests > 10);
}

TEST(what_is_not_there)
{
	CHECK_EQ(ctl_run("stats " NOBODY), 1);
	CHECK(strstr(ctl_out, NOBODY ": there is no such mdev"));
	CHECK_EQ(ctl_run("stats --watch " NOBODY), 1);
	CHECK(strstr(ctl_out, NOBODY ": there is no such mdev"));
}

TEST(usage)
{
	CHECK_EQ(ctl_run("stats a b"), 2);
	CHECK_EQ(ctl_run("stats --watch=0"), 2);
	CHECK_EQ(ctl_run("stats --watch=nan"), 2);
	CHECK_EQ(ctl_run("stats --watch=1s"), 2);
	CHECK_EQ(ctl_run("stats --watch=100000"), 2);
	CHECK_EQ(ctl_run("list --watch"), 2);
	CHECK(strstr(ctl_out, "list takes no --watch"));
}

static pid_t watch(const char *how, const char *json)
{
	const char *const args[] = { "stats", how, w.uuid, json, NULL };

	unlink(WATCH_LOG);
	return world_spawn(WATCH_LOG, "vfio-user-mdevctl", args);
}

/* Adds up what the lines say is new; each is an object of its own. */
static void sum_lines(long *reads, long *requests)
{
	char line[1 << 16];
	FILE *f = fopen(WATCH_LOG, "r");

	CHECK(f);
	*reads = 0;
	*requests = 0;
	while (fgets(line, sizeof(line), f)) {
		struct json_object *json = json_tokener_parse(line);

		if (!json)
			FAIL("no JSON: %s", line);
		CHECK(!strcmp(json_get_text(json, "uuid"), w.uuid));
		CHECK(json_object_get_double(json_get(json, "seconds")) > 0);
		*reads += replies(json, "REGION_READ");
		*requests += json_get_number(json, "requests");
	}
	fclose(f);
}

/* A line says what is new since the one before, and nothing is said twice. */
TEST(watched_by_programs)
{
	unsigned int lines;
	long reads, requests;
	pid_t pid;

	up();
	pid = watch("--watch=0.2", "--json");
	CHECK_SOON(file_count(WATCH_LOG, w.uuid) >= 1);
	read_bar1(100);
	CHECK_SOON(file_count(WATCH_LOG, "REGION_READ") >= 1);
	read_bar1(23);
	/* The second from here on is of a time when all had been read. */
	lines = file_count(WATCH_LOG, w.uuid);
	CHECK_SOON(file_count(WATCH_LOG, w.uuid) >= lines + 2);
	CHECK_EQ(world_kill(&pid, SIGINT), 0);
	sum_lines(&reads, &requests);
	CHECK_EQ(reads, 123);
	CHECK_EQ(requests, 123);
}

TEST(watched_by_people)
{
	pid_t pid;

	up();
	pid = watch("--watch", NULL);
	CHECK_SOON(file_count(WATCH_LOG, "REQUESTS/S") == 1);
	read_bar1(100);
	CHECK_SOON(file_count(WATCH_LOG, " REGION_READ ") >= 1);
	/* And one of nothing. */
	CHECK_SOON(file_count(WATCH_LOG, "  -") >= 2);
	CHECK_EQ(world_kill(&pid, SIGINT), 0);
	CHECK_EQ(file_count(WATCH_LOG, "REQUESTS/S"), 1);
}

TEST(watched_until_it_is_gone)
{
	int status;
	pid_t pid;

	world_mdev(&w);
	pid = watch("--watch=0.1", NULL);
	CHECK_SOON(file_count(WATCH_LOG, "  -") >= 1);
	world_remove(&w);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	CHECK_EQ(file_count(WATCH_LOG, "there is no such mdev"), 1);
}

/* Tracepoints */

static char trace[1 << 20];

/* From here on. */
static void trace_start(void)
{
	int fd;

	CHECK_EQ(write_file(TRACING "events/vum/enable", "1"), 0);
	CHECK_EQ(write_file(TRACING "tracing_on", "1"), 0);
	fd = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
	CHECK(fd >= 0);
	close(fd);
}

static void trace_stop(void)
{
	CHECK_EQ(write_file(TRACING "events/vum/enable", "0"), 0);
	CHECK_EQ(read_file(TRACING "trace", trace, sizeof(trace)), 0);
}

/* The only event of that name about a REGION_READ of ours; "" if there is none. */
static const char *traced(const char *event)
{
	char head[96];
	const char *found = "";
	const char *p = trace;

	snprintf(head, sizeof(head), " %s: %s ", event, w.uuid);
	while ((p = strstr(p, head))) {
		const char *end = strchrnul(p, '\n');
		const char *cmd = strstr(p, " cmd=REGION_READ ");

		if (cmd && cmd < end) {
			if (*found)
				FAIL("%s twice: %s", event, trace);
			found = p + strlen(head);
		}
		p = end;
	}
	return found;
}

/* An event may be written a little after those it is about can see its effect. */
static void trace_wait(const char *event)
{
	CHECK_SOON(!read_file(TRACING "trace", trace, sizeof(trace)) &&
		   *traced(event));
}

/* What they have in common. */
static unsigned int traced_id(const char *event)
{
	const char *text = traced(event);
	const char *id = strstr(text, " id=");

	if (!id)
		FAIL("no %s of a REGION_READ: %s", event, trace);
	return (unsigned int)strtoul(id + 4, NULL, 10);
}

/* In whose context: "comm-pid     [cpu] ..." */
static pid_t traced_pid(const char *event)
{
	const char *p = traced(event);

	while (p > trace && *p != '[')
		p--;
	while (p > trace && p[-1] == ' ')
		p--;
	while (p > trace && isdigit(p[-1]))
		p--;
	return (pid_t)strtol(p, NULL, 10);
}

TEST(trace_of_an_answer)
{
	static const char *const names[] = { "vum_submit", "vum_send",
		"vum_answer", "vum_abort" };
	char path[128];
	unsigned int id;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), TRACING "events/vum/%s/format",
			 names[i]);
		CHECK(!access(path, R_OK));
	}
	up();
	trace_start();
	puppet_check(&c, 0);
	trace_wait("vum_answer");
	trace_stop();
	id = traced_id("vum_submit");
	CHECK_EQ(traced_id("vum_send"), id);
	CHECK_EQ(traced_id("vum_answer"), id);
	CHECK(!*traced("vum_abort"));
	CHECK(traced("vum_submit") < traced("vum_answer"));
	/* Whoever has something to say also hands it over: no CPU has to wake up. */
	CHECK_EQ(traced_pid("vum_send"), world_relayed() ? w.helper : getpid());
	CHECK_EQ(traced_pid("vum_answer"), world_relayed() ? w.helper : w.server);
}

static void check_aborted(int error)
{
	unsigned int id = traced_id("vum_submit");

	CHECK_EQ(traced_id("vum_send"), id);
	CHECK_EQ(traced_id("vum_abort"), id);
	CHECK(!*traced("vum_answer"));
	CHECK_EQ(strtol(strstr(traced("vum_abort"), "error=") + 6, NULL, 10), error);
}

TEST(trace_of_a_consumer_killed)
{
	struct json_object *before, *after;
	uint32_t value;
	pid_t pid;

	world_up(&w, NULL);
	before = stats();
	pid = fork();
	if (!pid) {
		consumer_open(&c, &w);
		puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
		trace_start();
		puppet_read(&c, 0, &value);
		_exit(0);
	}
	trace_wait("vum_send");
	world_kill(&pid, SIGKILL);
	after = stats();
	trace_stop();
	check_aborted(-EINTR);
	CHECK_EQ(number_more(before, after, "aborted"), 1);
}

TEST(trace_of_a_server_killed)
{
	uint32_t value;
	pid_t pid;

	up();
	puppet_fault(&c, VFIO_USER_REGION_READ, PUPPET_FAULT_SILENT, 0);
	trace_start();
	pid = fork();
	if (!pid) {
		trace_wait("vum_send");
		kill(w.server, SIGKILL);
		_exit(0);
	}
	CHECK_EQ(puppet_read(&c, 0, &value), -EIO);
	trace_wait("vum_abort");
	trace_stop();
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	check_aborted(-EIO);
}
