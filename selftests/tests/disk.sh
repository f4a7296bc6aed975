#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest mounts ext4 from a virtio-blk disk that lives in a process, writes to
# it, and the next guest finds its data again.
set -u

# The most pages that are seen pinned go to $dir/pinned.
watch_pins() {
	most=0
	while sleep 5; do
		pinned=$(vfio-user-mdevctl show --json $device_uuid |
			sed -n 's/.*"pinned": *\([0-9]*\).*/\1/p')
		[ "$pinned" -le "$most" ] || most=$pinned
		echo "$most" >"$dir/pinned"
	done
}

run() { # NAME SCRIPT
	watch_pins &
	watch=$!
	device_guest "$1" selftests/vm/guest.sh --timeout 240 "$2"
	status=$?
	kill $watch
	sed "s/^/# $1: /" "$dir/$1"
	echo "# $1: at most $(cat "$dir/pinned") of 65536 pages pinned"
	return $status
}

fsck_clean() { /sbin/e2fsck -fn "$dir/image" >"$dir/fsck" 2>&1; }

dir=$(mktemp -d)
. selftests/guest-device.sh
truncate -s 128M "$dir/image"
/sbin/mkfs.ext4 -q -F "$dir/image"
device_up "$dir" vum-virtio-blk --file "$dir/image" --stats
check "helper attaches the server" device_attached
check "a guest writes" run writer selftests/guest/disk-write.sh
check "what was not touched is not pinned" [ "$(cat "$dir/pinned")" -lt 10000 ]
check "another guest reads" run reader selftests/guest/disk-read.sh
check "and finds the same" \
	[ "$(grep '^sum:' "$dir/writer")" = "$(grep '^sum:' "$dir/reader")" ]
check "by MSI-X" grep -qi 'msi' "$dir/reader"
device_down
sed 's/^/# disk: /' "$dir/server.log"
check "the server saw no error" grep -q ' 0 errors, 0 breaks' "$dir/server.log"
check "the filesystem is in order" fsck_clean
echo "1..$tap"
rm -rf "$dir"
