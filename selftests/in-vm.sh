#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: in-vm.sh TEST...
#
# Inside the test VM: loads the module, runs the tests one after the other,
# and looks after each at what the kernel had to say about it: in its log, and by
# kmemleak, where the kernel has that.
set -u

. selftests/load.sh
bad='WARNING|BUG|Oops|general protection|blocked for more than|UBSAN|KASAN|KCSAN|ODEBUG'
bad="$bad|possible (circular|recursive|irq lock)|inconsistent lock state|Invalid wait context"
bad="$bad|suspicious RCU usage|turning off the locking correctness|held lock freed"
bad="$bad|refcount_t|corruption|use-after-free|page fault for address|stack guard"
bad="$bad|scheduling while atomic|sleeping function called|leaked|list_(add|del) "
bad="$bad|kmemleak: .*(disabled|empty|error)|stall(s|ed) "
kmemleak=/sys/kernel/debug/kmemleak
# Seconds for a test; a world whose kernel is slow has a VUM_SLOW.
limit=$((${VUM_TEST_SECONDS:-900} * ${VUM_SLOW:-1}))
lockdep=/proc/lockdep_stats

run_test() {
	if [ -x "$VUM_BIN/test-$1" ]; then
		VUM_KEEP_LOGS=1 timeout -k 5 "$limit" "$VUM_BIN/test-$1"
	else
		timeout -k 5 "$limit" "selftests/tests/$1.sh"
	fi
	case $? in
	0) ;;
	1) ;;	# has said so itself
	*) echo "not ok - $1: exit status $?"; clear_away ;;
	esac
}

# A test that was cut off has left its processes and mdevs to the next.
clear_away() {
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in
		"$(readlink -f "$VUM_BIN")"/*) kill -KILL "$(echo "$exe" | tr -dc 0-9)" ;;
		esac
	done
	for mdev in /sys/bus/mdev/devices/*; do
		[ ! -e "$mdev" ] || timeout 30 sh -c "echo 1 >$mdev/remove"
	done
}

# Prints what the kernel has to object to since the last call: from the first such
# line on, with what follows it. "Huh" is no objection: nomem has the kernel find no
# memory for a page table, and the kernel says that it tries again. Nor is a memory
# failure, which unpinnable asks for.
complaints() {
	dmesg | grep -v -e 'Huh VM_FAULT_OOM leaked out' -e 'Memory failure: 0x' | sed -n -E "/$bad/,\$p" | head -n 200
	dmesg -C
}

# Prints memory to which nothing points any more, with the trace of its allocation.
# kmemleak tells of what it has found twice, the second time after 5 s. A scan takes
# 40 s when two VMs are busy. So where many tests run there is one after every
# sixteenth, else one after each: what a test has lost is told of later.
leaks() {
	[ -e $kmemleak ] || return 0
	[ $many = no ] || [ $((nr % 16)) = 0 ] || [ "$1" = unload ] || return 0
	echo scan >$kmemleak
	head -n 200 $kmemleak
	echo clear >$kmemleak
}

# lockdep stops looking after its first report, or when its tables are full.
lockdep_off() {
	[ -e $lockdep ] && ! grep -q '^ *debug_locks: *1$' $lockdep
}

# verdict NAME WHAT FOUND: a line of TAP if there is something to object to.
verdict() {
	[ -n "$3" ] || return 1
	echo "$3" | sed 's/^/# /'
	echo "not ok - $1: $2"
}

# Returns whether there was anything to object to.
look() {
	verdict "$1" "no complaints in the kernel's log" "$(complaints)"
	complained=$?
	verdict "$1" "no memory is lost" "$(leaks "$1")" || [ $complained = 0 ]
}

dmesg -C
[ ! -e $kmemleak ] || echo scan=off >$kmemleak
many=no nr=0
[ $# -le 6 ] || many=yes
for t in "$@"; do
	nr=$((nr + 1))
	echo "# == $t"
	start=$(date +%s)
	run_test "$t"
	echo "# $t took $(($(date +%s) - start)) s"
	look "$t"
done

if [ -e /proc/lockdep ]; then
	echo "# == locks"
	if order=$(selftests/lock-order.sh); then
		echo "ok - locks are taken in the order of kmod/device.h"
	else
		echo "not ok - locks are taken in the order of kmod/device.h"
	fi
	echo "$order" | sed 's/^/# /'
fi
echo "# == unload"
if rmmod vfio_user_mdev; then
	if [ -e $kmemleak ]; then
		echo scan >$kmemleak
		sleep 6
	fi
	look unload || echo "ok - the module unloads"
else
	echo "not ok - the module unloads"
fi
if lockdep_off; then
	echo "# Locks were not checked after what lockdep said above, or its tables are full."
	echo "not ok - lockdep has looked until the end"
elif [ -e $lockdep ]; then
	echo "ok - lockdep has looked until the end"
fi
