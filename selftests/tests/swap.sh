#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: 1 CPU
# A guest's virtio-blk disk is handed from one server to another and back while the guest
# uses it; both have the same image. VUM_MOVES: how often.
set -u

hops=${VUM_MOVES:-4}

other_up() {
	vum-virtio-blk --file "$dir/image" --stats --socket $other 2>"$dir/other.log" &
	other_server=$!
	until [ -S $other ]; do sleep 0.1; done
}

guest() {
	device_guest guest selftests/vm/guest.sh --program "$VUM_BIN/guest-move" \
		--do "$dir/swap" "$dir/script"
}

swaps() { [ "$(grep -c 'paused for' "$dir/guest")" = "$hops" ]; }
pauses() { sed -n 's/.*paused for \([0-9]*\) us.*/\1/p' "$dir/guest" | sort -n | tr '\n' ' '; }
no_error() { grep -q ' 0 errors, 0 breaks' "$1"; }

dir=$(mktemp -d)
. selftests/guest-device.sh
other=$device_socket.other
truncate -s 64M "$dir/image"
sed "s/HOPS/$hops/" selftests/guest/disk-move.sh >"$dir/script"
cat >"$dir/swap" <<EOF
#!/bin/sh
socket=$device_socket
[ \$((\$1 % 2)) = 0 ] || socket=$other
exec vfio-user-mdevctl handover $device_uuid \$socket
EOF
chmod +x "$dir/swap"
device_up "$dir" vum-virtio-blk --file "$dir/image" --stats
check "helper attaches the server" device_attached
other_up
check "a guest runs to its end" guest
sed 's/^/# guest: /' "$dir/guest"
check "its disk was handed over $hops times" swaps
echo "# pauses in us: $(pauses)"
check "all that it wrote was found" grep -q 'all that was written was found' "$dir/guest"
kill $other_server
wait $other_server 2>/dev/null
device_down
for log in server other; do
	sed "s/^/# $log: /" "$dir/$log.log"
	check "$log saw no error" no_error "$dir/$log.log"
done
echo "1..$tap"
rm -rf "$dir"
