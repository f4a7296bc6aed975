#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: eval "$(kernel.sh [world])"
#
# Provides a world for the test VMs: bookworm (the default), trixie, backports,
# debug, race. bookworm is the host itself, but for the kernel, which is not
# installed: the newest generic image, unpacked into the cache, and the headers of
# the same ABI, installed, so that the module can be built for it. trixie and
# backports have a root directory of their own, with everything in it: see
# root.sh. debug and race are trixie with a kernel that tells: debug-kernel.sh.
# Prints, for eval, with paths as the host and the VMs have them:
# VUM_ABI VUM_KERNEL (its package's version) VUM_VMLINUX VUM_MODDIR VUM_ROOT,
# and VUM_KDIR, its headers as seen in that root
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
world=${1:-bookworm}
meta=linux-image-amd64
env=$cache/$world.env
case $world in
bookworm) ;;
debug | race)
	exec "$here/debug-kernel.sh" "$world" ;;
*)
	root=$("$here/root.sh" "$world")
	cat "$root/vum.env"
	exit 0 ;;
esac

say() { echo "kernel: $*" >&2; }
die() { say "$*"; exit 1; }

# Asking apt takes most of a second, so its answer is kept until the package
# lists change.
if [ -f "$env" ] && [ -z "$(find "$env" -prune ! -newer /var/lib/apt/lists)" ] &&
   [ -z "$(find "$here/kernel.sh" -newer "$env")" ]; then
	VUM_KDIR="" VUM_VMLINUX="" VUM_ROOT=""
	# shellcheck disable=SC1090
	. "$env"
	if [ -f "$VUM_KDIR/Makefile" ] && [ -f "$VUM_VMLINUX" ] && [ "$VUM_ROOT" ]; then
		cat "$env"
		exit 0
	fi
fi

newest() {	# sets image and version
	# shellcheck disable=SC2046
	set -- $(apt-cache show --no-all-versions "$meta" 2>/dev/null |
		sed -n 's/^Depends: \(linux-image-[^ ]*\) (= \([^)]*\)).*/\1 \2/p')
	image=${1:-} version=${2:-}
}

unpacked() {
	[ "$(cat "$tree/version" 2>/dev/null)" = "$version" ] && [ -f "$tree/vmlinux" ]
}

download() {
	newest
	[ -n "$image" ] || return 1
	abi=${image#linux-image-}
	tree=$cache/$abi
	! unpacked || return 0
	say "downloading $image $version"
	(cd "$cache/tmp" && apt-get -qq download "$image=$version" >&2)
}

if [ "$(id -u)" != 0 ]; then
	die "$world's kernel is not in $cache yet, or out of date: run this once as root"
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9		# two runs on a fresh machine: the second waits and finds all done
rm -rf "$cache/tmp"
install -d -o _apt "$cache/tmp"
trap 'rm -rf "$cache/tmp"' EXIT

"$here/packages.sh" kmod xz-utils
if ! download; then
	say "updating the package lists"
	apt-get -qq update >&2 || die "apt-get update failed"
	download || die "cannot download a kernel for $world"
fi
"$here/packages.sh" "linux-headers-$abi"

if ! unpacked; then
	say "unpacking $image"
	new=$cache/tmp/tree
	dpkg-deb -x "$cache/tmp/$image"_*.deb "$new"
	"$here/vmlinux.sh" "$new/boot/vmlinuz-$abi" "$new/vmlinux"
	ln -s "/usr/src/linux-headers-$abi" "$new/lib/modules/$abi/build"
	depmod -b "$new" "$abi"
	echo "$version" >"$new/version"
	rm -rf "$tree" "${new:?}/usr"
	mv "$new" "$tree"
fi

cat >"$cache/tmp/env" <<END
VUM_ABI=$abi
VUM_KERNEL=$version
VUM_VMLINUX=$tree/vmlinux
VUM_MODDIR=$tree/lib/modules/$abi
VUM_KDIR=/usr/src/linux-headers-$abi
VUM_ROOT=/
END
mv "$cache/tmp/env" "$env"
cat "$env"
