#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# guest: --shared
# A disk whose server moves data by O_DIRECT between a filesystem on a disk and the guest's
# memory: by dma_mode=share the kernel can do that, by the window it cannot, and the
# server copies.
set -u

run() { # NAME MODE SCRIPT
	echo "$2" >$device_mdev/vfio_user/dma_mode
	echo detached >$device_mdev/vfio_user/state
	device_attached && disk_guest "$1" --shared "$3"
	status=$?
	sed "s/^/# $1: /" "$dir/$1"
	echo "# $1: at most $(cat "$dir/pinned") pages pinned"
	return $status
}

# The statistics so far: bytes moved by O_DIRECT, and all bytes.
moved() {
	kill -USR1 "$device_server"
	sleep 1
	tail -n 1 "$dir/server.log" | sed -n \
		's/.* \([0-9]*\) bytes read, \([0-9]*\) bytes written.* \([0-9]*\) by O_DIRECT.*/\1 \2 \3/p'
}

mostly_direct() {
	# shellcheck disable=SC2046	# a list of words
	set -- $(moved)
	echo "# $1 bytes read, $2 written, $3 by O_DIRECT"
	[ "$3" -gt "$bytes" ] && [ "$3" -ge $((($1 + $2) * 99 / 100)) ]
}

# What was moved directly before is all that ever was.
no_more_direct() {
	before=$3
	# shellcheck disable=SC2046	# a list of words
	set -- $(moved)
	echo "# $1 bytes read, $2 written, $3 by O_DIRECT"
	[ "$3" = "$before" ]
}

said() { grep -q "$1" "$dir/server.log"; }
said_once() { [ "$(grep -c "$1" "$dir/server.log")" = 1 ]; }
never_said() { ! said "$1"; }

mnt=$(mktemp -d)
modprobe -a loop ext4
truncate -s 512M "$mnt.image"
/sbin/mkfs.ext4 -q "$mnt.image"
mount -o loop "$mnt.image" "$mnt" || exit 1
dir=$mnt/dir
mkdir "$dir"
. selftests/guest-disk.sh
disk_options='--direct --odirect-probe'
seed=131071
bytes=$((seed * disk_copies))
disk_up "$dir" $seed
check "helper attaches the server" device_attached
check "a guest writes $bytes bytes by share" run writer share selftests/guest/disk-write.sh
check "none of its memory was pinned for that" [ "$(cat "$dir/pinned")" -lt 100 ]
check "the data went by O_DIRECT" mostly_direct
check "the server found that out beforehand" said "direct I/O works"
check "it did not copy" never_said "does not work with this client"
check "the data is on the disk" disk_on_image
# shellcheck disable=SC2046	# a list of words
set -- $(moved)
check "another guest reads by the window" run reader mmap selftests/guest/disk-read.sh
check "and finds the same" disk_found reader
check "nothing went by O_DIRECT" no_more_direct "$@"
check "the server has said so once" said_once "does not work with this client.*Bad address; copying"
device_down
sed 's/^/# disk: /' "$dir/server.log"
check "the server saw no error" grep -q ' 0 errors, 0 breaks' "$dir/server.log"
check "the filesystem is in order" disk_fsck
echo "1..$tap"
umount "$mnt"
rm -rf "$mnt" "$mnt.image"
