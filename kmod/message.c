// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: memory for messages and requests.
 */

#include <linux/file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "message.h"

/* Requests whose message is small. Each access to a register takes one. */
static struct kmem_cache *vum_req_cache;
/* A free request of vum_req_cache. Most accesses find it, and put it back. */
static DEFINE_PER_CPU(struct vum_req *, vum_req_spare);

/* Messages and requests that exist. Only the sum over all CPUs means anything. */
static DEFINE_PER_CPU(long, vum_messages);

long vum_live_messages(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(vum_messages, cpu);
	return sum;
}

/**
 * vum_files_put - put the files in an array, and free the array
 * @files: from kvcalloc(); entries may be NULL
 * @nr: number of entries in @files
 */
void vum_files_put(struct file **files, u32 nr)
{
	while (nr--)
		if (files[nr])
			fput(files[nr]);
	kvfree(files);
}

/* Allocate memory, which the caller frees with kvfree(). */
static void *vum_memory(size_t size, gfp_t gfp)
{
	return size > VUM_KMALLOC_MAX ? __vmalloc(size, gfp) : kmalloc(size, gfp);
}

/**
 * vum_msg_alloc - allocate a message from the server
 * @size: bytes, header included
 *
 * Return: the message, header and payload uninitialized; NULL if there is no memory.
 */
struct vum_msg *vum_msg_alloc(size_t size)
{
	struct vum_msg *msg;

	msg = vum_memory(sizeof(*msg) + size - sizeof(msg->hdr),
			 GFP_KERNEL_ACCOUNT);
	if (!msg)
		return NULL;
	this_cpu_inc(vum_messages);
	msg->held = 0;
	msg->files = NULL;
	msg->nr_files = 0;
	msg->lost_files = false;
	msg->size = size;
	return msg;
}

void vum_msg_free(struct vum_msg *msg)
{
	if (!msg)
		return;
	vum_files_put(msg->files, msg->nr_files);
	kvfree(msg);
	this_cpu_dec(vum_messages);
}

static struct vum_req *vum_req_new(enum vum_req_kind kind, u16 cmd, size_t payload,
				   gfp_t gfp)
{
	bool small = payload <= VUM_SMALL_PAYLOAD;
	struct vum_req *req;

	if (small)
		req = this_cpu_xchg(vum_req_spare, NULL) ?:
		      kmem_cache_alloc(vum_req_cache, gfp & ~__GFP_ACCOUNT);
	else
		req = vum_memory(sizeof(*req) + payload, gfp);
	if (!req)
		return NULL;
	this_cpu_inc(vum_messages);
	req->task = NULL;
	refcount_set(&req->ref, 1);
	req->kind = kind;
	req->session = 0;
	req->error = 0;
	req->reply_min = 0;
	req->reply_max = 0;
	req->echo = 0;
	req->reply_fds = 0;
	req->small = small;
	req->sent = false;
	req->gathers = false;
	req->timeout_ms = 0;
	req->done = NULL;
	req->reply = NULL;
	req->msg.held = 0;
	req->msg.files = NULL;
	req->msg.nr_files = 0;
	req->msg.size = sizeof(req->msg.hdr) + payload;
	req->msg.hdr = (struct vfio_user_header) {
		.cmd = cmd,
		.msg_size = req->msg.size,
	};
	memset(req->msg.payload, 0, min_t(size_t, payload, VUM_SMALL_PAYLOAD));
	return req;
}

/**
 * vum_req_alloc - allocate a message to the server
 * @kind: who waits for the reply
 * @cmd: enum vfio_user_command
 * @payload: bytes after the header. The first VUM_SMALL_PAYLOAD are zeroed; what is more
 *	than a struct has is data, all of which the caller fills in before it is sent
 *
 * Unless the caller changes @reply_max, the reply must have no payload.
 *
 * Return: the message, with a reference for the caller; NULL if there is no memory,
 * but not for VUM_REQ_ASYNC and VUM_REQ_ATTACH: these are small and of a bounded
 * number, and there is no task to which a failure could be reported.
 */
struct vum_req *vum_req_alloc(enum vum_req_kind kind, u16 cmd, size_t payload)
{
	if (kind == VUM_REQ_ASYNC || kind == VUM_REQ_ATTACH)
		return vum_req_alloc_nofail(kind, cmd, payload);
	return vum_req_new(kind, cmd, payload, GFP_KERNEL_ACCOUNT);
}

/**
 * vum_req_alloc_nofail - allocate a message to the server, and never fail
 * @kind: who waits for the reply
 * @cmd: enum vfio_user_command
 * @payload: bytes after the header, few; zeroed
 */
struct vum_req *vum_req_alloc_nofail(enum vum_req_kind kind, u16 cmd,
				     size_t payload)
{
	return vum_req_new(kind, cmd, payload, GFP_KERNEL | __GFP_NOFAIL);
}

/**
 * vum_req_alloc_now - allocate a message to the server without waiting for memory
 * @kind: who waits for the reply
 * @cmd: enum vfio_user_command
 * @payload: as for vum_req_alloc()
 *
 * Return: as vum_req_alloc().
 */
struct vum_req *vum_req_alloc_now(enum vum_req_kind kind, u16 cmd, size_t payload)
{
	return vum_req_new(kind, cmd, payload, GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
}

/**
 * vum_req_keep_small - copy a small reply into its request
 * @req: request
 * @reply: of at most VUM_SMALL_PAYLOAD bytes after the header, without files
 */
void vum_req_keep_small(struct vum_req *req, const struct vum_msg *reply)
{
	req->reply = (void *)req->room;
	memcpy(req->room, reply, offsetof(struct vum_msg, hdr) + reply->size);
}

/* Free a request whose last reference vum_req_put() has put. */
void vum_req_free(struct vum_req *req)
{
	if (req->msg.files)
		vum_files_put(req->msg.files, req->msg.nr_files);
	if (req->reply && req->reply != (void *)req->room)
		vum_msg_free(req->reply);
	if (!req->small) {
		kvfree(req);
	} else {
		req = this_cpu_xchg(vum_req_spare, req);
		if (req)
			kmem_cache_free(vum_req_cache, req);
	}
	this_cpu_dec(vum_messages);
}

int vum_message_init(void)
{
	size_t size = sizeof(struct vum_req) + VUM_SMALL_PAYLOAD;

	/* Consumers' accesses and VUM_RECV copy to and from requests directly. */
	vum_req_cache = kmem_cache_create_usercopy("vum_req", size, 0,
						   SLAB_HWCACHE_ALIGN, 0, size,
						   NULL);
	return vum_req_cache ? 0 : -ENOMEM;
}

void vum_message_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vum_req *spare = per_cpu(vum_req_spare, cpu);

		if (spare)
			kmem_cache_free(vum_req_cache, spare);
	}
	kmem_cache_destroy(vum_req_cache);
}
