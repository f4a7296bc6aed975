// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the server's DMA. As with hardware, the server touches an IOVA, and
 * the access is translated or faults.
 *
 * This file keeps the present attachment's window, and lets memory be pinned while a
 * consumer has the device open. dma_window.c handles faults in the window, dma_message.c
 * executes DMA_READ and DMA_WRITE, dma_copy.c copies for both, dma_pin.c pins the pages
 * and dma_unpin.c gives them back, dma_pages.c is the table of them, dma_evict.c bounds
 * their number, and dma_dirty.c tells the consumer which of them the server has written.
 */

#include <linux/file.h>
#include <linux/slab.h>

#include "device.h"
#include "dma_dirty.h"
#include "dma_evict.h"
#include "dma_message.h"
#include "dma_pages.h"
#include "dma_pin.h"
#include "dma_unpin.h"

const char *const vum_dma_mode_names[] = {
	[VUM_DMA_AUTO]		= "auto",
	[VUM_DMA_MMAP]		= "mmap",
	[VUM_DMA_FILE]		= "file",
	[VUM_DMA_MESSAGE]	= "message",
	[VUM_DMA_NONE]		= "none",
	[VUM_DMA_SHARE]		= "share",
};

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
	dma->lent = dma->announced == VUM_DMA_SHARE;
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
	vum_dirty_end(dev);
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
	vum_dirty_init(dev);
	vum_dma_pin_init(dma);
	vum_dma_unpin_init(dma);
	vum_dma_message_init(dev);
	dma->announced = VUM_DMA_NONE;
	dma->aperture = VUM_DMA_APERTURE;
	dma->fault_timeout_ms = VUM_DMA_FAULT_TIMEOUT_MS;
}

/* The device's last reference has gone, so no window is left that could fault. */
void vum_dma_exit(struct vum_device *dev)
{
	vum_dma_message_exit(dev);
	vum_dma_pin_exit(&dev->dma);
	vum_dma_unpin_exit(&dev->dma);
	vum_pages_exit(&dev->dma);
	mutex_destroy(&dev->dma.lock);
	kfree(dev->dma.batch);
}
