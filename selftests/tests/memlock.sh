#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest of somebody who may lock little memory (ulimit -l) reads a disk that lives
# in a process. Little costs time, not data. If it is too little, the guest stops.
set -u

# limited KIB COMMAND...: root may lock what it likes, but not without CAP_IPC_LOCK.
limited() {
	kib=$1
	shift
	prlimit --memlock=$((kib * 1024)) -- \
		setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "$@"
}

# shown KEY: a number that vfio-user-mdevctl shows
shown() {
	vfio-user-mdevctl show --json "$device_uuid" |
		sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p"
}

# run NAME KIB
run() {
	device_guest "$1" limited "$2" selftests/vm/guest.sh selftests/guest/disk-sum.sh
	status=$?
	sed "s/^/# $1: /" "$dir/$1"
	echo "# $1: $(shown evicted) pages evicted"
	return $status
}

many_evicted() { [ "$(shown evicted)" -gt $((bytes / 4096 / 2)) ]; }
nothing_lost() { [ "$(shown dma_faults)" = 0 ]; }
told_once() { [ "$(dmesg | grep -c "$device_uuid: the consumer may not lock more")" = 1 ]; }

dir=$(mktemp -d)
. selftests/guest-device.sh
bytes=$((32 << 20))
head -c $bytes /dev/urandom >"$dir/image"
sum=$(md5sum <"$dir/image")
device_up "$dir" vum-virtio-blk --file "$dir/image"
check "helper attaches the server" device_attached
check "a guest reads $bytes bytes with 512 KiB" run guest 512
check "and gets them right" grep -qx "sum: $sum" "$dir/guest"
check "by pages that come and go" many_evicted
check "no access found nothing" nothing_lost
check "the kernel's log says once what would be faster" told_once
device_down
echo "1..$tap"
rm -rf "$dir"
