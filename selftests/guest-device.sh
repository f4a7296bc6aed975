# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced inside a test VM: an mdev, the helper, a server, and guests that
# use the device.
device_uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
device_mdev=/sys/bus/mdev/devices/$device_uuid
device_socket=/run/vfio-user/$device_uuid.sock

# new_mdev UUID: its data path is VUM_DATA_PATH, if that is set.
new_mdev() {
	echo "$1" >/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create
	[ -z "${VUM_DATA_PATH-}" ] ||
		echo "$VUM_DATA_PATH" >"/sys/bus/mdev/devices/$1/vfio_user/data_path"
}

# check WHAT COMMAND...: a line of TAP.
tap=0
check() {
	tap=$((tap + 1))
	what=$1
	shift
	check_start=$(date +%s%3N)
	check_result='not ok'
	if "$@"; then
		check_result=ok
	fi
	echo "$check_result $tap - $what # $(($(date +%s%3N) - check_start)) ms"
}

# device_up DIR SERVER...: the server's stdin is the FIFO $DIR/in, its stdout
# $DIR/out, its log $DIR/server.log, the helper's $DIR/helper.log.
device_up() {
	device_dir=$1
	shift
	mkfifo "$device_dir/in"
	new_mdev $device_uuid
	vfio-user-mdevd 2>"$device_dir/helper.log" &
	device_helper=$!
	"$@" --socket $device_socket <>"$device_dir/in" >"$device_dir/out" \
		2>"$device_dir/server.log" &
	device_server=$!
}

# Wait until every mdev has its server.
device_attached() {
	for i in $(seq 300); do
		[ "$(cat /sys/bus/mdev/devices/*/vfio_user/state | uniq)" != attached ] ||
			return 0
		sleep 0.1
	done
	echo "# not after $i tries"
	return 1
}

# device_guest NAME guest.sh... SCRIPT: its output is in $device_dir/NAME. The
# device is on $device_bus, or wherever QEMU puts it.
device_guest() {
	guest_out=$device_dir/$1
	shift
	device=vfio-pci,sysfsdev=$device_mdev${device_bus:+,bus=$device_bus}
	if [ "${VUM_CONSUMER-}" = cdev ]; then
		set -- "$@" -object iommufd,id=iommufd0
		device=$device,iommufd=iommufd0
	fi
	"$@" -device "$device" >"$guest_out" 2>&1
}

# Answers a guest's greeting with another, through a serial card. Not in haste:
# the guest needs the CPU.
device_talk() {
	until grep -q 'hello from the guest' "$device_dir/out"; do
		sleep 1
	done
	echo "hello from the server" >"$device_dir/in"
}

device_down() {
	echo 1 >$device_mdev/remove
	kill "$device_server" "$device_helper"
	wait "$device_server" "$device_helper" 2>/dev/null
}
