# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the next guest: finds them again, and says how the disk interrupts.
mkdir -p /mnt
mount -t ext4 -o ro /dev/vda /mnt || exit 1
echo "sum: $(cat /mnt/random /mnt/copy* | md5sum)"
umount /mnt || exit 1
grep virtio0 /proc/interrupts
