/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: the server's socket, driven by the kernel itself: see sock.c.
 */
#ifndef VUM_SOCK_H
#define VUM_SOCK_H

#include <linux/poll.h>
#include <net/sock.h>

#include "conn.h"
#include "work.h"

/* What is read ahead at most: a few replies of the usual size. */
#define VUM_SOCK_ROOM	128
/* How many messages are sent, or pieces read, before others have their turn. */
#define VUM_SOCK_BUDGET	64

/**
 * struct vum_sock - a connected socket
 * @transport: what the connection knows of it
 * @ref: the channel's, and one for each consumer and helper that is busy with it
 * @dev: device
 * @conn: its connection
 * @session: the attachment
 * @socket: connected, AF_UNIX, SOCK_STREAM; a reference on its file is held
 * @data_ready: what the socket did when it had data
 * @wait: in the socket's wait queue, at @head
 * @head: the socket's wait queue
 * @poll: for asking the socket where that is
 * @work: sends and reads when nobody else does
 * @closed: @work is not to be queued any more; this and what follows up to
 *	@sent is under the channel's lock
 * @sending: somebody is at it
 * @full: the socket takes no more; @work goes on when it does
 * @rest: the message that is being sent, owned by who is @sending
 * @sent: bytes of it that the socket has taken
 * @rx: who reads, most often a thread of the server's; never held while anybody
 *	is waited for. What follows is under it.
 * @stuck: the command in @in has to wait until the server has taken answers
 * @big: a message that does not fit into @in, or NULL
 * @have: bytes of @big
 * @files: that came with the message that is being read, @nr_files of them
 * @nr_files: how many
 * @lost_files: there were more, and they are gone
 * @got: bytes from @in.hdr on
 * @in: a message, or the beginning of one, or several; last, since there is
 *	room behind it
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
	struct vum_req *rest;
	u32 sent;
	struct mutex rx; /* see above */
	bool stuck;
	struct vum_msg *big;
	u32 have;
	struct file **files;
	u32 nr_files;
	bool lost_files;
	u32 got;
	struct vum_msg in;
};

/* Memory of the helper's for descriptors to pass through. */
struct vum_carrier {
	void __user *control;
	size_t size;
};

struct vum_transport *vum_sock_new(struct vum_device *dev, int fd);
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
 * Have the worker go on. The caller holds conn's lock, or is where close() waits
 * for it before it sets @closed: in the socket's callback, or in its wait queue.
 */
static inline void vum_sock_kick(struct vum_sock *vs)
{
	if (!vs->closed)
		vum_work_queue(&vs->work);
}

/* Is it this socket that the attachment goes by, and has that not ended? */
static inline bool vum_sock_current(const struct vum_sock *vs)
{
	return vum_conn_current(vs->conn, vs->session);
}

/* Is there anything to be had from the socket: data, its end, or an error? */
static inline bool vum_sock_has_data(const struct vum_sock *vs)
{
	const struct sock *sk = vs->socket->sk;

	return !skb_queue_empty_lockless(&sk->sk_receive_queue) ||
	       READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN || READ_ONCE(sk->sk_err);
}

/* May somebody who is not the helper go on with reading? */
static __always_inline bool vum_sock_readable(const struct vum_sock *vs)
{
	const struct vum_conn *conn = vs->conn;

	if (READ_ONCE(vs->stuck))
		return !vum_conn_answers_full(conn);
	return vum_sock_has_data(vs) && !READ_ONCE(conn->fds_wanted);
}

/* sock_send.c */
void vum_sock_submit(struct vum_sock *vs, struct vum_req *req)
	__releases(&vum_conn_lock_of(vs->conn));
bool vum_sock_calls_carrier(struct vum_sock *vs);
void vum_sock_push(struct vum_sock *vs, bool carrier)
	__must_hold(&vum_conn_lock_of(vs->conn));

/* sock_recv.c */
int vum_sock_read(struct vum_sock *vs, const struct vum_carrier *carrier);
bool vum_sock_try_read(struct vum_sock *vs);

#endif /* VUM_SOCK_H */
