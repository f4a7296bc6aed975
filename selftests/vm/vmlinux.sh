#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: vmlinux.sh bzImage vmlinux
#
# Unpacks the ELF kernel in a bzImage: QEMU starts it by its PVH entry point,
# and without the kernel's own decoder a boot under emulation is seconds
# shorter. Layout of a bzImage: Documentation/arch/x86/boot.rst.
set -eu

bz=$1
field() { od -An -t "u$2" -j "$1" -N "$2" "$bz" | tr -d ' '; }
start=$((($(field 497 1) + 1) * 512 + $(field 584 4)))
# Behind the payload, and counted as part of it, is its unpacked size.
payload() { tail -c "+$((start + 1))" "$bz" | head -c $(($(field 588 4) - 4)); }

case $(payload | od -An -t x1 -N 4) in
' fd 37 7a 58') decoder=xz ;;
' 28 b5 2f fd') decoder=zstd ;;
*) echo "vmlinux.sh: $bz is packed in a way unknown here" >&2; exit 1 ;;
esac
payload | $decoder -dc >"$2"
if [ "$(od -An -c -j 1 -N 3 "$2" | tr -d ' ')" != ELF ]; then
	echo "vmlinux.sh: no ELF kernel in $bz" >&2
	exit 1
fi
