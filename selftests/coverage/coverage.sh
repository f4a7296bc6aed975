#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: coverage.sh [WORLD...]
#
# Runs the C tests with a module that notes which of its blocks have run, in the worlds
# named or bookworm, bookworm/relay and debug, and says which lines of kmod/ have not in
# any of them: in .build/coverage/missed, file by file in .build/coverage/table.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
here=selftests/coverage
out=.build/coverage
tests=$(find selftests/tests -name '*.c' | sed 's|.*/\(.*\)\.c|\1|' | sort)
# shellcheck source=selftests/build.sh
. selftests/build.sh
rm -rf $out
mkdir -p $out

# module WORLD: build both modules for its kernel, in $dir
module() {
	use_world "$1" '' || return 1
	dir=$PWD/$out/$1
	mkdir -p "$dir/cover"
	cp $here/Kbuild $here/vum_cover.c "$dir/cover"
	selftests/vm/in-root.sh make -C "$VUM_KDIR" M="$dir/cover" modules &&
	build_make module KDIR="$VUM_KDIR" MODULE_DIR="$out/$1/module" \
		MODULE_ARGS="KBUILD_EXTRA_SYMBOLS=$dir/cover/Module.symvers \
		KCFLAGS='-fsanitize-coverage=trace-pc -include $PWD/$here/cover.h'"
}

[ $# -gt 0 ] || set -- bookworm bookworm/relay debug
for world; do
	(
		case $world in
		*/relay) export VUM_DATA_PATH=relay ;;
		*/cdev) export VUM_CONSUMER=cdev ;;
		esac
		name=$(echo "$world" | tr / .)
		build "${world%/*}" '' && module "${world%/*}" >"$out/$name.make" 2>&1
		export VUM_BIN
		# shellcheck disable=SC2086	# a list of words
		VUM_CONSOLE=$out/$name.console selftests/vm/run.sh --timeout 5400 -- \
			$here/in-vm.sh "$dir" $tests >"$out/$name.log" 2>&1 || :
		grep -E '^(not ok|# left)' "$out/$name.log" || :
		$here/lines.py "$dir/module/vfio_user_mdev.ko" "$out/$name.log" \
			>"$out/$name.lines"
	)
done
$here/table.py $out/*.lines
