# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# To be sourced on the host that is tested: a line of TAP for each check, and what the scripts
# beside this one share.
# shellcheck disable=SC2034	# for those scripts
share=/run/vum
uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
mdev=/sys/bus/mdev/devices/$uuid
# shellcheck disable=SC2034
disk=vfio-user-disk@$uuid.service
export DEBIAN_FRONTEND=noninteractive
said=$(mktemp)

# check WHAT COMMAND...: what the command has said is printed if it fails.
check() {
	tap=$(($(cat $share/tap 2>/dev/null || echo 0) + 1))
	echo $tap >$share/tap
	what=$1
	shift
	start=$(date +%s)
	if "$@" >"$said" 2>&1; then
		echo "ok $tap - $what # $(($(date +%s) - start)) s"
	else
		echo "# $1 returned $?, and said:"
		tail -n 30 "$said" | sed 's/^/#   /'
		echo "not ok $tap - $what"
	fi
}

# skip WHAT WHY
skip() {
	tap=$(($(cat $share/tap 2>/dev/null || echo 0) + 1))
	echo $tap >$share/tap
	echo "ok $tap - $1 # SKIP $2"
}

# note WORD...: what a reader of the log wants to see
note() { { "$@" 2>&1; echo; } | sed '/^ *$/d; s/^/# /'; }

is() { [ "$1" = "$2" ] || { echo "is \"$1\", should be \"$2\""; return 1; }; }
contains() {	# TEXT PATTERN
	echo "$1"
	echo "$1" | grep -q -e "$2"
}
fails_with() {	# PATTERN COMMAND...
	pattern=$1
	shift
	! "$@" >"$said.out" 2>&1 || { echo "it did not fail"; return 1; }
	contains "$(cat "$said.out")" "$pattern"
}

# eventually SECONDS COMMAND...
eventually() {
	for _ in $(seq "$1"); do
		(shift; "$@") && return 0
		sleep 1
	done
	return 1
}
log_has() {	# UNIT PATTERN: in its last lines
	contains "$(journalctl -b -o cat -u "$1" | tail -n 4)" "$2"
}
state_is() { is "$(cat $mdev/vfio_user/state)" "$1"; }
no_unit_failed() { is "$(systemctl --failed --plain --no-legend)" ''; }

# The group of the mdev: /dev/vfio/N.
group_of() { basename "$(readlink "$1/iommu_group")"; }
