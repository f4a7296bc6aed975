# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced: an mdev with a serial card behind it. The card's line is a
# FIFO on one side and a file on the other, so that scripts can use it.
serial_uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
serial_mdev=/sys/bus/mdev/devices/$serial_uuid
serial_socket=/run/vfio-user/$serial_uuid.sock

# serial_up DIR: $DIR/card.in goes to the guest, from it comes $DIR/card.out.
serial_up() {
	mkfifo "$1/card.in"
	echo $serial_uuid >/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create
	vfio-user-mdevd 2>"$1/helper.log" &
	serial_helper=$!
	vum-serial --socket $serial_socket <>"$1/card.in" >"$1/card.out" 2>"$1/card.log" &
	serial_server=$!
}

serial_attached() {
	i=0
	while [ "$(cat $serial_mdev/vfio_user/state)" != attached ]; do
		i=$((i + 1))
		[ $i -lt 100 ] || return 1
		sleep 0.1
	done
}

# serial_guest DIR guest.sh...: answers the guest's greeting with another.
serial_guest() {
	serial_dir=$1
	shift
	(
		until grep -q 'hello from the guest' "$serial_dir/card.out"; do
			sleep 0.1
		done
		echo "hello from the server" >"$serial_dir/card.in"
	) &
	serial_talker=$!
	"$@" selftests/guest/serial.sh -device vfio-pci,sysfsdev=$serial_mdev
	serial_status=$?
	kill $serial_talker 2>/dev/null
	return $serial_status
}

serial_down() {
	echo 1 >$serial_mdev/remove
	kill "$serial_server" "$serial_helper"
	wait "$serial_server" "$serial_helper" 2>/dev/null
}
