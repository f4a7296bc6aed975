// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: which servers have served a device: a bug report about a guest, or about
 * the host, is to show which programs had their hands in the device.
 */

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "servers.h"

/* Get the file that a process executes, with a reference; NULL if that is not known. */
static struct file *vum_server_file(struct pid *pid)
{
	struct task_struct *task = get_pid_task(pid, PIDTYPE_TGID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;
	struct file *file = mm ? vum_mm_exe_file(mm) : NULL;

	if (mm)
		mmput(mm);
	if (task)
		put_task_struct(task);
	return file;
}

/*
 * Write the path of the process's executable to @buf, of VUM_MAX_TEXT bytes. What does not
 * fit is cut off in front, since the end of a path says more.
 */
static void vum_server_exe(struct pid *pid, char *buf)
{
	struct file *file = vum_server_file(pid);
	char *page = file ? (char *)__get_free_page(GFP_KERNEL) : NULL;
	const char *path;
	size_t len;

	buf[0] = '\0';
	path = page ? file_path(file, page, PAGE_SIZE) : NULL;
	if (!IS_ERR_OR_NULL(path)) {
		len = strlen(path);
		strscpy(buf, path + (len < VUM_MAX_TEXT ? 0 : len - VUM_MAX_TEXT + 1),
			VUM_MAX_TEXT);
	}
	free_page((unsigned long)page);
	if (file)
		fput(file);
	/* Whoever runs the server has chosen the name, and others have it in their terminals. */
	for (; *buf; buf++)
		if (!isascii(*buf) || !isprint(*buf))
			*buf = '?';
}

/**
 * vum_server_new - allocate the record of a server that is about to be attached
 * @a: what the helper says of it
 * @license: the licence that it declares, shorter than VUM_MAX_TEXT
 * @pid: its process, or NULL
 *
 * Return: the record, for kfree() or vum_servers_add(); or NULL if there is no memory.
 */
struct vum_server *vum_server_new(const struct vum_attach *a, const char *license,
				  struct pid *pid)
{
	struct vum_server *server;
	char exe[VUM_MAX_TEXT];
	size_t size, license_size = strlen(license) + 1;

	vum_server_exe(pid, exe);
	size = strlen(exe) + 1;
	server = kzalloc(sizeof(*server) + size + license_size, GFP_KERNEL_ACCOUNT);
	if (!server)
		return NULL;
	server->pid = pid_nr(pid);
	server->uid = a->server_uid;
	server->gid = a->server_gid;
	server->from = ktime_get_real_seconds();
	server->times = 1;
	server->flags = a->flags & (VUM_ATTACH_LICENSE | VUM_ATTACH_GPL);
	memcpy(server->exe, exe, size);
	server->license = memcpy(server->exe + size, license, license_size);
	return server;
}

/*
 * The record to forget: the oldest of a server that was not even in working order, else the
 * oldest, so that a server that is refused again and again does not hide others.
 */
static struct vum_server *vum_servers_oldest(const struct vum_servers *servers)
{
	struct vum_server *server;

	list_for_each_entry_reverse(server, &servers->list, node)
		if (!server->served)
			return server;
	return list_last_entry(&servers->list, struct vum_server, node);
}

/**
 * vum_servers_add - remember a server, which is being attached
 * @servers: the device's servers
 * @server: its record
 *
 * Return: a record that is remembered no longer, for kfree(), or NULL.
 */
struct vum_server *vum_servers_add(struct vum_servers *servers, struct vum_server *server)
{
	struct vum_server *oldest = NULL;

	if (servers->nr == VUM_NR_SERVERS) {
		oldest = vum_servers_oldest(servers);
		list_del(&oldest->node);
	} else {
		servers->nr++;
	}
	list_add(&server->node, &servers->list);
	return oldest;
}

/**
 * vum_servers_serve - remember that another process of the present server's serves now
 * @servers: the device's servers
 * @peer: the process that has sent its last message
 */
void vum_servers_serve(struct vum_servers *servers, const struct vum_attach *peer)
{
	struct vum_server *server = vum_servers_last(servers);

	server->pid = peer->server_pid;
	server->uid = peer->server_uid;
	server->gid = peer->server_gid;
}

/* Is this the same program, that has ended the same way? */
static bool vum_servers_alike(const struct vum_server *a, const struct vum_server *b)
{
	return a->uid == b->uid && a->flags == b->flags && a->served == b->served &&
	       !strcmp(a->exe, b->exe) && !strcmp(a->license, b->license) &&
	       !strcmp(a->why, b->why);
}

/**
 * vum_servers_end - remember how the present server's attachment has ended
 * @servers: the device's servers
 * @peer: the process that has sent its last message
 * @why: why it has ended
 *
 * A server that comes and goes again and again has one record.
 */
void vum_servers_end(struct vum_servers *servers, const struct vum_attach *peer,
		     const char *why)
{
	struct vum_server *server = vum_servers_last(servers), *before;

	vum_servers_serve(servers, peer);
	server->until = ktime_get_real_seconds();
	strscpy(server->why, why, sizeof(server->why));
	if (list_is_singular(&servers->list))
		return;
	before = list_next_entry(server, node);
	if (!vum_servers_alike(server, before))
		return;
	server->from = before->from;
	server->times += before->times;
	list_del(&before->node);
	servers->nr--;
	kfree(before);
}

void vum_servers_init(struct vum_servers *servers)
{
	INIT_LIST_HEAD(&servers->list);
}

void vum_servers_exit(struct vum_servers *servers)
{
	struct vum_server *server, *next;

	list_for_each_entry_safe(server, next, &servers->list, node)
		kfree(server);
}
