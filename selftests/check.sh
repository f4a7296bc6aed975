#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD="world..."] check.sh [TEST...]
#
# Builds all it takes and runs the tests, all of them or those named, in all
# worlds or those named (see vm/kernel.sh; "WORLD/relay": with the helper, not
# the kernel, to carry all messages; "WORLD/cdev": with consumers on iommufd):
# the programs in selftests/tests/ and the scripts beside them, inside the test
# VM, unless a script's first lines say "runs on: host", or "runs on: 1 CPU",
# which is best for a machine that is emulated on an emulated one; "guest:" is
# what guest.sh is to prepare for it. What a world leaves out if no test is named,
# since other worlds have it: see leaves_out(). The output is TAP, then a table,
# test by world, the last line a summary; it stays in .build/check.log, the VMs'
# kernel logs beside it in check.*.console.
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
named=${1:+yes}
for t in $tests; do
	if ! echo "$all" | grep -qx "$t"; then
		echo "check: no test '$t'; there are: $(echo "$all" | tr '\n' ' ')" >&2
		exit 2
	fi
done

# Tests for which it matters who carries messages.
by_relay=' disk ioeventfd irq misbehave parallel posted region restart stall virtio_blk '
# Guests that say something about a kernel with iommufd.
by_cdev=' disk serial '

# leaves_out WORLD TEST WHERE: Is this test not to be run there? bookworm,
# trixie and backports have all but what needs a kernel that lets allocations fail.
leaves_out() {
	[ -z "$named" ] || return 1
	case $1:$2 in
	debug*:nomem | race*:nomem) return 1 ;;
	*:nomem) return 0 ;;
	esac
	case $1:$3 in
	*/relay:host | */cdev:host) ;;
	*/relay:*) case $by_relay in *[!a-z_]"$2"[!a-z_]*) return 1 ;; esac ;;
	*/cdev:small) case $by_cdev in *" $2 "*) return 1 ;; esac ;;
	debug:small | race:small) ;;
	*) return 1 ;;
	esac
}

# Sets in_vm, in_small_vm, on_host, and programs to what is to be run in a world.
choose() {
	in_vm='' in_small_vm='' on_host='' programs=''
	for t in $tests; do
		where=vm
		case $(head -n 5 "selftests/tests/$t.sh" 2>/dev/null) in
		*'runs on: host'*) where=host ;;
		*'runs on: 1 CPU'*) where=small ;;
		esac
		! leaves_out "$1" "$t" $where || continue
		case $where in
		host) on_host="$on_host $t" ;;
		small) in_small_vm="$in_small_vm $t" ;;
		vm) in_vm="$in_vm $t" ;;
		esac
		[ ! -f "selftests/tests/$t.c" ] || programs="$programs $t"
	done
}

# run_vm CPUS TEST...
run_vm() {
	cpus=$1
	shift
	[ $# -gt 0 ] || return 0
	console=$build/check${VUM_CONSUMER:+.$VUM_CONSUMER}.$cpus.console
	VUM_CONSOLE=$console $vm/run.sh --timeout 3600 \
		--smp "$cpus" -- selftests/in-vm.sh "$@" ||
		echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see $console)"
}

prepare_guests() {
	for t in $in_small_vm; do
		# shellcheck disable=SC2046	# a list of words
		$vm/in-root.sh $vm/guest.sh \
			$(sed -n '1,5s/^# guest: //p' "selftests/tests/$t.sh") \
			--prepare || return 1
	done
}

# What has to be there before the VMs of a world start.
prepare_world() {
	echo "# world $1"
	echo "# == build"
	case $1 in
	*/cdev) export VUM_CONSUMER=cdev ;;
	*/*) export VUM_DATA_PATH="${1#*/}" ;;
	esac
	# Where it is the kernel that tells, sanitizers in programs cost too much.
	sanitize=1
	case $1 in
	debug* | race*) sanitize='' ;;
	esac
	choose "$1"
	build "${1%/*}" "$sanitize" "$programs" || { echo "not ok - build"; return 1; }
	# There, sanitizers would cost what the guest needs.
	if [ -n "$in_small_vm" ]; then
		build_make programs TESTS= >>"$build/make.log" 2>&1 && prepare_guests
	fi || { echo "not ok - build for the guest"; return 1; }
	# Not while a VM has the host's files in use.
	[ -z "$on_host" ] || selftests/lint.sh --packages ||
		{ echo "not ok - packages"; return 1; }
}

run_small_vm() {
	# shellcheck disable=SC2086	# a list of words
	VUM_BIN=$build/bin run_vm 1 $in_small_vm
}

# Tests with a guest wait for the emulator most of the time, the others for time
# to pass: the two VMs of a world run side by side. Unless another world does so.
test_world() {
	case $1 in
	*/cdev) ;;
	*) run_small_vm >"$build/check.1.log" & ;;
	esac
	for t in $on_host; do
		echo "# == $t"
		"selftests/tests/$t.sh" || echo "not ok - $t: exit status $?"
	done
	# shellcheck disable=SC2086
	run_vm 2 $in_vm
	case $1 in
	*/cdev) run_small_vm ;;
	*) wait; cat "$build/check.1.log" ;;
	esac
}

prepared=.build/check.prepared
beside_log=.build/check.beside.log

# run_world WORLD: in a shell of its own, with its own idea of VUM_*.
run_world() {
	start=$(date +%s)
	prepare_world "$1" && ready=yes || ready=''
	: >$prepared
	[ -z "$ready" ] || test_world "$1"
	echo "# world $1 took $(($(date +%s) - start)) s"
}

# Consumers by cdev run beside those by group of the same world, which has no VM
# for guests: from when the one has built what both need.
beside=''
for world in $worlds; do
	if [ "$world" = "$beside" ]; then
		wait
		cat $beside_log
		continue
	fi
	rm -f $prepared
	case " $worlds " in
	*" $world/cdev "*)
		beside=$world/cdev
		(
			until [ -e $prepared ]; do sleep 1; done
			run_world "$beside"
		) >$beside_log 2>&1 &
		;;
	esac
	(run_world "$world")
done </dev/null 2>&1 | tee $log

# Of each test in each world, how many passed, and what else became of it; then
# what failed, with what was said of it.
left_out=''
[ -n "$named" ] || left_out='Left out: with /relay, what does not depend on who carries messages; on debug and
race, guests, but for two by cdev; nomem wherever the kernel lets no allocation fail.
'
awk -v worlds="$worlds" -v left_out="$left_out" '
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
		# No sprintf(), which has room for 8 KiB in mawk.
		failures = failures world ": " test ": " $0 "\n" said
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
		print "\n" failures left_out \
			passed + 0 " passed, " failed + 0 " failed, " \
			skipped + 0 " skipped"
		exit failed || !passed
	}' $log
