#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The packages are purged: no file of theirs is left, and no module.
set -u
. selftests/host/lib.sh

systemctl disable --now "$disk" 2>/dev/null
mdevctl stop -u $uuid
mdevctl undefine -u $uuid
dpkg -L vfio-user-mdev vfio-user-mdev-dkms >/tmp/files
find /lib/modules /var/lib/dkms -name '*vfio*user*' >>/tmp/files
# Directories that others have, too.
while read -r file; do
	[ -d "$file" ] && dpkg -S "$(realpath "$file")" 2>/dev/null | grep -q -v '^vfio-user-mdev[^ ]*\(, vfio-user-mdev[^ ]*\)*: ' ||
		echo "$file"
done </tmp/files | grep -v '^/\.$' >/tmp/ours
note wc -l /tmp/ours
check "there are files to go" test "$(wc -l </tmp/ours)" -gt 100
check "apt purge" apt-get -q -y purge vfio-user-mdev vfio-user-mdev-dkms
note cat "$said"
left=$(while read -r file; do [ ! -e "$file" ] && [ ! -L "$file" ] || echo "$file"; done </tmp/ours)
check "no file is left" is "$left" ''
check "none that was made later" is "$(find / -xdev -path /run/vum -prune -o -path /tmp -prune -o \
	\( -name '*vfio*user*mdev*' -o -name 'vfio-user' \) -print |
	grep -v -e /etc/udev/rules.d/70-vfio-user-mdev.rules -e /etc/mdevctl.d)" ''
check "no socket's directory" test ! -e /run/vfio-user
check "no module is loaded" test ! -e /sys/module/vfio_user_mdev
check "and none can be" fails_with 'not found' modprobe vfio_user_mdev
check "no daemon runs" is "$(pgrep -f /vfio-user-mdevd)" ''
check "no unit has failed" no_unit_failed
