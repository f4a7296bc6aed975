# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the guest: puts the data on the disk, as guest-disk.sh has it.
mkdir -p /mnt
mount -t ext4 /dev/vda /mnt || exit 1
read -r copies </mnt/copies
set --
while [ $# -lt "$copies" ]; do
	set -- "$@" /mnt/seed
done
cat "$@" >/mnt/data || exit 1
umount /mnt || exit 1
echo "written: $copies copies of the seed"
