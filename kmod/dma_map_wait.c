// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: a consumer that maps memory waits until the servers know of it.
 *
 * A server can come across an address in memory that it shares with the consumer
 * before it has read of the mapping from its socket. For that reason, clients that
 * are connected to a server directly wait for its answer, and so must the consumer;
 * likewise after an unmap, if a server has the memory's own file (dma_mode "share"). But
 * a task may not sleep where its ioctl is observed, and VFIO itself does not call this
 * module for a map.
 *
 * What a probe may do is to drop the last reference to a file. The kernel puts the
 * release off until the task is about to leave the kernel, and there a release may
 * sleep. Such files are kept ready.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "device.h"
#include "dma_map_wait.h"
#include "work.h"

/*
 * Number of files kept ready. A worker makes more when some are gone. Until it runs,
 * the last half is for containers of which few tasks wait, so that other containers
 * cannot leave these without a file.
 */
#define VUM_MAP_WAIT_SPARE	512
#define VUM_MAP_WAIT_LOW	(VUM_MAP_WAIT_SPARE / 4 * 3)
#define VUM_MAP_WAIT_RESERVE	(VUM_MAP_WAIT_SPARE / 2)

static DEFINE_SPINLOCK(vum_map_wait_lock);
static struct file *vum_map_wait_spare[VUM_MAP_WAIT_SPARE];
static unsigned int vum_map_wait_nr;

/* Take one, if more than @spare are left. */
static struct file *vum_map_wait_pop(unsigned int spare)
{
	struct file *file = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vum_map_wait_lock, flags);
	if (vum_map_wait_nr > spare)
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

/* A spare file must not pin the module, so drop the reference that it has. */
static struct file *vum_map_wait_new(void)
{
	struct file *file = anon_inode_getfile("[vfio-user-hold]", &vum_map_wait_fops,
					       NULL, O_RDONLY);

	if (!IS_ERR(file))
		module_put(THIS_MODULE);
	return file;
}

/*
 * A worker makes the files, so that no consumer's limits, credentials or control
 * group have a part in them.
 */
static void vum_map_wait_fill(struct work_struct *work)
{
	struct file *file;

	while (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_SPARE) {
		file = vum_map_wait_new();
		if (IS_ERR(file))
			return;
		/* There is room, since only this work item adds files. */
		vum_map_wait_push(file);
	}
}

static DECLARE_WORK(vum_map_wait_work, vum_map_wait_fill);

static bool vum_map_wait_wanted(const struct vum_device *dev, unsigned long gen)
{
	return !vum_announce_heard(dev, gen);
}

/*
 * Tell the server of every device in the container what is mapped now, and wait until all
 * have heard of it. The container need not exist any more. Returns -EINTR if the caller is
 * being killed before that.
 */
static int vum_map_wait_heard(unsigned long id)
{
	/* This count includes the caller's map. */
	unsigned long gen = vum_container_gen();
	struct vum_device *dev;
	int ret = 0;

	while (!ret && (dev = vum_container_find_device(id, vum_map_wait_wanted,
							gen))) {
		ret = vum_announce_wait_heard(dev);
		vfio_put_device(&dev->vdev);
	}
	return ret;
}

/* Find the files behind what the caller has mapped. */
static void vum_map_wait_split(unsigned long id)
{
	struct vum_mapping map, *parts;
	unsigned int nr;
	const char *why;
	u64 vaddr;

	while (vum_container_unsplit(id, &map, &vaddr)) {
		why = vum_mapping_split(&map, vaddr, &parts, &nr);
		vum_container_split(id, parts, nr, why);
	}
}

static int vum_map_wait_release(struct inode *inode, struct file *file)
{
	unsigned long id = (unsigned long)file->private_data;
	bool heard = false;

	if (!id)
		return 0;
	vum_map_wait_split(id);
	/* No signal reaches a task that exits, and it maps nothing any more. */
	if (!(current->flags & (PF_EXITING | PF_KTHREAD))) {
		/* Else a task that maps and has no server could use up all files. */
		if (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_LOW)
			flush_work(&vum_map_wait_work);
		heard = !vum_map_wait_heard(id);
	}
	vum_container_waited(id, heard, NULL);
	return 0;
}

/**
 * vum_map_wait_take - take a file that makes the task wait for the servers
 * @id: this module's name for the container
 * @sure: few tasks of the container wait
 *
 * The caller fput()s the file, and the task waits in vum_map_wait_release() before it
 * leaves the kernel, and then calls vum_container_waited().
 *
 * Context: any.
 * Return: the file, with its only reference; NULL if too many tasks are waiting.
 */
struct file *vum_map_wait_take(unsigned long id, bool sure)
{
	struct file *file;

	/* The device that was in the container may have gone meanwhile. */
	if (!try_module_get(THIS_MODULE))
		return NULL;
	file = vum_map_wait_pop(sure ? 0 : VUM_MAP_WAIT_RESERVE);
	if (READ_ONCE(vum_map_wait_nr) < VUM_MAP_WAIT_LOW)
		vum_work_queue(&vum_map_wait_work);
	if (file)
		file->private_data = (void *)id;
	else
		module_put(THIS_MODULE);
	return file;
}

/**
 * vum_map_wait_init - make the files that are kept ready
 *
 * Return: 0, or -ENOMEM if not a single one could be made.
 */
int vum_map_wait_init(void)
{
	vum_work_queue(&vum_map_wait_work);
	flush_work(&vum_map_wait_work);
	return vum_map_wait_nr ? 0 : -ENOMEM;
}

/* A worker does this, since only kernel threads may call __fput_sync(). */
static void vum_map_wait_drain(struct work_struct *work)
{
	struct file *file;

	while ((file = vum_map_wait_pop(0))) {
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
