# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside a guest with two disks and two serial cards: counts on each disk how
# often it was here, has a word with each card, and leaves while both disks are
# being read. With hardly a process, see serial.sh.
for disk in /dev/vda /dev/vdb; do
	{ read -r name && read -r visits; } <"$disk" || exit 1
	echo "disk: $name, $visits visits"
	# The last one to close it writes it back.
	printf '%s\n%s\n' "$name" $((visits + 1)) 1<>"$disk"
done
for card in /sys/bus/pci/drivers/serial/*:*; do
	for dir in "$card"/tty/ttyS* "$card"/*/*/tty/ttyS*; do
		[ ! -e "$dir" ] || break
	done
	read -r vendor <"$card/vendor"
	read -r device <"$card/device"
	exec 9<>"/dev/${dir##*/}" || exit 1
	stty raw -echo 115200 <&9
	echo hello >&9
	read -r line <&9
	echo "card: $vendor:$device says $line"
done
cat /dev/vda >/dev/null &
one=$!
cat /dev/vdb >/dev/null &
two=$!
# By then they have begun.
sleep 2
kill -0 $one && kill -0 $two && echo "busy"
