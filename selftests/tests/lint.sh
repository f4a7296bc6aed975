#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# runs on: host
exec selftests/lint.sh "$VUM_WORLD"
