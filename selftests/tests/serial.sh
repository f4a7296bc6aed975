#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# End to end: a guest under the distribution's QEMU drives a 16550 PCI serial
# card that lives in a process.
set -u

dir=$(mktemp -d)
. selftests/guest-device.sh
device_up "$dir" vum-serial
check "helper attaches the server" device_attached
device_talk &
talker=$!
check "guest runs to its end" \
	device_guest guest selftests/vm/guest.sh selftests/guest/serial.sh
kill $talker 2>/dev/null
sed 's/^/# guest: /' "$dir/guest"
check "8250_pci has bound to the card" grep -q 'driver: serial on .* 0x1b36:0x0002' "$dir/guest"
check "it is a 16550A with an interrupt" grep -qE 'irq [1-9][0-9]*, type 4' "$dir/guest"
check "bytes from the guest come out of the server" grep -q '^hello from the guest' "$dir/out"
check "bytes typed into the server arrive" grep -q '^received: hello from the server' "$dir/guest"
check "by interrupt" grep -qE '^interrupts: [1-9]' "$dir/guest"
device_down
check "the mdev can be removed" [ ! -e "/dev/vfio-user/$device_uuid" ]
echo "1..$tap"
rm -rf "$dir"
