#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: host
# What a server can say to the helper itself, fuzzed for a minute each: see make fuzz.
n=0
for name in version relay; do
	n=$((n + 1))
	if said=$(selftests/fuzz/helper.sh "${VUM_FUZZ_SECONDS:-60}" no $name 2>&1); then
		echo "$said" | sed -n 's/^stat::number_of_executed_units: */# executions: /p'
		echo "ok $n - $name"
	else
		echo "$said" | tail -n 60 | sed 's/^/# /'
		echo "not ok $n - $name"
	fi
done
echo "1..$n"
