#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: floors.sh [--graph] [DIR]
#
# Do calls and includes of the module go downward, by the floors in Kbuild? Prints
# each that does not: of the sources in kmod/, and of the objects in DIR/kmod, if
# DIR is given. With --graph, prints what each file includes and calls instead.
set -eu

[ $# -eq 0 ] || [ "$1" = --graph ] || set -- "$(readlink -f "$1")"
[ $# -lt 2 ] || set -- "$1" "$(readlink -f "$2")"
cd "$(dirname "$(readlink -f "$0")")/.."
graph=''
[ "${1:-}" != --graph ] || { graph=yes; shift; }

# Lines "include FROM TO WHAT" and "call FROM TO WHAT", FROM and TO without suffix.
edges() {
	grep -H '^#include "' kmod/*.[ch] |
		sed -n 's|^kmod/\([a-z_]*\)\.\([ch]\):#include "\([a-z_]*\)\.h"|include \1 \3 \1.\2|p'
	[ -z "${1:-}" ] || nm -A "$1"/kmod/*.o | awk '
		{
			file = $1
			sub(/.*\//, "", file)
			sub(/\.o:.*/, "", file)
			symbol = $NF
		}
		$(NF - 1) == "U" { wanted[file, symbol]; next }
		$(NF - 1) ~ /^[A-Z]$/ { home[symbol] = file }
		END {
			for (pair in wanted) {
				split(pair, p, SUBSEP)
				if (p[2] in home && home[p[2]] != p[1])
					print "call", p[1], home[p[2]], p[2]
			}
		}'
}

edges "${1:-}" | sort | awk -v graph="$graph" '
	BEGIN {
		while ((getline line < "Kbuild") > 0) {
			if (line !~ /^vfio_user_mdev-y/)
				continue
			floor--
			n = split(line, word, " ")
			for (i = 3; i <= n; i++) {
				gsub(/^kmod\/|\.o$/, "", word[i])
				at[word[i]] = floor
			}
		}
	}
	# Headers that come without a file are below all floors, or of the kernel.
	function height(file) { return file in at ? at[file] : -1000 }
	$2 == $3 || $3 == "device" && $1 == "include" { next }
	graph {
		key = $1 " " $2
		if (!seen[key, $3]++)
			list[key] = list[key] " " $3
		next
	}
	# A part of a noun, sock_send.c for one, includes the header of the noun.
	$1 == "include" && index($2, $3 "_") == 1 { next }
	height($3) >= height($2) && height($3) > -1000 {
		print $1 " goes up: kmod/" $2 " -> kmod/" $3 " (" $4 ")"
	}
	END {
		for (key in list)
			print key ":" list[key] | "sort"
	}'
