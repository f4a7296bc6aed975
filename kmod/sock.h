/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the data path "kernel", on the server's socket: see sock.c.
 */
#ifndef VUM_SOCK_H
#define VUM_SOCK_H

#include <linux/poll.h>
#include <net/sock.h>

#include "conn.h"
#include "work.h"

/* Bytes that are read ahead at most: a few replies of the usual size. */
#define VUM_SOCK_ROOM	128
/* Messages that are sent, or pieces read, before other work has its turn. */
#define VUM_SOCK_BUDGET	64

/**
 * struct vum_sock - a connected socket
 * @transport: what the connection knows of this
 * @ref: one reference of the connection's, one for each task that queues a message
 *	or carries descriptors at present
 * @dev: device
 * @conn: the device's connection
 * @session: the attachment
 * @socket: connected, AF_UNIX, SOCK_STREAM; a reference on its file is held
 * @data_ready: the socket's own sk_data_ready()
 * @wait: entry in the socket's wait queue
 * @head: the socket's wait queue
 * @poll: for asking the socket for its wait queue
 * @work: sends and reads when no other task does
 * @closed: @work is not to be queued any more; conn's lock guards it
 * @sending: a task is sending. Set with conn's lock held; the task that has set it
 *	owns @rest and @sent, which conn's lock guards otherwise
 * @full: the socket takes no more; @work goes on when it does
 * @holds: a posted write waits for others to go with it; @work goes on when the server has
 *	read what it was sent before
 * @rest: the message that is being sent, with a reference, or NULL
 * @sent: bytes of @rest that the socket has taken
 * @lent: descriptors that were sent since the server had last read everything; belongs
 *	to the task that has set @sending
 * @close: ends the use of the socket
 * @rx_wanted: the helper has found @rx held, and polls until it is not
 * @rx: held by the task that reads, most often a thread of the server's; never held
 *	while a task waits for the server or a consumer. Guards all that follows
 * @big: a message that is too long for @in or has files, or NULL
 * @have: bytes of @big that have been read
 * @files: files that came with the message that is being read
 * @nr_files: number of entries in @files
 * @lost_files: more files came than could be received
 * @got: bytes that have been read from @in.hdr on
 * @in: a message, or the beginning of one, or several; last, since VUM_SOCK_ROOM
 *	bytes follow
 */
struct vum_sock {
	struct vum_transport transport;
	refcount_t ref;
	struct vum_device *dev;
	struct vum_conn *conn;
	u32 session;
	struct socket *socket;
	void (*data_ready)(struct sock *sk);
	wait_queue_entry_t wait;
	wait_queue_head_t *head;
	poll_table poll;
	struct work_struct work;
	bool closed;
	bool sending;
	bool full;
	bool holds;
	struct vum_req *rest;
	u32 sent;
	u32 lent;
	struct work_struct close;
	bool rx_wanted;
	struct mutex rx; /* see above */
	struct vum_msg *big;
	u32 have;
	struct file **files;
	u32 nr_files;
	bool lost_files;
	u32 got;
	struct vum_msg in;
};

/* Memory of the helper's, into which recvmsg() puts control messages. */
struct vum_carrier {
	void __user *control;
	size_t size;
};

struct vum_transport *vum_sock_new(struct vum_device *dev, int fd);
struct mem_cgroup *vum_sock_memcg(struct vum_transport *transport, struct pid *server);
void vum_sock_own(struct vum_device *dev, int fd);
int vum_sock_carry(struct vum_device *dev, struct vum_carrier *carrier);
void vum_sock_exit(void);
void vum_sock_free(struct vum_sock *vs);

static inline void vum_sock_put(struct vum_sock *vs)
{
	if (refcount_dec_and_test(&vs->ref))
		vum_sock_free(vs);
}

/*
 * Have the worker go on. The caller holds conn's lock, or is in the socket's callback
 * or wait queue: vum_sock_close_work() waits for these before it sets @closed.
 */
static inline void vum_sock_kick(struct vum_sock *vs)
{
	if (!vs->closed)
		vum_work_queue(&vs->work);
}

/* Does the present attachment use this socket, and has it not ended? */
static inline bool vum_sock_current(const struct vum_sock *vs)
{
	return vum_conn_current(vs->conn, vs->session);
}

/* Is there anything to receive from the socket: data, its end, or an error? */
static inline bool vum_sock_has_data(const struct vum_sock *vs)
{
	const struct sock *sk = vs->socket->sk;

	return !skb_queue_empty_lockless(&sk->sk_receive_queue) ||
	       READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN || READ_ONCE(sk->sk_err);
}

/* May a task other than the helper go on with reading? */
static __always_inline bool vum_sock_readable(const struct vum_sock *vs)
{
	const struct vum_conn *conn = vs->conn;

	/* A command that had to wait has been read already. */
	if (READ_ONCE(conn->stuck))
		return !vum_conn_is_stuck(conn);
	return vum_sock_has_data(vs) && !READ_ONCE(conn->fds_wanted);
}

/* sock_send.c */
void vum_sock_submit(struct vum_sock *vs, struct vum_req *req)
	__releases(&vum_conn_lock_of(vs->conn));
int vum_sock_answer(struct vum_sock *vs, struct vum_req *req, struct bio_vec *vec,
		    unsigned int nr)
	__releases(&vum_conn_lock_of(vs->conn));
bool vum_sock_calls_carrier(struct vum_sock *vs);
void vum_sock_push(struct vum_sock *vs, bool carrier)
	__must_hold(&vum_conn_lock_of(vs->conn));

/* sock_recv.c */
int vum_sock_read_locked(struct vum_sock *vs, const struct vum_carrier *carrier);
bool vum_sock_try_read(struct vum_sock *vs);
bool vum_sock_rx_trylock(struct vum_sock *vs);
void vum_sock_rx_unlock(struct vum_sock *vs);
bool vum_sock_rx_awaited(const struct vum_sock *vs);

#endif /* VUM_SOCK_H */
