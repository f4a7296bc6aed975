#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: root.sh world
#
# Provides the root directory of a world that is not the host's, and prints its
# path: a small Debian with the world's kernel, its headers and all of needs.
# mmdebstrap makes it, from the host's mirror, once a week or when what goes in
# changes. Its file vum.env is what kernel.sh prints.
#
# A root is in use while somebody holds a lock on its vum.env.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
roots=$cache/roots
world=$1

say() { echo "root: $*" >&2; }
die() { say "$*"; exit 1; }

# trixie's root is also where the kernels of debug-kernel.sh are built.
prefer='' more=''
case $world in
trixie) more='bc bison flex libelf-dev linux-source' ;;
backports) prefer='APT::Default-Release "trixie-backports";' ;;
*) die "unknown world '$world' (known: bookworm trixie backports)" ;;
esac
key=$(cat "$0" "$here/needs" | sha256sum | cut -c 1-8)

# The newest with this key; with an argument of find's, only if that holds.
present() {
	find "$roots/$world.$key".*/vum.env "$@" 2>/dev/null | sort | tail -n 1
}
finish() {
	echo "${1%/vum.env}"
	exit 0
}
env=$(present -mtime -7)
[ -z "$env" ] || finish "$env"

if [ "$(id -u)" != 0 ]; then
	die "$world is not in $cache yet, or out of date: run this once as root"
fi
mkdir -p "$roots"
exec 9>"$roots/$world.lock"
flock 9		# two runs at once: the second waits and finds it done
env=$(present -mtime -7)
[ -z "$env" ] || finish "$env"

"$here/packages.sh" mmdebstrap xz-utils zstd
new=$roots/$world.new
final=$roots/$world.$key.$(date +%Y%m%d%H%M%S)
rm -rf "$new"
trap 'rm -rf "$new" "$new.conf"' EXIT
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
	echo "deb $debian trixie main"
	echo "deb $debian trixie-updates main"
	echo "deb $security trixie-security main"
	[ -z "$prefer" ] || echo "deb $debian trixie-backports main"
}

# The host's proxies and the like. What is mounted meanwhile is so in a
# namespace of its own and cannot stay behind. Nobody boots by an initrd here.
make_root() {
	apt-config dump | grep -E '^Acquire::(https?|Check-|Retries)' >"$new.conf" || :
	echo "$prefer" >>"$new.conf"
	sources | INITRD=No unshare --mount mmdebstrap --quiet --variant=minbase \
		--aptopt="$new.conf" --aptopt='APT::Install-Recommends "false"' \
		--include="linux-image-amd64 linux-headers-amd64 $more $(tr '\n' ' ' <"$here/needs")" \
		trixie "$new" - >"$new.log" 2>&1
}
say "making $world's root with mmdebstrap, which takes a minute"
# A mirror may be in the middle of its own update.
if ! make_root && ! { say "once more"; sleep 30; rm -rf "$new"; make_root; }; then
	env=$(present)
	[ -n "$env" ] || { cat "$new.log" >&2; die "mmdebstrap failed"; }
	tail -n 3 "$new.log" >&2
	say "cannot be made anew; the old one has to do"
	finish "$env"
fi
abi=$(ls "$new/lib/modules")
"$here/vmlinux.sh" "$new/boot/vmlinuz-$abi" "$new/boot/vmlinux"
# shellcheck disable=SC2016	# dpkg's dollar
version=$(chroot "$new" dpkg-query -W -f '${Version}' "linux-image-$abi")
cat >"$new/vum.env" <<END
VUM_ABI=$abi
VUM_KERNEL=$version
VUM_VMLINUX=$final/boot/vmlinux
VUM_MODDIR=$final/lib/modules/$abi
VUM_KDIR=/usr/src/linux-headers-$abi
VUM_ROOT=$final
END
mv "$new" "$final"

for env in "$roots/$world".*/vum.env; do
	[ "$env" = "$final/vum.env" ] ||
		flock --nonblock --exclusive "$env" rm -rf "${env%/vum.env}" || :
done
finish "$final/vum.env"
