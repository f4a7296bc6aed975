#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD="world..."] check.sh [TEST...]
#        check.sh --job WORLD KIND TEST...	(for itself: one of the jobs below)
#
# Builds all it takes and runs the tests, all of them or those named, in all
# worlds or those named (see vm/kernel.sh; "WORLD/relay": with the helper to carry
# all messages; "WORLD/cdev": with consumers on iommufd): the programs in
# selftests/tests/ and the scripts beside them, inside a test VM, unless a script's
# first lines say "runs on: host", or "runs on: 1 CPU", which is best for a machine
# that is emulated on an emulated one; "guest:" is what guest.sh is to prepare for
# it. The world "host", or "host/bookworm", is an operator's, and has tests of its own: see
# host/check.sh. If neither test nor world is named, a world leaves out
# what others have: see leaves_out().
#
# The tests of each world are one job for each of these places. Two jobs with VMs run at a
# time, since more are slower on two cores, and start as soon as their world is built; the
# others run beside them, with what CPU these leave. Each job's TAP is in .build/check/,
# the VMs' kernel logs beside it, all of it in .build/check.log. At the end comes a table,
# test by world, and a summary.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
vm=selftests/vm
logs=.build/check
. selftests/build.sh

# enter WORLD: set what its programs and VMs are to know.
enter() {
	case $1 in
	*/cdev) export VUM_CONSUMER=cdev ;;
	*/*) export VUM_DATA_PATH="${1#*/}" ;;
	esac
	# Sanitizers take more time than all the rest, so programs have them in one world.
	sanitize=''
	case $1 in
	bookworm*) sanitize=1 ;;
	esac
}

# Where is a test to run?
place() {
	case $(head -n 5 "selftests/tests/$1.sh" 2>/dev/null) in
	*'runs on: host'*) echo host ;;
	*'runs on: 1 CPU'*) echo guests ;;
	*) echo vm ;;
	esac
}

# log_of WORLD PLACE
log_of() { echo "$logs/$(echo "$1" | tr / .).$2"; }

# run_vm CPUS TEST...
run_vm() {
	cpus=$1
	shift
	VUM_CONSOLE=$log.console $vm/run.sh --timeout $((3600 + ${VUM_TEST_SECONDS:-0})) --smp "$cpus" -- \
		selftests/in-vm.sh "$@" ||
		echo "not ok - the VM: exit status $? (124: timeout, 125: it died; see $log.console)"
}

# run_job WORLD PLACE TEST...: with its output in $log
run_job() {
	world=$1 place=$2
	shift 2
	case $world in
	host | host/*)
		suite=${world#host}
		suite=${suite#/}
		selftests/host/check.sh "${suite:-trixie}" "$@" || echo "not ok - host: exit status $?"
		return ;;
	esac
	enter "$world"
	use_world "${world%/*}" "$sanitize" || { echo "not ok - the world"; return; }
	case $place in
	vm) run_vm 2 "$@" ;;
	# Here, sanitizers would cost what the guest needs.
	guests) VUM_BIN=$build/bin run_vm 1 "$@" ;;
	host)
		for t; do
			echo "# == $t"
			"selftests/tests/$t.sh" || echo "not ok - $t: exit status $?"
		done ;;
	esac
}

if [ "${1:-}" = --job ]; then
	shift
	start=$(date +%s)
	log=$(log_of "$1" "$2")
	{
		echo "# world $1"
		run_job "$@"
		echo "# world $1 took $(($(date +%s) - start)) s ($2)"
	} 2>&1 | tee "$log" | sed -u "s|^|$1: |"
	exit 0
fi

worlds=${WORLD:-debug debug/cdev bookworm backports trixie bookworm/relay}
all=$(find selftests/tests selftests/fuzz/doors -name '*.c' -o -name '*.sh' |
	sed 's|.*/\(.*\)\..*|\1|' | sort)
tests=${*:-$all}
named=${1:+yes}
case " $worlds" in
*' host'*) all="$all
$(printf '%s\n' kernels install define users upgrade libvirt reboot purge)" ;;
esac
for t in $tests; do
	if ! echo "$all" | grep -qx "$t"; then
		echo "check: no test '$t'; there are: $(echo "$all" | tr '\n' ' ')" >&2
		exit 2
	fi
done

# Tests for which it matters what carries messages.
by_relay=' fds handover ioeventfd irq migrate misbehave parallel peer posted region restart soak stall
 virtio_blk '
