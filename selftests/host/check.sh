#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: check.sh [trixie | bookworm] [SCRIPT...]
#
# What an operator does with this project, on a Debian with systemd in a VM: packages are
# installed, upgraded and purged, the host reboots, mdevctl, libvirt, and users that are not
# root have their turn: the scripts beside this one, or those named, in two boots of the same
# disk. Prints TAP. The journals are in .build/host.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
here=selftests/host
suite=${1:-trixie}
[ $# = 0 ] || shift
scripts=${*:-kernels install define users upgrade libvirt reboot purge}
work=$PWD/.build/host-$suite
share=$work/share

# shellcheck disable=SC2046	# a list of words
selftests/vm/packages.sh $(cat selftests/vm/needs) debhelper dh-dkms dpkg-dev qemu-utils
rm -rf "$work"
mkdir -p "$share/bin" "$share/debs" "$share/new" "$share/$here" "$work/next"

# make_in DIRECTORY GOAL...
make_in() {
	make --no-print-directory -C "$@" >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }
}
release=$(sed -n 's/^.define VUM_RELEASE[[:space:]]*"\(.*\)"/\1/p' uapi/vfio_user_mdev.h)
next=$release.1
make_in . deb
mv .build/deb/*.deb "$share/debs"
make_in . programs TESTS= ROWS=
cp .build/bin/vum-serial .build/bin/vum-virtio-blk "$share/bin"
# A later release is this one with another number.
cp -pr Makefile Kbuild README.md LICENSE kmod uapi helper "$work/next"
cp -p --parents selftests/vm/packages.sh "$work/next"
sed -i "/define VUM_RELEASE/s/\"$release\"/\"$next\"/" "$work/next/uapi/vfio_user_mdev.h"
make_in "$work/next" deb
mv "$work/next"/.build/deb/*.deb "$share/new"
echo "$release" >"$share/release"
echo "$next" >"$share/next"
cp $here/*.sh "$share/$here"
root=$($here/root.sh "$suite")

# boot NAME SCRIPT...: of those that are to be run
boot() {
	name=$1
	shift
	{
		echo 'cd /run/vum'
		for script; do
			case " $scripts " in
			*" $script "*) printf 'echo "# == %s"\n%s/%s.sh\n' \
				"$script" "$here" "$script" ;;
			esac
		done
		echo 'journalctl -b -o short-monotonic >/run/vum/journal'
	} >"$share/command"
	grep -q '# == ' "$share/command" || return 0
	start=$(date +%s)
	$here/boot.sh --timeout 1800 "$root" "$work/disk" "$share" ||
		echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see $share/console)"
	echo "# boot $name took $(($(date +%s) - start)) s"
	cp "$share/journal" "$work/$name.journal" 2>/dev/null || :
	cp "$share/console" "$work/$name.console"
}
case " $scripts " in
*' kernels '*)
	echo "# == kernels"
	$here/in-host.sh "$root" "$share" $here/kernels.sh || echo "not ok - kernels: exit status $?" ;;
esac
boot first install define users upgrade libvirt
boot second reboot purge
rm -f "$work/disk"
