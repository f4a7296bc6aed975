#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# libvirt: guests of its own user, under AppArmor, with an mdev. After define.sh and users.sh.
# The guest is QEMU's firmware, which has enough to do with the device's BARs.
set -u
. selftests/host/lib.sh
log=/var/log/libvirt/qemu/vum.log
since=$(date '+%Y-%m-%d %H:%M:%S')
mkdir -p /tmp/vum
hostdev="<hostdev mode='subsystem' type='mdev' model='vfio-pci'>
  <source><address uuid='$uuid'/></source>
</hostdev>"
domain() {	# HOSTDEV
	cat <<-END
		<domain type='qemu'>
		  <name>vum</name>
		  <memory unit='MiB'>64</memory>
		  <vcpu>1</vcpu>
		  <os><type arch='x86_64' machine='q35'>hvm</type></os>
		  <features><acpi/></features>
		  <on_reboot>restart</on_reboot>
		  <devices>
		    <emulator>/usr/bin/qemu-system-x86_64</emulator>
		    <controller type='pci' model='pcie-root'/>
		    <controller type='pci' model='pcie-root-port'/>
		    <controller type='pci' model='pcie-root-port'/>
		    <controller type='usb' model='none'/>
		    <memballoon model='none'/>
		    $1
		  </devices>
		</domain>
	END
}
echo "$hostdev" >/tmp/vum/hostdev.xml
domain "$hostdev" >/tmp/vum/with.xml
domain '' >/tmp/vum/without.xml
domain_is() { is "$(virsh domstate vum | head -n 1)" "$1"; }
devices_of() { virsh dumpxml vum | grep -c "<address uuid='$uuid'"; }
devices_are() { is "$(devices_of)" "$1"; }
in_use() { contains "$(ls -l "/proc/$(cat /run/libvirt/qemu/vum.pid)/fd")" "/dev/vfio/[0-9]"; }
not_in_use() { ! in_use; }

note virsh version
check "the mdev has its server" eventually 30 state_is attached
check "a domain with the mdev is defined" virsh define /tmp/vum/with.xml
check "and starts" virsh start vum
check "it runs" domain_is running
pid=$(cat /run/libvirt/qemu/vum.pid)
check "as libvirt's user" is "$(stat -c %U "/proc/$pid")" libvirt-qemu
check "under AppArmor" contains "$(cat "/proc/$pid/attr/apparmor/current")" '^libvirt-.*(enforce)'
check "it has the device open" in_use
note grep "locked" "/proc/$pid/limits"
check "libvirt cannot be asked to save it" fails_with . virsh managedsave vum
note cat "$said.out"
check "it runs on" domain_is running
check "the device is attached" state_is attached
check "the domain is destroyed" virsh destroy vum
check "the device has its server still" eventually 30 state_is attached
virsh undefine vum >/dev/null

check "a domain without it starts" virsh create /tmp/vum/without.xml
check "the mdev is plugged in" virsh attach-device vum /tmp/vum/hostdev.xml --live
check "the domain has it" devices_are 1
check "and QEMU has it open" eventually 10 in_use
# A guest's kernel answers when it is asked to let a device go. The firmware, which is all that
# this guest has, does not, and QEMU takes the device at the next reset.
unplug() {
	virsh detach-device vum /tmp/vum/hostdev.xml --live
	eventually 5 devices_are 0 && return 0
	virsh reset vum
	eventually 20 devices_are 0
}
check "it is unplugged" unplug
check "and QEMU has closed it" eventually 10 not_in_use
check "it is plugged in again" virsh attach-device vum /tmp/vum/hostdev.xml --live
stop_and_reset() {
	timeout 90 mdevctl stop -u $uuid &
	sleep 3
	virsh reset vum
	wait $!
}
check "\`mdevctl stop\` takes it from the guest" stop_and_reset
check "the mdev is gone" test ! -e $mdev
check "the guest runs on" domain_is running
virsh destroy vum >/dev/null
mdevctl start -u $uuid

check "a parent that is virtual is none to libvirt" fails_with . virsh nodedev-define /dev/stdin <<END
<device>
  <parent>vfio-user</parent>
  <capability type='mdev'>
    <type id='vfio-user-pci'/>
    <uuid>$(uuidgen)</uuid>
  </capability>
</device>
END
note cat "$said.out"
denied=$(journalctl --since "$since" -o cat | grep 'apparmor="DENIED"')
check "AppArmor has denied nothing" is "$denied" ''
check "no unit has failed" no_unit_failed
note tail -n 5 $log
rm -rf /tmp/vum
