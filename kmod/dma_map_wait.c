// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: whoever maps memory goes on when the servers know of it.
 *
 * A server can come across an address in memory that it shares with the
 * consumer before it has read of the mapping from its socket. Clients of a
 * server's own wait for its answer therefore. So does the consumer: but where
 * the map is observed nobody may sleep, and VFIO calls us nowhere else.
 *
 * What may be done there is to drop the last reference to a file. That is put
 * off until the task is about to leave the kernel, and then a release may take
 * its time. Such files are kept ready.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "device.h"
#include "dma_map_wait.h"
#include "work.h"

/* Half of that is how many threads can come before the worker that makes new ones. */
#define VUM_MAP_WAIT_SPARE		256

static DEFINE_SPINLOCK(vum_map_wait_lock);
static struct file *vum_map_wait_spare[VUM_MAP_WAIT_SPARE];
static unsigned int vum_map_wait_nr;

static struct file *vum_map_wait_pop(void)
{
	struct file *file = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vum_map_wait_lock, flags);
	if (vum_map_wait_nr)
		file = vum_map_wait_spare[--vum_map_wait_nr];
	spin_unlock_irqrestore(&vum_map_wait_lock, flags);
	return file;
}

static void vum_map_wait_push(struct file *file)
{
	unsigned long flags;

	spin_lock_irqsave(&vum_map_wait_lock, flags);
	vum_map_wait_spare[vum_map_wait_nr++] = file;
	spin_unlock_irqrestore(&vum_map_wait_lock, flags);
}

static int vum_map_wait_release(struct inode *inode, struct file *file);

static const struct file_operations vum_map_wait_fops = {
	.owner		= THIS_MODULE,
	.release	= vum_map_wait_release,
};

/* A spare one would be in the module's own way if it had a reference on it. */
static struct file *vum_map_wait_new(void)
{
	struct file *file = anon_inode_getfile("[vfio-user-hold]", &vum_map_wait_fops,
					       NULL, O_RDONLY);

	if (!IS_ERR(file))
		module_put(THIS_MODULE);
	return file;
}

/*
 * By a worker, so that they are nobody's: a consumer's limits, credentials and
 * control group have no part in it.
 */
static void vum_map_wait_fill(struct work_struct *work)
{
	struct file *file;

	while (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_SPARE) {
		file = vum_map_wait_new();
		if (IS_ERR(file))
			return;
		/* Nobody else puts any there. */
		vum_map_wait_push(file);
	}
}

static DECLARE_WORK(vum_map_wait_work, vum_map_wait_fill);

static bool vum_map_wait_wanted(const struct vum_device *dev, unsigned long gen)
{
	return !vum_announce_heard(dev, gen);
}

/*
 * Wait until every server has heard of what is mapped now, or until the caller is
 * being killed. The container need not exist any more.
 */
static void vum_map_wait_heard(const void *iommu)
{
	/* What the caller has mapped is in it. */
	unsigned long gen = vum_container_gen();
	struct vum_device *dev;
	int ret = 0;

	while (!ret && (dev = vum_container_find_device(iommu, vum_map_wait_wanted,
							gen))) {
		ret = vum_announce_wait_heard(dev);
		vfio_put_device(&dev->vdev);
	}
}

static int vum_map_wait_release(struct inode *inode, struct file *file)
{
	/* No signal reaches one that exits; and it maps nothing any more. */
	if (!file->private_data || current->flags & (PF_EXITING | PF_KTHREAD))
		return 0;
	/* Or who maps and need not wait for anybody uses up all there are. */
	if (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_SPARE / 2)
		flush_work(&vum_map_wait_work);
	vum_map_wait_heard(file->private_data);
	return 0;
}

/**
 * vum_map_wait_take - have the caller's task held up before it leaves the kernel
 * @iommu: VFIO's name for the container, in which there is a device of ours
 *
 * From any context. By vum_container_settle(), once the result has been put by
 * fput().
 *
 * Returns NULL if too many are being held up.
 */
struct file *vum_map_wait_take(const void *iommu)
{
	struct file *file = vum_map_wait_pop();

	if (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_SPARE / 2)
		vum_work_queue(&vum_map_wait_work);
	if (!file)
		return NULL;
	/* The device has one of its own. */
	__module_get(THIS_MODULE);
	file->private_data = (void *)iommu;
	return file;
}

/**
 * vum_map_wait_init - have some ready
 *
 * Returns 0, or -ENOMEM.
 */
int vum_map_wait_init(void)
{
	vum_work_queue(&vum_map_wait_work);
	flush_work(&vum_map_wait_work);
	return vum_map_wait_nr ? 0 : -ENOMEM;
}

/* Only kernel threads can wait for a file's end. */
static void vum_map_wait_drain(struct work_struct *work)
{
	struct file *file;

	while ((file = vum_map_wait_pop())) {
		__module_get(THIS_MODULE);
		__fput_sync(file);
	}
}

void vum_map_wait_exit(void)
{
	struct work_struct work;

	cancel_work_sync(&vum_map_wait_work);
	INIT_WORK_ONSTACK(&work, vum_map_wait_drain);
	vum_work_queue(&work);
	flush_work(&work);
	destroy_work_on_stack(&work);
}
