# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the guest: puts 8 MiB on the disk and says what they add up to.
mkdir -p /mnt
mount -t ext4 /dev/vda /mnt || exit 1
dd if=/dev/urandom of=/mnt/random bs=1M count=1 2>/dev/null
for i in 1 2 3 4 5 6 7; do
	cat /mnt/random >"/mnt/copy$i"
done
sync
echo "sum: $(cat /mnt/random /mnt/copy* | md5sum)"
umount /mnt || exit 1
