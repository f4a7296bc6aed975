# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced, from the top: what has to be there before a VM is started.

# use_world WORLD SAN: the world as `build` left it.
# Sets VUM_* for the scripts inside the VM and those in selftests/vm.
use_world() {
	export VUM_WORLD="$1"
	build=.build
	[ "$1" = bookworm ] || build=.build/$1
	kernel=$(selftests/vm/kernel.sh "$1") || return 1
	eval "$kernel"
	export VUM_ABI VUM_KERNEL VUM_VMLINUX VUM_MODDIR VUM_KDIR VUM_ROOT \
		VUM_GUEST_ENV VUM_MEM VUM_SLOW
	# Nobody removes a root that is in use.
	if [ "$VUM_ROOT" != / ]; then
		exec 8<"$VUM_ROOT/vum.env"
		flock --shared 8
	fi
	export VUM_MODULE="$build/module-$VUM_ABI/vfio_user_mdev.ko"
	export VUM_BIN="$build/${2:+san/}bin"
}

# build WORLD SAN [TESTS]: packages, the world, the module for its kernel, and the
# programs, with sanitizers if SAN is not empty; of the tests' those named, or
# all. Each world compiles its own. Then use_world.
build() {
	# shellcheck disable=SC2046	# a list of words
	selftests/vm/packages.sh $(cat selftests/vm/needs) || return 1
	use_world "$1" "$2" || return 1
	mkdir -p "$build"
	# For the fuzzers: KCOV is to see the module, which costs little while nobody looks.
	instrument=''
	[ "$1" != debug ] || instrument=KCOV_INSTRUMENT=y
	if ! build_make module KDIR="$VUM_KDIR" MODULE_ARGS="$instrument" \
			>"$build/make.log" 2>&1 ||
	   ! build_make programs SAN="$2" ${3+TESTS="$3"} >>"$build/make.log" 2>&1; then
		cat "$build/make.log"
		return 1
	fi
}

build_make() {
	selftests/vm/in-root.sh make --no-print-directory -j2 B="$build" "$@"
}
