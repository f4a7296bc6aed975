#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: guest.sh [--timeout S] [--viommu] [--shared] [--program FILE] [--cold]
#                 [--reboot] [--move DEVICE] [--do COMMAND] script
#                 [qemu-argument...]
#        guest.sh [--viommu] [--shared] [--program FILE] --prepare
#
# Inside the VM of run.sh: starts a guest under the distribution's QEMU with,
# for example, -device vfio-pci,sysfsdev=/sys/bus/mdev/devices/<uuid>, and runs
# a busybox sh script in it, as root, with the drivers of $modules loaded.
# stdout is the script's stdout and stderr; the exit status is the script's,
# or 124 = timeout (600 s, times VUM_SLOW), 125 = QEMU failed, 126 = the guest died.
# The guest's kernel log: $VUM_GUEST_CONSOLE, default $VUM_RESULT/guest.log.
# With --viommu the guest has an Intel IOMMU, and for devices behind it (which
# say bus=viommu) maps each buffer when it is used and unmaps it at once.
# With --shared its memory is a file that other processes can map, as vfio-user
# wants it. --program puts a static program in its /bin.
#
# --prepare, outside but in the world's root (in-root.sh), boots such a guest
# without any device and keeps it as a snapshot in the cache. The guest in the VM
# starts from there, finds its device by a rescan of the PCI bus, and is up in
# seconds: an emulated machine on an emulated machine takes a minute to boot.
# --cold lets it boot.
#
# --reboot runs the script twice, with a reset of the guest in between; the exit
# status is the higher one.
#
# --move DEVICE, twice: whenever the script prints a line "MOVE", the guest is moved to
# another QEMU, and a line "MOVED" sent to it. The first DEVICE is for the first QEMU and
# each second one after it, the other for those in between. What QEMU says of each move
# goes to stderr. --do COMMAND: instead of that, COMMAND is run, with the number of such
# lines so far.
set -eu

here=$(dirname "$(readlink -f "$0")")
cache=${VUM_CACHE:-/var/cache/vfio-user-mdev}
modules="virtio_pci virtio_blk nvme ext4 gpio-pci-idio-16"
append="console=ttyS0,115200 quiet panic=-1 8250.nr_uarts=8 mitigations=off nokaslr \
tsc=reliable cryptomgr.notests"

timeout=$((600 * ${VUM_SLOW:-1})) mode=warm reboot='' programs='' here_device='' there_device='' command=''
qemu="qemu-system-x86_64 -accel tcg -M q35,hpet=off,vmport=off -m 256
	-nodefaults -no-user-config -display none -no-reboot"
while :; do
	case ${1-} in
	--timeout) timeout=$2; shift 2 ;;
	--viommu)	# which is for what was there at boot, and what is below that
		qemu="$qemu -device intel-iommu,caching-mode=on
			-device pcie-root-port,id=viommu,power_controller_present=off"
		append="$append intel_iommu=on iommu.strict=1"
		shift ;;
	--shared)
		qemu="$qemu -object memory-backend-memfd,id=ram,size=256M,share=on
			-machine memory-backend=ram"
		shift ;;
	--program) programs="$programs $(readlink -f "$2")"; shift 2 ;;
	--cold) mode=cold; shift ;;
	--reboot) reboot=1; shift ;;
	--do) command=$2; shift 2 ;;
	--move)
		[ -n "$here_device" ] && there_device=$2 || here_device=$2
		shift 2 ;;
	--prepare) mode=prepare; shift; set -- /dev/null ;;
	-*) echo "guest.sh: unknown option $1" >&2; exit 125 ;;
	*) break ;;
	esac
done
script=${1-}
# The guest would wait for the rest of an unfinished statement.
busybox sh -n "$script" || exit 125
shift

if [ $mode = prepare ]; then
	"$here/packages.sh" qemu-system-x86
fi
if [ -z "${VUM_ABI-}" ]; then
	env=$("$here/kernel.sh")
	eval "$env"
fi
# A world may have guests run another kernel than its own.
# shellcheck disable=SC1090
[ -z "${VUM_GUEST_ENV-}" ] || . "$VUM_GUEST_ENV"
export VUM_ABI VUM_KERNEL VUM_MODDIR
# shellcheck disable=SC2086	# lists of words
initrd=$("$here/initramfs.sh" "$here/init.inner" $modules $programs)

key=$({ echo "$qemu $append ${initrd##*/} $VUM_ABI $VUM_KERNEL"
	dpkg-query -W qemu-system-x86; } | sha256sum | cut -c 1-16)
snapshot=$cache/guest/$key
if [ -f "$snapshot" ]; then
	[ $mode != prepare ] || exit 0
elif [ $mode = warm ]; then
	echo "guest.sh: no snapshot, so this takes a minute (see --prepare)" >&2
	mode=cold
fi

tmp=$(mktemp -d)
pid='' other=''
trap '[ -z "$pid$other" ] || kill $pid $other 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
console=${VUM_GUEST_CONSOLE:-${VUM_RESULT:-$tmp}/guest.log}

monitor=control
[ $mode != prepare ] || monitor=readline
incoming=''
[ $mode != warm ] || incoming=1
[ -z "$reboot" ] || set -- "$@" -action reboot=reset

