// SPDX-License-Identifier: GPL-2.0
/* What a case needs around it. See world.h. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "world.h"

#define HELPER_LOG	"/run/vum-test-helper.log"
#define SERVER_LOG	"/run/vum-test-server.log"
#define QEMU_LOG	"/run/vum-test-qemu.log"
#define LIVE_MESSAGES	"/sys/class/mdev_bus/vfio-user/live_messages"

const char *world_helper_log(void)
{
	return HELPER_LOG;
}

const char *world_server_log(void)
{
	return SERVER_LOG;
}

const char *world_qemu_log(void)
{
	return QEMU_LOG;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int error;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	error = n < 0 ? -errno : 0;
	close(fd);
	return error;
}

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;
	int error;

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	error = n < 0 ? -errno : 0;
	close(fd);
	buf[len] = '\0';
	if (len && buf[len - 1] == '\n')
		buf[len - 1] = '\0';
	return error;
}

int command_output(const char *command, char *buf, size_t size)
{
	size_t len = 0, n;
	FILE *f = popen(command, "r"); /* NOLINT(cert-env33-c) */
	int status;

	CHECK(f);
	while (len < size - 1 && (n = fread(buf + len, 1, size - 1 - len, f)))
		len += n;
	buf[len] = '\0';
	status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned int count_lines(char *text, const char *a, const char *b)
{
	unsigned int n = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		n += strstr(line, a) && strstr(line, b);
	return n;
}

unsigned int kernel_log_count(const char *a, const char *b)
{
	int size = klogctl(10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
	unsigned int n;
	char *buf;
	int len;

	CHECK(size > 0);
	buf = malloc((size_t)size + 1);
	CHECK(buf);
	len = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, buf, size);
	CHECK(len >= 0);
	buf[len] = '\0';
	n = count_lines(buf, a, b);
	free(buf);
	return n;
}

unsigned int file_count(const char *path, const char *text)
{
	static char buf[1 << 20];

	/* The process that writes it may not have come so far. */
	if (read_file(path, buf, sizeof(buf)))
		return 0;
	return count_lines(buf, text, "");
}

long meminfo_kib(const char *key)
{
	char buf[8192];
	char *line;

	CHECK_EQ(read_file("/proc/meminfo", buf, sizeof(buf)), 0);
	line = strstr(buf, key);
	CHECK(line);
	return strtol(line + strlen(key), NULL, 10);
}

static int number_in(const char *path)
{
	char buf[16];

	CHECK_EQ(read_file(path, buf, sizeof(buf)), 0);
	return (int)strtol(buf, NULL, 10);
}

void module_need(void)
{
	if (!getenv("VUM_MODULE"))
		test_skip("VUM_MODULE does not say where the module is");
}

void module_range(unsigned long *start, unsigned long *size)
{
	FILE *f = fopen("/proc/modules", "r");
	char line[256];

	*start = 0;
	CHECK(f);
	while (!*start && fgets(line, sizeof(line), f))
		if (sscanf(line, "vfio_user_mdev %lu %*s %*s %*s %lx", size, start) != 2)
			*start = 0;
	fclose(f);
	CHECK(*start);
}

int module_unload(void)
{
	return (int)syscall(SYS_delete_module, "vfio_user_mdev", O_NONBLOCK);
}

void module_load(void)
{
	const char *path = getenv("VUM_MODULE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		FAIL("cannot load the module again: %s", strerror(errno));
	close(fd);
}

unsigned int world_open_files(pid_t pid)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int live_messages(void)
{
	return number_in(LIVE_MESSAGES);
}

/* Each mdev, open channel and window has some; what is kept ready has none. */
static int module_references(void)
{
	return number_in("/sys/module/vfio_user_mdev/refcnt");
}

/* Programs are where this one is. */
const char *world_bin(const char *program)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	CHECK(n > 0);
	path[n] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s",
		 program);
	return path;
}