# Guests for which the QEMU of bookworm takes ten minutes, or that it cannot move; memlock
# and viommu have its disk.
by_later_qemu=' disk disk_direct disk_socket move swap '
# Tests for which it matters how the consumer has opened the device, and its memory.
by_cdev=' announce dirty dma evict migrate nomem open remove share unpinnable virtio_blk window '
# Programs that start QEMU, and guests, of which each suite has other versions.
by_qemu=' disk disk_direct hotplug lifecycle move remove_qemu swap virtio_blk virtio_blk_irq
 virtio_blk_registers '
# Programs about what changed between 6.12 and 7.3: VFIO, mm, sockets, netlink.
by_kernel=' announce crowd ctl declare dma evict fds handover hoard hotplug ioeventfd irq
 disk_socket license link mapping migrate move mutual negotiate open posted region remove remove_qemu share stats
 unmap_storm unpinnable virtio_blk virtio_blk_fuzz virtio_blk_hostile window window_futex
 window_race '
# What depends on how VFIO itself unmaps runs on every kernel.
by_every_kernel=' unmap_storm '
# Slow programs about the emulated disk, QEMU and the tools, which stock kernels have.
by_stock=' ctl declare hotplug lifecycle negotiate remove_qemu soak stats virtio_blk_fuzz
 virtio_blk_hostile virtio_blk_irq virtio_blk_registers '
# Guests in a VM on debug take ten minutes; these say something about iommufd.
guests_by_cdev=' disk move serial '

# among WORD LIST
among() {
	case $2 in
	*[!a-z_]"$1"[!a-z_]*) return 0 ;;
	*) return 1 ;;
	esac
}

# cannot WORLD TEST PLACE: Is there no point in running this test there?
cannot() {
	case $1:$2:$3 in
	debug*:nomem:* | race*:nomem:*) return 1 ;;
	bookworm:fuzz_helper:*) return 1 ;;
	*:fuzz_helper:*) return 0 ;;
	debug:fuzz_*:*) return 1 ;;
	*:nomem:* | *:fuzz_*:*) return 0 ;;
	*/*:host) return 0 ;;
	*/cdev:*:guests) ! among "$2" "$guests_by_cdev" ;;
	debug:*:guests | race:*:guests) return 0 ;;
	*) return 1 ;;
	esac
}

# repeats WORLD TEST PLACE: Does the test say nothing there that it does not say in others?
# bookworm has all but one, and debug nearly all programs.
repeats() {
	case $1:$3 in
	bookworm:guests) among "$2" "$by_later_qemu" ;;
	# trixie has its kernel's headers.
	debug:host) return 0 ;;
	*:host | bookworm:*) return 1 ;;
	*/relay:*) ! among "$2" "$by_relay" ;;
	*/cdev:vm) ! among "$2" "$by_cdev" ;;
	*/cdev:guests) return 0 ;;
	debug:*) among "$2" "$by_stock" ;;
	trixie:*) ! among "$2" "$by_qemu $by_every_kernel" ;;
	backports:*) ! among "$2" "$by_kernel" ;;
	*) return 1 ;;
	esac
}

# leaves_out WORLD TEST PLACE: Is this test not to be run there?
leaves_out() {
	[ -z "$named" ] || return 1
	! cannot "$@" || return 0
	[ -z "${WORLD:-}" ] && repeats "$@"
}

# Sets tests_vm, tests_guests and tests_host to a world's tests in these places, and
# programs to those to be built.
choose() {
	tests_vm='' tests_guests='' tests_host='' programs=''
	for t in $tests; do
		where=$(place "$t")
		! leaves_out "$1" "$t" "$where" || continue
		case $where in
		host) tests_host="$tests_host $t" ;;
		guests) tests_guests="$tests_guests $t" ;;
		vm) tests_vm="$tests_vm $t" ;;
		esac
		[ -f "selftests/tests/$t.sh" ] || programs="$programs $t"
	done
}

prepare_guests() {
	for t in $tests_guests; do
		# shellcheck disable=SC2046	# a list of words
		$vm/in-root.sh $vm/guest.sh \
			$(sed -n '1,5s/^# guest: //p' "selftests/tests/$t.sh") \
			--prepare || return 1
	done
}

