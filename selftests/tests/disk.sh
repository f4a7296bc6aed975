#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest mounts ext4 from a virtio-blk disk that lives in a process, writes to
# it, and the next guest finds its data again.
set -u

run() { # NAME SCRIPT
	disk_guest "$1" "$2"
	status=$?
	sed "s/^/# $1: /" "$dir/$1"
	echo "# $1: at most $(cat "$dir/pinned") of 65536 pages pinned"
	return $status
}

# Each page of the data, and hardly more than that: the rings, the filesystem's
# own. The last pages may be gone before they are counted.
pins_fit() {
	pages=$((bytes / 4096))
	[ "$1" -gt $((pages / 4)) ] && [ "$1" -lt $((pages * 5 / 4)) ]
}

dir=$(mktemp -d)
. selftests/guest-disk.sh
seed=1000003
bytes=$((seed * disk_copies))
disk_up "$dir" $seed
check "helper attaches the server" device_attached
check "a guest writes $bytes bytes" run writer selftests/guest/disk-write.sh
check "what it does not hand to the disk is not pinned" pins_fit "$(cat "$dir/pinned")"
check "they are on the disk" disk_on_image
check "another guest reads" run reader selftests/guest/disk-read.sh
check "and finds the same" disk_found reader
check "by MSI-X" grep -qi 'msi' "$dir/reader"
device_down
sed 's/^/# disk: /' "$dir/server.log"
check "the server saw no error" grep -q ' 0 errors, 0 breaks' "$dir/server.log"
check "the filesystem is in order" disk_fsck
echo "1..$tap"
rm -rf "$dir"
