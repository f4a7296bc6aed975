#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD="world..."] check.sh [TEST...]
#
# Builds all it takes and runs the tests, all of them or those named, in all
# worlds or those named (see vm/kernel.sh; "WORLD/relay": with the helper, not
# the kernel, to carry all messages): the programs in selftests/tests/ and
# the scripts beside them, inside the test VM, unless a script's first lines say
# "runs on: host", or "runs on: 1 CPU", which is best for a machine that is
# emulated on an emulated one; "guest:" is what guest.sh is to prepare for it.
# The output is TAP, then a table, test by world, the last line a summary; it
# stays in .build/check.log, the VMs' kernel logs beside it in check.*.console.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
vm=selftests/vm
log=.build/check.log
worlds=${WORLD:-bookworm bookworm/relay trixie backports}
mkdir -p .build
. selftests/build.sh

all=$(find selftests/tests -name '*.c' -o -name '*.sh' |
	sed 's|.*/\(.*\)\..*|\1|' | sort)
tests=${*:-$all}
in_vm='' in_small_vm='' on_host='' programs=''
for t in $tests; do
	if ! echo "$all" | grep -qx "$t"; then
		echo "check: no test '$t'; there are: $(echo "$all" | tr '\n' ' ')" >&2
		exit 2
	fi
	case $(head -n 5 "selftests/tests/$t.sh" 2>/dev/null) in
	*'runs on: host'*) on_host="$on_host $t" ;;
	*'runs on: 1 CPU'*) in_small_vm="$in_small_vm $t" ;;
	*) in_vm="$in_vm $t" ;;
	esac
	[ ! -f "selftests/tests/$t.c" ] || programs="$programs $t"
done

# run_vm CPUS TEST...
run_vm() {
	cpus=$1
	shift
	[ $# -gt 0 ] || return 0
	VUM_CONSOLE=$build/check.$cpus.console $vm/run.sh --timeout 2400 \
		--smp "$cpus" -- selftests/in-vm.sh "$@" ||
		echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see $build/check.$cpus.console)"
}

prepare_guests() {
	for t in $in_small_vm; do
		# shellcheck disable=SC2046	# a list of words
		$vm/in-root.sh $vm/guest.sh \
			$(sed -n '1,5s/^# guest: //p' "selftests/tests/$t.sh") \
			--prepare || return 1
	done
}

# Tests with a guest wait for the emulator most of the time, the others for time
# to pass: the two VMs of a world run side by side.
run_world() {
	echo "# world $1"
	echo "# == build"
	if [ "${1#*/}" != "$1" ]; then
		export VUM_DATA_PATH="${1#*/}"
		on_host=''	# where it makes no difference
	fi
	build "${1%/*}" 1 "$programs" || { echo "not ok - build"; return; }
	# There, sanitizers would cost what the guest needs.
	if [ -n "$in_small_vm" ]; then
		build_make programs TESTS= >>"$build/make.log" 2>&1 && prepare_guests
	fi || { echo "not ok - build for the guest"; return; }
	# Not while a VM has the host's files in use.
	[ -z "$on_host" ] || selftests/lint.sh --packages ||
		{ echo "not ok - packages"; return; }
	# shellcheck disable=SC2086	# lists of words
	VUM_BIN=$build/bin run_vm 1 $in_small_vm >"$build/check.1.log" &
	for t in $on_host; do
		echo "# == $t"
		"selftests/tests/$t.sh" || echo "not ok - $t: exit status $?"
	done
	# shellcheck disable=SC2086
	run_vm 2 $in_vm
	wait
	cat "$build/check.1.log"
}

# A world's tests in a shell of its own, with its own idea of VUM_*.
for world in $worlds; do
	start=$(date +%s)
	(run_world "$world")
	echo "# world $world took $(($(date +%s) - start)) s"
done </dev/null 2>&1 | tee $log

# Of each test in each world, how many passed, and what else became of it; then
# what failed, with what was said of it.
awk -v worlds="$worlds" '
	function result(count) {
		count[test, world]++
		if (!(test in known)) {
			known[test]
			row[++rows] = test
		}
	}
	/^# world .* took / { took[$3] = $5; next }
	/^# world / { world = $3 }
	/^# == / { test = $3; said = ""; next }
	/^ok / { said = "" }
	/^ok .*# SKIP/ { skipped++; result(skip); next }
	/^ok / { passed++; result(pass) }
	/^not ok / {
		failed++
		result(fail)
		failures = failures sprintf("%s: %s: %s\n%s", world, test, $0, said)
		said = ""
	}
	/^# / { said = said "    " $0 "\n" }
	END {
		columns = split(worlds, column)
		printf "%-12s", ""
		for (w = 1; w <= columns; w++)
			printf "  %-22s", column[w]
		for (r = 1; r <= rows; r++) {
			printf "\n%-12s", row[r]
			for (w = 1; w <= columns; w++) {
				at = row[r] SUBSEP column[w]
				cell = pass[at] ? pass[at] " ok" : ""
				if (fail[at])
					cell = cell " " fail[at] " FAILED"
				if (skip[at])
					cell = cell " " skip[at] " skipped"
				printf "  %-22s", cell ? cell : "-"
			}
		}
		printf "\n%-12s", "took"
		for (w = 1; w <= columns; w++)
			printf "  %-22s", sprintf("%d:%02d min",
				took[column[w]] / 60, took[column[w]] % 60)
		printf "\n%s%d passed, %d failed, %d skipped\n", failures,
			passed, failed, skipped
		exit failed || !passed
	}' $log
