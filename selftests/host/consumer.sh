# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced: a consumer that is driven from here. QEMU's CPU stands still, and what it
# would ask for comes from us (-qtest): each command gets one line of reply.

# An end of QEMU's is to be an error, not the caller's end.
trap '' PIPE

# consumer_start DIR MDEV [COMMAND...]: QEMU by way of a command, such as setpriv
consumer_start() {
	consumer_dir=$1 consumer_mdev=$2
	shift 2
	mkdir -p "$consumer_dir"
	mkfifo "$consumer_dir/in" "$consumer_dir/out"
	"$@" qemu-system-x86_64 -machine pc -accel tcg -S -m 16 -nodefaults -no-user-config \
		-display none -device "vfio-pci,sysfsdev=$consumer_mdev,addr=5" \
		-qtest stdio <"$consumer_dir/in" >"$consumer_dir/out" 2>"$consumer_dir/log" &
	consumer_pid=$!
	# QEMU has the other ends to itself, so that its own end is seen.
	exec 5>"$consumer_dir/in" 6<"$consumer_dir/out"
}

# consumer COMMAND...: sets reply
consumer() {
	reply=''
	echo "$*" >&5 && read -r reply <&6 || return 1
	case $reply in OK*) ;; *) return 1 ;; esac
}

# config OFFSET: sets reply to 32 bits of the device's configuration space
config() {
	consumer outl 0xcf8 $((0x80002800 + $1)) && consumer inl 0xcfc
}

# config_set OFFSET VALUE
config_set() {
	consumer outl 0xcf8 $((0x80002800 + $1)) && consumer outl 0xcfc "$2"
}

# Give the serial card its ports, from 0xc000 on.
serial_up() {
	config_set 0x10 0xc000 && config_set 4 1
}

# serial_put BYTE: and then see that the card is there, and has sent it
serial_put() {
	consumer outb 0xc000 "$1" && consumer inb 0xc005 || return 1
	case $reply in 'OK 0x60' | 'OK 0x0060' | 'OK 0x0000000000000060') ;; *) return 1 ;; esac
}

consumer_stop() {
	exec 5>&- 6>&-
	kill "$consumer_pid" 2>/dev/null || :
	wait "$consumer_pid" 2>/dev/null || :
	rm -rf "$consumer_dir"
}
