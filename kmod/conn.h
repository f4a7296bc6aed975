/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the connection to a device's server, whoever carries its
 * messages.
 *
 * A connection outlives its servers: an attachment begins with VUM_ATTACH and ends
 * when the server goes, breaks the protocol, or is detached. Attachments are
 * numbered; the number is called the session.
 */
#ifndef VUM_CONN_H
#define VUM_CONN_H

#include <linux/wait.h>
#include <linux/workqueue.h>

#include "ids.h"
#include "message.h"
#include "notes.h"
#include "posted.h"
#include "servers.h"
#include "stats.h"
#include "transport.h"

/* Room for what a server may say of a region: thousands of areas, or descriptors. */
#define VUM_MAX_INFO	SZ_64K

/**
 * struct vum_conn - the connection to a device's server
 * @ids: requests in flight. The lock within guards all of this struct but @waiter
 *	and @spin_ns; see vum_conn_lock()
 * @out: messages that have not been handed to @transport, oldest first
 * @transport: what carries messages in this attachment, or did in the last
 * @path: @transport's data path, which can be read without the lock
 * @nr_async: requests of kind VUM_REQ_ASYNC in @ids
 * @held: bytes of the server's commands and of the answers to them, from when there is
 *	memory for a command until the answer has been sent
 * @stuck: bytes of the command that has to wait until @held is less; 0: none has to
 * @memcg: the memory cgroup that pays for what the server makes the kernel hold
 * @nr_posted: posted writes in messages of kind VUM_REQ_POSTED in @out
 * @posted: the server has been sent a message of kind VUM_REQ_POSTED
 * @bypassed: the consumer has a region mapped, or an ioeventfd
 * @no_posting: it replies to these, so no more are sent
 * @waiter: a task that waits for a reply at present, or NULL
 * @spin_ns: how long a task polls for a reply before it sleeps
 * @since: the attachment from which on the device has been the same for consumers: it has
 *	been handed from one server to the next, with its state
 * @paused: consumers' requests wait, since the device is handed to another server
 * @fds_wanted: requests that were sent and whose reply may bring descriptors
 * @state: of the attachment
 * @session: number of the attachment, so that a late verdict hits no newer one
 * @helper: a helper has attached or resumed and still has the channel open
 * @failed: the device has failed, and its consumer has yet to close it
 * @dead: the mdev is gone
 * @peer: what VUM_ATTACH said, but for @server_*, which tell of @server
 * @server: the process that has sent the server's last message, as far as the kernel has
 *	seen; NULL if it is not known
 * @reason: why @state is VUM_STATE_BROKEN, or last was; empty once a server
 *	has been found in order
 * @notes: what the device goes without
 * @servers: who has served the device
 * @when: when @state was set last, but for VUM_STATE_ATTACHED, in seconds since 1970
 * @stats: counters
 * @latency: how long replies took, from the first consumer on
 * @commands: the server's commands that have not been executed
 * @execute: work item that executes @commands
 * @executing: it has taken a command from there, and may be executing it
 * @detach: work item that takes from the server what it has when an attachment has
 *	ended
 * @event: tells listeners of netlink's what happens; called with the lock held
 * @helper_wait: the helper waits here for something to do
 * @changed: tasks wait here for changes of @state, @nr_async, dev->open, dev->going and
 *	dev->announce.pending
 */
struct vum_conn {
	struct vum_ids ids;
	struct list_head out;
	struct vum_transport *transport;
	enum vum_data_path path;
	unsigned int nr_async;
	u32 held;
	u32 stuck;
	struct mem_cgroup *memcg;
	unsigned int nr_posted;
	bool posted;
	bool no_posting;
	bool bypassed;
	struct task_struct *waiter;
	u64 spin_ns;
	u32 since;
	bool paused;
	unsigned int fds_wanted;
	enum vum_state state;
	u32 session;
	bool helper;
	bool failed;
	bool dead;
	struct vum_attach peer;
	struct pid *server;
	char reason[VUM_MAX_TEXT];
	struct vum_notes notes;
	struct vum_servers servers;
	time64_t when;
	struct vum_stats stats;
	struct vum_latency __percpu *latency;
	struct list_head commands;
	struct work_struct execute;
	bool executing;
	struct work_struct detach;
	void (*event)(struct vum_device *dev, enum vum_event event);
	wait_queue_head_t helper_wait;
	wait_queue_head_t changed;
};

