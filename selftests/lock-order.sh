#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: lock-order.sh
#
# Prints in which order lockdep has seen the module's locks taken ("A -> B": B while
# A was held), and returns an error if one of these orders is not in kmod/device.h,
# where all of them stand. Inside a test VM, after the tests.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
listed=$(sed -n 's/^ \*\t\(.* -> .*\)$/\1/p' kmod/device.h)
[ -n "$listed" ] || { echo "lock-order: no list of locks in kmod/device.h" >&2; exit 2; }

# A class and the classes that were taken while one of it was held, as
# "<key> FD: ... : name" and " -> [<key>] name"; "#2" or "/1" tell like names apart.
awk -v listed="$listed" '
	BEGIN {
		lines = split(listed, line, "\n")
		for (i = 1; i <= lines; i++) {
			split(line[i], pair, " -> ")
			n = split(pair[2], after, ", ")
			ours[pair[1]]
			for (j = 1; j <= n; j++) {
				ours[after[j]]
				known[pair[1] " -> " after[j]]
			}
		}
	}
	function name(text) {
		sub(/[#\/][0-9]+$/, "", text)
		return text
	}
	/^ -> / {
		sub(/^ -> \[[^]]*\] /, "")
		to = name($0)
		order = from " -> " to
		if (from in ours && to in ours && from != to && !seen[order]++) {
			print order (order in known ? "" : "	(not in kmod/device.h)")
			if (!(order in known))
				bad = 1
		}
		next
	}
	/: / { sub(/.*: /, ""); from = name($0) }
	END { exit bad }
' /proc/lockdep
