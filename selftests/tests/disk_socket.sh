#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# guest: --shared
# The same disk as in disk_direct, by QEMU's own vfio-user client, without the bridge: so
# what the server does by O_DIRECT with dma_mode=share is what it does on its socket.
set -u

run() { # NAME SCRIPT
	selftests/vm/guest.sh --shared "$2" -device "$device" >"$dir/$1" 2>&1
	status=$?
	sed "s/^/# $1: /" "$dir/$1"
	return $status
}

# Bytes moved by O_DIRECT, of all.
mostly_direct() {
	# shellcheck disable=SC2046	# a list of words
	set -- $(tail -n 1 "$dir/server.log" | sed -n \
		's/.* \([0-9]*\) bytes read, \([0-9]*\) bytes written.* \([0-9]*\) by O_DIRECT.*/\1 \2 \3/p')
	echo "# $1 bytes read, $2 written, $3 by O_DIRECT"
	[ "$3" -gt "$bytes" ] && [ "$3" -ge $((($1 + $2) * 99 / 100)) ]
}

mnt=$(mktemp -d)
dir=$mnt/dir
. selftests/guest-disk.sh
if ! qemu-system-x86_64 -device help 2>&1 | grep -q '"vfio-user-pci"'; then
	echo "ok 1 - a disk by the socket # SKIP this QEMU has no vfio-user-pci"
	echo 1..1
	exit 0
fi
modprobe -a loop ext4
truncate -s 512M "$mnt.image"
/sbin/mkfs.ext4 -q "$mnt.image"
mount -o loop "$mnt.image" "$mnt" || exit 1
mkdir "$dir"
disk_options='--direct'
seed=131071
bytes=$((seed * disk_copies))
disk_up "$dir" $seed
device='{"driver":"vfio-user-pci","socket":{"type":"unix","path":"'$device_socket'"}}'
# The server has one client at a time: not the bridge.
check "helper attaches the server" device_attached
kill "$device_helper"
echo 1 >$device_mdev/remove
check "a guest writes $bytes bytes" run writer selftests/guest/disk-write.sh
check "the data is on the disk" disk_on_image
check "another guest reads" run reader selftests/guest/disk-read.sh
check "and finds the same" disk_found reader
kill "$device_server"
wait "$device_server" "$device_helper" 2>/dev/null
sed 's/^/# disk: /' "$dir/server.log"
check "the data went by O_DIRECT" mostly_direct
check "the server saw no error" grep -q ' 0 errors, 0 breaks' "$dir/server.log"
check "the filesystem is in order" disk_fsck
echo "1..$tap"
umount "$mnt"
rm -rf "$mnt" "$mnt.image"
