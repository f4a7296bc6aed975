/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: vfio-user messages and requests in memory.
 */
#ifndef VUM_MESSAGE_H
#define VUM_MESSAGE_H

#include <linux/list.h>
#include <linux/log2.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "vfio_user.h"
#include "vfio_user_mdev.h"

struct vum_device;

/**
 * struct vum_msg - a vfio-user message
 * @node: in conn->commands, while a command of the server waits there
 * @session: the attachment that a command came by, or that an answer is for
 * @held: bytes that count in conn->held: a command and its answer, whichever is larger
 * @files: the files that came or go with the message, @nr_files of them; each
 *	entry holds a reference
 * @nr_files: number of entries in @files
 * @lost_files: more files came with the message than could be received
 * @size: size of the message from @hdr on, in bytes
 * @hdr: the header, where the message on the wire begins
 * @payload: what follows the header
 */
struct vum_msg {
	struct list_head node;
	u32 session;
	u32 held;
	struct file **files;
	u32 nr_files;
	bool lost_files;
	u32 size;
	struct vfio_user_header hdr;
	u8 payload[];
};

/* The message as it goes over the wire, @msg->size bytes. */
static inline void *vum_msg_bytes(struct vum_msg *msg)
{
	return (u8 *)msg + offsetof(struct vum_msg, hdr);
}

/**
 * enum vum_req_kind - who waits for the reply
 * @VUM_REQ_CONSUMER: a task of the consumer's waits; such a request may be queued
 *	while a server is attached
 * @VUM_REQ_ATTACH: the attach work waits; such a request may be queued while a
 *	server is being attached
 * @VUM_REQ_ASYNC: no task waits. close_device() sends these, since the task that
 *	runs it can be past its last signal and must not wait for a server
 * @VUM_REQ_POSTED: a write of the consumer's to which the server does not reply
 * @VUM_REQ_HANDOVER: a worker waits that hands the device from one server to another;
 *	consumers' requests wait for that
 * @VUM_REQ_ANSWER: no request, but the kernel's reply to a command of the server
 */
enum vum_req_kind {
	VUM_REQ_CONSUMER,
	VUM_REQ_ATTACH,
	VUM_REQ_ASYNC,
	VUM_REQ_POSTED,
	VUM_REQ_HANDOVER,
	VUM_REQ_ANSWER,
};

/* Does the server send nothing back, so that the message is done once it is sent? */
static inline bool vum_req_one_way(enum vum_req_kind kind)
{
	return kind == VUM_REQ_POSTED || kind == VUM_REQ_ANSWER;
}

enum vum_req_state {
	VUM_REQ_QUEUED,		/* in conn->out */
	VUM_REQ_SENT,		/* handed to the transport */
	VUM_REQ_DONE,		/* answered or aborted */
};

/*
 * A message that is larger gets its memory page by page, since kmalloc() rounds up to a
 * power of two, and the largest message takes one page more than such a number.
 */
#define VUM_KMALLOC_MAX		SZ_32K

/* The payload of a register access fits into this, in either direction. */
#define VUM_SMALL_PAYLOAD	32
#define VUM_SMALL_MSG		(sizeof(struct vum_msg) + VUM_SMALL_PAYLOAD)

/**
 * struct vum_req - a message to the server and what is known of its reply
 * @room: memory for a small @reply
 * @node: in conn->out while @state is VUM_REQ_QUEUED
 * @task: the task that waits for the reply, set before the request is queued;
 *	NULL if no task waits
 * @ref: one reference of the submitter's, one of the connection's until the
 *	request is done
 * @kind: who waits for the reply
 * @session: the attachment that the request is for; 0 if any will do
 * @state: conn's lock guards it
 * @error: once @state is VUM_REQ_DONE: 0, or why there is no @reply
 * @reply_min: least size of the reply's payload
 * @reply_max: largest size of the reply's payload
 * @echo: number of bytes at the start of the payload that the reply must repeat
 * @reply_fds: most descriptors that may come with the reply
 * @sent: the request has been handed to the transport
 * @small: the request is from the cache for small messages
 * @gathers: a posted write that may go together with others in one message
 * @timeout_ms: how long to wait for the reply, if not as long as dev->timeout_ms says
 * @queued_at: ktime_get_ns() when the request was queued
 * @done: called without locks once a VUM_REQ_ASYNC has ended, with @reply or
 *	@error; may be NULL
 * @reply: once @state is VUM_REQ_DONE without @error
 * @msg: the message; last, since its payload follows
 */
struct vum_req {
	u8 room[VUM_SMALL_MSG] __aligned(8);
	struct list_head node;
	struct task_struct *task;
	refcount_t ref;
	enum vum_req_kind kind;
	u32 session;
	enum vum_req_state state;
	int error;
	u32 reply_min;
	u32 reply_max;
	u32 echo;
	u32 reply_fds;
	bool sent;
	bool small;
	bool gathers;
	u32 timeout_ms;
	u64 queued_at;
	void (*done)(struct vum_device *dev, const struct vum_req *req);
	struct vum_msg *reply;
	struct vum_msg msg;
};

/* About how many bytes of memory a message of @size bytes takes. */
static inline u32 vum_req_memory(u32 size)
{
	u32 all = sizeof(struct vum_req) + size;

	return all > VUM_KMALLOC_MAX ? size : roundup_pow_of_two(all);
}

int vum_message_init(void);
void vum_message_exit(void);
long vum_live_messages(void);
struct vum_msg *vum_msg_alloc(size_t size);
void vum_msg_free(struct vum_msg *msg);
void vum_files_put(struct file **files, u32 nr);
struct vum_req *vum_req_alloc(enum vum_req_kind kind, u16 cmd, size_t payload);
struct vum_req *vum_req_alloc_nofail(enum vum_req_kind kind, u16 cmd,
				     size_t payload);
struct vum_req *vum_req_alloc_now(enum vum_req_kind kind, u16 cmd, size_t payload);
void vum_req_keep_small(struct vum_req *req, const struct vum_msg *reply);
void vum_req_free(struct vum_req *req);

static inline void vum_req_put(struct vum_req *req)
{
	if (req && refcount_dec_and_test(&req->ref))
		vum_req_free(req);
}

static inline bool vum_req_done(const struct vum_req *req)
{
	return smp_load_acquire(&req->state) == VUM_REQ_DONE;
}

#endif /* VUM_MESSAGE_H */
