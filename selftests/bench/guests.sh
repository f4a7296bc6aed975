#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: bench/guests.sh [SECONDS [GUESTS]]
#        bench/guests.sh --prepare
#
# Inside a test VM with two CPUs: stock QEMU runs 4 GUESTS (or 8) on one CPU, and on the
# other are the processes that have their disks (vum-virtio-blk, by the kernel path). How
# many requests a second do 1, 4 and 8 guests get together, with 16 in flight each, of
#
#   one		one process that polls the queues of all guests
#   each	a process for each guest, which polls that guest's
#   notified	a process for each guest, which sleeps until it is notified
#
# for SECONDS (5), three times each, in turn? Every guest has a disk of each kind, and a
# process whose turn it is not is stopped. There is nothing to trap where queues are polled:
# the driver is told not to notify.
#
# An emulated guest on an emulated machine is slow, and slower with others beside it: see
# rows/disks.c for what the processes can do.
#
# stdout is a line of JSON for each figure, all else goes to stderr. --prepare, outside,
# after build.sh's build of that world, keeps the snapshot from which the guests start.
set -eu

guest_sh="selftests/vm/guest.sh --program $VUM_BIN/guest-bench"
if [ "${1-}" = --prepare ]; then
	# shellcheck disable=SC2086	# a list of words
	exec selftests/vm/in-root.sh $guest_sh --prepare
fi
seconds=${1:-5} numbers=${2:-4} rounds=3
counts='1 4'
[ "$numbers" -lt 8 ] || counts='1 4 8'
# Drivers start in this order, which lets those that do not poll yet have the CPU.
notified=10 one=11 each=12

. selftests/load.sh
type=/sys/class/mdev_bus/vfio-user/mdev_supported_types/vfio-user-pci
mdevs=/sys/bus/mdev/devices
dir=$(mktemp -d /dev/shm/guests.XXXXXX)
say() { echo "# $*" >&2; }
finish() {
	# What waits at a gate is to go on.
	exec 8>&- 9>&-
	# shellcheck disable=SC2046	# a list of words
	go CONT $(names $one 1) $(names $each "$numbers") $(names $notified "$numbers")
	for i in $(seq "$numbers"); do
		for pid in $(qemu_of "$i"); do
			kill -KILL "$pid"
		done
	done
	for mdev in "$mdevs"/*; do
		echo 1 >"$mdev/remove"
	done
	# shellcheck disable=SC2046	# a list of words
	kill $(cat "$dir"/*.pid) || :
	wait
	for log in "$dir"/*.log; do
		sed "s/^/# $(basename "$log" .log): /" "$log" >&2
	done
	rm -rf "$dir"
}
trap finish EXIT

# The UUID of guest $1's disk in slot $2 says both.
uuid_of() { printf '83b8f4f2-509f-382f-3c1e-%06d%06d' "$1" "$2"; }

# image GUEST SLOT: holes, and pages that are not there yet, would be another disk.
image() {
	head -c 8M /dev/zero >"$dir/image.$1.$2"
	echo "$dir/image.$1.$2"
}

# server NAME ARGUMENT...: its pid goes to $dir/NAME.pid
server() {
	name=$1
	shift
	taskset -c 0 vum-virtio-blk --queues 1 "$@" 2>"$dir/$name.log" &
	echo $! >"$dir/$name.pid"
}

socket() { echo "/run/vfio-user/$(uuid_of "$1" "$2").sock"; }

servers() {
	set -- --socket "$(socket 1 $one)" --file "$(image 1 $one)"
	for i in $(seq 2 "$numbers"); do
		set -- "$@" --also "$(socket "$i" $one)=$(image "$i" $one)"
	done
	server one --poll "$@"
	for i in $(seq "$numbers"); do
		server "each.$i" --poll --socket "$(socket "$i" $each)" \
			--file "$(image "$i" $each)"
		server "notified.$i" --socket "$(socket "$i" $notified)" \
			--file "$(image "$i" $notified)"
	done
}

soon() { # COMMAND...
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { say "not within two minutes: $*"; exit 1; }
		sleep 0.2
	done
}

attached() { [ "$(cat "$mdevs"/*/vfio_user/state | sort -u)" = attached ]; }

# go HOW SERVER...: each of them is stopped (STOP), or goes on (CONT).
go() {
	how=$1
	shift
	for name; do
		[ ! -e "$dir/$name.pid" ] || kill -"$how" "$(cat "$dir/$name.pid")"
	done
}

# The names of the servers of a slot, for so many guests.
names() {
	case $1 in
	"$one") echo one ;;
	"$each") seq -f 'each.%g' "$2" ;;
	"$notified") seq -f 'notified.%g' "$2" ;;
	esac
}

#
# Phases: each guest is at a gate before each of them. Gate N is a lock on $dir/gate.N.
#

# measures FUNCTION: FUNCTION SLOT COUNT for each phase after the first three, in which all
# of a guest's code has yet to be translated.
measures() {
	for _ in $(seq $rounds); do
		for n in $counts; do
			for slot in $one $each $notified; do
				"$1" "$slot" "$n"
			done
		done
	done
}

