#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD=world] demo.sh
#
# The whole chain alive, in a throw-away VM: see demo-in-vm.sh.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
vm=selftests/vm
mkdir -p .build
. selftests/build.sh
build "${WORLD:-bookworm}" ''
$vm/in-root.sh $vm/guest.sh --prepare
VUM_CONSOLE=.build/demo.console exec $vm/run.sh --smp 1 --timeout 235 \
	-- selftests/demo-in-vm.sh
