#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-vm.sh DIR TEST...
#
# Inside the VM: loads the modules of coverage.sh, runs the tests, and prints where the
# module's sections were ("section NAME ADDRESS") and which blocks have run ("block ADDRESS").
dir=$1
shift
modprobe -a vfio_iommu_type1 mdev
modprobe -q vfio_virqfd
insmod "$dir/cover/vum_cover.ko" || exit 1
insmod "$dir/module/vfio_user_mdev.ko" || exit 1
mkdir -p /run/vfio-user
PATH=$PWD/$VUM_BIN:$PATH
for section in /sys/module/vfio_user_mdev/sections/.*text*; do
	echo "section ${section##*/} $(cat "$section")"
done
for t; do
	timeout 1800 "$VUM_BIN/test-$t"
done
rmmod vfio_user_mdev
sed 's/^/block /' /sys/kernel/debug/vum_cover
