// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the observer, which sees what consumers map.
 *
 * VFIO tells an mdev driver of unmaps, and only where the driver has pinned pages; of
 * maps VFIO tells nothing. Return probes on the type1 container's functions see both.
 * Only this file depends on VFIO's inner functions: everything else works without it,
 * and it can go the day VFIO has a callback for maps.
 *
 * The probes run with preemption disabled.
 */

#include <linux/file.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "device.h"
#include "dma_group.h"
#include "dma_map_wait.h"
#include "dma_observe.h"

static bool observe = true;
module_param(observe, bool, 0444);
MODULE_PARM_DESC(observe, "watch consumers map memory, for vfio_user/dma_announce=exact (default Y)");

/* The probes are registered. */
static bool vum_observing;
/* The ops by which the devices of this module are told from others. */
static const struct vfio_device_ops *vum_observed_ops;

/* A group on its way into a container. */
struct vum_join {
	const void *iommu;
	const struct iommu_group *group;
};

static size_t vum_call_size(unsigned int cmd)
{
	switch (cmd) {
	case VFIO_IOMMU_MAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_map, size);
	case VFIO_IOMMU_UNMAP_DMA:
		return offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	default:
		return 0;
	}
}

static void vum_call_read(struct vum_call *call)
{
	call->unread = copy_from_user_nofault(&call->map,
					      (void __user *)call->uarg,
					      vum_call_size(call->cmd));
}

/* Probes the entry of vfio_iommu_type1_ioctl(iommu, cmd, arg). */
static int vum_ioctl_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_call *call = (struct vum_call *)ri->data;

	call->iommu = (void *)regs_get_kernel_argument(regs, 0);
	call->cmd = regs_get_kernel_argument(regs, 1);
	call->uarg = regs_get_kernel_argument(regs, 2);
	if (vum_call_size(call->cmd))
		vum_call_read(call);
	call->task = current;
	/* kretprobes call vum_ioctl_return() only if this returns 0. */
	return !vum_container_call_begin(call);
}

static int vum_ioctl_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_call *call = (struct vum_call *)ri->data;
	struct file *wait;

	/* VFIO has read the argument meanwhile, so its page is in memory now. */
	if (call->unread && call->cmd == VFIO_IOMMU_MAP_DMA)
		vum_call_read(call);
	if (!vum_container_call_end(call, regs_return_value(regs)))
		return 0;
	wait = vum_map_wait_take(call->id, call->sure);
	if (wait)
		fput(wait);
	else
		vum_container_waited(call->id, false,
				     "consumers map too much at once");
	return 0;
}

/* Probes the return of vfio_iommu_type1_open(), which is the iommu. */
static int vum_open_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	void *iommu = (void *)regs_return_value(regs);

	if (!IS_ERR_OR_NULL(iommu))
		vum_container_open(iommu);
	return 0;
}

/* Probes the entry of vfio_iommu_type1_release(iommu). */
static int vum_release_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	void *iommu = (void *)regs_get_kernel_argument(regs, 0);

	vum_container_release(iommu);
	vum_group_remove_all(iommu);
	return 1;
}

/* Probes the entry of vfio_iommu_type1_attach_group(iommu, group, type). */
static int vum_attach_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_join *join = (struct vum_join *)ri->data;

	join->iommu = (void *)regs_get_kernel_argument(regs, 0);
	join->group = (void *)regs_get_kernel_argument(regs, 1);
	return 0;
}

static int vum_attach_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vum_join *join = (struct vum_join *)ri->data;

	if (!regs_return_value(regs))
		vum_group_add(join->iommu, join->group);
	return 0;
}

/* Probes the entry of vfio_iommu_type1_detach_group(iommu, group). */
static int vum_detach_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	vum_group_remove((void *)regs_get_kernel_argument(regs, 0),
			 (void *)regs_get_kernel_argument(regs, 1));
	return 1;
}

/* Probes the entry of vfio_iommu_type1_register_device(iommu, vdev). */
static int vum_register_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct vfio_device *vdev = (void *)regs_get_kernel_argument(regs, 1);

	if (vdev->ops == vum_observed_ops)
		vum_container_bind((void *)regs_get_kernel_argument(regs, 0),
				   vum_from_vfio(vdev));
	return 1;
}

/*
 * Ioctls can take long. Beyond maxactive at a time they would be missed, and counted;
 * dma_container.c follows fewer.
 */
