#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-host.sh ROOT SHARE command [args...]
#
# Runs a command in a chroot with the files of the host that root.sh has made in ROOT, from
# SHARE, which is /run/vum there. What it writes elsewhere is gone when it ends.
set -eu

root=$1 share=$2
shift 2
# Nobody removes a root that is in use.
exec 8<"$root/vum.env"
flock --shared 8
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export root share tmp
# In a namespace of their own: no mount stays behind.
# shellcheck disable=SC2016	# for the inner shell
unshare --mount sh -euc '
	mount -t tmpfs tmp "$tmp"
	mkdir "$tmp/upper" "$tmp/work" "$tmp/root"
	mount -t overlay -o "lowerdir=$root/root,upperdir=$tmp/upper,workdir=$tmp/work" \
		host "$tmp/root"
	mount -t proc proc "$tmp/root/proc"
	mkdir "$tmp/root/second" "$tmp/root/run/vum"
	mount --bind "$root/second" "$tmp/root/second"
	mount --bind "$share" "$tmp/root/run/vum"
	exec chroot "$tmp/root" env -C /run/vum INITRD=No "$@"' sh "$@"
