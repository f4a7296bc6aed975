#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: [WORLD=world] shell.sh
#
# The test VM with everything loaded and a device to play with.
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
mkdir -p .build
. selftests/build.sh
build "${WORLD:-bookworm}" ''
VUM_CONSOLE=.build/shell.console exec selftests/vm/run.sh --interactive \
	-- bash --rcfile selftests/shell-in-vm.sh -i
