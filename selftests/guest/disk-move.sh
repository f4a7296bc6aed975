# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Inside a guest that is moved, HOPS times: uses the disk all the time. In braces, so that
# the shell has all of this before the program reads from the same line.
{
	guest-move /dev/vda HOPS
	exit $?
}
