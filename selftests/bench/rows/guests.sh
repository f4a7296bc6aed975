#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Disks of many guests: one process that polls them all, against a process for each.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../../.."
[ -z "${VUM_BENCH_QUICK-}" ] || exit 0
selftests/bench/guests.sh --prepare
VUM_CONSOLE=${VUM_BIN%/bin}/bench-guests.console \
	selftests/vm/run.sh --timeout 900 --mem 5120 -- selftests/bench/guests.sh