pid_t world_spawn(const char *log, const char *program, const char *const *args)
{
	const char *argv[32] = { world_bin(program) };
	pid_t pid;
	int n = 1;
	int fd;

	while (args && *args && n < 31)
		argv[n++] = *args++;
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	alarm(0);
	execv(argv[0], (char *const *)argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int world_kill(pid_t *pid, int sig)
{
	int status = 0;

	CHECK(*pid > 0);
	CHECK(kill(*pid, sig) == 0);
	CHECK(waitpid(*pid, &status, 0) == *pid);
	*pid = 0;
	return status;
}

bool world_relayed(void)
{
	const char *path = getenv("VUM_DATA_PATH");

	return path && !strcmp(path, "relay");
}

void world_mdev(struct world *w)
{
	memset(w, 0, sizeof(*w));
	CHECK_EQ(read_file("/proc/sys/kernel/random/uuid", w->uuid,
			   sizeof(w->uuid)), 0);
	snprintf(w->socket, sizeof(w->socket), "/run/vfio-user/%s.sock",
		 w->uuid);
	CHECK_EQ(write_file(MDEV_TYPE_DIR "create", w->uuid), 0);
	if (world_relayed())
		world_attr_set(w, "data_path", "relay");
}

void world_helper(struct world *w, const char *const *args)
{
	w->helper = world_spawn(HELPER_LOG, "vfio-user-mdevd", args);
}

void world_cut(struct world *w)
{
	world_kill(&w->helper, SIGKILL);
	/* The kernel would keep the connection for the next helper. */
	if (!world_relayed())
		world_attr_set(w, "state", "detached");
}

void world_serve(struct world *w, const char *program, const char *const *args)
{
	const char *argv[32] = { "--socket", w->socket };
	int n = 2;

	while (args && *args && n < 31)
		argv[n++] = *args++;
	w->server = world_spawn(SERVER_LOG, program, argv);
}

void world_server(struct world *w, const char *const *args)
{
	world_serve(w, "vum-puppet", args);
}

void world_start(struct world *w, const char *const *args)
{
	world_server(w, args);
	world_helper(w, NULL);
	world_wait_state(w, "attached");
}

void world_up(struct world *w, const char *const *args)
{
	world_mdev(w);
	world_start(w, args);
}

void world_up_beside(struct world *w, const char *const *args)
{
	world_mdev(w);
	world_server(w, args);
	world_wait_state(w, "attached");
}

void world_attr_path(const struct world *w, const char *attr, char *buf,
		     size_t size)
{
	snprintf(buf, size, MDEV_DIR "%s/vfio_user/%s", w->uuid, attr);
}

void world_attr_set(const struct world *w, const char *attr, const char *value)
{
	char path[PATH_MAX];

	world_attr_path(w, attr, path, sizeof(path));
	CHECK_EQ(write_file(path, value), 0);
}

bool world_attr_try(const struct world *w, const char *attr, const char *value)
{
	char path[PATH_MAX];

	world_attr_path(w, attr, path, sizeof(path));
	if (access(path, F_OK))
		return false;
	world_attr_set(w, attr, value);
	return true;
}

void world_attr_get(const struct world *w, const char *attr, char *buf,
		    size_t size)
{
	char path[PATH_MAX];

	world_attr_path(w, attr, path, sizeof(path));
	CHECK_EQ(read_file(path, buf, size), 0);
}

bool world_state_is(const struct world *w, const char *state)
{
	char now[32];

	world_attr_get(w, "state", now, sizeof(now));
	return !strcmp(now, state);
}

void world_wait_state(const struct world *w, const char *state)
{
	CHECK_SOON(world_state_is(w, state));
}

static int remove_mdev(const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MDEV_DIR "%s/remove", uuid);
	return write_file(path, "1");
}

void world_remove(const struct world *w)
{
	CHECK_EQ(remove_mdev(w->uuid), 0);
}

pid_t world_remove_start(const struct world *w)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		close_range(STDERR_FILENO + 1, ~0U, 0);
		_exit(remove_mdev(w->uuid) ? 1 : 0);
	}
	return pid;
}

void world_remove_ends(pid_t pid)
{
	long long start = test_now_ms();
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	/* VFIO looks every 10 s, but is told at once. */
	CHECK(test_now_ms() - start < 8000);
}

void world_case_begin(void)
{
	mkdir("/run/vfio-user", 0755);
	unlink(HELPER_LOG);
	unlink(SERVER_LOG);
	unlink(QEMU_LOG);
}

static void remove_mdevs(void)
{
	DIR *dir = opendir(MDEV_DIR);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			remove_mdev(e->d_name);
	if (dir)
		closedir(dir);
}

/*
 * The case's processes are dead. Clears the mdevs away, and says what the module
 * has not given back.
 */
const char *world_case_end(void)
{
	long long end;

	/*
	 * In a process of its own, since a reference that is left would block it.
	 * Hundreds of mdevs take a minute on a kernel with KASAN.
	 */
	if (!fork()) {
		alarm(5 * TEST_SOON_MS / 1000);
		remove_mdevs();
		_exit(0);
	}
	wait(NULL);
	end = test_now_ms() + TEST_SOON_MS;
	while (test_now_ms() < end) {
		if (!live_messages() && access("/dev/vfio-user", F_OK) &&
		    !module_references())
			return NULL;
		test_sleep_ms(10);
	}
	if (live_messages())
		return "messages in the module";
	return access("/dev/vfio-user", F_OK) ? "references on the module" : "an mdev";
}

static void show(const char *title, const char *path)
{
	static char buf[1 << 16];

	if (read_file(path, buf, sizeof(buf)) || !buf[0])
		return;
	printf("# %s:\n", title);
	for (char *save = NULL, *line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		printf("#   %s\n", line);
}

void world_show_logs(void)
{
	show("helper", HELPER_LOG);
	show("server", SERVER_LOG);
	show("QEMU", QEMU_LOG);
}
