#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# After a reboot: what was defined and enabled is there, without anybody's doing.
set -u
. selftests/host/lib.sh

check "the mdev is there again" eventually 30 test -e $mdev
note mdevctl list
check "mdevctl lists it" contains "$(mdevctl list)" "$uuid"
check "with its attributes" is "$(cat $mdev/vfio_user/timeout_ms)" 60000
check "it is attached" eventually 30 state_is attached
note vfio-user-mdevctl list
check "its group is the operator's choice" is "$(stat -c '%G %a' "/dev/vfio/$(group_of $mdev)")" \
	"vfio-guests 660"
check "/run/vfio-user is the group's" is "$(stat -c '%a %U %G' /run/vfio-user)" \
	"3770 root vfio-user"
check "the daemon was started once" is "$(systemctl show -P NRestarts vfio-user-mdevd)" 0
note journalctl -b --no-pager -o short-monotonic -u vfio-user-mdevd -u vfio-user-mdevs
note journalctl -b --no-pager -t mdevctl
check "the mdev was made once" is "$(journalctl -b -k -o cat | grep -c "$uuid: Adding to iommu group")" 1
check "no unit has failed" no_unit_failed

# A module that comes later, after a rebuild by DKMS, say.
systemctl stop vfio-user-mdevd
mdevctl stop -u $uuid
check "the module is unloaded" modprobe -r vfio_user_mdev
# As long as there is none that modprobe finds.
module=$(modinfo -n vfio_user_mdev)
mv "$module" "$module.away"
check "the daemon starts without it" systemctl start vfio-user-mdevd
check "and waits" eventually 20 log_has vfio-user-mdevd 'waiting for module vfio_user_mdev'
mv "$module.away" "$module"
check "the module comes" modprobe vfio_user_mdev
check "the mdev is made" eventually 30 test -e $mdev
check "and attached" eventually 30 state_is attached
check "by the daemon that has waited" is "$(systemctl show -P NRestarts vfio-user-mdevd)" 0

# Should Debian mend the path in mdevctl's own rule, or an operator: both do it then.
systemctl stop vfio-user-mdevd
mdevctl stop -u $uuid
modprobe -r vfio_user_mdev
[ -e /usr/sbin/mdevctl ] || ln -s /usr/bin/mdevctl /usr/sbin/mdevctl
since=$(date '+%Y-%m-%d %H:%M:%S')
modprobe vfio_user_mdev
check "beside a rule of mdevctl's that works, the mdev is made" eventually 30 test -e $mdev
udevadm settle
sleep 2
# mdevctl says that a device exists, which is no error: its rule is for two events.
note journalctl --since "$since" --no-pager -o cat
check "and once" is "$(journalctl --since "$since" -k -o cat | grep -c "$uuid: Adding to iommu group")" 1
check "its unit has nothing to complain of" is "$(systemctl show -P Result vfio-user-mdevs)" success
[ ! -L /usr/sbin/mdevctl ] || rm /usr/sbin/mdevctl
systemctl start vfio-user-mdevd
check "no unit has failed at the end" no_unit_failed
