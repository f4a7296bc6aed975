#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: run.sh [--timeout S] [--mem M] [--smp N] [--append STR] [--share DIR]
#               [--icount] [--interactive] -- command [args...]
#
# Runs a command as root in a throw-away VM that has the files of VUM_WORLD
# (default bookworm, the host), and this tree and the cache in any case. It may
# write anywhere, and nothing of it lasts except below $VUM_RESULT, until
# run.sh ends, and below --share DIR, the host's directory at the same path.
# VUM_ABI's modules are in /lib/modules. Environment variables VUM_* are passed
# on; the working directory is kept. What the command leaves running is killed.
#
#   --timeout S    kill the VM after S seconds (default 120, 0 = never)
#   --mem M        MiB (default VUM_MEM or 2048)   --smp N  CPUs (default 2)
#   --append STR   more kernel command line, e.g. slub_debug=FZP
#   --icount       the VM's clock counts the instructions of its only CPU, one a
#                  nanosecond; idle time costs nothing. What is measured repeats.
#   --interactive  a terminal with job control; the command defaults to bash --norc
#   VUM_CONSOLE    the kernel's messages go here (default .build/console.log)
#   ACCEL          QEMU's accelerator (default tcg,thread=multi)
#
# Exit status: the command's, or 124 = timeout, 125 = the VM did not come up
# or died. stdout is the command's stdout and stderr.
set -eu

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
build=$top/.build
# shellcheck disable=SC2034	# for init.outer
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
timeout=120 mem='' smp=2 append='' share='' icount='' interactive=''
die() { echo "run.sh: $*" >&2; exit 125; }
while [ $# -gt 0 ]; do
	case $1 in
	--timeout) timeout=$2; shift 2 ;;
	--mem) mem=$2; shift 2 ;;
	--smp) smp=$2; shift 2 ;;
	--append) append=$2; shift 2 ;;
	--share) share=$(readlink -e "$2") || die "no directory $2"; shift 2 ;;
	--icount) icount=1 smp=1 ACCEL=tcg,thread=single; shift ;;
	--interactive) interactive=1 timeout=0; shift ;;
	--) shift; break ;;
	*) die "unknown option $1" ;;
	esac
