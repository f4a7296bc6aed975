#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: initramfs.sh init-script [module...] [program...]
#
# Builds an initramfs from busybox, the init script, the modules with all they
# depend on, and the programs (static; they have a / in their names), and prints
# its path. Needs what kernel.sh prints in the environment. Built once per
# content: the name in the cache is a digest of everything that goes in. The
# init script finds the modules as /m/*.ko, in the order in which they have to
# be loaded, and the programs in /bin.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
busybox=/bin/busybox
init=$1
shift

modules='' programs=''
for arg; do
	case $arg in
	*/*) programs="$programs $arg" ;;
	*) modules="$modules $arg" ;;
	esac
done

tree=${VUM_MODDIR%/lib/modules/*}
# shellcheck disable=SC2086	# lists of words
key=$({ cat "$0" "$init" $programs; echo "$VUM_ABI $VUM_KERNEL $modules"; stat -c '%s %Y' "$busybox"; } |
	sha256sum | cut -c 1-16)
out=$cache/initramfs/$key.cpio
if [ -f "$out" ]; then
	echo "$out"
	exit 0
fi

"$here/packages.sh" busybox-static cpio kmod xz-utils
tmp=''
trap 'rm -rf "$tmp"' EXIT
if ! mkdir -p "$cache/initramfs" || ! tmp=$(mktemp -d "$cache/initramfs/tmp.XXXXXX"); then
	echo "initramfs: cannot write to $cache: run this once as root" >&2
	exit 1
fi
find "$cache/initramfs" -name '*.cpio' -mtime +7 -delete
root=$tmp/root
mkdir -p "$root/bin" "$root/m"
install -m 755 "$init" "$root/init"
cp "$busybox" "$root/bin/busybox"
"$busybox" --list | grep -vx busybox | while read -r applet; do
	ln -s busybox "$root/bin/$applet"
done
for program in $programs; do
	install -m 755 "$program" "$root/bin"
done

# modprobe in the initramfs would have to read all of modules.dep; here the
# order is worked out once.
n=100
for module in $modules; do
	modprobe -d "$tree" -S "$VUM_ABI" --show-depends "$module" >"$tmp/deps"
	while read -r verb ko _; do
		[ "$verb" = insmod ] || continue
		grep -qsxF "$ko" "$tmp/seen" && continue
		echo "$ko" >>"$tmp/seen"
		n=$((n + 1))
		file=${ko##*/}
		# busybox's insmod may not know how to unpack them.
		case $file in
		*.xz) xz -dc "$ko" >"$root/m/$n-${file%.xz}" ;;
		*) cp "$ko" "$root/m/$n-$file" ;;
		esac
	done <"$tmp/deps"
done

# Not compressed: the emulated CPU is slower than any copying.
(cd "$root" && find . | cpio --quiet -o -H newc) >"$tmp/cpio"
mv "$tmp/cpio" "$out"
echo "$out"
