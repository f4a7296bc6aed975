#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: run.sh [--timeout S] [--mem M] [--smp N] [--append STR] [--share DIR]
#               [--interactive] -- command [args...]
#
# Runs a command as root in a throw-away VM that has the host's files: it may
# write anywhere, and nothing of it lasts except below --share DIR, which is
# the host's directory at the same path. Modules of VUM_ABI are in /lib/modules.
# Environment variables VUM_* are passed on; the working directory is kept.
#
#   --timeout S    kill the VM after S seconds (default 120; 0 = never)
#   --mem M        MiB (default 2048)         --smp N  CPUs (default 2)
#   --append STR   more kernel command line, e.g. oops=panic
#   --interactive  a terminal with job control; the command defaults to bash
#   VUM_CONSOLE    the kernel's messages go here (default .build/console.log)
#   ACCEL          QEMU's accelerator (default tcg,thread=multi)
#
# Exit status: the command's, or 124 = timeout, 125 = the VM did not come up
# or died. The command's output is stdout.
set -eu

here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$here/../..")/.build
timeout=120 mem=2048 smp=2 append='' share='' interactive=''
die() { echo "run.sh: $*" >&2; exit 125; }
while [ $# -gt 0 ]; do
	case $1 in
	--timeout) timeout=$2; shift 2 ;;
	--mem) mem=$2; shift 2 ;;
	--smp) smp=$2; shift 2 ;;
	--append) append=$2; shift 2 ;;
	--share) share=$(readlink -e "$2") || die "no directory $2"; shift 2 ;;
	--interactive) interactive=1 timeout=0; shift ;;
	--) shift; break ;;
	*) die "unknown option $1" ;;
	esac
done
[ $# -gt 0 ] || [ -z "$interactive" ] || set -- bash -i
[ $# -gt 0 ] || die "no command"

"$here/packages.sh" qemu-system-x86 >&2 || exit 125
kernel=$("$here/kernel.sh") || exit 125
eval "$kernel"
export VUM_ABI VUM_VMLINUX VUM_MODDIR VUM_KDIR
initrd=$("$here/initramfs.sh" "$here/init.outer" \
	virtio_pci 9pnet_virtio 9p overlay virtio_console) || exit 125

quote() { printf %s "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

ctl=$build/vm.$$
mkdir -p "$ctl"
export VUM_RESULT="$ctl"
console=${VUM_CONSOLE:-$build/console.log}
pid=''
trap '[ -z "$pid" ] || kill $pid 2>/dev/null; rm -rf "$ctl"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for v in share interactive VUM_ABI VUM_MODDIR VUM_RESULT; do
	eval "printf '%s=%s\n' $v \"\$(quote \"\$$v\")\""
done >"$ctl/env"
{
	for v in $(env | sed -n 's/^\(VUM_[A-Za-z0-9_]*\)=.*/\1/p') TERM; do
		eval "printf 'export %s=%s\n' $v \"\$(quote \"\${$v-}\")\""
	done
	echo "export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	echo "cd $(quote "$PWD")"
	[ -z "$interactive" ] || ! size=$(stty size 2>/dev/null) ||
		echo "stty rows ${size% *} cols ${size#* }"
	printf exec
	for a; do printf ' %s' "$(quote "$a")"; done
	echo
} >"$ctl/command"

fs=security_model=none,multidevs=remap
set -- -accel "${ACCEL:-tcg,thread=multi}" -smp "$smp" -m "$mem" \
	-M q35,hpet=off -cpu qemu64 -nodefaults -no-user-config -display none -no-reboot \
	-kernel "$VUM_VMLINUX" -initrd "$initrd" \
	-append "console=ttyS0 loglevel=8 panic=-1 tsc=reliable mitigations=off nokaslr $append" \
	-serial "file:$console" \
	-virtfs "local,path=/,mount_tag=host,readonly=on,$fs" \
	-virtfs "local,path=$ctl,mount_tag=ctl,$fs" \
	-device virtio-serial-pci
[ -z "$share" ] || set -- "$@" -virtfs "local,path=$share,mount_tag=share,$fs"

# The guest's output comes through a FIFO: QEMU would make our own stdout
# non-blocking, for everybody else who has it too. Nothing of this outlives
# us, not even if we are killed with SIGKILL.
run() { exec setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout" \
	setpriv --pdeathsig KILL qemu-system-x86_64 "$@"; }
rc=0
if [ "$interactive" ]; then
	(run "$@" -chardev stdio,id=out,signal=off -device virtconsole,chardev=out) || rc=$?
else
	mkfifo "$ctl/out"
	cat "$ctl/out" &
	cat=$!
	run "$@" -chardev "file,id=out,path=$ctl/out,append=on" \
		-device virtserialport,chardev=out </dev/null &
	pid=$!
	wait $pid || rc=$?
	pid=''
	wait $cat || :
fi

status=$(cat "$ctl/status" 2>/dev/null) || :
[ -z "$status" ] || exit "$status"
[ $rc != 124 ] || { echo "run.sh: timeout after $timeout s; console: $console" >&2; exit 124; }
echo "run.sh: the VM died; the end of $console:" >&2
tail -n 15 "$console" >&2 || :
exit 125
