#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: check.sh [TEST...]
#
# Builds everything and runs the tests, all of them or those named: the
# programs in selftests/tests/ and the scripts beside them, inside the test VM
# unless a script's first lines say "runs on: host". The output is TAP, the last
# line a summary; both stay in .build/check.log, the VM's kernel log in
# .build/check.console.
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
in_vm='' on_host=''
for t in $tests; do
	if ! echo "$all" | grep -qx "$t"; then
		echo "check: no test '$t'; there are: $(echo "$all" | tr '\n' ' ')" >&2
		exit 2
	fi
	if [ -f "selftests/tests/$t.sh" ] &&
	   head -n 5 "selftests/tests/$t.sh" | grep -q 'runs on: host'; then
		on_host="$on_host $t"
	else
		in_vm="$in_vm $t"
	fi
done

case " $in_vm " in
*" serial "*) $vm/guest.sh --prepare ;;
esac

{
	for t in $on_host; do
		echo "# == $t"
		"selftests/tests/$t.sh" || echo "not ok - $t: exit status $?"
	done
	if [ -n "$in_vm" ]; then
		# shellcheck disable=SC2086
		VUM_CONSOLE=.build/check.console $vm/run.sh --timeout 900 \
			-- selftests/in-vm.sh $in_vm ||
			echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see .build/check.console)"
	fi
} </dev/null 2>&1 | tee $log

awk '	/^ok / { if (/# SKIP/) skipped++; else passed++ }
	/^not ok / { failed++ }
	END {
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed || !passed
	}' $log
