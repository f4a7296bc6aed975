#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The packages on a host that has never seen them.
set -u
. selftests/host/lib.sh
release=$(cat $share/release)

check "apt install ./*.deb" apt-get -q -y install $share/debs/vfio-user-mdev_*.deb \
	$share/debs/vfio-user-mdev-dkms_*.deb
note dkms status
check "DKMS has built the module for the kernel that runs" contains \
	"$(dkms status -m vfio-user-mdev -k "$(uname -r)")" "$release.*installed"
check "the module is loaded, of this release" is "$(cat /sys/module/vfio_user_mdev/version)" "$release"
check "the daemon runs" systemctl is-active vfio-user-mdevd
check "it has not been restarted" is "$(systemctl show -P NRestarts vfio-user-mdevd)" 0
check "it starts at boot" systemctl is-enabled vfio-user-mdevd
check "/run/vfio-user is the group's" is "$(stat -c '%a %U %G' /run/vfio-user)" \
	"3770 root vfio-user"
check "the daemon starts again" systemctl restart vfio-user-mdevd
check "and has left the directory alone" is "$(stat -c '%a %U %G' /run/vfio-user)" \
	"3770 root vfio-user"
check "the tool works" vfio-user-mdevctl list
check "the manual is there" test -e /usr/share/man/man8/vfio-user-mdevctl.8.gz
check "no unit has failed" no_unit_failed
check "the daemon's unit is exposed to less than 3.0 of 10" systemd-analyze security --no-pager \
	--threshold=29 vfio-user-mdevd
note tail -n 1 "$said"
