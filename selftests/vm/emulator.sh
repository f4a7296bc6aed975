#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: emulator.sh argument...
#
# Becomes the QEMU that test VMs run on: the host's or, if that is older than
# 8.1, trixie's. In older ones a CPU may go on to execute what another has just
# patched: "int3", say, which then nobody knows. Whoever switches tracepoints on
# and off kills a kernel with two CPUs in seconds, and so may a module that loads.
set -eu

here=$(dirname "$(readlink -f "$0")")
"$here/packages.sh" qemu-system-x86
version=$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([^ ]*\).*/\1/p')
if dpkg --compare-versions "$version" ge 8.1; then
	exec qemu-system-x86_64 "$@"
fi

# With trixie's libraries, but in the host's root, whose files the VM is to see.
root=$("$here/root.sh" trixie)
# Nobody removes a root that is in use.
exec 9<"$root/vum.env"
flock --shared 9
lib=$root/usr/lib/x86_64-linux-gnu
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib" \
	"$root/usr/bin/qemu-system-x86_64" \
	-L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
