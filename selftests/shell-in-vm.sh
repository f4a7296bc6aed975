# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the shell of `make shell` begins with.
. selftests/load.sh
U=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
vfio-user-mdevd 2>/run/helper.log &
vum-puppet --socket /run/vfio-user/$U.sock 2>/run/puppet.log &
echo $U >/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci/create
sleep 1
vfio-user-mdevctl list
cat <<END

The module is loaded, vfio-user-mdevd runs (log: /run/helper.log), and \$U is an
mdev whose server is vum-puppet. Servers: vum-puppet, vum-serial --socket PATH.
Tests: $VUM_BIN/test-* [CASE...]. The tree is $PWD; nothing written here lasts.
END
PS1='vfio-user-mdev:\w# '