#define vum_conn_lock(conn)	xa_lock(&(conn)->ids.others)
#define vum_conn_unlock(conn)	xa_unlock(&(conn)->ids.others)

/* For lockdep, and for sparse's annotations. */
#define vum_conn_lock_of(conn)	((conn)->ids.others.xa_lock)
#define vum_conn_assert_held(conn) lockdep_assert_held(&vum_conn_lock_of(conn))

extern const char *const vum_state_names[];
extern const char *const vum_data_path_names[];

void vum_conn_init(struct vum_conn *conn, struct vum_transport *transport,
		   void (*event)(struct vum_device *dev, enum vum_event event));
void vum_conn_exit(struct vum_conn *conn);
void vum_conn_swap_transport(struct vum_conn *conn, struct vum_transport **transport);

/* Requests on their way to the server and back. */
/* From vum_conn_enqueue(): the write goes with a message that waits already. */
#define VUM_CONN_GATHERED	1
int vum_conn_enqueue(struct vum_conn *conn, struct vum_req *req);
void vum_conn_sent(struct vum_conn *conn, struct vum_req *req);
struct vum_req *vum_conn_take(struct vum_conn *conn);
void vum_conn_finish(struct vum_device *dev, struct vum_req *req, int error);

u32 vum_conn_argsz(const struct vum_conn *conn);

/* Commands of the server and the answers to them. */
int vum_conn_hold(struct vum_conn *conn, u32 cost);
void vum_conn_let_go(struct vum_conn *conn, struct vum_msg *msg);
void vum_conn_delivered(struct vum_conn *conn, struct vum_req *req);

/* The process at the other end. */
struct mem_cgroup *vum_conn_memcg(struct vum_conn *conn);
void vum_conn_served(struct vum_conn *conn, u32 session);
bool vum_conn_server_ended(const struct vum_conn *conn);

void vum_conn_bypass(struct vum_conn *conn);

/* The life of an attachment. */
void vum_conn_event(struct vum_device *dev, enum vum_event event);
int vum_conn_check_helper(const struct vum_conn *conn);
bool vum_conn_settled(const struct vum_conn *conn);
int vum_conn_wait_settled(struct vum_conn *conn);
bool vum_conn_stop(struct vum_device *dev, u32 session, enum vum_state state,
		   const char *why, struct list_head *dead);
bool vum_conn_readdress(struct vum_device *dev, const char *socket, struct list_head *dead);
void vum_conn_stopped(struct vum_device *dev, struct list_head *dead);
void vum_conn_end(struct vum_device *dev, u32 session, const char *why);
void vum_conn_hangup(struct vum_device *dev, u32 session);
int vum_conn_refuse(struct vum_device *dev, const char *why);
void vum_conn_orphan(struct vum_device *dev);
void vum_conn_detach(struct vum_device *dev);
void vum_conn_break(struct vum_device *dev, u32 session, const char *fmt, ...)
	__printf(3, 4);
bool vum_conn_fail(struct vum_device *dev, u32 session, const char *fmt, ...)
	__printf(3, 4);
void vum_conn_note(struct vum_device *dev, u32 session, const char *fmt, ...)
	__printf(3, 4);

/* Is a server attached, or being attached? */
static inline bool vum_conn_alive(const struct vum_conn *conn)
{
	enum vum_state state = READ_ONCE(conn->state);

	return state == VUM_STATE_ATTACHING || state == VUM_STATE_ATTACHED;
}

/*
 * Is @session the present attachment, and has it not ended? Needs no lock: the state
 * is read before the session, since a new attachment sets the session first.
 */
static inline bool vum_conn_current(const struct vum_conn *conn, u32 session)
{
	return vum_conn_alive(conn) && READ_ONCE(conn->session) == session;
}

/*
 * What a command counts in conn->held, if it and its answer take no more than @size
 * bytes each: so that even of small ones there are no more than 64 at a time.
 */
static inline u32 vum_conn_cost(u32 size)
{
	return max_t(u32, vum_req_memory(size), VUM_MAX_MSG_SIZE / 64);
}

static inline bool vum_conn_has_room(const struct vum_conn *conn, u32 cost)
{
	return READ_ONCE(conn->held) + cost <= VUM_MAX_MSG_SIZE;
}

/* Must the server read answers before its next command is looked at? */
static inline bool vum_conn_is_stuck(const struct vum_conn *conn)
{
	u32 stuck = READ_ONCE(conn->stuck);

	return stuck && !vum_conn_has_room(conn, stuck);
}

#endif /* VUM_CONN_H */
