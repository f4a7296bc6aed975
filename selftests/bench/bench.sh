#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD=world] [ACCEL=kvm] bench.sh [--quick] [ROW...]
#
# Measures the bridge against the socket, all rows or those named, and leaves in
# selftests/bench/out: report.json, report.md, latency.svg and ratios.svg; there
# are also samples.jsonl, what the rows said, and bench.log, all of the output.
#
# A row is rows/NAME.c, which runs inside the VM as bench-NAME, or rows/NAME.sh,
# which runs here, with VUM_* set, and starts what VM it needs. Either says on
# stdout what it has measured: see samples_emit() in bench.c. "clocks:" near the
# top of NAME.c names those of the VMs that it runs in: wall, if there is no such
# line, and icount, where instructions are counted.
#
# --quick takes a minute, for a small table and nothing else.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
bench=selftests/bench
quick='' rows=''
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	-*) echo "bench.sh: unknown option $1" >&2; exit 2 ;;
	*) rows="$rows $1" ;;
	esac
	shift
done
# In this order, as far as they are there. "guests" is on request: on an emulated machine it
# says more about that than about what is measured.
all_rows() {
	for row in bar-read bar-read-busy bar-write bar-write-bulk irq floor bar-mmap dma map \
			mig-data dirty scale poll split \
			guest-read disk disk-direct disks; do
		[ ! -e "$bench/rows/$row.c" ] && [ ! -e "$bench/rows/$row.sh" ] ||
			printf "%s " "$row"
	done
}

accel=${ACCEL:-}
unset ACCEL
mkdir -p .build
. selftests/build.sh
if [ "$quick" ]; then
	out=.build/bench world=${WORLD:-bookworm}
	: "${rows:=bar-read bar-write irq}"
else
	out=$bench/out world=${WORLD:-backports}
	: "${rows:=$(all_rows)}"
	selftests/vm/packages.sh jq gnuplot-nox
fi
rm -rf "$out"
mkdir -p "$out"
log=$out/bench.log

wall='' icount='' here=''
for row in $rows; do
	if [ -f "$bench/rows/$row.c" ]; then
		clocks=$(sed -n '1,9s/.*clocks: \([a-z ]*[a-z]\).*/\1/p' "$bench/rows/$row.c")
		case " ${clocks:-wall} " in *" wall "*) wall="$wall $row" ;; esac
		case " $clocks " in *" icount "*) icount="$icount $row" ;; esac
	elif [ -x "$bench/rows/$row.sh" ]; then
		here="$here $row"
	else
		echo "bench.sh: no row '$row'" >&2
		exit 2
	fi
done

# vm CLOCK [ARGUMENT-OF-run.sh...] -- ROW...
vm() {
	export VUM_BENCH_CLOCK="$1"
	shift
	options=''
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	[ $# -gt 0 ] || return 0
	# shellcheck disable=SC2086	# lists of words
	VUM_CONSOLE=$build/bench.console selftests/vm/run.sh --timeout 900 \
		--mem 3072 $options -- $bench/in-vm.sh "$@" ||
		echo "not ok - the VM: exit status $?"
}

# In ticks: what the host's CPUs have done so far, and what we have.
busy() { awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }
own() { awk '{ print $14 + $15 + $16 + $17 }' "/proc/$me/stat"; }

measure() {
	# shellcheck disable=SC2016	# the inner shell's
	me=$(exec sh -c 'echo $PPID')
	echo "# == build"
	build "$world" '' || { echo "not ok - build"; return; }
	[ -z "$accel" ] || export ACCEL="$accel"
	# Others' work is in all that is measured on the wall's clock: how much?
	start=$(date +%s) busy=$(busy) own=$(own)
	# shellcheck disable=SC2086	# lists of words
	vm wall -- $wall
	unset ACCEL
	echo "# others $(echo "$start $(date +%s) $busy $(busy) $own $(own)" |
		awk '{ x = ($4 - $3 - ($6 - $5)) / 100 / ($2 - $1 + 0.1); print (x > 0 ? x : 0) }')"
	# shellcheck disable=SC2086
	[ "$quick" ] || vm icount --icount -- $icount
	export VUM_BENCH_CLOCK=wall
	for row in $here; do
		echo "# == $row"
		ACCEL=$accel "$bench/rows/$row.sh" ||
			echo "not ok - $row: exit status $?"
	done
	qemu=$(selftests/vm/in-root.sh qemu-system-x86_64 --version |
		sed -n '1s/.*version \([^ ]*\).*/\1/p')
	echo "# kernel $VUM_ABI ($VUM_KERNEL)"
	echo "# guests' QEMU $qemu"
}

export VUM_BENCH_QUICK="$quick"
(measure) </dev/null 2>&1 | tee "$log" | grep --line-buffered -v '^{' >&2 || :
grep '^{' "$log" >"$out/samples.jsonl" || :

meta() {
	jq -n --arg kernel "$(sed -n 's/^# kernel //p' "$log")" \
		--arg qemu "$(selftests/vm/emulator.sh --version |
			sed -n '1s/.*version \([^ ]*\).*/\1/p')" \
		--arg guest_qemu "$(sed -n "s/^# guests' QEMU //p" "$log")" \
		--arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
		--arg accel "${accel:-tcg,thread=multi}" --arg world "$world" \
		--arg others "$(sed -n 's/^# others //p' "$log")" \
		--arg date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		--arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" \
		'{$kernel, $qemu, $guest_qemu, $cpu, $accel, cpus: 2,
		  others: ($others | tonumber? // null | if . then . * 100 | round / 100 else . end),
		  $world, $date, $commit}'
}

jq -s -f "$bench/report.jq" --argjson meta "$(meta)" \
	--rawfile targets "$bench/targets" "$out/samples.jsonl" >"$out/report.json"
if [ "$quick" ]; then
	jq -r -f "$bench/quick.jq" "$out/report.json"
else
	jq -r -f "$bench/report.md.jq" "$out/report.json" >"$out/report.md"
	"$bench/plot.sh" "$out" || echo "not ok - the plots" >>"$log"
	sed -n '/ targets met, /,/^!/p' "$out/report.md"
	echo "In $out: report.md, report.json, latency.svg, ratios.svg"
fi
! grep -q '^not ok' "$log"
