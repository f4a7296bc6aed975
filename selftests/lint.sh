#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: lint.sh [WORLD...]
#        lint.sh --packages	to install what it takes, and no more
#
# What compilers and checkers have to say: the module at W=1 and under sparse,
# in each world or those named. With bookworm among them also kernel-doc,
# checkpatch if a kernel tree with it is at hand (CHECKPATCH=), clang-tidy for
# the programs, shellcheck for the scripts. Prints "ok" or "not ok" for each,
# with what was said.
set -u

cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
[ $# -gt 0 ] || set -- bookworm trixie backports
selftests/vm/packages.sh gcc make pkg-config libnl-3-dev libnl-genl-3-dev \
	libjson-c-dev sparse clang clang-tidy libclang-rt-dev shellcheck xz-utils >&2 || exit 1
[ "$1" != --packages ] || exit 0
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

# All of it anew: an object that is up to date is not complained about. The
# sparse of today's Debians is older than what 7.3's headers demand, and they
# lack the script that would say so; with these two words it reads them.
sparse="sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(s)=(sizeof(s)-1)'"
module() {
	lint=$PWD/.build/lint-$VUM_ABI
	rm -rf "$lint"
	mkdir -p "$lint"
	cp -p --parents Kbuild kmod/*.[ch] uapi/*.h "$lint"
	selftests/vm/in-root.sh make -C "$VUM_KDIR" M="$lint" W=1 C=2 \
		KBUILD_CHECKSRC=2 CHECK="$sparse" modules >"$lint/log" 2>&1 ||
		echo "error: make failed"
	grep -q '^  CHECK' "$lint/log" || echo "error: sparse was not run"
	grep -E 'warning:|error:|WARNING' "$lint/log"
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

# One file to a process: several confuse clang-tidy 14's va_list checker.
tidy() {
	# shellcheck disable=SC2046	# words, all of them
	printf '%s\n' helper/*.c selftests/*/*.c selftests/bench/rows/*.c \
		selftests/fuzz/*/*.c | grep -v '^selftests/coverage/' |
		xargs -P "$(nproc)" -I '{}' clang-tidy --quiet '{}' -- -std=gnu11 \
			-D_GNU_SOURCE= -Iuapi \
			$(pkg-config --cflags libnl-genl-3.0) 2>/dev/null |
		grep -E 'warning:|error:'
}

scripts() {
	find selftests helper .ci -type f \( -name '*.sh' -o -name 'init.*' -o -name run \) \
		-exec shellcheck -x {} + 2>&1
}

for world; do
	if kernel=$(selftests/vm/kernel.sh "$world"); then
		eval "$kernel"
		export VUM_ROOT
		report "module: no warning at W=1 and under sparse, $VUM_ABI" "$(module)"
		report "module: calls and includes go down, $VUM_ABI" \
			"$(selftests/floors.sh ".build/lint-$VUM_ABI")"
	else
		report "module: in $world" "no such world"
	fi
done
case " $* " in
*" bookworm "*) ;;
*) exit $failed ;;
esac
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
