#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-vm.sh DIR TEST...
#
# Inside the VM: loads the modules of coverage.sh, runs the tests, and prints after each
# where the module's sections are ("section NAME ADDRESS"), which a test that loads the
# module again changes, and which blocks have run ("block ADDRESS").
dir=$1
shift
export VUM_MODULE="$dir/module/vfio_user_mdev.ko"
cover=/sys/kernel/debug/vum_cover
insmod "$dir/cover/vum_cover.ko" || exit 1
# shellcheck source=selftests/load.sh
. selftests/load.sh
for t; do
	timeout 1800 "$VUM_BIN/test-$t"
	for section in /sys/module/vfio_user_mdev/sections/.*text*; do
		echo "section ${section##*/} $(cat "$section")"
	done
	sed 's/^/block /' $cover
	echo >$cover
done
rmmod vfio_user_mdev
sed 's/^/block /' $cover
