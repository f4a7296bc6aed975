#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A guest's loads from a trapped BAR.
exec selftests/bench/guest-row.sh read
