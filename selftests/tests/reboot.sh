#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest with four devices, two kinds of two, is reset while it uses them, and
# uses them again.
set -u

uuid() { echo "83b8f4f2-509f-382f-3c1e-e6bfe0fa200$1"; }

up() { # N SERVER...
	n=$1
	shift
	new_mdev "$(uuid "$n")"
	mkfifo "$dir/in$n"
	"$@" --socket "/run/vfio-user/$(uuid "$n").sock" <>"$dir/in$n" \
		>"$dir/out$n" 2>"$dir/log$n" &
	pids="$! $pids"
}

# A disk's first two lines are its name, and how often a guest has been there.
image() { # N
	truncate -s 256M "$dir/image$1"
	printf 'disk %s\n0\n' "$1" | dd of="$dir/image$1" conv=notrunc status=none
}

# Each card answers each visit's greeting.
talk() {
	for visit in 1 2; do
		for n in 3 4; do
			until [ "$(grep -c hello "$dir/out$n")" = $visit ]; do
				sleep 1
			done
			echo "card $n, visit $visit" >"$dir/in$n"
		done
	done
}

guest() {
	for n in 1 2 3 4; do
		set -- "$@" -device "vfio-pci,sysfsdev=/sys/bus/mdev/devices/$(uuid $n)"
	done
	selftests/vm/guest.sh --reboot --timeout 800 selftests/guest/four.sh "$@" \
		>"$dir/guest" 2>&1
}

busy() { [ "$(grep -cx busy "$dir/guest")" = 2 ]; }
saw() { grep -qxF "$1" "$dir/guest"; }
visits() { head -n 2 "$dir/image$1" | tail -n 1; }

remove_all() {
	for n in 1 2 3 4; do
		echo 1 >"/sys/bus/mdev/devices/$(uuid $n)/remove" || return 1
	done
}

dir=$(mktemp -d)
pids=''
. selftests/guest-device.sh
vfio-user-mdevd 2>"$dir/helper.log" &
pids=$!
for n in 1 2; do
	image $n
	up $n vum-virtio-blk --file "$dir/image$n" --stats
done
up 3 vum-serial
up 4 vum-serial
check "helper attaches four servers" device_attached
talk &
talker=$!
check "guest runs to its end, twice" guest
kill $talker 2>/dev/null
sed 's/^/# guest: /' "$dir/guest"
check "both times it left in the middle of reading" busy
for n in 1 2; do
	check "disk $n is seen" saw "disk: disk $n, 0 visits"
	check "disk $n is seen after the reset" saw "disk: disk $n, 1 visits"
	check "disk $n was written both times" [ "$(visits $n)" = 2 ]
done
for n in 3 4; do
	check "card $n is seen" saw "card: 0x1b36:0x0002 says card $n, visit 1"
	check "card $n is seen after the reset" \
		saw "card: 0x1b36:0x0002 says card $n, visit 2"
done
check "the mdevs can be removed" remove_all
check "no message is left" \
	[ "$(cat /sys/class/mdev_bus/vfio-user/live_messages)" = 0 ]
# shellcheck disable=SC2086	# a list
kill $pids
# shellcheck disable=SC2086
wait $pids 2>/dev/null
for n in 1 2; do
	sed "s/^/# disk $n: /" "$dir/log$n"
	# The guest goes while they work: they may find their rings gone.
	check "disk $n had no error" grep -q ' 0 errors, [01] breaks' "$dir/log$n"
done
echo "1..$tap"
rm -rf "$dir"
