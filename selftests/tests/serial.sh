#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# End to end: a guest under the distribution's QEMU drives a 16550 PCI serial
# card that lives in a process.
set -u

n=0
check() {
	n=$((n + 1))
	what=$1
	shift
	if "$@"; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
	fi
}

dir=$(mktemp -d)
. selftests/serial-card.sh
serial_up "$dir"
check "helper attaches the server" serial_attached
serial_guest "$dir" selftests/vm/guest.sh >"$dir/guest.out" 2>&1
check "guest runs to its end" [ $? = 0 ]
sed 's/^/# guest: /' "$dir/guest.out"
check "8250_pci has bound to the card" grep -q 'driver: serial on .* 0x1b36:0x0002' "$dir/guest.out"
check "it is a 16550A with an interrupt" grep -qE 'irq [1-9][0-9]*, type 4' "$dir/guest.out"
check "bytes from the guest come out of the server" grep -q '^hello from the guest' "$dir/card.out"
check "bytes typed into the server arrive" grep -q '^received: hello from the server' "$dir/guest.out"
check "by interrupt" grep -qE '^interrupts: [1-9]' "$dir/guest.out"
serial_down
check "the mdev can be removed" [ ! -e "/dev/vfio-user/$serial_uuid" ]
echo "1..$n"
rm -rf "$dir"
