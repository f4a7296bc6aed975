# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside the guest: the serial card, as the guest kernel's 8250_pci sees it.
# Writes a line, reads one, and says what it cost in interrupts.
dir=$(echo /sys/bus/pci/drivers/serial/*/tty/ttyS*)
tty=${dir##*/}
[ -c "/dev/$tty" ] || { echo "no serial card: $dir"; cat /proc/tty/driver/serial; exit 1; }
card=${dir%/tty/*}
card=${card##*/}
irq=$(cat "$dir/irq")
interrupts() { awk -v i="$irq:" '$1 == i { print $2 }' /proc/interrupts; }

echo "driver: $(basename "$(readlink "/sys/bus/pci/devices/$card/driver")") on $card," \
	"$(cat "/sys/bus/pci/devices/$card/vendor"):$(cat "/sys/bus/pci/devices/$card/device")," \
	"/dev/$tty, irq $irq, type $(cat "$dir/type")"
# Opened once: a close in between would throw away what has come in.
exec 9<>"/dev/$tty"
stty raw -echo 115200 <&9
before=$(interrupts)
echo "hello from the guest" >&9
read -r line <&9
after=$(interrupts)
echo "received: $line"
echo "interrupts: $((after - before))"