# phases GUEST: what load.sh is to do.
phases() {
	for slot in $one $each $notified; do
		echo "disk-randread-4k-qd16:1:$slot"
	done
	guest=$1
	measures phase
}

phase() { # SLOT COUNT
	[ "$guest" -gt "$2" ] && echo idle || echo "disk-randread-4k-qd16:$seconds:$1"
}

open_gate=9
close_gate() { # N
	eval "exec $open_gate>\"$dir/gate.$1\""
	flock $open_gate
}

# next_phase GUEST...: opens one gate, and waits for these guests at the next one.
gate=1
next_phase() {
	last=$open_gate
	open_gate=$((open_gate == 9 ? 8 : 9))
	close_gate $((gate + 1))
	flock -u $last
	gate=$((gate + 1))
	for i; do
		soon test -e "$dir/at.$i.$gate"
	done
}

start_guest() { # GUEST
	cat >"$dir/gate-of-$1" <<EOF
#!/bin/sh
: >$dir/at.$1.\$1
exec flock -s $dir/gate.\$1 true
EOF
	chmod +x "$dir/gate-of-$1"
	{
		echo "slots='$one $each $notified' phases='$(phases "$1" | tr '\n' ' ')'"
		cat selftests/guest/load.sh
	} >"$dir/script.$1"
	# shellcheck disable=SC2086	# a list of words
	set -- "$1" $guest_sh --timeout 0 --do "$dir/gate-of-$1" "$dir/script.$1" \
		-device "vfio-pci,addr=$one,sysfsdev=$mdevs/$(uuid_of "$1" $one)" \
		-device "vfio-pci,addr=$each,sysfsdev=$mdevs/$(uuid_of "$1" $each)" \
		-device "vfio-pci,addr=$notified,sysfsdev=$mdevs/$(uuid_of "$1" $notified)"
	number=$1
	shift
	taskset -c 1 "$@" >"$dir/out.$number" 2>"$dir/guest.$number.log" &
}

qemu_of() { # GUEST
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in */qemu-system-x86_64) ;; *) continue ;; esac
		pid=${exe#/proc/}
		pid=${pid%/exe}
		! grep -q "$(uuid_of "$1" $one)" "/proc/$pid/cmdline" || echo "$pid"
	done
}

# The sum of what guests 1 to $1 have got, by the line that each has printed last.
sum_of() {
	for i in $(seq "$1"); do tail -n 1 "$dir/out.$i"; done |
		awk '/^load:/ { sum += $4; n++ } END { printf "%.1f %d\n", sum, n }'
}

# turn SLOT COUNT: one phase, with the servers that it needs; its sum goes to a file.
turn() {
	# shellcheck disable=SC2046	# a list of words
	go CONT $(names "$1" "$2")
	# shellcheck disable=SC2046
	next_phase $(seq "$numbers")
	# shellcheck disable=SC2046
	go STOP $(names "$1" "$2")
	slot=$1 count=$2
	# shellcheck disable=SC2046
	set -- $(sum_of "$2")
	[ "$2" = "$count" ] || { say "a guest has printed nothing"; exit 1; }
	echo "$1" >>"$dir/sum.$slot.$count"
}

figure() { # VARIANT SLOT COUNT
	sort -n "$dir/sum.$2.$3" | sed -n "$(((rounds + 1) / 2))p" | {
		read -r median
		echo "{\"name\":\"guests-$3\",\"clock\":\"wall\",\"path\":\"kernel\"," \
			"\"variant\":\"$1\",\"unit\":\"iops\",\"better\":\"higher\"," \
			"\"n\":$rounds,\"p50\":$median,\"p99\":$median,\"p999\":$median," \
			"\"mean\":$median,\"ctxsw\":null,\"hist\":[]}"
	}
}

say "$(uname -r), $(qemu-system-x86_64 --version | head -n 1)"
for i in $(seq "$numbers"); do
	for slot in $one $each $notified; do
		uuid_of "$i" "$slot" >$type/create
	done
done
servers
vfio-user-mdevd 2>"$dir/helper.log" &
echo $! >"$dir/helper.pid"
soon attached
close_gate 1
# What has yet to poll, and is asked for its registers, comes before what polls already.
chrt -i -p 0 "$(cat "$dir/one.pid")"
for i in $(seq "$numbers"); do
	start_guest "$i"
	soon test -e "$dir/at.$i.1"
	go STOP "each.$i" "notified.$i"
done
go STOP one
chrt -o -p 0 "$(cat "$dir/one.pid")"
say "$numbers guests are up after $(cut -d ' ' -f 1 /proc/uptime) s"
for slot in $one $each $notified; do
	turn "$slot" "$numbers"
	rm "$dir/sum.$slot.$numbers"
done
measures turn
for n in $counts; do
	figure one "$one" "$n"
	figure each "$each" "$n"
	figure notified "$notified" "$n"
done
