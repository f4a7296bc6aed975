// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the data path "kernel": the kernel itself sends and receives on
 * the server's socket.
 *
 * The task that queues a message sends what is queued, without ever blocking in the
 * socket: what does not fit waits, in vs->rest and conn->out, until the socket takes
 * it. What the server sends is read in the server's context, from within the system
 * call by which the server sends it: the server's CPU is awake and has the data at
 * hand, while that of the waiting task may take longer to wake up than all the rest
 * takes. A worker does what is left.
 *
 * Only descriptors have to pass through the table of a process: messages that carry
 * some wait for the helper, and while a reply may bring some, only the helper reads.
 */

#include <linux/bitmap.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/memcontrol.h>
#include <linux/net.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <net/tcp_states.h>

#include "device.h"
#include "sock.h"

/* The readers are the tasks in vum_sock_data_ready(). */
DEFINE_STATIC_SRCU(vum_sock_callers);

/* Free a socket whose last reference vum_sock_put() has put. */
void vum_sock_free(struct vum_sock *vs)
{
	vum_req_put(vs->rest);
	vum_msg_free(vs->big);
	vum_files_put(vs->files, vs->nr_files);
	sockfd_put(vs->socket);
	mutex_destroy(&vs->rx);
	kfree(vs);
}

/* As vum_sock_read_locked(), by a task that is not the server's, at the server's expense. */
static int vum_sock_read_for(struct vum_sock *vs, const struct vum_carrier *carrier)
{
	struct mem_cgroup *memcg = vum_conn_memcg(vs->conn), *old;
	int ret;

	old = set_active_memcg(memcg);
	ret = vum_sock_read_locked(vs, carrier);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

static void vum_sock_work(struct work_struct *work)
{
	struct vum_sock *vs = container_of(work, struct vum_sock, work);
	struct vum_conn *conn = vs->conn;

	vum_conn_lock(conn);
	vs->full = false;
	vs->holds = false;
	vum_sock_push(vs, false);
	vum_conn_unlock(conn);
	if (vum_sock_readable(vs) && vum_sock_current(vs)) {
		mutex_lock(&vs->rx);
		vum_sock_read_for(vs, NULL);
	}
	/* A server that has hung up never reads the answers that its next command waits for. */
	if (vum_conn_is_stuck(conn) && READ_ONCE(vs->socket->sk->sk_shutdown))
		vum_conn_hangup(vs->dev, vs->session);
}

/*
 * The socket's sk_data_ready(): read what the server has sent. The server calls
 * this, or another process that holds the other end: for AF_UNIX, in process context
 * and without a lock of the socket's.
 */
static void vum_sock_data_ready(struct sock *sk)
{
	struct vum_sock *vs;
	int idx;

	idx = srcu_read_lock(&vum_sock_callers);
	vs = srcu_dereference(__sk_user_data(sk), &vum_sock_callers);
	/* A late caller may find a BPF map's pointer, which has flags in it. */
	if ((uintptr_t)vs & ~SK_USER_DATA_PTRMASK)
		vs = NULL;
	/* Not without @vs: vum_sock_exit() does not wait for a late caller that sleeps. */
	if (vs) {
		might_sleep();
		if (unlikely(READ_ONCE(vs->conn->server) != task_tgid(current)))
			vum_conn_served(vs->conn, vs->session);
	}
	/*
	 * vum_conn_finish() lowers fds_wanted and queues vum_sock_work(): either the
	 * new value is seen here, or vum_sock_work() sees the data.
	 */
	smp_mb();
	if (vs && READ_ONCE(vs->conn->fds_wanted))
		wake_up_poll(&vs->conn->helper_wait, EPOLLIN);
	else if (vs && !vum_sock_try_read(vs))
		vum_sock_kick(vs);
	srcu_read_unlock(&vum_sock_callers, idx);
}

/*
 * Wake up the waiting task early. The server has taken the request, so the reply is
 * near, and an idle CPU takes its time to wake up. The socket does the same to its
 * own readers. It is of no use on the CPU that the server needs.
 */
static void vum_sock_forewarn(struct vum_sock *vs, int sync, void *key)
{
	/* The task may have gone, but is not freed while the queue's lock is held. */
	struct task_struct *task = READ_ONCE(vs->conn->waiter);
	wait_queue_entry_t waiter = { .private = task };

	if (task && task_cpu(task) != smp_processor_id())
		default_wake_function(&waiter, TASK_NORMAL, sync, key);
}

/*
 * Handle an event of the socket's other than data. The lock of its wait queue is
 * held, so the worker or the helper has to do what there is to do.
 */
static int vum_sock_event(wait_queue_entry_t *wait, unsigned int mode, int sync,
			  void *key)
{
	struct vum_sock *vs = container_of(wait, struct vum_sock, wait);
	struct vum_conn *conn = vs->conn;
	__poll_t events = key_to_poll(key);

	if (READ_ONCE(vs->full) || READ_ONCE(vs->holds))
		vum_sock_kick(vs);
	if (events && !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		vum_sock_forewarn(vs, sync, key);
		return 0;
	}
	if (READ_ONCE(conn->fds_wanted))
		wake_up_poll(&conn->helper_wait, EPOLLIN);
	vum_sock_kick(vs);
	return 0;
}

/*
 * The helper
 */

/* Is there anything that the helper has to read? */
static bool vum_sock_calls_reader(const struct vum_sock *vs)
{
	vum_conn_assert_held(vs->conn);
	return vs->conn->fds_wanted && !vum_conn_is_stuck(vs->conn) &&
	       vum_sock_has_data(vs);
}

static struct vum_sock *vum_sock_of(struct vum_transport *transport)
{
	return container_of(transport, struct vum_sock, transport);
}

/* EPOLLIN if there is anything that only the helper can send or receive. */
static __poll_t vum_sock_poll(struct vum_conn *conn)
{
	struct vum_sock *vs = vum_sock_of(conn->transport);

	if (vum_sock_rx_awaited(vs))
		return 0;
	return vum_sock_calls_carrier(vs) || vum_sock_calls_reader(vs) ?
	       EPOLLIN | EPOLLRDNORM : 0;
}

/* The present attachment's socket, with a reference for the caller, or NULL. */
static struct vum_sock *vum_sock_get(struct vum_conn *conn)
{
	struct vum_sock *vs = NULL;

	vum_conn_lock(conn);
	if (conn->path == VUM_PATH_KERNEL && vum_conn_alive(conn)) {
		vs = vum_sock_of(conn->transport);
		refcount_inc(&vs->ref);
	}
	vum_conn_unlock(conn);
	return vs;
}

/* Has this process's table, as large as it is, room for what a message may carry? */
static bool vum_sock_has_free_fds(void)
{
	const struct fdtable *table;
	unsigned int size, nr;

	rcu_read_lock();
	table = files_fdtable(current->files);
	size = min_t(unsigned long, table->max_fds, rlimit(RLIMIT_NOFILE));
	nr = bitmap_weight(table->open_fds, size);
	rcu_read_unlock();
	return size - nr >= VUM_MAX_MSG_FDS;
}

/* Check that this process can open as many descriptors as a message may carry. */
static int vum_sock_room_for_fds(void)
{
	int fds[VUM_MAX_MSG_FDS], nr, ret = 0;

	if (vum_sock_has_free_fds())
		return 0;
	/* Opening them makes the table large enough, so that this is seldom done. */
	for (nr = 0; nr < VUM_MAX_MSG_FDS; nr++) {
		ret = get_unused_fd_flags(O_CLOEXEC);
		if (ret < 0)
			break;
		fds[nr] = ret;
	}
	while (nr--)
		put_unused_fd(fds[nr]);
	return min(ret, 0);
}

/* Send and read with rx held, which is released. Returns as vum_sock_carry(). */
static int vum_sock_carry_locked(struct vum_sock *vs, const struct vum_carrier *carrier)
{
	struct vum_conn *conn = vs->conn;
	bool read;

	vum_conn_lock(conn);
	vum_sock_push(vs, true);
	read = vum_sock_calls_reader(vs) && vum_sock_current(vs);
	vum_conn_unlock(conn);
	if (read)
		return vum_sock_read_for(vs, carrier);
	vum_sock_rx_unlock(vs);
	return 0;
}

/**
 * vum_sock_carry - send and receive the messages that carry descriptors
 * @dev: device
 * @carrier: the helper's memory
 *
 * Context: the helper's, whose table of descriptors the descriptors pass through.
 * Return: 0, also if another task is reading, which wakes the helper up; -EMFILE if the
 * helper has too few descriptors left; -EPIPE if no attachment uses the kernel's data
 * path; or an error as vum_sock_read_locked().
 */
int vum_sock_carry(struct vum_device *dev, struct vum_carrier *carrier)
{
	struct vum_sock *vs;
	int ret;

	ret = vum_sock_room_for_fds();
	if (ret)
		return ret;
	vs = vum_sock_get(&dev->conn);
	if (!vs)
		return -EPIPE;
	/* Hold rx, so that no other reader takes the reply with descriptors. */
	if (vum_sock_rx_trylock(vs))
		ret = vum_sock_carry_locked(vs, carrier);
	vum_sock_put(vs);
	return ret;
}

/*
 * Coming and going
 */

/* Take over the socket's callback. Returns false if it has another user. */
static bool vum_sock_hook(struct vum_sock *vs)
{
	struct sock *sk = vs->socket->sk;
	bool mine;

	write_lock_bh(&sk->sk_callback_lock);
	mine = !sk->sk_user_data;
	if (mine) {
		vs->data_ready = sk->sk_data_ready;
		rcu_assign_sk_user_data(sk, vs);
		WRITE_ONCE(sk->sk_data_ready, vum_sock_data_ready);
	}
	write_unlock_bh(&sk->sk_callback_lock);
	return mine;
}

/* Give the callback back, and wait for the tasks that are in it with @vs. */
static void vum_sock_unhook(struct vum_sock *vs)
{
	struct sock *sk = vs->socket->sk;

	write_lock_bh(&sk->sk_callback_lock);
	WRITE_ONCE(sk->sk_data_ready, vs->data_ready);
	rcu_assign_sk_user_data(sk, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
	/* This waits for other devices' servers too, which only copy and allocate. */
	synchronize_srcu_expedited(&vum_sock_callers);
}

/**
 * vum_sock_exit - wait until no task is in vum_sock_data_ready()
 *
 * A task may have looked up the callback before vum_sock_unhook(), and call it late.
 */
void vum_sock_exit(void)
{
	/* Without TASKS_RCU, preempted tasks would not be waited for. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_PREEMPTION) && !IS_ENABLED(CONFIG_TASKS_RCU));
	synchronize_rcu_tasks();
}

static void vum_sock_find_queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct vum_sock *vs = container_of(poll, struct vum_sock, poll);

	/* A stream socket has only one wait queue. */
	if (vs->head)
		return;
	vs->head = head;
	add_wait_queue(head, &vs->wait);
}

static void vum_sock_start(struct vum_conn *conn)
{
	struct vum_sock *vs = vum_sock_of(conn->transport);

	vs->session = conn->session;
	vum_sock_kick(vs);
}

static void vum_sock_queue(struct vum_conn *conn, struct vum_req *req)
	__releases(&vum_conn_lock_of(conn))
{
	struct vum_sock *vs = vum_sock_of(conn->transport);

	refcount_inc(&vs->ref);
	vum_sock_submit(vs, req);
	vum_sock_put(vs);
}

static int vum_sock_answer_conn(struct vum_conn *conn, struct vum_req *req,
				struct bio_vec *vec, unsigned int nr)
	__releases(&vum_conn_lock_of(conn))
{
	struct vum_sock *vs = vum_sock_of(conn->transport);
	int ret;

	refcount_inc(&vs->ref);
	ret = vum_sock_answer(vs, req, vec, nr);
	vum_sock_put(vs);
	return ret;
}

static void vum_sock_kick_conn(struct vum_conn *conn)
{
	vum_sock_kick(vum_sock_of(conn->transport));
}

static void vum_sock_close_work(struct work_struct *work)
{
	struct vum_sock *vs = container_of(work, struct vum_sock, close);
	struct vum_device *dev = vs->dev;

	/* First, so that the server hears of it although other servers' threads are waited for. */
	kernel_sock_shutdown(vs->socket, SHUT_RDWR);
	vum_sock_unhook(vs);
	remove_wait_queue(vs->head, &vs->wait);
	vum_conn_lock(vs->conn);
	vs->closed = true;
	vum_conn_unlock(vs->conn);
	cancel_work_sync(&vs->work);
	vum_sock_put(vs);
	vfio_put_device(&dev->vdev);
}

/*
 * A worker closes the socket, since it waits for all tasks in the callback, among them
 * threads of servers that have no CPU to go on, and the helper may not wait for these.
 */
static void vum_sock_close(struct vum_transport *transport)
{
	struct vum_sock *vs = vum_sock_of(transport);

	get_device(&vs->dev->vdev.device);
	vum_work_queue_server(&vs->close);
}

static const struct vum_transport_ops vum_sock_ops = {
	.path	= VUM_PATH_KERNEL,
	.start	= vum_sock_start,
	.queue	= vum_sock_queue,
	.answer	= vum_sock_answer_conn,
	.kick	= vum_sock_kick_conn,
	.poll	= vum_sock_poll,
	.close	= vum_sock_close,
};

/**
 * vum_sock_new - make a transport of a socket
 * @dev: device
 * @fd: the caller's descriptor of the socket
 *
 * Nothing is sent or read before the transport is the connection's.
 *
 * Return: the transport; -EBADF or -ENOTSOCK; -EPROTOTYPE if the socket is no
 * connected AF_UNIX stream; -EBUSY if the kernel uses it otherwise; -ENOMEM.
 */
struct vum_transport *vum_sock_new(struct vum_device *dev, int fd)
{
	struct vum_sock *vs;
	struct socket *sock;
	int ret;

	sock = sockfd_lookup(fd, &ret);
	if (!sock)
		return ERR_PTR(ret);
	ret = -EPROTOTYPE;
	if (sock->sk->sk_family != AF_UNIX || sock->type != SOCK_STREAM ||
	    READ_ONCE(sock->sk->sk_state) != TCP_ESTABLISHED)
		goto err;
	ret = -ENOMEM;
	vs = kzalloc(sizeof(*vs) + VUM_SOCK_ROOM, GFP_KERNEL_ACCOUNT);
	if (!vs)
		goto err;
	refcount_set(&vs->ref, 1);
	vs->transport.ops = &vum_sock_ops;
	vs->dev = dev;
	vs->conn = &dev->conn;
	vs->socket = sock;
	mutex_init(&vs->rx);
	INIT_WORK(&vs->work, vum_sock_work);
	INIT_WORK(&vs->close, vum_sock_close_work);
	init_waitqueue_func_entry(&vs->wait, vum_sock_event);
	init_poll_funcptr(&vs->poll, vum_sock_find_queue);
	if (!vum_sock_hook(vs)) {
		vum_err(dev, "socket is in a BPF map, or otherwise not for the kernel to read\n");
		ret = -EBUSY;
		goto err_free;
	}
	vfs_poll(sock->file, &vs->poll);
	return &vs->transport;

err_free:
	mutex_destroy(&vs->rx);
	kfree(vs);
err:
	sockfd_put(sock);
	return ERR_PTR(ret);
}

/**
 * vum_sock_memcg - get the memory cgroup of the process at the other end of a socket
 * @transport: from vum_sock_new()
 * @server: that process. If it has ended or is NULL, the process that called listen() or
 *	socketpair() has to do
 *
 * Return: the cgroup, for which the caller calls mem_cgroup_put(); NULL if both have
 * gone.
 */
struct mem_cgroup *vum_sock_memcg(struct vum_transport *transport, struct pid *server)
{
	struct sock *sk = vum_sock_of(transport)->socket->sk;
	struct mem_cgroup *memcg = NULL;
	struct task_struct *task;
	struct mm_struct *mm;

	spin_lock(&sk->sk_peer_lock);
	task = get_pid_task(server, PIDTYPE_PID) ?:
	       get_pid_task(sk->sk_peer_pid, PIDTYPE_PID);
	spin_unlock(&sk->sk_peer_lock);
	mm = task ? get_task_mm(task) : NULL;
	if (mm) {
		memcg = get_mem_cgroup_from_mm(mm);
		mmput(mm);
	}
	if (task)
		put_task_struct(task);
	return memcg;
}

/**
 * vum_sock_own - take the socket away from the process that handed it over
 * @dev: device
 * @fd: the caller's descriptor of the socket, which is closed
 *
 * The attachment ends if another descriptor of the socket is open anywhere: a
 * process that has one could read from it, and so keep tasks waiting where no
 * signal reaches them.
 */
void vum_sock_own(struct vum_device *dev, int fd)
{
	struct vum_sock *vs = vum_sock_get(&dev->conn);

	close_fd(fd);
	/* The attachment may have ended already. */
	if (!vs)
		return;
	if (file_count(vs->socket->file) != 1)
		vum_conn_break(dev, vs->session, "helper keeps its socket for itself");
	vum_sock_put(vs);
}
