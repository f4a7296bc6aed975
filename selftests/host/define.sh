#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mdevctl, and what the callout tells it.
set -u
. selftests/host/lib.sh
callout=/usr/lib/mdevctl/scripts.d/callouts/vfio-user-mdev

note mdevctl --version
check "an mdev is defined" mdevctl define --auto -u $uuid -p vfio-user -t vfio-user-pci
set_attr() { mdevctl modify -u $uuid --addattr="vfio_user/$1" --value="$2"; }
check "what the module would refuse is refused" fails_with \
	'dma_mode=shar .*must be one of: auto mmap file message none share' set_attr dma_mode shar
check "a socket needs an absolute path" fails_with 'absolute path' set_attr socket relative
check "a number has bounds" fails_with 'from 20 to 46' set_attr dma_aperture 47
check "unknown attributes are told from known ones" fails_with 'dma_max_pinned' set_attr sockett /x
check "what the module takes is taken" set_attr timeout_ms 60000
check "the mdev is started" mdevctl start -u $uuid
check "with the attribute" is "$(cat $mdev/vfio_user/timeout_ms)" 60000
check "a wrong start fails" fails_with 'must be' mdevctl start -u "$(uuidgen)" -p vfio-user \
	--jsonfile /dev/stdin <<END
{"mdev_type":"vfio-user-pci","start":"manual","attrs":[{"vfio_user/dma_fault":"ignore"}]}
END
# Of one that is defined, too, mdevctl 1.2 lists what is defined: so this one is only active.
other=$(uuidgen)
check "another is started that is not defined" mdevctl start -u "$other" -p vfio-user -t vfio-user-pci
echo 1234 >"/sys/bus/mdev/devices/$other/vfio_user/timeout_ms"
mdevctl list --dumpjson >/tmp/list.json
note cat /tmp/list.json
listed() {	# ATTRIBUTE
	jq -r --arg uuid "$other" --arg name "vfio_user/$1" \
		'.. | objects | .[$uuid]? // empty | .attrs[] | .[$name] // empty' /tmp/list.json
}
check "its attributes are listed: timeout_ms" is "$(listed timeout_ms)" 1234
check "its attributes are listed: socket" is "$(listed socket)" "/run/vfio-user/$other.sock"
check "it is stopped" mdevctl stop -u "$other"

# The callout is to refuse what the module refuses, and nothing else.
agree() {	# NAME VALUE
	old=$(cat "$mdev/vfio_user/$1")
	printf '%s\n' "$2" 2>/dev/null >"$mdev/vfio_user/$1" && module=takes || module=refuses
	printf '{"attrs":[{"vfio_user/%s":"%s"}]}' "$1" "$2" |
		$callout -t vfio-user-pci -e pre -a define -s none -u $uuid -p vfio-user &&
		script=takes || script=refuses
	printf '%s\n' "$old" >"$mdev/vfio_user/$1"
	[ "$module" = "$script" ] || echo "$1=$2: the module $module it, the callout $script it"
}
long=/$(printf '%0106d' 0)
all_agree() {
	{
		while read -r name value; do
			[ -e "$mdev/vfio_user/$name" ] || continue
			agree "$name" "$value" 2>/dev/null
		done
		agree socket "$long" 2>/dev/null
		agree socket "${long}0" 2>/dev/null
	} <<-END >"$said.out"
		socket /tmp/x
		socket x
		attach_timeout_ms 0
		attach_timeout_ms 60000
		attach_timeout_ms 60001
		attach_timeout_ms -1
		timeout_ms 0
		timeout_ms 2147483647
		timeout_ms 2147483648
		timeout_ms 1s
		data_path auto
		data_path kernel
		data_path relay
		data_path socket
		poll_us 10000
		poll_us 10001
		posted_writes 0
		posted_writes 1
		posted_writes 2
		optional_commands device_feature
		optional_commands get_region_io_fds device_feature
		optional_commands reset
		license_policy any
		license_policy declared
		license_policy gpl
		license_policy none
		dma_mode auto
		dma_mode mmap
		dma_mode file
		dma_mode message
		dma_mode none
		dma_mode share
		dma_mode direct
		dma_announce exact
		dma_announce aperture
		dma_announce both
		dma_aperture 19
		dma_aperture 20
		dma_aperture 46
		dma_aperture 47
		dma_fault absorb
		dma_fault sigbus
		dma_fault ignore
		dma_fault_timeout_ms 0
		dma_fault_timeout_ms 2147483647
		dma_fault_timeout_ms 2147483648
		dma_max_pinned 0
		dma_max_pinned 65535
		dma_max_pinned 65536
		dma_max_pinned -1
	END
	cat "$said.out"
	[ ! -s "$said.out" ]
}
check "the callout refuses what the module refuses, and nothing else" all_agree
unknown=$(find "$mdev/vfio_user/" -type f -perm /200 -printf '%f\n' | grep -v -x -e state -e handover | while read -r name; do
	grep -q "^	vfio_user/$name)" $callout || echo "$name"
done)
check "it knows every attribute that the module has" is "$unknown" ''
if mdevctl modify --help | grep -q -e --live; then
	# This mdevctl takes no --value beside --live.
	mdevctl list -u $uuid --dumpjson |
		sed 's/\("vfio_user.poll_us": *"\)0"/\150"/' >/tmp/live.json
	check "an active mdev is modified" mdevctl modify -u $uuid --live --jsonfile /tmp/live.json
	check "at once" is "$(cat $mdev/vfio_user/poll_us)" 50
else
	skip "an active mdev is modified" "mdevctl has no --live"
fi
