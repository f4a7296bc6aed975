// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the server's DMA. As with hardware, the server touches an IOVA, and
 * the access is translated or faults.
 *
 * This file keeps the present attachment's window, lets memory be pinned while a
 * consumer has the device open, and executes DMA_READ and DMA_WRITE. dma_window.c
 * handles faults in the window, dma_pin.c pins the pages and dma_unpin.c gives them
 * back, dma_pages.c is the table of them, and dma_evict.c bounds their number.
 */

#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "dma_evict.h"
#include "dma_pages.h"
#include "dma_pin.h"
#include "dma_unpin.h"
#include "request.h"

/* The most bytes that are copied with the lock held. */
#define VUM_COPY_RUN	SZ_256K

const char *const vum_dma_mode_names[] = {
	[VUM_DMA_AUTO]		= "auto",
	[VUM_DMA_MMAP]		= "mmap",
	[VUM_DMA_FILE]		= "file",
	[VUM_DMA_MESSAGE]	= "message",
	[VUM_DMA_NONE]		= "none",
	[VUM_DMA_SHARE]		= "share",
};

/* Copy within one page. Returns false if the server's memory would have to be waited for. */
static bool vum_dma_copy_user(unsigned long pfn, unsigned int offset, char __user *to,
			      const char __user *from, size_t len)
{
	void *page = kmap_local_pfn(pfn);
	long ret;

	if (to)
		ret = copy_to_user_nofault(to, page + offset, len);
	else
		ret = copy_from_user_nofault(page + offset, from, len);
	kunmap_local(page);
	return !ret;
}

/**
 * vum_dma_copy_pinned - copy bytes between the server's memory and pinned pages
 * @dev: device
 * @session: the attachment that asks; only the present one may
 * @iova: first byte of the consumer's memory
 * @to: where the current process wants the bytes; or NULL
 * @from: where it has them, if @to is NULL
 * @len: number of bytes
 *
 * Copies once, and looks up a run of pages with the lock taken once. Where a page is not
 * pinned, or the process's own memory would have to be waited for, this ends, and
 * vum_dma_copy() can do the rest of that page.
 *
 * Return: number of bytes that have been copied.
 */
size_t vum_dma_copy_pinned(struct vum_device *dev, u32 session, u64 iova,
			   char __user *to, const char __user *from, size_t len)
{
	int need = to ? IOMMU_READ : IOMMU_WRITE;
	struct vum_dma *dma = &dev->dma;
	size_t done = 0, n;
	unsigned long pfn;
	bool writable;

	/* A consumer that unmaps waits for the lock. */
	len = min_t(size_t, len, VUM_COPY_RUN);
	mutex_lock(&dma->lock);
	if (!dma->window || dma->session != session || !dma->open ||
	    !vum_conn_current(&dev->conn, session))
		len = 0;
	for (; done < len; done += n, iova += n) {
		n = min_t(size_t, len - done, PAGE_SIZE - offset_in_page(iova));
		if (vum_pages_lookup(dev, iova >> PAGE_SHIFT, need, &pfn, &writable) <= 0 ||
		    vum_pfn_reserved(pfn) ||
		    !vum_dma_copy_user(pfn, offset_in_page(iova), to ? to + done : NULL,
				       from ? from + done : NULL, n))
			break;
	}
	mutex_unlock(&dma->lock);
	return done;
}

/**
 * vum_dma_copy - copy bytes between a buffer and the consumer's memory
 * @dev: device
 * @session: the attachment that asks; only the present one may
 * @iova: first byte of the consumer's memory
 * @buf: buffer in the kernel
 * @len: number of bytes
 * @write: copy to the consumer's memory, not from it
 *
 * Return: 0; -EFAULT if the consumer has mapped nothing there; or another error of
 * vum_dma_pin(). The bytes before the page that failed have been copied.
 */
int vum_dma_copy(struct vum_device *dev, u32 session, u64 iova, void *buf,
		 size_t len, bool write)
{
	int need = write ? IOMMU_WRITE : IOMMU_READ;
	int ret = 0;

	if (len && iova + (len - 1) < iova)
		return -EFAULT;
	while (len && !ret) {
		struct vum_copy copy = {
			.buf = buf,
			.offset = offset_in_page(iova),
			.size = min_t(size_t, len, PAGE_SIZE - offset_in_page(iova)),
			.write = write,
		};

		ret = vum_dma_pin(dev, session, iova >> PAGE_SHIFT, need, &copy);
		iova += copy.size;
		buf += copy.size;
		len -= copy.size;
		cond_resched();
	}
	return ret == -ENOENT ? -EFAULT : ret;
}

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

