/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HELPER_VERSION_STRING_H
#define HELPER_VERSION_STRING_H

#ifndef VUM_VERSION
#define VUM_VERSION "0.1"
#endif

#endif /* HELPER_VERSION_STRING_H */
