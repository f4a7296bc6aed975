#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: bench/guest.sh read|disk|disk-direct [SECONDS]
#        bench/guest.sh --prepare
#
# Inside the test VM of a world whose QEMU has vfio-user-pci (backports): what a
# guest gets of vum-puppet, or of vum-virtio-blk, by each path. One guest has a
# device by each of them, each with a server of its own behind it, and has them
# take turns (guest/bench.c):
#
#   direct	QEMU's vfio-user-pci on the server's socket
#   relay	vfio-pci on an mdev, through the helper
#   kernel	vfio-pci on an mdev, if the module has vfio_user/data_path
#
# stdout is a line of JSON for each row and path, all else goes to stderr. A row
# takes SECONDS (15): there is one of "read", there are six of "disk", and of "disk-direct",
# where the servers move data by O_DIRECT between a filesystem and the guest's memory, which
# the mdevs have with dma_mode=share. What the clock of this VM is called is in
# VUM_BENCH_CLOCK (wall).
#
# unit ns: p50, p99, p999 and mean are of single accesses. unit iops: of blocks
# of accesses, the p99 being what 99 % of the blocks reach, the mean that of all
# the time; hist is how long the single ones took, here too.
#
# --prepare, outside, after build.sh's build of that world, keeps the snapshot
# from which the guest starts.
set -eu

guest="selftests/vm/guest.sh --shared --program $VUM_BIN/guest-bench"
what=${1-}
case $what in
--prepare)
	# shellcheck disable=SC2086	# a list of words
	exec selftests/vm/in-root.sh $guest --prepare ;;
read | disk | disk-direct) ;;
*) echo "usage: guest.sh read|disk|disk-direct [SECONDS]" >&2; exit 2 ;;
esac
seconds=${2:-15}

. selftests/load.sh
type=/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci
dir=$(mktemp -d /dev/shm/bench.XXXXXX)
mdevs='' pids='' devices='' images=$dir options=''
say() { echo "# $*" >&2; }
finish() {
	for mdev in $mdevs; do
		echo 1 >"$mdev/remove"
	done
	# shellcheck disable=SC2086
	kill $pids 2>/dev/null || :
	wait
	[ "$images" = "$dir" ] || umount "$images"
	for log in "$dir"/*.log; do
		sed "s/^/# $(basename "$log" .log): /" "$log" >&2
	done
	rm -rf "$dir"
}
trap finish EXIT

background() { # NAME COMMAND...
	log=$dir/$1.log
	shift
	"$@" >/dev/null 2>"$log" &
	pids="$pids $!"
}

within_10_s() { # COMMAND...
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 100 ] || { say "not within 10 s: $*"; exit 1; }
		sleep 0.1
	done
}

new_mdev() { # PATH: sets mdev and uuid
	uuid=$(cat /proc/sys/kernel/random/uuid)
	echo "$uuid" >$type/create
	mdev=/sys/bus/mdev/devices/$uuid
	mdevs="$mdevs $mdev"
	[ ! -e "$mdev/vfio_user/data_path" ] || echo "$1" >"$mdev/vfio_user/data_path"
	[ "$what" != disk-direct ] || echo share >"$mdev/vfio_user/dma_mode"
}

# A filesystem whose direct I/O takes hold of the memory, as tmpfs' does not.
direct_images() {
	images=$dir/images
	mkdir "$images"
	truncate -s 192M "$dir/filesystem"
	modprobe -a loop ext4
	/sbin/mkfs.ext4 -q -O ^has_journal "$dir/filesystem"
	mount -o loop "$dir/filesystem" "$images"
	options='--direct --odirect-probe'
}

# Holes in a file, and pages that are not there yet, would be another disk.
server() { # PATH SOCKET
	if [ "$what" = read ]; then
		background "$1" vum-puppet --socket "$2"
	else
		head -c 32M /dev/zero >"$images/$1.image"
		# shellcheck disable=SC2086	# a list of words
		background "$1" vum-virtio-blk --socket "$2" --stats $options \
			--file "$images/$1.image"
	fi
}

attached() { [ "$(cat "$mdev/vfio_user/state")" = attached ]; }

device() { # PATH SLOT: a server, and in that slot of the guest's its device
	if [ "$1" = direct ]; then
		socket=$dir/direct.sock
		server direct "$socket"
		within_10_s [ -S "$socket" ]
		socket='{"type":"unix","path":"'$socket'"}'
		device='{"driver":"vfio-user-pci","addr":"'$2'","socket":'$socket'}'
	else
		new_mdev "$1"
		server "$1" "/run/vfio-user/$uuid.sock"
		within_10_s attached
		device="vfio-pci,addr=$2,sysfsdev=$mdev"
	fi
	devices="$devices -device $device"
}

# The guest's clock is made of ours; how well, is seen at the end.
compare_clocks() { # GUEST'S
	now=$(date +%s%N)
	[ -z "${clock-}" ] || say "clocks: $((($1 - clock) / 1000)) us in the guest," \
		"$(((now - ours) / 1000)) us around it"
	clock=$1 ours=$now
}

run_guest() {
	{
		echo "what=${what%-direct} name=${VUM_BENCH_CLOCK:-wall} seconds=$seconds"
		cat selftests/guest/bench.sh
	} >"$dir/script"
	status=0
	# No timeout: idle time may cost nothing in this VM, and it has one itself.
	# shellcheck disable=SC2086	# lists of words
	$guest --timeout 0 "$dir/script" $devices || status=$?
	echo "status: $status"
}

# Return: the guest's status.
sort_out() {
	while IFS= read -r line; do
		case $line in
		'{'*) echo "$line" | sed "s/\"name\":\"disk-/\"name\":\"$what-/" ;;
		'clock: '*) compare_clocks "${line#clock: }" ;;
		'status: '*) return "${line#status: }" ;;
		*) say "guest: $line" ;;
		esac
	done
	return 1
}

say "$(uname -r), $(qemu-system-x86_64 --version | head -n 1)"
[ "$what" != disk-direct ] || direct_images
background helper vfio-user-mdevd
device direct 10
device relay 11
[ ! -e "$mdev/vfio_user/data_path" ] || device kernel 12
run_guest | sort_out
