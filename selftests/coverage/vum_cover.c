// SPDX-License-Identifier: GPL-2.0
/*
 * Which blocks of a module have run, in whatever task, on any kernel: KCOV, which few
 * kernels have, follows single tasks. The module is compiled with
 * -fsanitize-coverage=trace-pc and cover.h.
 *
 * /sys/kernel/debug/vum_cover has the blocks' addresses, a line for each; writing to it
 * forgets them.
 */

#include <linux/debugfs.h>
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/seq_file.h>

/* More than there are blocks: a block that finds no slot near its own is not seen. */
#define SLOTS_BITS	16
#define SLOTS		(1U << SLOTS_BITS)
#define PROBES		32

static unsigned long vum_cover_slots[SLOTS];
static struct dentry *vum_cover_file;

void vum_cover_trace_pc(void);

notrace void vum_cover_trace_pc(void)
{
	unsigned long pc = (unsigned long)__builtin_return_address(0), old;
	u32 at = hash_long(pc, SLOTS_BITS), i;

	for (i = 0; i < PROBES; i++, at = (at + 1) % SLOTS) {
		old = READ_ONCE(vum_cover_slots[at]);
		if (!old)
			old = cmpxchg(&vum_cover_slots[at], 0, pc);
		if (!old || old == pc)
			return;
	}
}
EXPORT_SYMBOL_GPL(vum_cover_trace_pc);

static int vum_cover_show(struct seq_file *m, void *unused)
{
	u32 i;

	for (i = 0; i < SLOTS; i++)
		if (vum_cover_slots[i])
			seq_printf(m, "%lx\n", vum_cover_slots[i]);
	return 0;
}

static int vum_cover_open(struct inode *inode, struct file *file)
{
	return single_open(file, vum_cover_show, NULL);
}

static ssize_t vum_cover_write(struct file *file, const char __user *buf, size_t count,
			       loff_t *ppos)
{
	memset(vum_cover_slots, 0, sizeof(vum_cover_slots));
	return count;
}

static const struct file_operations vum_cover_fops = {
	.owner		= THIS_MODULE,
	.open		= vum_cover_open,
	.read		= seq_read,
	.write		= vum_cover_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int __init vum_cover_init(void)
{
	vum_cover_file = debugfs_create_file("vum_cover", 0600, NULL, NULL, &vum_cover_fops);
	return 0;
}

static void __exit vum_cover_exit(void)
{
	debugfs_remove(vum_cover_file);
}

module_init(vum_cover_init);
module_exit(vum_cover_exit);
MODULE_DESCRIPTION("Coverage of vfio_user_mdev by its tests");
MODULE_LICENSE("GPL");
