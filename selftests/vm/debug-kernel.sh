#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: debug-kernel.sh world
#
# Provides the kernel of world debug or race, and prints what kernel.sh prints.
# The kernel is built from trixie's linux-source package, in trixie's root, from
# debug.config and world-*.config; once for each version of source, configuration
# and compiler. Guests in the VM run trixie's own kernel: VUM_GUEST_ENV says which.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
kernels=$cache/kernels
world=$1

say() { echo "kernel: $*" >&2; }
die() { say "$*"; exit 1; }

root=$("$here/root.sh" trixie)
exec 8<"$root/vum.env"	# so that nobody removes the root meanwhile
flock --shared 8
# shellcheck disable=SC2016	# dpkg's dollar
source=$(chroot "$root" dpkg-query -W -f '${Version}' linux-source)
layout=1		# to be raised when what is kept of a build changes
key=$({ cat "$here/debug.config" "$here/world-$world.config"
	echo "$layout $source"
	chroot "$root" gcc --version; } | sha256sum | cut -c 1-12)
tree=$kernels/$world.$key

finish() {
	abi=$(cat "$tree/release")
	cat <<END
VUM_ABI=$abi
VUM_KERNEL=$source-$key
VUM_VMLINUX=$tree/bzImage
VUM_MODDIR=$tree/lib/modules/$abi
VUM_KDIR=$tree/build
VUM_ROOT=$root
VUM_GUEST_ENV=$root/vum.env
VUM_MEM=1536
VUM_SLOW=3
END
	exit 0
}
[ ! -f "$tree/release" ] || finish

if [ "$(id -u)" != 0 ]; then
	die "$world's kernel is not in $cache yet, or out of date: run this once as root"
fi
mkdir -p "$kernels"
exec 9>"$kernels/$world.lock"
flock 9		# two runs at once: the second waits and finds it done
[ ! -f "$tree/release" ] || finish

new=$kernels/$world.new
rm -rf "$new"
mkdir -p "$new/source"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "unpacking linux-source $source"
tar -xf "$root"/usr/src/linux-source-*.tar.xz -C "$new/source" --strip-components=1
cat "$here/debug.config" "$here/world-$world.config" >"$new/config"

# make_kernel WORD...: make, in the source, in the root
make_kernel() {
	(cd "$new/source" && VUM_ROOT=$root "$here/in-root.sh" \
		make -j"$(nproc)" LOCALVERSION="-vum-$world" "$@")
}

# An option that depends on one that is missing vanishes without a word.
configure() {
	make_kernel -s KCONFIG_ALLCONFIG=../config allnoconfig || return 1
	grep ^CONFIG_ "$new/config" | while read -r line; do
		case $line in
		*=n) ! grep -q "^${line%n}" "$new/source/.config" ;;
		*) grep -qxF "$line" "$new/source/.config" ;;
		esac || echo "$line"
	done >"$new/refused"
	[ ! -s "$new/refused" ] || {
		say "options that this kernel does not take: $(tr '\n' ' ' <"$new/refused")"
		return 1
	}
}

# Says now and then how far make has come; the whole output goes to a file.
progress() {
	n=0
	while IFS= read -r line; do
		echo "$line"
		case $line in
		"  CC "* | "  AS "*)
			n=$((n + 1))
			[ $((n % 100)) != 0 ] || say "$world: $n files compiled" ;;
		esac
	done >"$new/log"
}

build() {
	{ make_kernel bzImage modules 2>&1 || echo failed >"$new/failed"; } | progress
	[ ! -e "$new/failed" ]
}

# What building a module takes, and no more: a whole tree has gigabytes.
keep() {
	make_kernel -s kernelrelease >"$new/release.new" &&
	make_kernel -s INSTALL_MOD_PATH="$new" modules_install &&
	make_kernel -s run-command \
		KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $new/build" &&
	mv "$new/source/arch/x86/boot/bzImage" "$new" &&
	rm -rf "$new/source" "$new/lib/modules"/*/build
}

start=$(date +%s)
say "building the kernel of world $world, once: about 1,450 files, ten minutes"
if ! configure || ! build || ! keep; then
	[ ! -e "$new/log" ] || tail -n 30 "$new/log" >&2
	die "cannot build the kernel of world $world"
fi
mv "$new/release.new" "$new/release"
say "world $world: built in $(($(date +%s) - start)) s"
# Kernels of yesterday's sources; one that a VM has booted is in its memory.
for old in "$kernels/$world".*/; do
	[ "$old" = "$new/" ] || rm -rf "$old"
done
mv "$new" "$tree"
finish
