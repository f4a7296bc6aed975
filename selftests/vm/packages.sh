#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: packages.sh [--check] package...
#
# Makes sure that Debian packages are installed: at once if they are, by apt
# if not and root, else names what is missing and fails. With --check it never
# installs; and it is content where there is no dpkg, whose packages have other names.
set -eu

check=''
if [ "${1-}" = --check ]; then
	check=1
	shift
	command -v dpkg-query >/dev/null || exit 0
fi

missing=
for p; do
	# An "install ok installed" that dpkg-query has to be asked for one by
	# one: with several names it mixes its answers with its complaints.
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
	*" installed") ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$check" ] || [ "$(id -u)" != 0 ]; then
	echo "Missing packages; as root: apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

echo "Installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists may be missing (fresh container) or old (versions left the pool),
# so an install that fails is tried again behind an update.
# shellcheck disable=SC2086	# a list of words
install() {
	apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}
# shellcheck disable=SC2086
if ! install; then
	echo "Updating the package lists" >&2
	apt-get update >&2 || exit 1
	install || {
		cat "$log" >&2
		echo "Could not install:$missing" >&2
		exit 1
	}
fi
