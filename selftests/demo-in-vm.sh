#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Inside the VM: creates an mdev, starts the helper, a serial card in a process
# and a guest that uses it; then the same with a disk, and two guests; and shows
# what each of them says.
set -u

. selftests/load.sh
. selftests/guest-disk.sh
dir=$(mktemp -d)
mkdir "$dir/serial" "$dir/disk"

say() { printf '\n=== %s\n' "$*"; }
show() { sed "s/^/  $1: /" "$2"; }	# WHO FILE
attached() { device_attached || { cat "$device_dir/helper.log"; exit 1; }; }

say "Host kernel $(uname -r), unpatched; $(qemu-system-x86_64 --version | head -n 1)"
grep . /sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/name \
	/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/device_api

say "An mdev, the helper, and a 16550 PCI serial card in a process"
echo "echo $device_uuid >/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create"
echo "vfio-user-mdevd &"
echo "vum-serial --socket $device_socket &"
device_up "$dir/serial" vum-serial
attached
sed 's/^/  /' "$dir/serial/helper.log"
vfio-user-mdevctl list
vfio-user-mdevctl monitor >"$dir/events" &
monitor=$!

say "Stock QEMU, stock guest kernel: -device vfio-pci,sysfsdev=$device_mdev"
echo "(the guest has booted without a device; here it goes on and finds one)"
device_talk &
device_guest guest selftests/vm/guest.sh --timeout 100 selftests/guest/serial.sh
status=$?
show guest "$dir/serial/guest"
show card "$dir/serial/out"

say "What it took"
vfio-user-mdevctl show "$device_uuid" | sed 's/^/  /'
kill -INT $monitor
wait $monitor
show event "$dir/events"
device_down

say "Now the process is a disk, which fetches from the guest's memory and puts there"
echo "vum-virtio-blk --socket $device_socket --file image &"
disk_up "$dir/disk" 131071
attached
echo "(one guest mounts it and writes; the next one reads)"
disk_guest first selftests/guest/disk-write.sh
show "first guest" "$dir/disk/first"
pinned=$(cat "$dir/disk/pinned")
disk_guest second selftests/guest/disk-read.sh
tr -s ' ' <"$dir/disk/second" >"$dir/disk/squeezed"
show "second guest" "$dir/disk/squeezed"
echo "  as it should be: $disk_sum"
echo "  the first guest has 65536 pages, of which were pinned: $pinned"
device_down
show disk "$dir/disk/server.log"

if [ $status = 0 ] && grep -q '^hello from the guest' "$dir/serial/out" &&
   grep -q '^received: hello from the server' "$dir/serial/guest" &&
   grep -q '^interrupts: [1-9]' "$dir/serial/guest" && disk_found second; then
	say "Bytes went both ways, by interrupt and by DMA. The demo has worked."
	exit 0
fi
say "The demo has FAILED"
dmesg | tail -n 30
exit 1
