#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Inside the VM: creates an mdev, starts the helper, a serial card in a process
# and a guest that uses it; then the same with a disk, and two guests; then three guests
# at once, whose disks are in one process; and shows what each of them says.
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

say "One process, by one thread, polls the disks of three guests at once"
mkdir "$dir/many"
set --
for i in 1 2 3; do
	uuid=${device_uuid%1}$((i + 1))
	new_mdev "$uuid"
	# Who polls memory that is taken away is to hear of it, and not to find zeros there.
	echo sigbus >"/sys/bus/mdev/devices/$uuid/vfio_user/dma_fault"
	head -c 4M /dev/urandom >"$dir/many/image$i"
	if [ $i = 1 ]; then
		set -- --socket "/run/vfio-user/$uuid.sock" --file "$dir/many/image$i"
	else
		set -- "$@" --also "/run/vfio-user/$uuid.sock=$dir/many/image$i"
	fi
done
echo "vum-virtio-blk --poll --socket ... --file image1 --also SOCKET=image2 --also SOCKET=image3 &"
vfio-user-mdevd 2>"$dir/many/helper.log" &
helper=$!
vum-virtio-blk --poll --stats "$@" 2>"$dir/many/server.log" &
server=$!
device_dir=$dir/many
attached
guests=''
for i in 1 2 3; do
	selftests/vm/guest.sh selftests/guest/disk-sum.sh -device \
		"vfio-pci,sysfsdev=/sys/bus/mdev/devices/${device_uuid%1}$((i + 1))" \
		>"$dir/many/guest$i" 2>&1 &
	guests="$guests $!"
done
# shellcheck disable=SC2086	# a list of words
wait $guests
kill $server $helper
wait $server $helper
found=0
for i in 1 2 3; do
	grep '^sum:' "$dir/many/guest$i" >"$dir/many/sum$i"
	show "guest $i" "$dir/many/sum$i"
	sum=$(md5sum <"$dir/many/image$i")
	echo "  as it should be: $sum"
	[ "$(cat "$dir/many/sum$i")" != "sum: $sum" ] || found=$((found + 1))
	echo 1 >"/sys/bus/mdev/devices/${device_uuid%1}$((i + 1))/remove"
done
sed 's|/[^ ]*/||; s/, [0-9]* flushes.*bytes written.*//' "$dir/many/server.log" >"$dir/many/stats"
show "disks" "$dir/many/stats"

if [ $status = 0 ] && [ $found = 3 ] && grep -q '^hello from the guest' "$dir/serial/out" &&
   grep -q '^received: hello from the server' "$dir/serial/guest" &&
   grep -q '^interrupts: [1-9]' "$dir/serial/guest" && disk_found second; then
	say "Bytes went both ways, by interrupt and by DMA. The demo has worked."
	exit 0
fi
say "The demo has FAILED"
dmesg | tail -n 30
exit 1
