# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced inside a test VM: a disk in a process, on which one guest puts
# data and another finds it again. The data is a seed many times over, so a guest
# has it without computing it, and what it adds up to is known before any guest
# has touched it.
. selftests/guest-device.sh
disk_copies=68
disk_options=''

# disk_up DIR BYTES: with a seed of that size, which has to be odd. Then each
# copy falls on the blocks differently and no two blocks of the data are the
# same: none can stand in for another, or be in its place, without notice.
disk_up() {
	disk_dir=$1
	mkdir "$disk_dir/root"
	head -c "$2" /dev/urandom >"$disk_dir/root/seed"
	echo $disk_copies >"$disk_dir/root/copies"
	truncate -s 128M "$disk_dir/image"
	# Small blocks, and work put off to the first mount, are the guest's cost.
	/sbin/mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 \
		-d "$disk_dir/root" "$disk_dir/image"
	disk_sum=$(disk_expected | md5sum)
	# shellcheck disable=SC2086	# a list of words
	device_up "$disk_dir" vum-virtio-blk --file "$disk_dir/image" --stats $disk_options
}

disk_expected() {
	for _ in $(seq $disk_copies); do
		cat "$disk_dir/root/seed"
	done
}

# The most pages that are seen pinned go to $disk_dir/pinned.
disk_watch() {
	most=0
	while sleep 2; do
		pinned=$(vfio-user-mdevctl show --json "$device_uuid" |
			sed -n 's/.*"pinned": *\([0-9]*\).*/\1/p')
		[ "$pinned" -le "$most" ] || most=$pinned
		echo "$most" >"$disk_dir/pinned.new"
		mv "$disk_dir/pinned.new" "$disk_dir/pinned"
	done
}

# disk_guest NAME guest.sh's arguments...
disk_guest() {
	name=$1
	shift
	disk_watch &
	watch=$!
	device_guest "$name" selftests/vm/guest.sh "$@"
	status=$?
	kill $watch
	return $status
}

# Whether the data is there: the file, read without the help of a guest,
disk_on_image() {
	[ "$(/sbin/debugfs -R 'cat /data' "$disk_dir/image" 2>/dev/null |
		md5sum)" = "$disk_sum" ]
}

# and what guest NAME has read.
disk_found() { grep -qx "sum: $disk_sum" "$disk_dir/$1"; }

disk_fsck() { /sbin/e2fsck -fn "$disk_dir/image" >"$disk_dir/fsck" 2>&1; }
