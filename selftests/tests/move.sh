#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest is moved from one QEMU to another and back while it uses a virtio-blk disk: each
# QEMU has an mdev of its own, with a server of its own, on one image. VUM_MOVES: how often.
set -u

hops=${VUM_MOVES:-2}
# Where VFIO does not ask devices what they have written, QEMU migrates none by itself.
migration=,enable-migration=on
! grep -q ' iova_bitmap_set' /proc/kallsyms || migration=''
iommufd=''
[ "${VUM_CONSUMER-}" != cdev ] || iommufd=,iommufd=iommufd0

uuid() { echo "83b8f4f2-509f-382f-3c1e-e6bfe0fa300$1"; }

up() { # N SERVER...
	n=$1
	shift
	new_mdev "$(uuid "$n")"
	"$@" --socket "/run/vfio-user/$(uuid "$n").sock" 2>"$dir/log$n" &
	pids="$! $pids"
}

device() { echo "vfio-pci,addr=5.0$migration$iommufd,sysfsdev=/sys/bus/mdev/devices/$(uuid "$1")"; }

guest() {
	selftests/vm/guest.sh --program "$VUM_BIN/guest-move" --move "$(device 1)" \
		--move "$(device 2)" "$dir/script" ${iommufd:+-object iommufd,id=iommufd0} \
		>"$dir/guest" 2>&1
}

moves() { [ "$(grep -c 'move [0-9]*: .*"status": "completed"' "$dir/guest")" = "$hops" ]; }
downtimes() { sed -n 's/.*"downtime": \([0-9]*\),.*/\1/p' "$dir/guest" | sort -n | tr '\n' ' '; }
no_error() { grep -q ' 0 errors, 0 breaks' "$dir/log$1"; }

dir=$(mktemp -d)
pids=''
. selftests/guest-device.sh
truncate -s 64M "$dir/image"
sed "s/HOPS/$hops/" selftests/guest/disk-move.sh >"$dir/script"
vfio-user-mdevd 2>"$dir/helper.log" &
pids=$!
up 1 vum-virtio-blk --file "$dir/image" --stats
up 2 vum-virtio-blk --file "$dir/image" --stats
check "helper attaches both servers" device_attached
check "a guest runs to its end" guest
sed 's/^/# guest: /' "$dir/guest"
check "it was moved $hops times" moves
echo "# downtimes as QEMU tells them, in ms: $(downtimes)"
check "all that it wrote was found" grep -q 'all that was written was found' "$dir/guest"
for n in 1 2; do
	check "mdev $n can be removed" eval "echo 1 >/sys/bus/mdev/devices/$(uuid $n)/remove"
done
check "no message is left" \
	[ "$(cat /sys/class/mdev_bus/vfio-user/live_messages)" = 0 ]
# shellcheck disable=SC2086	# a list
kill $pids
# shellcheck disable=SC2086
wait $pids 2>/dev/null
for n in 1 2; do
	sed "s/^/# disk $n: /" "$dir/log$n"
	check "disk $n had no error" no_error $n
done
echo "1..$tap"
rm -rf "$dir"
