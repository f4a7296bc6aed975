#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: bench/guest-row.sh read|disk|disk-direct
#
# Outside, for the rows that are measured in a guest: gets everything ready for
# guest.sh and runs it in a VM whose clock is the host's, then in one that counts
# instructions. Needs what build.sh's build leaves.
#
# One CPU for both: with two, each hop waits for an emulated CPU that the host may
# be keeping from running, which is what one measures then. On a quiet host it
# makes no difference to the ratio.
set -eu

cd "$(dirname "$(readlink -f "$0")")/../.."
what=$1
if ! selftests/vm/in-root.sh qemu-system-x86_64 -device help 2>&1 |
     grep -q '"vfio-user-pci"'; then
	echo "# $what: not measured, this world's QEMU has no vfio-user-pci" >&2
	exit 0
fi
selftests/bench/guest.sh --prepare

# in_vm CLOCK SECONDS [ARGUMENT-OF-run.sh...]
in_vm() {
	export VUM_BENCH_CLOCK="$1"
	seconds=$2
	shift 2
	VUM_CONSOLE=${VUM_BIN%/bin}/bench-$what-$VUM_BENCH_CLOCK.console \
		selftests/vm/run.sh --timeout 600 "$@" \
		-- selftests/bench/guest.sh "$what" "$seconds"
}
in_vm wall 25 --smp 1
[ "${VUM_BENCH_QUICK-}" ] || in_vm icount 2 --icount
