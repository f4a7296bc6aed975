#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest's direct I/O to a disk in a process that moves the data by O_DIRECT.
exec selftests/bench/guest-row.sh disk-direct
