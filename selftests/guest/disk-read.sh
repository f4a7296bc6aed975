# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the next guest: finds it again, and says how the disk interrupts.
mkdir -p /mnt
mount -t ext4 -o ro /dev/vda /mnt || exit 1
echo "sum: $(md5sum </mnt/data)"
umount /mnt || exit 1
grep virtio0 /proc/interrupts
