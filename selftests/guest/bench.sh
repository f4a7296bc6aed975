# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154	# what, name, seconds: bench/guest.sh sets them
# Inside a guest that has the same device by several paths: compares them. The
# slot tells the path.
list=
for path in direct=10 relay=11 kernel=12; do
	device=/sys/bus/pci/devices/0000:00:${path#*=}.0
	[ -e "$device" ] || continue
	[ "$what" != disk ] || for block in "$device"/virtio*/block/*; do
		device=/dev/${block##*/}
	done
	list="$list ${path%=*}=$device"
done
# shellcheck disable=SC2086	# a list of words
guest-bench "$what" "$name" "$seconds" $list || exit 1
