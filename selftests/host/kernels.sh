#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A second kernel comes to a host that has the packages. By in-host.sh, not in the VM: the
# compiler has its work here, and would take all of an emulated machine's time.
set -u
. selftests/host/lib.sh
release=$(cat $share/release)
kernels() { find /lib/modules -mindepth 1 -maxdepth 1 -printf '%f\n'; }
first=$(kernels)

check "apt install ./*.deb where no systemd runs" apt-get -q -y install $share/debs/*.deb
check "DKMS has built the module for $first" contains \
	"$(dkms status -m vfio-user-mdev -k "$first")" "$release.*installed"
check "a second kernel is installed, and its headers" dpkg -i /second/*.deb
second=$(kernels | grep -v -x "$first")
note dkms status
check "DKMS has built the module for $second" contains \
	"$(dkms status -m vfio-user-mdev -k "$second")" "$release.*installed"
check "and has that for $first still" contains \
	"$(dkms status -m vfio-user-mdev -k "$first")" "$release.*installed"
check "the second one's module is of this release" is \
	"$(modinfo -k "$second" -F version vfio_user_mdev)" "$release"
check "apt purge" apt-get -q -y purge vfio-user-mdev vfio-user-mdev-dkms
check "no kernel has the module any more" is "$(find /lib/modules /var/lib/dkms -name '*vfio?user?mdev*')" ''
