/* SPDX-License-Identifier: GPL-2.0 */
/* What netlink.c offers to the files that parse answers. */
#ifndef HELPER_NETLINK_PRIVATE_H
#define HELPER_NETLINK_PRIVATE_H

#include "netlink.h"

struct nl_msg;

/**
 * struct vum_question - a question to the module
 * @cmd: enum vum_cmd
 * @uuid: of the mdev; NULL asks for all mdevs
 * @on_answer: called for each answer; @arg is the question, which can be the first
 *	member of a larger struct
 */
struct vum_question {
	uint8_t cmd;
	const char *uuid;
	int (*on_answer)(struct nl_msg *msg, void *arg);
};

/* Ask @q and wait until it has been answered. Returns 0 or -errno. */
int vum_nl_ask(struct vum_nl *nl, const struct vum_question *q);

/* Is @msg complete, and from the kernel? Processes may send to the socket, too. */
bool vum_nl_from_kernel(struct nl_msg *msg);

#endif /* HELPER_NETLINK_PRIVATE_H */
