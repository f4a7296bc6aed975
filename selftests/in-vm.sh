#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-vm.sh TEST...
#
# Inside the test VM: loads the module, runs the tests one after the other,
# and looks after each at what the kernel had to say about it.
set -u

. selftests/load.sh
bad='WARNING:|BUG:|Oops|general protection|blocked for more than|UBSAN|refcount_t|corruption|use-after-free|page fault for address|stack guard|scheduling while atomic|leaked'
seen=0

# Lines of the kernel's log that no test may cause, less those seen before.
complaints() {
	dmesg | grep -E "$bad" | tail -n +$((seen + 1))
}

run_test() {
	if [ -x "$VUM_BIN/test-$1" ]; then
		VUM_KEEP_LOGS=1 timeout -k 5 900 "$VUM_BIN/test-$1"
	else
		timeout -k 5 900 "selftests/tests/$1.sh"
	fi
	case $? in
	0) ;;
	1) ;;	# has said so itself
	*) echo "not ok - $1: exit status $?"; clear_away ;;
	esac
}

# A script that was cut off has left its mdevs to the next.
clear_away() {
	for mdev in /sys/bus/mdev/devices/*; do
		[ ! -e "$mdev" ] || timeout 30 sh -c "echo 1 >$mdev/remove"
	done
}

seen=$(complaints | wc -l)
for t in "$@"; do
	echo "# == $t"
	start=$(date +%s)
	run_test "$t"
	echo "# $t took $(($(date +%s) - start)) s"
	found=$(complaints)
	if [ -n "$found" ]; then
		seen=$((seen + $(echo "$found" | wc -l)))
		echo "$found" | sed 's/^/# /'
		echo "not ok - $t: no complaints in the kernel's log"
	fi
done

echo "# == unload"
if rmmod vfio_user_mdev && [ -z "$(complaints)" ]; then
	echo "ok - the module unloads"
else
	echo "not ok - the module unloads"
fi
