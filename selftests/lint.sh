#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: lint.sh
#
# What compilers and checkers have to say: the module at W=1 and under sparse,
# kernel-doc, checkpatch if a kernel tree with it is at hand (CHECKPATCH=),
# clang-tidy for the programs, shellcheck for the scripts. Prints "ok" or
# "not ok" for each, with what was said.
set -u

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
mkdir -p .build
selftests/vm/packages.sh gcc make pkg-config libnl-3-dev libnl-genl-3-dev \
	libjson-c-dev sparse clang-tidy shellcheck xz-utils >&2 || exit 1
kernel=$(selftests/vm/kernel.sh) || exit 1
eval "$kernel"
n=0 failed=0

# report NAME COMPLAINTS
report() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "$2" | sed 's/^/# /'
		echo "not ok $n - $1"
		failed=1
	fi
}

# All of it anew: an object that is up to date is not complained about.
module() {
	rm -rf .build/lint
	mkdir -p .build/lint
	cp -p --parents Kbuild kmod/*.[ch] uapi/*.h .build/lint
	make -C "$VUM_KDIR" M="$PWD/.build/lint" W=1 C=2 modules 2>&1 ||
		echo "error: make failed"
}

kernel_doc() {
	script=$(find /usr/lib/linux-kbuild-* -name kernel-doc | sort -V | tail -n 1)
	"$script" -none kmod/*.[ch] uapi/*.h 2>&1
}

# compat.h is where versions are asked for, which checkpatch objects to.
checkpatch() {
	find kmod uapi -name '*.[ch]' ! -name compat.h -exec "$CHECKPATCH" \
		--no-tree --strict --terse --quiet --no-summary -f {} +
}

# One file at a time: several at once confuse clang-tidy 14's va_list checker.
tidy() {
	for f in helper/*.c selftests/*/*.c; do
		# shellcheck disable=SC2046	# words, all of them
		clang-tidy --quiet "$f" -- -std=gnu11 -D_GNU_SOURCE= -Iuapi \
			$(pkg-config --cflags libnl-genl-3.0) 2>/dev/null
	done | grep -E 'warning:|error:'
}

scripts() {
	find selftests .ci -type f \( -name '*.sh' -o -name 'init.*' -o -name run \) \
		-exec shellcheck -x {} + 2>&1
}

report "module: no warning at W=1 and under sparse, $VUM_ABI" \
	"$(module | grep -E 'warning:|error:|WARNING')"
report "kernel-doc" "$(kernel_doc)"
if [ -n "${CHECKPATCH:-}" ]; then
	report "checkpatch --strict" "$(checkpatch)"
else
	n=$((n + 1))
	echo "ok $n - checkpatch --strict # SKIP not in Debian's headers; CHECKPATCH= says where it is"
fi
report "clang-tidy" "$(tidy)"
report "shellcheck" "$(scripts)"
exit $failed
