// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the module's workqueues, one for each kind of waiting that its
 * work items may do.
 */

#include "work.h"

/*
 * Work items on this queue wait for a server: for its answers, or for its threads to leave
 * the module. One that does not answer keeps its worker busy, so the queue allows as many
 * at a time as there can be devices: see max_instances in parent.c.
 */
static struct workqueue_struct *vum_server_wq;

/*
 * Work items on this queue wait for a consumer's memory. A queue of their own, since
 * a server that is being attached may wait for them.
 */
static struct workqueue_struct *vum_memory_wq;

/*
 * Work items on this queue pin a consumer's memory. A queue of their own, since work
 * items of the one above wait for them.
 */
static struct workqueue_struct *vum_pin_wq;

/* Work items on this queue never wait for a server or a consumer. */
static struct workqueue_struct *vum_wq;

/*
 * VFIO waits for work items of this queue while it unmaps, and takes it for a bug
 * of the driver if they have not run after ten looks. So they run with high
 * priority, and have a worker even when no memory is left to create one.
 */
static struct workqueue_struct *vum_unpin_wq;

/**
 * vum_work_queue - queue work that never waits for a server or a consumer
 * @work: work item; its owner flushes it before the module goes
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue(struct work_struct *work)
{
	return queue_work(vum_wq, work);
}

/**
 * vum_work_queue_later - queue work that never waits for a server or a consumer, later
 * @work: work item; its owner cancels it before the module goes
 * @delay: in jiffies
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue_later(struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work(vum_wq, work, delay);
}

/**
 * vum_work_queue_server - queue work that may wait for a server
 * @work: work item; its owner flushes it before the module goes
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue_server(struct work_struct *work)
{
	return queue_work(vum_server_wq, work);
}

/**
 * vum_work_queue_memory - queue work that may wait for a consumer's memory
 * @work: work item; its owner flushes it before the module goes
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue_memory(struct work_struct *work)
{
	return queue_work(vum_memory_wq, work);
}

/**
 * vum_work_queue_pin - queue work that pins a consumer's memory
 * @work: work item; its owner flushes it before the module goes
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue_pin(struct work_struct *work)
{
	return queue_work(vum_pin_wq, work);
}

/**
 * vum_work_queue_unpin - queue work that gives pages back to VFIO
 * @work: work item; its owner flushes it before the module goes
 *
 * Context: any.
 * Return: true if @work was not queued yet.
 */
bool vum_work_queue_unpin(struct work_struct *work)
{
	return queue_work(vum_unpin_wq, work);
}

/**
 * vum_work_init - create the workqueues
 *
 * Return: 0 or -ENOMEM.
 */
int vum_work_init(void)
{
	vum_server_wq = alloc_workqueue("vum_server", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!vum_server_wq)
		return -ENOMEM;
	vum_memory_wq = alloc_workqueue("vum_memory", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!vum_memory_wq)
		goto err_server;
	vum_pin_wq = alloc_workqueue("vum_pin", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!vum_pin_wq)
		goto err_memory;
	vum_wq = alloc_workqueue("vum", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!vum_wq)
		goto err_pin;
	vum_unpin_wq = alloc_workqueue("vum_unpin",
				       WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM,
				       WQ_MAX_ACTIVE);
	if (!vum_unpin_wq)
		goto err_wq;
	return 0;

err_wq:
	destroy_workqueue(vum_wq);
err_pin:
	destroy_workqueue(vum_pin_wq);
err_memory:
	destroy_workqueue(vum_memory_wq);
err_server:
	destroy_workqueue(vum_server_wq);
	return -ENOMEM;
}

/**
 * vum_work_exit - destroy the workqueues, after what is queued has run
 */
void vum_work_exit(void)
{
	/*
	 * No server is attached any more, but work may be left that takes sockets away. A
	 * socket is closed by work on vum_server_wq, and its server can queue work on vum_wq
	 * until then.
	 */
	flush_workqueue(vum_wq);
	destroy_workqueue(vum_server_wq);
	/* Work that waits for memory queues other work, which may queue work that unpins. */
	destroy_workqueue(vum_memory_wq);
	destroy_workqueue(vum_pin_wq);
	destroy_workqueue(vum_wq);
	destroy_workqueue(vum_unpin_wq);
}
