# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced inside a test VM: everything loaded, ready for use.
modprobe -a vfio_iommu_type1 mdev
# Of its own in 6.1 only; depmod would know.
modprobe -q vfio_virqfd || :
insmod "$VUM_MODULE" || exit 1
mkdir -p /run/vfio-user
# With the names of tasks, each event would be switched on by patching the
# scheduler as well, while another CPU is in it: see vm/run.sh for what comes of it.
echo 0 >/sys/kernel/tracing/options/record-cmd
PATH=$PWD/$VUM_BIN:$PATH
