# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced inside a test VM: everything loaded, ready for use.
modprobe -a vfio_iommu_type1 mdev
# Of its own in 6.1 only; depmod would know.
modprobe -q vfio_virqfd || :
insmod "$VUM_MODULE" || exit 1
mkdir -p /run/vfio-user
PATH=$PWD/$VUM_BIN:$PATH
