# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced, from the top: what has to be there before a VM is started.

# build SAN: packages, the kernel, the module for it, and the programs, with
# sanitizers if SAN is not empty. Sets VUM_* for the scripts inside the VM.
build() {
	echo "# packages"
	selftests/vm/packages.sh gcc make pkg-config libnl-3-dev \
		libnl-genl-3-dev libjson-c-dev qemu-system-x86 busybox-static \
		cpio kmod xz-utils e2fsprogs
	kernel=$(selftests/vm/kernel.sh)
	eval "$kernel"
	echo "# module for $VUM_ABI, programs${1:+ with sanitizers}"
	if ! make --no-print-directory module KDIR="$VUM_KDIR" >.build/make.log 2>&1 ||
	   ! make --no-print-directory -j2 programs SAN="$1" >>.build/make.log 2>&1; then
		cat .build/make.log
		return 1
	fi
	export VUM_MODULE=".build/module-$VUM_ABI/vfio_user_mdev.ko"
	export VUM_BIN=".build/${1:+san/}bin"
}