# launch QEMU-ARGUMENT...: replaces this shell, which is to be one in the background, by
# QEMU, with its monitor on stdin and stdout.
launch() {
	# shellcheck disable=SC2086
	exec setpriv --pdeathsig TERM timeout --foreground -k 5 "$timeout" \
		setpriv --pdeathsig KILL $qemu \
		-kernel "$VUM_VMLINUX" -initrd "$initrd" -append "$append" \
		-chardev "pipe,id=io,path=$tmp/io" -serial "file:$console" \
		-serial chardev:io -serial "file:$tmp/status" \
		-chardev stdio,id=mon,signal=off -mon "chardev=mon,mode=$monitor" "$@"
}

# move QEMU-ARGUMENT...: go on in another QEMU, with the other device; or run the command.
moves=0
move() {
	moves=$((moves + 1))
	if [ -n "$command" ]; then
		"$command" $moves >&2 && echo MOVED >&4
		return
	fi
	device=$here_device here_device=$there_device there_device=$device
	mkfifo "$tmp/mon$moves.in" "$tmp/mon$moves.out"
	exec 7<>"$tmp/mon$moves.in" 8<>"$tmp/mon$moves.out"
	# shellcheck disable=SC2094
	exec 9<"$tmp/mon$moves.out"
	launch "$@" -device "$here_device" -incoming "unix:$tmp/move$moves" \
		<&7 >&8 3>&- 4>&- 5<&- 6<&- 9<&- &
	other=$!
	exec 8>&-
	echo '{"execute":"qmp_capabilities"}' >&7
	until [ -S "$tmp/move$moves" ]; do
		kill -0 $other 2>/dev/null || return 1
		sleep 0.2
	done
	echo '{"execute":"migrate","arguments":{"uri":"unix:'"$tmp/move$moves"'"}}' >&3
	while echo '{"execute":"query-migrate"}' >&3 && read -r line <&5; do
		case $line in
		*'"status": "completed"'* | *'"status": "failed"'* | *'"error"'*) break ;;
		esac
		sleep 0.5
	done
	echo "guest.sh: move $moves: $line" >&2
	case $line in *'"status": "completed"'*) ;; *) return 1 ;; esac
	while read -r line <&9; do
		case $line in *'"RESUME"'*) break ;; esac
	done
	echo '{"execute":"quit"}' >&3
	wait "$pid" || return 1
	pid=$other other=''
	exec 3>&7 5<&9 7>&- 9<&-
	echo MOVED >&4
}

# QEMU inherits the write ends of what it writes, so that the readers see the
# end of it when QEMU ends, however early that is.
mkfifo "$tmp/io.in" "$tmp/io.out" "$tmp/mon.in" "$tmp/mon.out"
exec 3<>"$tmp/mon.in" 4<>"$tmp/io.in" 7<>"$tmp/mon.out" 8<>"$tmp/io.out"
# shellcheck disable=SC2094
exec 5<"$tmp/mon.out" 6<"$tmp/io.out"
launch "$@" ${here_device:+-device "$here_device"} \
	${incoming:+-incoming "exec:cat $snapshot"} <&3 >&7 5<&- 6<&- &
pid=$!
exec 7>&- 8>&-

[ $mode = prepare ] || echo '{"execute":"qmp_capabilities"}' >&3
# What is sent to a guest before its snapshot has been loaded is lost.
if [ $mode = warm ]; then
	echo '{"execute":"query-status"}' >&3
	while read -r line <&5; do
		case $line in *'"running": true'* | *'"RESUME"'*) break ;; esac
	done
else
	read -r line <&6 || :
fi
send_script() { { echo; cat "$script"; echo; echo exit; } >&4; }
if [ $mode != prepare ]; then
	send_script
	while [ "$reboot" ] && IFS= read -r line <&6; do
		if [ "$line" = READY ]; then
			reboot=''
			echo '{"execute":"set-action","arguments":{"reboot":"shutdown"}}' >&3
			send_script
		else
			echo "$line"
		fi
	done
	while [ "$there_device$command" ] && IFS= read -r line <&6; do
		if [ "$line" != MOVE ]; then
			printf '%s\n' "$line"
		elif ! move "$@"; then
			echo "guest.sh: the guest was not moved" >&2
			exit 125
		fi
	done
	cat <&6
elif [ "$line" = READY ]; then
	echo "guest: keeping a snapshot" >&2
	mkdir -p "$cache/guest"
	find "$cache/guest" -type f -mtime +7 -delete
	printf 'migrate "exec:cat >%s"\nquit\n' "$snapshot.$$" >&3
fi

rc=0
wait $pid || rc=$?
pid=''
if [ $rc = 124 ]; then
	echo "guest.sh: timeout after $timeout s; the end of $console:" >&2
	tail -n 5 "$console" >&2
	exit 124
elif [ $rc != 0 ]; then
	cat <&5 >&2
	exit 125
elif [ $mode = prepare ] && [ -s "$snapshot.$$" ]; then
	mv "$snapshot.$$" "$snapshot"
elif [ -s "$tmp/status" ]; then
	exit "$(sort -nr "$tmp/status" | head -n 1)"
else
	echo "guest.sh: the guest died; the end of $console:" >&2
	tail -n 20 "$console" >&2
	exit 126
fi
