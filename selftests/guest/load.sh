# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154	# phases, slots: bench/guests.sh sets them
# Inside one of several guests: puts the loads of $phases on the disks in $slots, when it is
# told to. In braces, so that the shell has all of this before the program reads the answers
# from the same line.
{
	disks=''
	for slot in $slots; do
		for block in /sys/bus/pci/devices/0000:00:"$slot".0/virtio*/block/*; do
			disks="$disks $slot=/dev/${block##*/}"
		done
	done
	# shellcheck disable=SC2086	# lists of words
	guest-bench load $disks -- $phases <&4
	exit $?
}
