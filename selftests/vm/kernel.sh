#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: eval "$(kernel.sh [bookworm])"
#
# Provides the kernel of a world (a Debian suite) for the test VMs, without
# installing it: the newest generic image, unpacked into the cache, and the
# headers of the same ABI, installed, so that the module can be built for it.
# Prints, for eval: VUM_ABI VUM_VMLINUX VUM_MODDIR VUM_KDIR
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
world=${1:-bookworm}
case $world in
bookworm) meta=linux-image-amd64 ;;
*) echo "kernel.sh: unknown world '$world' (known: bookworm)" >&2; exit 1 ;;
esac
env=$cache/$world.env

say() { echo "kernel: $*" >&2; }
die() { say "$*"; exit 1; }

# Asking apt takes most of a second, so its answer is kept until the package
# lists change.
if [ -f "$env" ] && [ -z "$(find "$env" -prune ! -newer /var/lib/apt/lists)" ] &&
   [ -z "$(find "$here/kernel.sh" -newer "$env")" ]; then
	VUM_KDIR="" VUM_VMLINUX=""
	# shellcheck disable=SC1090
	. "$env"
	if [ -f "$VUM_KDIR/Makefile" ] && [ -f "$VUM_VMLINUX" ]; then
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
	# Without the kernel's own xz decoder a boot under emulation is seconds
	# shorter. QEMU starts an ELF image by its PVH entry point. Layout of a
	# bzImage: Documentation/arch/x86/boot.rst.
	bz=$new/boot/vmlinuz-$abi
	field() { od -An -t "u$2" -j "$1" -N "$2" "$bz" | tr -d ' '; }
	start=$((($(field 497 1) + 1) * 512 + $(field 584 4)))
	tail -c "+$((start + 1))" "$bz" | head -c "$(field 588 4)" |
		xz -dc --single-stream >"$new/vmlinux"
	[ "$(head -c 4 "$new/vmlinux" | tail -c 3)" = ELF ] || die "no ELF kernel in $bz"
	ln -s "/usr/src/linux-headers-$abi" "$new/lib/modules/$abi/build"
	depmod -b "$new" "$abi"
	echo "$version" >"$new/version"
	rm -rf "$tree" "${new:?}/usr"
	mv "$new" "$tree"
fi

cat >"$cache/tmp/env" <<END
VUM_ABI=$abi
VUM_VMLINUX=$tree/vmlinux
VUM_MODDIR=$tree/lib/modules/$abi
VUM_KDIR=/usr/src/linux-headers-$abi
END
mv "$cache/tmp/env" "$env"
cat "$env"
