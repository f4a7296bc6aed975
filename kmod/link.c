// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the server's socket, driven by the kernel itself.
 *
 * Whoever queues a message sends what is queued, without ever blocking in the
 * socket: what does not fit stays with the link until the socket takes it. What
 * the server says is read by the server: from within the system call by which it
 * says so, since its CPU is awake and has it all at hand, while the CPU of whoever
 * waits may take longer to wake up than all the rest. A worker does what is left.
 *
 * Only descriptors need a process to pass through: messages with some wait for
 * the helper to carry them, and while a reply may bring some, it alone reads.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <net/tcp_states.h>

#include "link.h"

/* Whoever is in the middle of vum_link_data_ready(). */
DEFINE_STATIC_SRCU(vum_link_talkers);

/* The last reference has gone: see vum_link_put(). */
void vum_link_free(struct vum_link *link)
{
	vum_req_put(link->rest);
	vum_msg_free(link->big);
	vum_files_put(link->files, link->nr_files);
	sockfd_put(link->sock);
	mutex_destroy(&link->rx);
	kfree(link);
}

/**
 * vum_link_kick - something has changed, go on
 * @link: what may be able to; under the channel's lock, or where vum_link_close()
 *	waits before it closes: in the socket's callback and wait queue
 */
void vum_link_kick(struct vum_link *link)
{
	if (!link->closed)
		vum_work_queue(&link->work);
}

/**
 * vum_link_go_on - nothing stands in the way of reading any more
 * @link: as vum_link_kick()
 */
void vum_link_go_on(struct vum_link *link)
{
	/* What comes after this, the socket's event sees to. */
	smp_mb();
	if (vum_link_readable(link))
		vum_link_kick(link);
}

static void vum_link_work(struct work_struct *work)
{
	struct vum_link *link = container_of(work, struct vum_link, work);
	struct vum_channel *ch = vum_link_channel(link);

	vum_lock(ch);
	link->full = false;
	vum_link_push(link, false);
	vum_unlock(ch);
	if (vum_link_readable(link))
		vum_link_read(link, NULL);
}

/*
 * The server has said something. Called by it, or whoever else holds the other
 * end, in process context and without a lock of the socket's; that is so for
 * AF_UNIX.
 */
static void vum_link_data_ready(struct sock *sk)
{
	struct vum_link *link;
	int idx;

	might_sleep();
	idx = srcu_read_lock(&vum_link_talkers);
	link = srcu_dereference(__sk_user_data(sk), &vum_link_talkers);
	/* Who comes late may find a BPF map's, which has flags in its pointer. */
	if ((uintptr_t)link & ~SK_USER_DATA_PTRMASK)
		link = NULL;
	/* Either this sees what has changed, or vum_link_go_on() does. */
	smp_mb();
	if (link && READ_ONCE(vum_link_channel(link)->fds_wanted))
		wake_up_poll(&vum_link_channel(link)->readers, EPOLLIN);
	else if (link && !vum_link_try_read(link))
		vum_link_kick(link);
	srcu_read_unlock(&vum_link_talkers, idx);
}

/*
 * The server has taken the request, so the answer is near: a CPU that is idle
 * takes its time to wake up, and had better begin now. As the socket does to its
 * own readers; but there is no point in it on the CPU that the server needs.
 */
static void vum_link_forewarn(struct vum_link *link, int sync, void *key)
{
	/* It may have left, but is not freed while the queue's lock is held. */
	struct task_struct *task = READ_ONCE(vum_link_channel(link)->waiter);
	wait_queue_entry_t waiter = { .private = task };

	if (task && task_cpu(task) != smp_processor_id())
		default_wake_function(&waiter, TASK_NORMAL, sync, key);
}

/*
 * The socket has something to say that is not data. Its wait queue's lock is
 * held, so there is little that can be done here.
 */
static int vum_link_event(wait_queue_entry_t *wait, unsigned int mode, int sync,
			  void *key)
{
	struct vum_link *link = container_of(wait, struct vum_link, wait);
	struct vum_channel *ch = vum_link_channel(link);
	__poll_t events = key_to_poll(key);

	if (READ_ONCE(link->full))
		vum_link_kick(link);
	if (events && !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		vum_link_forewarn(link, sync, key);
		return 0;
	}
	if (READ_ONCE(ch->fds_wanted))
		wake_up_poll(&ch->readers, EPOLLIN);
	vum_link_kick(link);
	return 0;
}

/*
 * The helper
 */

/* Is the helper to read? Under the channel's lock. */
static bool vum_link_calls_reader(const struct vum_link *link)
{
	return vum_link_channel(link)->fds_wanted && !READ_ONCE(link->stuck) &&
	       vum_link_has_data(link);
}

/**
 * vum_link_wants_helper - is there anything that only the helper can do?
 * @link: under the channel's lock
 */
bool vum_link_wants_helper(struct vum_link *link)
{
	return vum_link_calls_carrier(link) || vum_link_calls_reader(link);
}