static struct kretprobe vum_ioctl_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_ioctl",
	.entry_handler	= vum_ioctl_enter,
	.handler	= vum_ioctl_return,
	.data_size	= sizeof(struct vum_call),
	.maxactive	= VUM_CALLS_MAX,
};

static struct kretprobe vum_open_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_open",
	.handler	= vum_open_return,
	.maxactive	= 64,
};

static struct kretprobe vum_release_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_release",
	.entry_handler	= vum_release_enter,
	.maxactive	= 64,
};

static struct kretprobe vum_attach_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_attach_group",
	.entry_handler	= vum_attach_enter,
	.handler	= vum_attach_return,
	.data_size	= sizeof(struct vum_join),
	.maxactive	= 64,
};

static struct kretprobe vum_detach_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_detach_group",
	.entry_handler	= vum_detach_enter,
	.maxactive	= 64,
};

static struct kretprobe vum_register_probe = {
	.kp.symbol_name	= "vfio_iommu_type1_register_device",
	.entry_handler	= vum_register_enter,
	.maxactive	= 64,
};

static struct kretprobe *vum_probes[] = {
	/* In this order, so that no ioctl or release of a known container is missed. */
	&vum_release_probe, &vum_detach_probe, &vum_ioctl_probe,
	&vum_attach_probe, &vum_register_probe, &vum_open_probe,
};

/*
 * Refuse probes without ftrace: such a probe is a breakpoint, whose handler runs as
 * in an NMI and may have interrupted the very task that holds vum_container_lock.
 */
static int vum_probes_enable(void)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(vum_probes); i++)
		if (!kprobe_ftrace(&vum_probes[i]->kp))
			return -EOPNOTSUPP;
	for (i = 0; i < ARRAY_SIZE(vum_probes); i++) {
		ret = enable_kretprobe(vum_probes[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* Stands in for the probed code where that does not tell whether a probe is armed. */
static const u32 vum_no_text = ~0U;

/* Returns 0, or the error because of which nothing is observed. */
static int vum_probes_start(struct vum_probe_state *state)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(vum_probes); i++)
		vum_probes[i]->kp.flags = KPROBE_FLAG_DISABLED;
	ret = register_kretprobes(vum_probes, ARRAY_SIZE(vum_probes));
	if (ret)
		return ret;
	state->text = (const u32 *)vum_ioctl_probe.kp.addr;
	state->unarmed = READ_ONCE(*state->text);
	/* Probes may fire as soon as they are enabled. */
	vum_container_observe("the observer has not been started", state);
	ret = vum_probes_enable();
	if (ret)
		unregister_kretprobes(vum_probes, ARRAY_SIZE(vum_probes));
	/* Another tracer was there before: then the code does not tell. */
	else if (READ_ONCE(*state->text) == state->unarmed)
		state->text = &vum_no_text;
	return ret;
}

/* Returns NULL if the probes run, or why nothing can be observed. */
static const char *vum_observe_start(struct vum_probe_state *state)
{
	int ret;

	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return "the observer does not work on PREEMPT_RT";
	request_module("vfio_iommu_type1");
	if (vum_map_wait_init())
		return "out of memory when the module was loaded";
	ret = vum_probes_start(state);
	vum_observing = !ret;
	if (ret == -EOPNOTSUPP)
		return "the kernel's probes run as in an NMI (no CONFIG_KPROBES_ON_FTRACE)";
	if (ret == -ENOENT)
		return "vfio_iommu_type1 is not loaded, or lacks the functions to observe";
	return ret ? "the kernel's kretprobes do not work" : NULL;
}

/**
 * vum_observe_init - begin to observe what consumers map
 * @ops: the ops by which this module's devices are recognised
 *
 * If that is not possible, servers are told an aperture.
 */
void vum_observe_init(const struct vfio_device_ops *ops)
{
	const char *why_not = "the observer is switched off (module parameter observe)";
	struct vum_probe_state state = {
		.missed = &vum_ioctl_probe.nmissed,
		.text = &vum_no_text,
	};

	vum_observed_ops = ops;
	vum_container_observe(why_not, &state);
	if (!observe)
		return;
	why_not = vum_observe_start(&state);
	vum_container_observe(why_not, &state);
	if (why_not)
		pr_notice("cannot observe what consumers map (%s): servers will be told an aperture\n",
			  why_not);
}

/**
 * vum_observe_exit - stop observing
 */
void vum_observe_exit(void)
{
	if (vum_observing)
		unregister_kretprobes(vum_probes, ARRAY_SIZE(vum_probes));
	vum_container_exit();
	vum_group_remove_all(NULL);
	vum_map_wait_exit();
}
