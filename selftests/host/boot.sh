#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: boot.sh [--timeout S] ROOT DISK SHARE
#
# Boots the host that root.sh has made in ROOT, from DISK, which is made on top of its image
# if it is not there and keeps what the host has written. Once the host is up it runs
# SHARE/command, as root; it finds SHARE in /run/vum. Then it powers off.
# What the command prints goes to stdout, the console to SHARE/console.
#
# Exit status: the command's, or 124 = timeout, 125 = the VM did not come up or died.
set -eu

here=$(dirname "$(readlink -f "$0")")
timeout=600
if [ "$1" = --timeout ]; then
	timeout=$2
	shift 2
fi
root=$1 disk=$2 share=$3

# Nobody removes a root that is in use.
exec 8<"$root/vum.env"
flock --shared 8
if [ ! -e "$disk" ]; then
	"$here/../vm/packages.sh" qemu-utils
	qemu-img create -q -f qcow2 -F raw -b "$root/image" "$disk"
fi
rm -f "$share/status"
: >"$share/out"

# The test device is for VFIO, which takes an IOMMU.
# What is written is in the guest's page cache until it powers off, and then in the host's.
setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout" \
	setpriv --pdeathsig KILL "$here/../vm/emulator.sh" \
	-accel "${ACCEL:-tcg,thread=multi}" -cpu Nehalem -smp 2 -m 3072 \
	-M q35,hpet=off -nodefaults -no-user-config -display none -no-reboot \
	-kernel "$root/vmlinux" -initrd "$root/initrd" -append \
	"console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr tsc=reliable \
apparmor=1 security=apparmor intel_iommu=on iommu.passthrough=1 systemd.unit=vum.target systemd.show_status=false" \
	-serial "file:$share/console" \
	-drive "file=$disk,if=virtio,cache=unsafe" \
	-device intel-iommu -device pci-testdev \
	-virtfs "local,path=$share,mount_tag=ctl,security_model=none" </dev/null 8<&- &
pid=$!
trap 'kill $pid 2>/dev/null || :' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tail --pid=$pid -s 0.5 -n +1 -f "$share/out" 8<&-
rc=0
wait $pid || rc=$?
trap - EXIT

status=$(cat "$share/status" 2>/dev/null) || :
[ -z "$status" ] || exit "$status"
[ "$rc" != 124 ] || { echo "# boot.sh: timeout after $timeout s" >&2; exit 124; }
echo "# boot.sh: the VM did not run $share/command; from its console:" >&2
tail -n 15 "$share/console" | sed 's/^/# /' >&2
exit 125