# prepare WORLD: build all that its jobs need, and print these jobs; those without a VM go
# to $logs/host. In a shell of its own, with its own idea of VUM_*.
prepare() {
	case $1 in
	host | host/*)
		# shellcheck disable=SC2086	# a list of words, in one line
		echo "$1 vm" ${named:+$tests} >>"$jobs"
		return ;;
	esac
	echo "$1: building" >&2
	enter "$1"
	choose "$1"
	build "${1%/*}" "$sanitize" "$programs" || return 1
	if [ -n "$tests_guests" ]; then
		build_make programs TESTS= >>"$build/make.log" 2>&1 && prepare_guests
	fi || return 1
	[ -z "$tests_vm" ] || echo "$1 vm$tests_vm" >>"$jobs"
	[ -z "$tests_guests" ] || echo "$1 guests$tests_guests" >>"$jobs"
	[ -z "$tests_host" ] || echo "$1 host$tests_host" >>$logs/host
}

# Prints the jobs for VMs as soon as their worlds are there. Then runs the others, with
# what CPU the VMs leave.
prepare_all() {
	jobs=$logs/ready
	for world in $worlds; do
		: >$jobs
		(prepare "$world") >"$logs/build" || {
			cat $logs/build
			printf '# world %s\n# == build\nnot ok - build\n' "$world" |
				tee "$(log_of "$world" build)"
		} >&3
		cat $jobs
	done
	while read -r job; do
		# shellcheck disable=SC2086	# a list of words
		nice -n 19 selftests/check.sh --job $job </dev/null >&3
	done <$logs/host
}

rm -rf $logs
mkdir -p $logs
: >$logs/host
start=$(date +%s)
# Not later, when a VM has the host's files in use.
# shellcheck disable=SC2046	# a list of words
selftests/vm/packages.sh $(cat selftests/vm/needs)
case " $tests " in
*' lint '* | *' fuzz_helper '*) selftests/lint.sh --packages ;;
esac
exec 3>&1
prepare_all </dev/null | tee $logs/jobs | xargs -r -P 2 -L 1 selftests/check.sh --job
cat $logs/host >>$logs/jobs
# A job that was killed has not said so.
while read -r world place _; do
	log=$(log_of "$world" "$place")
	grep -q "^# world .* took " "$log" ||
		printf '# world %s\n# == %s\nnot ok - the job came to its end\n' \
			"$world" "$place" | tee -a "$log"
done <$logs/jobs
cat $logs/*.build $logs/*.host $logs/*.vm $logs/*.guests >.build/check.log 2>/dev/null || :

# Of each test in each world, how many passed, and what else became of it; then
# what failed, with what was said of it.
left_out=''
[ -n "$named" ] || left_out='Left out: guests on debug and race; nomem wherever the kernel lets no allocation fail.
'
[ -n "$named" ] || [ -n "${WORLD:-}" ] || left_out="${left_out}Left out since others have it, unless WORLD names the column: in debug/cdev, tests
that have to do with neither opening nor memory; on debug, lint, and those about
the emulated disk, QEMU and the tools; on trixie, those without QEMU; on backports, those for which
its kernel makes no difference; on relay, those for which the data path makes none; on
bookworm, the disk, for which its QEMU takes ten minutes, as a vIOMMU does on backports.
"
awk -v worlds="$worlds" -v left_out="$left_out" -v took_all=$(($(date +%s) - start)) '
	function result(count) {
		count[test, world]++
		if (!(test in known)) {
			known[test]
			row[++rows] = test
		}
	}
	/^# world .* took / { took[$3] += $5; next }
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
		names = names "Failed: " world ": " test ": " $0 "\n"
		said = ""
	}
	/^# / { said = said "    " $0 "\n" }
	END {
		columns = split(worlds, column)
		printf "\n%-20s", ""
		for (w = 1; w <= columns; w++)
			printf "  %-17s", column[w]
		for (r = 1; r <= rows; r++) {
			printf "\n%-20s", row[r]
			for (w = 1; w <= columns; w++) {
				at = row[r] SUBSEP column[w]
				cell = pass[at] ? pass[at] " ok" : ""
				if (fail[at])
					cell = cell " " fail[at] " FAILED"
				if (skip[at])
					cell = cell " " skip[at] " skipped"
				printf "  %-17s", cell ? cell : "-"
			}
		}
		printf "\n%-20s", "minutes of VMs"
		for (w = 1; w <= columns; w++)
			printf "  %-17s", sprintf("%d:%02d",
				took[column[w]] / 60, took[column[w]] % 60)
		print "\n" failures left_out "It took " int(took_all / 60) " minutes in all.\n" \
			names passed + 0 " passed, " failed + 0 " failed, " \
			skipped + 0 " skipped"
		exit failed || !passed
	}' .build/check.log
