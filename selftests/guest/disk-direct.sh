# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside a guest with an IOMMU: finds the data, all of it through one buffer,
# and says what the IOMMU does for the disk.
mkdir -p /mnt
mount -t ext4 -o ro /dev/vda /mnt || exit 1
echo "sum: $(dd if=/mnt/data bs=1M iflag=direct 2>/dev/null | md5sum)"
umount /mnt || exit 1
read -r type </sys/block/vda/device/../iommu_group/type
echo "iommu: $type"
