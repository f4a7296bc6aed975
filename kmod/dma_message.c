// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: DMA_READ and DMA_WRITE, by which a server without a mapping of the
 * consumer's memory reaches it.
 *
 * What is pinned already, the server's own system call copies, the one by which it sends
 * the command: there is no other task that would have to wake up. All else is for a
 * worker, since the consumer's memory may take long. Commands are executed in the order
 * in which they come.
 */

#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "device.h"
#include "dma_copy.h"
#include "dma_message.h"
#include "request.h"

/* So much may be sent from pages, and these are its pages, and one entry for the header. */
#define VUM_DMA_DIRECT	SZ_32K
#define VUM_DMA_VECS	(VUM_DMA_DIRECT / PAGE_SIZE + 2)

/* Execute @msg and fill in @answer. Returns 0, or an error to answer with instead. */
static int vum_dma_execute_one(struct vum_device *dev, struct vum_msg *msg,
			       struct vum_req *answer)
{
	struct vfio_user_dma_access *dma = (void *)msg->payload;
	struct vfio_user_dma_access *reply = (void *)answer->msg.payload;
	bool write = msg->hdr.cmd == VFIO_USER_DMA_WRITE;
	int ret;

	if (READ_ONCE(dev->dma.announced) == VUM_DMA_NONE)
		return -EFAULT;
	*reply = *dma;
	ret = vum_dma_copy(dev, msg->session, dma->addr,
			   write ? dma->data : reply->data, dma->count, write);
	/* Without a consumer nothing is mapped, so this is a fault too. */
	return ret == -ENODEV ? -EFAULT : ret;
}

static struct vum_msg *vum_dma_next_command(struct vum_device *dev)
{
	struct vum_conn *conn = &dev->conn;
	struct vum_msg *msg;

	vum_conn_lock(conn);
	msg = list_first_entry_or_null(&conn->commands, struct vum_msg, node);
	if (msg)
		list_del(&msg->node);
	conn->executing = msg;
	vum_conn_unlock(conn);
	return msg;
}

/* Execute @msg. Returns the answer, for *@error if that is not 0; or NULL. */
static struct vum_req *vum_dma_answer(struct vum_device *dev, struct vum_msg *msg,
				      int *error)
{
	struct mem_cgroup *memcg = vum_conn_memcg(&dev->conn), *old;
	struct vfio_user_dma_access *access = (void *)msg->payload;
	size_t size = msg->hdr.cmd == VFIO_USER_DMA_READ ? access->count : 0;
	struct vum_req *answer;

	old = set_active_memcg(memcg);
	answer = vum_req_alloc(VUM_REQ_ANSWER, msg->hdr.cmd, sizeof(*access) + size);
	if (!answer)
		answer = vum_req_alloc(VUM_REQ_ANSWER, msg->hdr.cmd, 0);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	if (!answer || answer->msg.size == sizeof(answer->msg.hdr))
		*error = -ENOMEM;
	else
		*error = vum_dma_execute_one(dev, msg, answer);
	return answer;
}

/* Execute what waits in conn->commands. */
static void vum_dma_execute(struct work_struct *work)
{
	struct vum_device *dev = container_of(work, struct vum_device, conn.execute);
	struct vum_req *answer;
	struct vum_msg *msg;
	int error;

	while ((msg = vum_dma_next_command(dev))) {
		answer = vum_dma_answer(dev, msg, &error);
		if (answer)
			vum_req_answer(dev, msg, error, answer);
		else
			vum_conn_break(dev, msg->session,
				       "out of memory for a reply to it");
		vum_msg_free(msg);
	}
}

/*
 * Answer a short DMA_READ with the pages themselves. Returns as vum_transport_ops'
 * @answer; -EAGAIN as well if not all of them are pinned.
 */
static int vum_dma_send_pages(struct vum_device *dev, const struct vum_msg *msg,
			      struct vum_req *answer)
{
	const struct vfio_user_dma_access *access = (const void *)msg->payload;
	struct bio_vec vecs[VUM_DMA_VECS], *vec = vecs + 1;
	struct vum_conn *conn = &dev->conn;
	size_t len = access->count, n;
	u64 iova = access->addr;
	unsigned long pfn;
	int ret;

