#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Servers and consumers that are not root. After define.sh.
set -u
. selftests/host/lib.sh
. selftests/host/consumer.sh

# The example's server.
install -D -t /usr/local/bin $share/bin/vum-virtio-blk
install -D -m 644 /usr/share/doc/vfio-user-mdev/examples/vfio-user-disk@.service \
	/etc/systemd/system/vfio-user-disk@.service
mkdir -p /var/lib/private/vfio-user-disk
truncate -s 1M /var/lib/private/vfio-user-disk/$uuid.img
systemctl daemon-reload
check "the example's server starts" systemctl enable --now "$disk"
check "it is attached" eventually 30 state_is attached
server=$(cut -d ' ' -f 2 $mdev/vfio_user/server)
check "it is not root" test "${server:-0}" -gt 0
check "its socket is the group's alone" is \
	"$(stat -c '%a %G' /run/vfio-user/$uuid.sock)" "770 vfio-user"

useradd --groups vfio-user alice
useradd --groups vfio-user bob
useradd carol
as() {
	user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}
check "who is in the group may put a socket there" as alice touch /run/vfio-user/alice.sock
check "which is the group's" is "$(stat -c %G /run/vfio-user/alice.sock)" vfio-user
check "who is not may not" fails_with denied as carol touch /run/vfio-user/carol.sock
check "nobody takes another's place" fails_with permitted as bob rm -f /run/vfio-user/alice.sock
rm -f /run/vfio-user/alice.sock

# A device of somebody else's, of which VFIO makes a group, too.
other=''
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor") $(cat "$device/device")" != "0x1b36 0x0005" ] || other=$device
done
modprobe vfio-pci
echo vfio-pci >"$other/driver_override"
echo "${other##*/}" >/sys/bus/pci/drivers/vfio-pci/bind
echo 'ENV{VFIO_USER_MDEV}=="1", GROUP="vfio-guests", MODE="0660"' >/etc/udev/rules.d/70-vfio-user-mdev.rules
groupadd vfio-guests
gpasswd -a carol vfio-guests >/dev/null
udevadm control --reload
udevadm trigger --settle --subsystem-match=vfio --subsystem-match=vfio-dev
group=/dev/vfio/$(group_of $mdev)
other_group=/dev/vfio/$(group_of "$other")
note ls -l /dev/vfio
check "an mdev's group is given to who the operator has chosen" is "$(stat -c '%G %a' "$group")" \
	"vfio-guests 660"
check "no other's is" is "$(stat -c '%G %a' "$other_group")" "root 600"
mdevctl stop -u $uuid
mdevctl start -u $uuid
udevadm settle
group=/dev/vfio/$(group_of $mdev)
check "so is a new mdev's" is "$(stat -c '%G %a' "$group")" "vfio-guests 660"
cdev=/dev/vfio/devices/$(ls $mdev/vfio-dev 2>/dev/null)
if [ -c "$cdev" ]; then
	check "and its cdev" is "$(stat -c '%G %a' "$cdev")" "vfio-guests 660"
else
	skip "and its cdev" "this kernel has none"
fi
check "it has its server" eventually 30 state_is attached

consumes() {	# USER
	consumer_start /tmp/consumer $mdev setpriv --reuid "$1" --regid "$1" --init-groups
	config 0
	echo "$reply"
	cat /tmp/consumer/log
	consumer_stop
	case $reply in 'OK 0x'*1af4) ;; *) return 1 ;; esac
}
check "who is in that group is a consumer, and is not root" consumes carol
check "who is not is none" fails_with 'Permission denied' consumes bob