/* May this process open as many as a message can bring or take? */
static int vum_link_room_for_fds(void)
{
	int fds[VUM_MAX_MSG_FDS], nr, ret = 0;

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

/**
 * vum_link_carry - the helper is here: do what only it can
 * @dev: device
 * @carrier: its memory
 *
 * Returns 0; -EMFILE if it has too few descriptors left; -EFAULT if @carrier is
 * no good; -EPIPE if there is no socket here; -EINTR if it is being killed.
 */
int vum_link_carry(struct vum_device *dev, struct vum_carrier *carrier)
{
	struct vum_channel *ch = &dev->ch;
	struct vum_link *link;
	bool read = false;
	int ret;

	ret = vum_link_room_for_fds();
	if (ret)
		return ret;
	vum_lock(ch);
	link = ch->link;
	if (link && vum_link_current(link))
		refcount_inc(&link->ref);
	else
		ret = -EPIPE;
	vum_unlock(ch);
	if (ret)
		return ret;
	/* Nobody is reading when a message goes whose reply is for us to read. */
	ret = mutex_lock_killable(&link->rx);
	if (!ret) {
		vum_lock(ch);
		vum_link_push(link, true);
		read = vum_link_calls_reader(link);
		vum_unlock(ch);
		mutex_unlock(&link->rx);
	}
	if (read)
		ret = vum_link_read(link, carrier);
	vum_link_put(link);
	return ret;
}

/*
 * Coming and going
 */

/* Returns whether nobody else has plans with the socket's events. */
static bool vum_link_listen(struct vum_link *link)
{
	struct sock *sk = link->sock->sk;
	bool mine;

	write_lock_bh(&sk->sk_callback_lock);
	mine = !sk->sk_user_data;
	if (mine) {
		link->data_ready = sk->sk_data_ready;
		rcu_assign_sk_user_data(sk, link);
		WRITE_ONCE(sk->sk_data_ready, vum_link_data_ready);
	}
	write_unlock_bh(&sk->sk_callback_lock);
	return mine;
}

/* Nobody is on his way into @link from there when this returns. */
static void vum_link_ignore(struct vum_link *link)
{
	struct sock *sk = link->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	WRITE_ONCE(sk->sk_data_ready, link->data_ready);
	rcu_assign_sk_user_data(sk, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
	/* For other devices' servers as well, but these only copy and allocate. */
	synchronize_srcu_expedited(&vum_link_talkers);
}

/**
 * vum_link_exit - nobody runs any of this when it returns
 *
 * Who calls vum_link_data_ready() has looked up where that is a moment before.
 */
void vum_link_exit(void)
{
	/* Else it would not wait for who has been preempted there. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_PREEMPTION) && !IS_ENABLED(CONFIG_TASKS_RCU));
	synchronize_rcu_tasks();
}

static void vum_link_poll(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct vum_link *link = container_of(poll, struct vum_link, poll);

	/* A stream socket has one. */
	if (link->head)
		return;
	link->head = head;
	add_wait_queue(head, &link->wait);
}

/**
 * vum_link_new - take a socket over
 * @dev: device
 * @fd: the caller's descriptor of it
 *
 * Nothing is sent or read before it is the channel's.
 *
 * Returns the link; -EBADF or -ENOTSOCK; -EPROTOTYPE if it is no connected
 * AF_UNIX stream; -EBUSY if the kernel uses it otherwise; -ENOMEM.
 */
struct vum_link *vum_link_new(struct vum_device *dev, int fd)
{
	struct vum_link *link;
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
	link = kzalloc(sizeof(*link) + VUM_LINK_ROOM, GFP_KERNEL_ACCOUNT);
	if (!link)
		goto err;
	refcount_set(&link->ref, 1);
	link->dev = dev;
	link->sock = sock;
	mutex_init(&link->rx);
	INIT_WORK(&link->work, vum_link_work);
	init_waitqueue_func_entry(&link->wait, vum_link_event);
	init_poll_funcptr(&link->poll, vum_link_poll);
	if (!vum_link_listen(link)) {
		vum_err(dev, "socket is in a BPF map, or otherwise not for the kernel to read\n");
		ret = -EBUSY;
		goto err_free;
	}
	vfs_poll(sock->file, &link->poll);
	return link;

err_free:
	mutex_destroy(&link->rx);
	kfree(link);
err:
	sockfd_put(sock);
	return ERR_PTR(ret);
}

/**
 * vum_link_own - take the socket away from its last owner
 * @link: link
 * @fd: the caller's descriptor of it, which is closed
 *
 * Returns whether it is nobody else's now. Who kept it could read from it, and
 * with that keep everybody waiting whom no signal would reach.
 */
bool vum_link_own(struct vum_link *link, int fd)
{
	close_fd(fd);
	return file_count(link->sock->file) == 1;
}

/**
 * vum_link_close - hang up
 * @link: no longer the channel's, whose reference this drops; or NULL
 */
void vum_link_close(struct vum_link *link)
{
	struct vum_channel *ch;

	if (!link)
		return;
	ch = vum_link_channel(link);
	vum_link_ignore(link);
	remove_wait_queue(link->head, &link->wait);
	vum_lock(ch);
	link->closed = true;
	vum_unlock(ch);
	cancel_work_sync(&link->work);
	kernel_sock_shutdown(link->sock, SHUT_RDWR);
	vum_link_put(link);
}
