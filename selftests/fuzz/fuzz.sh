#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [MINUTES=10] fuzz.sh [DOOR...]
#
# Fuzzes the module's doors (fuzz_DOOR.c in doors/) and parts of the helper (DOOR.c in
# helper/), all of them or those named, one after the other, each for so many minutes. The
# module's are fuzzed on the debug kernel, whose KCOV says what an input has reached. An
# input that has reached something new goes to corpus/DOOR, which is a part of the tree.
# VUM_FUZZ_SEED= repeats what a run has said it began with.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
fuzz=selftests/fuzz
minutes=${MINUTES:-10}
minutes=${minutes:-10}
all=$(find $fuzz/doors $fuzz/helper -name '*.c' | sed 's|.*/||; s|^fuzz_||; s|\.c$||' | sort)
doors='' parts=''
# shellcheck disable=SC2086	# a list of words
[ $# -gt 0 ] || set -- $all
for door; do
	if [ -f "$fuzz/doors/fuzz_$door.c" ]; then
		doors="$doors $door"
	elif [ -f "$fuzz/helper/$door.c" ]; then
		parts="$parts $door"
	else
		echo "fuzz.sh: no door '$door'; there are: $(echo "$all" | tr '\n' ' ')" >&2
		exit 2
	fi
done

# collect DOOR: keep what the fuzzer says is worth it, and pass on the rest
collect() {
	mkdir -p "$fuzz/corpus/$1"
	while read -r word rest; do
		if [ "$word" != found ]; then
			echo "$word $rest"
			continue
		fi
		hex=${rest##* }
		name=$(echo "$hex" | sha1sum | cut -c1-16)
		echo "$hex" | xxd -r -p >"$fuzz/corpus/$1/$name"
	done
}

status=0
[ -z "$parts" ] || selftests/vm/packages.sh clang libclang-rt-dev libjson-c-dev pkg-config
for part in $parts; do
	echo "# == $part"
	$fuzz/helper.sh $((minutes * 60)) yes "$part" || status=1
done
[ -n "$doors" ] || exit $status

. selftests/build.sh
selftests/vm/packages.sh xxd
# shellcheck disable=SC2086	# a list of words
build debug '' "$(printf 'fuzz_%s ' $doors)"
export VUM_BIN VUM_MODULE
echo "$(objdump -r "$VUM_MODULE" | grep -c __sanitizer_cov_trace_pc) blocks in the module"
for door in $doors; do
	log=$build/fuzz-$door
	VUM_FUZZ_SECONDS=$((minutes * 60)) VUM_TEST_SECONDS=$((minutes * 60 + 300)) \
		VUM_CONSOLE=$log.console \
		selftests/vm/run.sh --timeout $((minutes * 60 + 600)) -- \
		selftests/in-vm.sh "fuzz_$door" >"$log.log" 2>&1 &
	tail -n +1 --pid=$! -f "$log.log" | collect "$door"
	wait $! || status=1
	! grep -q '^not ok' "$log.log" || status=1
done
exit $status
