// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: the parent device and the mdev type; creating and removing mdevs;
 * loading and unloading the module.
 */

#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "device.h"
#include "dma_evict.h"
#include "dma_group.h"
#include "dma_observe.h"
#include "netlink.h"
#include "pseudofs.h"
#include "sock.h"
#include "sysfs.h"
#include "work.h"

static unsigned int max_instances = 256;
module_param(max_instances, uint, 0444);
MODULE_PARM_DESC(max_instances, "how many mdevs may exist at once (default 256)");

static struct mdev_type vum_type = {
	.sysfs_name = "pci",
	.pretty_name = "vfio-user PCI device",
};

static struct mdev_type *vum_types[] = { &vum_type };
static struct mdev_parent vum_parent;
static struct device *vum_parent_dev;

static ssize_t vum_show_description(struct mdev_type *type, char *buf)
{
	return sysfs_emit(buf, "PCI device served by a vfio-user server\n");
}

static int vum_probe(struct mdev_device *mdev)
{
	struct vum_device *dev;
	int ret;

	/* A module with mdevs is in use, even if no consumer has them open. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	dev = vfio_alloc_device(vum_device, vdev, &mdev->dev, &vum_device_ops);
	if (IS_ERR(dev)) {
		ret = PTR_ERR(dev);
		goto err_module;
	}
	dev_set_drvdata(&mdev->dev, dev);
	ret = vfio_register_emulated_iommu_dev(&dev->vdev);
	if (ret)
		goto err_vfio;
	vum_group_own(dev);
	ret = vum_channel_add(dev);
	if (ret)
		goto err_register;

	vum_netlink_add(dev);
	vum_conn_lock(&dev->conn);
	vum_conn_event(dev, VUM_EVENT_CREATED);
	vum_conn_unlock(&dev->conn);
	return 0;

err_register:
	vum_device_unregister(dev);
err_vfio:
	vfio_put_device(&dev->vdev);
err_module:
	module_put(THIS_MODULE);
	return ret;
}

static void vum_remove(struct mdev_device *mdev)
{
	struct vum_device *dev = dev_get_drvdata(&mdev->dev);

	/* This waits until the consumer has closed the device. */
	vum_device_unregister(dev);

	vum_netlink_del(dev);
	vum_channel_del(dev);
	cancel_work_sync(&dev->attach);
	vum_conn_lock(&dev->conn);
	vum_conn_event(dev, VUM_EVENT_REMOVED);
	vum_conn_unlock(&dev->conn);
	vfio_put_device(&dev->vdev);
	module_put(THIS_MODULE);
}

static struct mdev_driver vum_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.probe = vum_probe,
	.remove = vum_remove,
	.show_description = vum_show_description,
	.driver = {
		.name = "vfio_user_mdev",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
		.dev_groups = vum_mdev_groups,
	},
};

static int __init vum_parent_add(void)
{
	int ret;

	vum_parent_dev = device_create_with_groups(&vum_class, NULL,
						   MKDEV(0, 0), NULL,
						   vum_parent_groups,
						   "vfio-user");
	if (IS_ERR(vum_parent_dev))
		return PTR_ERR(vum_parent_dev);
	vum_driver.max_instances = max_instances;
	ret = mdev_register_parent(&vum_parent, vum_parent_dev, &vum_driver,
				   vum_types, ARRAY_SIZE(vum_types));
	if (ret)
		device_unregister(vum_parent_dev);
	return ret;
}

static int __init vum_init(void)
{
	int ret;

	/* All mdevs can be attaching at once, each on its own worker: see work.c. */
	if (max_instances > WQ_MAX_ACTIVE) {
		pr_err("max_instances must be at most %u\n", WQ_MAX_ACTIVE);
		return -EINVAL;
	}
	ret = vum_message_init();
	if (ret)
		return ret;
	ret = vum_work_init();
	if (ret)
		goto err_message;
	ret = vum_pseudofs_init();
	if (ret)
		goto err_work;
	ret = vum_evict_begin();
	if (ret)
		goto err_pseudofs;
	vum_observe_init(&vum_device_ops);
	ret = class_register(&vum_class);
	if (ret)
		goto err_observe;
	ret = vum_channel_chrdev_init();
	if (ret)
		goto err_class;
	ret = vum_netlink_init();
	if (ret)
		goto err_chrdev;
	ret = mdev_register_driver(&vum_driver);
	if (ret)
		goto err_netlink;
	ret = vum_parent_add();
	if (ret)
		goto err_driver;
	return 0;

err_driver:
	mdev_unregister_driver(&vum_driver);
err_netlink:
	vum_netlink_exit();
err_chrdev:
	vum_channel_chrdev_exit();
err_class:
	class_unregister(&vum_class);
err_observe:
	vum_observe_exit();
	vum_evict_end();
err_pseudofs:
	vum_pseudofs_exit();
err_work:
	vum_work_exit();
err_message:
	vum_message_exit();
	return ret;
}

static void __exit vum_exit(void)
{
	mdev_unregister_parent(&vum_parent);
	device_unregister(vum_parent_dev);
	mdev_unregister_driver(&vum_driver);
	vum_netlink_exit();
	vum_channel_chrdev_exit();
	class_unregister(&vum_class);
	vum_observe_exit();
	vum_evict_end();
	vum_work_exit();
	vum_sock_exit();
	/* Work items may have dropped the last reference to an inode. */
	vum_pseudofs_exit();
	vum_message_exit();
}

module_init(vum_init);
module_exit(vum_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vfio-user-mdev maintainers");
MODULE_VERSION(VUM_RELEASE);
/* Without type1, consumers have no container to put their groups into. */
MODULE_SOFTDEP("pre: vfio_iommu_type1 mdev");
MODULE_DESCRIPTION("mdevs served by vfio-user servers");
