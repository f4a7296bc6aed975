#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Inside the VM: creates an mdev, starts the helper, a serial card in a process
# and a guest that uses it, and shows what each of them says.
set -u

. selftests/load.sh
. selftests/guest-device.sh
dir=$(mktemp -d)

say() { printf '\n=== %s\n' "$*"; }

say "Host kernel $(uname -r), unpatched; $(qemu-system-x86_64 --version | head -n 1)"
grep . /sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/name \
	/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/device_api

say "An mdev, the helper, and a 16550 PCI serial card in a process"
echo "echo $device_uuid >/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create"
echo "vfio-user-mdevd &"
echo "vum-serial --socket $device_socket &"
device_up "$dir" vum-serial
device_attached || { cat "$dir/helper.log"; exit 1; }
sed 's/^/  /' "$dir/helper.log"
vfio-user-mdevctl list
vfio-user-mdevctl monitor >"$dir/events" &
monitor=$!

say "Stock QEMU, stock guest kernel: -device vfio-pci,sysfsdev=$device_mdev"
echo "(the guest boots from cold, emulated in an emulated machine: a minute or so)"
device_talk &
device_guest guest selftests/vm/guest.sh --cold --timeout 180 selftests/guest/serial.sh
status=$?
sed 's/^/  guest: /' "$dir/guest"
sed 's/^/  card:  /' "$dir/out"

say "What it took"
vfio-user-mdevctl show "$device_uuid" | sed 's/^/  /'
kill -INT $monitor
wait $monitor
sed 's/^/  event: /' "$dir/events"
device_down

if [ $status = 0 ] && grep -q '^hello from the guest' "$dir/out" &&
   grep -q '^received: hello from the server' "$dir/guest" &&
   grep -q '^interrupts: [1-9]' "$dir/guest"; then
	say "Bytes went both ways, by interrupt. The demo has worked."
	exit 0
fi
say "The demo has FAILED"
dmesg | tail -n 30
exit 1
