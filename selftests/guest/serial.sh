# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the guest: the serial card, as the guest kernel's 8250_pci sees it.
# Writes a line, reads one, and says what it cost in interrupts. Processes are
# dear there, so this does with hardly any.
for card in /sys/bus/pci/drivers/serial/*:*; do :; done
# Since 6.5 a port is a device of its own, below a controller of its own.
for dir in "$card"/tty/ttyS* "$card"/*/*/tty/ttyS*; do
	[ ! -e "$dir" ] || break
done
tty=${dir##*/}
[ -c "/dev/$tty" ] || { echo "no serial card: $dir"; cat /proc/tty/driver/serial; exit 1; }
read -r irq <"$dir/irq"
read -r type <"$dir/type"
read -r vendor <"$card/vendor"
read -r device <"$card/device"
interrupts() {
	while read -r line count _; do
		[ "$line" != "$irq:" ] || echo "$count"
	done </proc/interrupts
}

echo "driver: serial on ${card##*/}, $vendor:$device, /dev/$tty, irq $irq, type $type"
# Opened once: a close in between would throw away what has come in.
exec 9<>"/dev/$tty"
stty raw -echo 115200 <&9
before=$(interrupts)
echo "hello from the guest" >&9
read -r line <&9
after=$(interrupts)
echo "received: $line"
echo "interrupts: $((after - before))"
