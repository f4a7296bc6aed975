#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The packages of a later release are installed while a consumer uses an mdev: it notices
# nothing. After install.sh.
set -u
. selftests/host/lib.sh
. selftests/host/consumer.sh
release=$(cat $share/release) next=$(cat $share/next)
card=7c9e6679-7425-40de-944b-e07fc1f90ae7
dir=/tmp/upgrade

mkdir $dir
mdevctl start -u $card -p vfio-user -t vfio-user-pci
events=$dir/events
vfio-user-mdevctl monitor >$events 2>&1 &
monitor=$!
sleep 2
$share/bin/vum-serial --socket /run/vfio-user/$card.sock </dev/null >$dir/sent 2>$dir/log &
server=$!
card_is() { is "$(cat /sys/bus/mdev/devices/$card/vfio_user/state)" "$1"; }
check "a serial card is attached" eventually 30 card_is attached
consumer_start $dir/consumer /sys/bus/mdev/devices/$card
check "the monitor has told of that" contains "$(cat $events)" "$card.* attached"
check "its consumer gives it ports" serial_up

# The consumer writes to the card from before the upgrade until after it. Not more often: each
# program that is started takes time from the compiler.
: >$dir/puts
(
	while [ ! -e $dir/stop ]; do
		began=$(date +%s%3N)
		serial_put 0x2e || echo "the card did not answer: $reply" >>$dir/failed
		echo $(($(date +%s%3N) - began)) >>$dir/puts
		sleep 0.5
	done
) &
writer=$!
daemon=$(systemctl show -P MainPID vfio-user-mdevd)
sleep 2
before=$(wc -l <$dir/puts)
events_before=$(wc -l <$events)
check "apt install of release $next" apt-get -q -y install $share/new/vfio-user-mdev_*.deb \
	$share/new/vfio-user-mdev-dkms_*.deb
cp "$said" $dir/apt
after=$(wc -l <$dir/puts)
sleep 2
touch $dir/stop
wait $writer

check "the daemon is a new one" test "$(systemctl show -P MainPID vfio-user-mdevd)" != "$daemon"
check "of release $next" contains "$(vfio-user-mdevd --version)" " $next\$"
check "the module in use goes on" is "$(cat /sys/module/vfio_user_mdev/version)" "$release"
check "the package says so, and when the new one takes effect" contains \
	"$(tr '\n' ' ' <$dir/apt)" "release $next of the module is installed, and $release goes on"
check "the new module is there" is "$(modinfo -F version vfio_user_mdev)" "$next"
note echo "$before writes before, $((after - before)) meanwhile, $(wc -l <$dir/puts) in all; the" \
	"longest took $(sort -n $dir/puts | tail -n 1) ms"
check "the consumer has written meanwhile" test $((after - before)) -gt 10
check "each write has reached the card" is "$(wc -c <$dir/sent)" "$(wc -l <$dir/puts)"
check "and none has failed" is "$(cat $dir/failed 2>/dev/null)" ''
check "the card was not detached" is "$(tail -n +$((events_before + 1)) $events | grep -c -i detached)" 0
check "the server is the same" kill -0 $server
check "the card is attached" card_is attached
check "no unit has failed" no_unit_failed

consumer_stop
kill $server $monitor
mdevctl stop -u $card
rm -rf $dir
