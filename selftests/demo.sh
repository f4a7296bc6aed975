#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD=world] demo.sh
#
# The whole chain alive, in a throw-away VM: see demo-in-vm.sh; and in another
# what an access costs.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
vm=selftests/vm
mkdir -p .build
. selftests/build.sh
build "${WORLD:-bookworm}" ''
$vm/in-root.sh $vm/guest.sh --prepare
VUM_CONSOLE=.build/demo.console $vm/run.sh --smp 1 --timeout 400 \
	-- selftests/demo-in-vm.sh

printf '\n=== What it costs: the same access by a socket, and by the bridge\n'
exec selftests/bench/bench.sh --quick
