#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: root.sh [trixie | bookworm]
#
# Provides a Debian as an operator has it: systemd, udev, mdevctl, libvirt, QEMU, DKMS, a
# kernel and its headers. Prints its directory, which has
#   root/		the files, for programs that run in a chroot
#   image		the same as a filesystem, for a VM to boot from
#   vmlinux, initrd	the kernel, and what mounts the image: see init.host
#   second/		packages of another kernel
#   vum.env		the kernel's version, for eval
# mmdebstrap makes it, from the host's mirror, once in two weeks or when what goes in
# changes. It is in use while somebody holds a lock on its vum.env.
set -eu

here=$(dirname "$(readlink -f "$0")")
vm=$here/../vm
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
roots=$cache/roots
suite=${1:-trixie}

say() { echo "host root: $*" >&2; }
die() { say "$*"; exit 1; }

# Recommended packages are left out, so these are what a host has of them, too.
packages="linux-image-amd64 linux-headers-amd64 systemd systemd-sysv udev dbus kmod
	apparmor libvirt-daemon-system libvirt-clients qemu-system-x86 mdevctl dkms gcc
	libc6-dev make libnl-3-200 libnl-genl-3-200 libjson-c5 jq uuid-runtime procps
	busybox-static e2fsprogs iproute2 less"
case $suite in
trixie | bookworm) ;;
*) die "unknown Debian '$suite' (known: trixie bookworm)" ;;
esac
key=$({ cat "$0" "$here/init.host" "$vm/initramfs.sh"; echo "$packages"; } | sha256sum | cut -c 1-8)

present() { find "$roots/host-$suite.$key".*/vum.env "$@" 2>/dev/null | sort | tail -n 1; }
finish() {
	echo "${1%/vum.env}"
	exit 0
}
env=$(present -mtime -14)
[ -z "$env" ] || finish "$env"

[ "$(id -u)" = 0 ] || die "it is not in $cache yet, or out of date: run this once as root"
mkdir -p "$roots"
exec 9>"$roots/host-$suite.lock"
flock 9		# two runs at once: the second waits and finds it done
env=$(present -mtime -14)
[ -z "$env" ] || finish "$env"

"$vm/packages.sh" mmdebstrap xz-utils zstd e2fsprogs
new=$roots/host-$suite.new
final=$roots/host-$suite.$key.$(date +%Y%m%d%H%M%S)
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# mirror ARCHIVE RELEASE: where the host has that release of its own from.
mirror() {
	# shellcheck disable=SC2016	# apt's dollars
	uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$2 //p" | head -n 1)
	echo "${uri:-http://deb.debian.org/$1}"
}
host=$(. /etc/os-release; echo "${VERSION_CODENAME-}")
debian=$(mirror debian "$host")
security=$(mirror debian-security "$host-security")
sources() {
	echo "deb $debian $suite main"
	echo "deb $debian $suite-updates main"
	echo "deb $security $suite-security main"
}

packages=$(echo "$packages" | tr '\n\t' '  ')
# The other kernel is not installed, but its packages are kept for a test that does.
# shellcheck disable=SC2016	# the hook's dollars
fetch_second='chroot "$1" apt-get -y -q --download-only -o Dir::Cache::archives=/second install \
	linux-image-rt-amd64 linux-headers-rt-amd64'
make_root() {
	apt-config dump | grep -E '^Acquire::(https?|Check-|Retries)' >"$new/apt.conf" || :
	# shellcheck disable=SC2016	# the hook's dollar
	sources | INITRD=No unshare --mount mmdebstrap --quiet --variant=minbase \
		--aptopt="$new/apt.conf" --aptopt='APT::Install-Recommends "false"' \
		--include="$packages" \
		--customize-hook='mkdir -p "$1/second/partial"' --customize-hook="$fetch_second" \
		"$suite" "$new/root" - >"$roots/host-$suite.log" 2>&1
}
say "making a host with $suite, which takes some minutes"
# A mirror may be in the middle of its own update.
if ! make_root && ! { say "once more"; sleep 30; rm -rf "$new/root"; make_root; }; then
	tail -n 30 "$roots/host-$suite.log" >&2
	die "mmdebstrap failed; the whole of it is in $roots/host-$suite.log"
fi
root=$new/root
rm -rf "$root/second/partial" "$root/second/lock"
mv "$root/second" "$new/second"

abi=$(ls "$root/lib/modules")
# shellcheck disable=SC2016	# dpkg's dollar
version=$(chroot "$root" dpkg-query -W -f '${Version}' "linux-image-$abi")
"$vm/vmlinux.sh" "$root/boot/vmlinuz-$abi" "$new/vmlinux"
initrd=$(VUM_ABI=$abi VUM_KERNEL=$version VUM_MODDIR=$root/lib/modules/$abi \
	"$vm/initramfs.sh" "$here/init.host" virtio_pci virtio_blk ext4 9pnet_virtio 9p virtio_net)
cp "$initrd" "$new/initrd"

# An operator's host has a machine id, a name, and a disk.
echo vum-host >"$root/etc/hostname"
echo '127.0.0.1 localhost vum-host' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$new/image" 8G

cat >"$new/vum.env" <<END
VUM_ABI=$abi
VUM_KERNEL=$version
VUM_SUITE=$suite
END
mv "$new" "$final"

for env in "$roots/host-$suite".*/vum.env; do
	[ "$env" = "$final/vum.env" ] ||
		flock --nonblock --exclusive "$env" rm -rf "${env%/vum.env}" || :
done
finish "$final/vum.env"
