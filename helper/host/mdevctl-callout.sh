#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mdevctl runs this for each of its commands, and tells by options which: see "CALLOUTS" in
# mdevctl(8). It says which attributes an mdev of ours has, so that `mdevctl list --dumpjson`
# shows them, and refuses what the module would refuse: when it is defined, not when the
# mdev is started at boot and nobody looks.
set -eu

type='' event='' action='' uuid=''
while [ $# -gt 1 ]; do
	case $1 in
	-t | --type) type=$2 ;;
	-e | --event) event=$2 ;;
	-a | --action) action=$2 ;;
	-u | --uuid) uuid=$2 ;;
	esac
	shift 2
done
# 2 tells mdevctl to ask another script.
[ "$type" = vfio-user-pci ] || exit 2
mdev=/sys/bus/mdev/devices/$uuid

names="socket attach_timeout_ms timeout_ms data_path poll_us posted_writes optional_commands
	license_policy dma_mode dma_announce dma_aperture dma_fault dma_fault_timeout_ms
	dma_max_pinned"

# refuse NAME VALUE WHAT: what is allowed instead
refuse() {
	echo "vfio_user/$1=$2 for $uuid: must be $3" >&2
	exit 1
}

one_of() {	# NAME VALUE WORD...
	name=$1 value=$2
	shift 2
	for word; do
		[ "$value" != "$word" ] || return 0
	done
	refuse "$name" "$value" "one of: $*"
}

# number NAME VALUE LOWEST HIGHEST MORE: decimal, and no longer than what the shell can count
number() {
	case $2 in
	'' | 0?* | ????????????????* | *[!0-9]*) refuse "$1" "$2" "a number from $3 to $4$5" ;;
	esac
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		refuse "$1" "$2" "a number from $3 to $4$5"
	fi
}

# path NAME VALUE: a socket's address has 108 bytes, with the 0 at its end.
path() {
	LC_ALL=C
	case $2 in
	/*) [ "${#2}" -le 107 ] || refuse "$1" "$2" "at most 107 bytes long" ;;
	*) refuse "$1" "$2" "an absolute path, such as /run/vfio-user/disk.sock" ;;
	esac
}

# validate ATTRIBUTE VALUE: see kmod/sysfs.c.
validate() {
	name=${1#vfio_user/}
	case $1 in
	vfio_user/attach_timeout_ms) number "$name" "$2" 0 60000 ' ms' ;;
	vfio_user/timeout_ms) number "$name" "$2" 0 2147483647 ' ms, 0 for ever' ;;
	vfio_user/dma_fault_timeout_ms) number "$name" "$2" 0 2147483647 ' ms, 0 for ever' ;;
	vfio_user/poll_us) number "$name" "$2" 0 10000 ' us' ;;
	vfio_user/dma_aperture) number "$name" "$2" 20 46 ' bits' ;;
	vfio_user/dma_max_pinned)
		[ "$2" = 0 ] || number "$name" "$2" 65536 999999999999999 ' bytes, or 0 for no bound' ;;
	vfio_user/socket) path "$name" "$2" ;;
	vfio_user/data_path) one_of "$name" "$2" auto kernel relay ;;
	vfio_user/posted_writes) one_of "$name" "$2" 0 1 ;;
	vfio_user/optional_commands)
		for word in $2; do
			one_of "$name" "$word" device_feature get_region_io_fds
		done ;;
	vfio_user/license_policy) one_of "$name" "$2" any declared gpl ;;
	vfio_user/dma_mode) one_of "$name" "$2" auto mmap file message none share ;;
	vfio_user/dma_announce) one_of "$name" "$2" exact aperture ;;
	vfio_user/dma_fault) one_of "$name" "$2" absorb sigbus ;;
	*)
		# shellcheck disable=SC2086	# a list of words
		echo "$1 for $uuid: no attribute that can be set; there are, with vfio_user/ before" \
			"each:" $names >&2
		exit 1 ;;
	esac
}

# Print the attributes in the device's JSON, which is on stdin: a line for each, with its name,
# a space, and its value. In there, each is an object of its own with one pair of strings.
attributes() {
	awk '
	{ text = text $0 "\n" }
	END {
		for (i = 1; i <= length(text); i++) {
			c = substr(text, i, 1)
			if (!quoted) {
				if (c == "\"") {
					quoted = 1
					word = ""
				} else if (c == "[" && word == "attrs") {
					inside = 1
				} else if (c == "]") {
					inside = 0
				} else if (c == ":") {
					key = word
				} else if (c == "}" && inside) {
					print key " " word
				}
			} else if (c == "\\") {
				c = substr(text, ++i, 1)
				word = word (c == "n" ? " " : c == "t" ? "\t" : c)
			} else if (c == "\"") {
				quoted = 0
			} else {
				word = word c
			}
		}
	}'
}

# each COMMAND: call it with the name and the value of each attribute on stdin.
each() {
	attributes | while IFS= read -r line; do
		"$1" "${line%% *}" "${line#* }"
	done
}

set_live() {	# ATTRIBUTE VALUE
	validate "$@"
	printf '%s\n' "$2" >"$mdev/$1" || {
		echo "$1=$2 for $uuid: refused by the module; is the device in use?" >&2
		exit 1
	}
}

show_attributes() {
	separator='['
	for name in $names; do
		[ -r "$mdev/vfio_user/$name" ] || continue
		value=$(sed 's/[\\"]/\\&/g; q' "$mdev/vfio_user/$name")
		printf '%s{"vfio_user/%s":"%s"}' "$separator" "$name" "$value"
		separator=,
	done
	[ "$separator" = '[' ] || echo ']'
}

case $event-$action in
get-capabilities)
	echo '{"supports":{"version":2,
		"actions":["start","stop","define","undefine","modify","attributes","capabilities"],
		"events":["pre","post","notify","get","live"]}}' ;;
get-attributes) show_attributes ;;
pre-define | pre-modify | pre-start) each validate ;;
live-modify) each set_live ;;
esac
