#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# guest: --viommu
# The disk behind a virtual IOMMU: the guest maps each buffer for one request,
# at an address that it soon has for another.
set -u

ram=$((256 << 20))

# Pages that have ever been pinned, by anybody; or "released".
pins() {
	cat /proc/sys/vm/stat_refresh
	sed -n "s/^nr_foll_pin_${1:-acquired} //p" /proc/vmstat
}

run() { # NAME ANNOUNCE SCRIPT
	echo "$2" >$device_mdev/vfio_user/dma_announce
	before=$(pins)
	disk_guest "$1" --viommu "$3"
	status=$?
	pinned=$(($(pins) - before))
	sed "s/^/# $1: /" "$dir/$1"
	echo "# $1: $pinned pages pinned in all, $(cat "$dir/pinned") seen at once"
	return $status
}

stays_exact() {
	vfio-user-mdevctl show --json $device_uuid | grep -q '"dma_inexact": *null'
}

not_identical() {
	lowest=$(sed -n 's/.* \(0x[0-9a-f]*\) the lowest address$/\1/p' "$dir/server.log")
	[ $((lowest)) -ge $ram ]
}

dir=$(mktemp -d)
. selftests/guest-disk.sh
device_bus=viommu
seed=131071
pages=$((seed * disk_copies / 4096))
disk_up "$dir" $seed
check "helper attaches the server" device_attached
check "a guest writes; an aperture is announced" \
	run writer aperture selftests/guest/disk-write.sh
check "its data is on the disk" disk_on_image
check "another guest reads; each mapping is announced" \
	run reader exact selftests/guest/disk-direct.sh
check "and finds the same" disk_found reader
check "the server has been told each of them" stays_exact
check "its IOMMU translates for the disk" grep -qx "iommu: DMA" "$dir/reader"
# A buffer of 256 pages, pinned once, would be far from that.
check "a page is pinned again each time it is mapped" [ "$pinned" -ge $pages ]
device_down
sed 's/^/# disk: /' "$dir/server.log"
check "the server saw no error" grep -q ' 0 errors, 0 breaks' "$dir/server.log"
check "no address is one of guest memory's" not_identical
check "no page stays pinned" [ "$(pins)" = "$(pins released)" ]
check "the filesystem is in order" disk_fsck
echo "1..$tap"
rm -rf "$dir"
