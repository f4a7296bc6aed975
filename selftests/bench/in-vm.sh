#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-vm.sh ROW...
#
# Inside the VM: loads the module and measures one row after the other. What
# they say of themselves comes along with the samples, which are the lines that
# begin with a brace.
set -u

. selftests/load.sh
# While a VM that counts instructions waits for the host, as for a file's pages,
# its clock leaps from timer to timer: no time limit but run.sh's holds there, and
# nobody shall wait for a program that has yet to be read.
limit='timeout -k 5 400'
[ "${VUM_BENCH_CLOCK-}" != icount ] || limit=''
for program in vum-puppet vfio-user-mdevd; do
	"$VUM_BIN/$program" --help >/dev/null
done
for row; do
	echo "# == $row"
	cat "$VUM_BIN/bench-$row" >/dev/null
	VUM_KEEP_LOGS=1 $limit "$VUM_BIN/bench-$row" ||
		echo "not ok - $row: exit status $?"
done
dmesg | grep -E 'WARNING:|BUG:|Oops|general protection' | sed 's/^/not ok - /'