	lockdep_assert_held(&dev->dma.lock);
	for (; len; len -= n, iova += n, vec++) {
		n = min_t(size_t, len, PAGE_SIZE - offset_in_page(iova));
		if (!vum_dma_at_hand(dev, iova, IOMMU_READ, &pfn))
			return -EAGAIN;
		*vec = (struct bio_vec) {
			.bv_page = pfn_to_page(pfn),
			.bv_offset = offset_in_page(iova),
			.bv_len = n,
		};
	}
	vum_conn_lock(conn);
	if (!vum_conn_current(conn, msg->session)) {
		vum_conn_unlock(conn);
		return -EAGAIN;
	}
	ret = conn->transport->ops->answer(conn, answer, vecs, vec - vecs);
	/* Tell sparse that the lock has been released. */
	__release(&vum_conn_lock_of(conn));
	return ret;
}

static bool vum_dma_short(const struct vum_msg *msg)
{
	const struct vfio_user_dma_access *access = (const void *)msg->payload;

	return msg->hdr.cmd == VFIO_USER_DMA_READ && access->count <= VUM_DMA_DIRECT;
}

/*
 * Execute @msg if that can be done without waiting: returns 0 if the server has been
 * answered, or @answer is filled in for that; -EAGAIN if a worker has to; or an error as
 * vum_dma_send_pages().
 */
static int vum_dma_execute_now(struct vum_device *dev, struct vum_msg *msg,
			       struct vum_req *answer)
{
	struct vfio_user_dma_access *reply = (void *)answer->msg.payload;
	struct vfio_user_dma_access *access = (void *)msg->payload;
	bool write = msg->hdr.cmd == VFIO_USER_DMA_WRITE;
	struct vum_dma *dma = &dev->dma;
	size_t done;
	int ret;

	if (!vum_dma_short(msg)) {
		done = vum_dma_copy_at_hand(dev, msg->session, access->addr,
					    write ? access->data : reply->data,
					    access->count, write);
		return done == access->count ? 0 : -EAGAIN;
	}
	if (!mutex_trylock(&dma->lock))
		return -EAGAIN;
	ret = -EAGAIN;
	if (vum_dma_reachable(dev, msg->session))
		ret = vum_dma_send_pages(dev, msg, answer);
	mutex_unlock(&dma->lock);
	return ret;
}

/* The server has been answered, or cannot be. */
static void vum_dma_answered(struct vum_device *dev, struct vum_msg *msg, int error)
{
	struct vum_conn *conn = &dev->conn;

	vum_conn_lock(conn);
	vum_conn_let_go(conn, msg);
	vum_conn_unlock(conn);
	if (error == -EPIPE || error == -ECONNRESET)
		vum_conn_hangup(dev, msg->session);
	else if (error)
		vum_conn_break(dev, msg->session, "cannot answer its command %u: error %d",
			       msg->hdr.cmd, error);
}

/**
 * vum_dma_answer_now - execute a DMA_READ or DMA_WRITE of memory that is pinned
 * @dev: device
 * @msg: the command, whose size has been checked, with @msg->session and what it counts
 *	in conn->held. No other command waits
 *
 * Context: never waits for another task.
 * Return: true if the server has been answered, or its attachment has ended; false if
 * a worker has to execute the command.
 */
bool vum_dma_answer_now(struct vum_device *dev, struct vum_msg *msg)
{
	const struct vfio_user_dma_access *access = (const void *)msg->payload;
	bool write = msg->hdr.cmd == VFIO_USER_DMA_WRITE, direct = vum_dma_short(msg);
	struct vum_req *answer;
	int ret;

	if (!access->count || access->addr + (access->count - 1) < access->addr ||
	    READ_ONCE(dev->dma.announced) == VUM_DMA_NONE ||
	    (!write && msg->hdr.flags & VFIO_USER_F_NO_REPLY))
		return false;
	/* Without locks, since memory may take long. */
	answer = vum_req_alloc(VUM_REQ_ANSWER, msg->hdr.cmd, sizeof(*access) +
			       (write || direct ? 0 : access->count));
	if (!answer)
		return false;
	memcpy(answer->msg.payload, access, sizeof(*access));
	answer->msg.hdr.msg_id = msg->hdr.msg_id;
	answer->msg.hdr.flags = VFIO_USER_F_TYPE_REPLY;
	answer->msg.hdr.msg_size += direct ? access->count : 0;
	ret = vum_dma_execute_now(dev, msg, answer);
	if (!ret && !direct) {
		vum_req_answer(dev, msg, 0, answer);
		return true;
	}
	vum_req_put(answer);
	if (ret == -EAGAIN)
		return false;
	vum_dma_answered(dev, msg, ret);
	return true;
}

void vum_dma_message_init(struct vum_device *dev)
{
	INIT_WORK(&dev->conn.execute, vum_dma_execute);
}

/* The device's last reference has gone. */
void vum_dma_message_exit(struct vum_device *dev)
{
	/* Not cancelled, since it frees the commands that are left. */
	flush_work(&dev->conn.execute);
}
