#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: check.sh [TEST...]
#
# Builds everything and runs the tests, all of them or those named: the
# programs in selftests/tests/ and the scripts beside them, inside the test VM,
# unless a script's first lines say "runs on: host", or "runs on: 1 CPU", which
# is best for a machine that is emulated on an emulated one. The output is TAP,
# the last line a summary; both stay in .build/check.log, the VMs' kernel logs
# in .build/check.*.console.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
vm=selftests/vm
log=.build/check.log
mkdir -p .build

. selftests/build.sh
build 1 || {
	echo "not ok - build"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

all=$(find selftests/tests -name '*.c' -o -name '*.sh' |
	sed 's|.*/\(.*\)\..*|\1|' | sort)
tests=${*:-$all}
in_vm='' in_small_vm='' on_host=''
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
done

# run_vm CPUS TEST...
run_vm() {
	cpus=$1
	shift
	[ $# -gt 0 ] || return 0
	VUM_CONSOLE=.build/check.$cpus.console $vm/run.sh --timeout 900 \
		--smp "$cpus" -- selftests/in-vm.sh "$@" ||
		echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see .build/check.$cpus.console)"
}

# There, sanitizers would cost what the guest needs.
if [ -n "$in_small_vm" ]; then
	make --no-print-directory -j2 programs >>.build/make.log 2>&1
	$vm/guest.sh --prepare
fi

{
	for t in $on_host; do
		echo "# == $t"
		"selftests/tests/$t.sh" || echo "not ok - $t: exit status $?"
	done
	# shellcheck disable=SC2086	# lists of words
	VUM_BIN=.build/bin run_vm 1 $in_small_vm
	# shellcheck disable=SC2086
	run_vm 2 $in_vm
} </dev/null 2>&1 | tee $log

awk '	/^ok / { if (/# SKIP/) skipped++; else passed++ }
	/^not ok / { failed++ }
	END {
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed || !passed
	}' $log
