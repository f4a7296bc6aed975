/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a case needs around it: an mdev, the helper, a server. Everything
 * fails the case by itself if it does not work.
 */
#ifndef VUM_WORLD_H
#define VUM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct world - one mdev and the processes behind it
 * @uuid: of the mdev, new for every case
 * @socket: where its server listens
 * @helper: pid, or 0
 * @server: pid, or 0
 */
struct world {
	char uuid[37];
	char socket[108];
	pid_t helper;
	pid_t server;
};

#define MDEV_TYPE_DIR \
	"/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/"
#define MDEV_DIR "/sys/bus/mdev/devices/"

/* Shall the helper carry all messages? By VUM_DATA_PATH; else the kernel does. */
bool world_relayed(void);
/* The mdev only. */
void world_mdev(struct world *w);
/* Both processes take NULL-terminated arguments, or NULL. */
void world_helper(struct world *w, const char *const *args);
void world_server(struct world *w, const char *const *args);
/* Helper and server lose each other; the helper is killed, the server lives. */
void world_cut(struct world *w);
/* Another server than the puppet. */
void world_serve(struct world *w, const char *program, const char *const *args);
/* All but the mdev, with the puppet as server; returns when attached. */
void world_start(struct world *w, const char *const *args);
/* All of it. */
void world_up(struct world *w, const char *const *args);
/* The same beside another, whose helper serves both. */
void world_up_beside(struct world *w, const char *const *args);

pid_t world_spawn(const char *log, const char *program,
		  const char *const *args);
/* Sends the signal and waits; returns the wait status. */
int world_kill(pid_t *pid, int sig);
const char *world_bin(const char *program);

void world_attr_path(const struct world *w, const char *attr, char *buf,
		     size_t size);
void world_attr_set(const struct world *w, const char *attr, const char *value);
/* If this module has it; returns whether it does. */
bool world_attr_try(const struct world *w, const char *attr, const char *value);
void world_attr_get(const struct world *w, const char *attr, char *buf,
		    size_t size);
bool world_state_is(const struct world *w, const char *state);
void world_wait_state(const struct world *w, const char *state);

/* Nobody has it open: it goes at once. */
void world_remove(const struct world *w);
/*
 * Removing the mdev, which waits for its consumers, in a process that is none of
 * them; and that this is over, at once if nobody has it open any more.
 */
pid_t world_remove_start(const struct world *w);
void world_remove_ends(pid_t pid);

/* One write(2); returns 0 or -errno. */
int write_file(const char *path, const char *text);
/* At most size - 1 bytes, newline at the end cut off; returns 0 or -errno. */
int read_file(const char *path, char *buf, size_t size);
/* A number in /proc/meminfo, in KiB, by what it begins with: "Shmem:"; fails the case. */
long meminfo_kib(const char *key);
/* What a command prints; returns its exit status. */
int command_output(const char *command, char *buf, size_t size);
/* How many lines of the kernel's log hold both strings? */
unsigned int kernel_log_count(const char *a, const char *b);
/* How many lines of a file hold the string? */
unsigned int file_count(const char *path, const char *text);
const char *world_helper_log(void);
const char *world_server_log(void);
const char *world_qemu_log(void);
int live_messages(void);

/* How many files a process has open, and two more, the names of the directory itself. */
unsigned int world_open_files(pid_t pid);

/*
 * Taking the module out of the kernel, 0 or -1 with errno, and putting it back in again.
 * The case is skipped if nobody has said where the module is.
 */
void module_need(void);
/* Where its code is, in the kernel's memory; fails the case. */
void module_range(unsigned long *start, unsigned long *size);
int module_unload(void);
void module_load(void);

/* For the runner. */
void world_case_begin(void);
const char *world_case_end(void);
void world_show_logs(void);

#endif /* VUM_WORLD_H */
