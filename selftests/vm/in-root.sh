#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-root.sh command [args...]
#
# Runs a command in the root of VUM_ROOT's world, which has this tree and the
# cache where the host has them.
set -eu

[ "$VUM_ROOT" != / ] || exec "$@"
top=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
mkdir -p "$VUM_ROOT$top" "$VUM_ROOT$cache"
export top cache
# In a namespace of their own: no mount stays behind, whatever happens.
# shellcheck disable=SC2016	# for the inner shell
exec unshare --mount sh -euc '
	for dir in "$top" "$cache" /dev; do
		mount --rbind "$dir" "$VUM_ROOT$dir"
	done
	mount -t proc proc "$VUM_ROOT/proc"
	exec chroot "$VUM_ROOT" env -C "$PWD" "$@"' sh "$@"
