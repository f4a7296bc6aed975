#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: helper.sh SECONDS KEEP NAME
#
# Fuzzes a part of the helper, helper/NAME.c, with libFuzzer, AddressSanitizer and UBSan.
# With KEEP ("yes"), what reaches something new goes to corpus/NAME. Words that inputs are
# made of are in helper/NAME.dict, if it has any.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
fuzz=selftests/fuzz
seconds=$1 keep=$2 name=$3
build=.build/fuzz
mkdir -p "$build/new-$name" "$fuzz/corpus/$name"
# shellcheck disable=SC2046	# a list of words
clang -g -O1 -std=gnu11 -D_GNU_SOURCE= -Iuapi \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	"$fuzz/helper/$name.c" "helper/$name.c" helper/channel.c helper/license.c -o "$build/$name" \
	$(pkg-config --cflags --libs json-c)
rm -rf "${build:?}/new-$name"
mkdir "$build/new-$name"
dict=''
[ ! -f "$fuzz/helper/$name.dict" ] || dict=-dict=$fuzz/helper/$name.dict
"$build/$name" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 \
	-artifact_prefix="$build/" -verbosity=0 ${dict:+"$dict"} \
	"$build/new-$name" "$fuzz/corpus/$name"
[ "$keep" != yes ] ||
	"$build/$name" -merge=1 -verbosity=0 "$fuzz/corpus/$name" "$build/new-$name"