/*
 * Execute DMA_READ and DMA_WRITE. A worker does it, since the consumer's memory may
 * take long, and the helper serves other devices as well.
 */
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

/**
 * vum_dma_window - get the present attachment's window
 * @dev: device
 * @session: set to the attachment that the window is for
 *
 * Return: the window, with a reference for the caller; NULL if there is none;
 * ERR_PTR(-EINTR) if the caller is being killed.
 */
struct file *vum_dma_window(struct vum_device *dev, u32 *session)
{
	struct vum_dma *dma = &dev->dma;
	struct file *window = NULL;

	if (mutex_lock_killable(&dma->lock))
		return ERR_PTR(-EINTR);
	if (dma->window)
		window = get_file(dma->window);
	*session = dma->session;
	mutex_unlock(&dma->lock);
	return window;
}

static struct file *vum_dma_take_window(struct vum_device *dev)
{
	struct file *window = dev->dma.window;

	vum_pages_revoke(dev, 0, ULONG_MAX);
	WRITE_ONCE(dev->dma.window, NULL);
	return window;
}

/**
 * vum_dma_attach - let a new attachment's window show the consumer's memory
 * @dev: device
 * @session: the attachment
 * @window: its window, from vum_window_new(); a reference is taken
 */
void vum_dma_attach(struct vum_device *dev, u32 session, struct file *window)
{
	struct file *old;

	mutex_lock(&dev->dma.lock);
	old = vum_dma_take_window(dev);
	WRITE_ONCE(dev->dma.session, session);
	WRITE_ONCE(dev->dma.window, get_file(window));
	mutex_unlock(&dev->dma.lock);
	if (old)
		fput(old);
}

/**
 * vum_dma_drop - take the window and all pages from a server that has gone
 * @dev: device; nothing happens if the window is for the present attachment
 */
void vum_dma_drop(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;
	struct file *window = NULL;

	mutex_lock(&dma->lock);
	if (!vum_conn_current(&dev->conn, dma->session))
		window = vum_dma_take_window(dev);
	mutex_unlock(&dma->lock);
	if (window)
		fput(window);
}

/**
 * vum_dma_open - let the consumer's memory be pinned
 * @dev: device
 */
void vum_dma_open(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_lock(&dma->lock);
	/* Allocate this no earlier, since most devices may never be opened. */
	if (!dma->batch)
		dma->batch = kcalloc(VUM_BATCH_MAX, sizeof(*dma->batch),
				     GFP_KERNEL | __GFP_NOFAIL);
	vum_evict_open(dma);
	dma->opens++;
	dma->open = true;
	mutex_unlock(&dma->lock);
}

/**
 * vum_dma_close - let go of the consumer's memory
 * @dev: device, still registered with its container
 *
 * VFIO does not let a closed device unpin, so this waits until all is unpinned: for
 * workers only, not for a task of the server's.
 */
void vum_dma_close(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;
	bool opened;

	mutex_lock(&dma->lock);
	opened = dma->open;
	dma->open = false;
	vum_pages_revoke(dev, 0, ULONG_MAX);
	mutex_unlock(&dma->lock);
	flush_work(&dma->unpin);
	wait_event(dma->wait, !READ_ONCE(dma->pinning.nr));
	if (!opened)
		return;
	mutex_lock(&dma->lock);
	vum_evict_close(dma);
	mutex_unlock(&dma->lock);
}

void vum_dma_init(struct vum_device *dev)
{
	struct vum_dma *dma = &dev->dma;

	mutex_init(&dma->lock);
	vum_pages_init(dma);
	vum_evict_init(&dma->evict);
	vum_dma_pin_init(dma);
	vum_dma_unpin_init(dma);
	INIT_WORK(&dev->conn.execute, vum_dma_execute);
	dma->announced = VUM_DMA_NONE;
	dma->aperture = VUM_DMA_APERTURE;
	dma->fault_timeout_ms = VUM_DMA_FAULT_TIMEOUT_MS;
}

/* The device's last reference has gone, so no window is left that could fault. */
void vum_dma_exit(struct vum_device *dev)
{
	/* Not cancelled, since it frees the commands that are left. */
	flush_work(&dev->conn.execute);
	vum_dma_pin_exit(&dev->dma);
	vum_dma_unpin_exit(&dev->dma);
	vum_pages_exit(&dev->dma);
	mutex_destroy(&dev->dma.lock);
	kfree(dev->dma.batch);
}
