// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: where the tracepoints are.
 */

#define CREATE_TRACE_POINTS
#include "trace.h"