done
[ $# -gt 0 ] || [ -z "$interactive" ] || set -- bash --norc -i
[ $# -gt 0 ] || die "no command"

# Gets one that is not here yet.
"$here/emulator.sh" --version >/dev/null || exit 125
# Whoever has built something already has got this, and must not get another.
if [ -z "${VUM_ABI-}" ]; then
	kernel=$("$here/kernel.sh" "${VUM_WORLD:-bookworm}") || exit 125
	eval "$kernel"
	export VUM_ABI VUM_KERNEL VUM_VMLINUX VUM_MODDIR VUM_KDIR VUM_ROOT \
		VUM_GUEST_ENV VUM_MEM
fi
initrd=$("$here/initramfs.sh" "$here/init.outer" \
	virtio_pci 9pnet_virtio 9p overlay virtio_console) || exit 125

export VUM_RESULT="$build/vm.$$"
console=${VUM_CONSOLE:-$VUM_RESULT/console}
pid=''
# shellcheck disable=SC2317	# called by the trap
finish() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || :
	# of several VMs at once, the last to end is the one to look at
	[ "${VUM_CONSOLE-}" ] || mv "$console" "$build/console.log" 2>/dev/null || :
	rm -rf "$VUM_RESULT"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$VUM_RESULT" || exit 125

quote() { printf %s "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }
for v in top cache share interactive VUM_ABI VUM_MODDIR VUM_RESULT VUM_ROOT; do
	eval "printf '%s=%s\n' $v \"\$(quote \"\$$v\")\""
done >"$VUM_RESULT/env"
{
	for v in $(env | sed -n 's/^\(VUM_[A-Za-z0-9_]*\)=.*/\1/p') TERM; do
		eval "printf 'export %s=%s\n' $v \"\$(quote \"\${$v-}\")\""
	done
	echo "export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	echo "cd $(quote "$PWD")"
	if [ "$interactive" ]; then
		echo "export PS1='vum:\w\\$ '"
		size=$(stty size 2>/dev/null) && echo "stty rows ${size% *} cols ${size#* }"
	fi
	printf exec
	for a; do printf ' %s' "$(quote "$a")"; done
	echo
} >"$VUM_RESULT/command"

# Nehalem has neither the idle erratum that QEMU's default CPU model brings
# along nor five-level page tables: both cost an emulated CPU dearly. A kernel
# that oopses or hangs has nothing more to tell, and dies at once.
fs=security_model=none,multidevs=remap
set -- -accel "${ACCEL:-tcg,thread=multi}" -cpu Nehalem -smp "$smp" -m "${mem:-${VUM_MEM:-2048}}" \
	-M q35,hpet=off -nodefaults -no-user-config -display none -no-reboot \
	-kernel "$VUM_VMLINUX" -initrd "$initrd" -append \
	"console=ttyS0 loglevel=8 panic=-1 mitigations=off nokaslr tsc=reliable \
oops=panic softlockup_panic=1 watchdog_thresh=30 \
rcupdate.rcu_cpu_stall_timeout=60 sysctl.kernel.panic_on_rcu_stall=1 $append" \
	-serial "file:$console" -device virtio-serial-pci \
	-virtfs "local,path=/,mount_tag=host,readonly=on,$fs" \
	-virtfs "local,path=$VUM_RESULT,mount_tag=ctl,$fs"
[ -z "$icount" ] || set -- "$@" -icount shift=0,sleep=off
[ -z "$share" ] || set -- "$@" -virtfs "local,path=$share,mount_tag=share,$fs"

# No QEMU outlives us, not even if we are killed with SIGKILL.
qemu() { exec setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout" \
	setpriv --pdeathsig KILL "$here/emulator.sh" "$@"; }
boot() {
	rc=0
	# Through a FIFO, since QEMU would make our own stdout non-blocking for
	# everybody who shares it. QEMU inherits its write end, so that the
	# reader sees its end even if QEMU fails before it opens it.
	rm -f "$VUM_RESULT/out"
	mkfifo "$VUM_RESULT/out"
	# shellcheck disable=SC2094
	exec 3<>"$VUM_RESULT/out" 4<"$VUM_RESULT/out"
	qemu "$@" -chardev "file,id=out,path=$VUM_RESULT/out,append=on" \
		-device virtserialport,chardev=out </dev/null 4<&- &
	pid=$!
	exec 3>&-
	cat <&4 &
	cat=$!
	exec 4<&-
	wait $pid || rc=$?
	pid=''
	wait $cat || :
}
if [ "$interactive" ]; then
	rc=0
	(qemu "$@" -chardev stdio,id=out,signal=off -device virtconsole,chardev=out) || rc=$?
else
	# QEMU 10.0 aborts once in a hundred boots, in iotlb_to_section(), when one
	# CPU assigns addresses to PCI devices that the other is using.
	for attempt in 1 2 3; do
		boot "$@"
		if [ $rc != 134 ] || [ -e "$VUM_RESULT/started" ]; then
			break
		fi
		echo "# run.sh: QEMU aborted in boot $attempt of 3" >&2
	done
fi

status=$(cat "$VUM_RESULT/status" 2>/dev/null) || :
[ -z "$status" ] || exit "$status"
[ "$rc" != 124 ] || { echo "run.sh: timeout after $timeout s" >&2; exit 124; }
# Without what the registers held: who reads no more than the end shall see why.
echo "# run.sh: the VM died; from its console:" >&2
{ grep -m 1 -A 25 -E 'Oops|BUG|stalls|panic -' "$console" || tail -n 15 "$console"; } |
	sed -E '/: [0-9a-f]{16}( |$)/d; /Code: /d; s/^/# /' >&2
exit 125
