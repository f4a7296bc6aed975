/* SPDX-License-Identifier: GPL-2.0 */
/* What netlink.c has for the files that know what an answer means. */
#ifndef HELPER_NETLINK_PRIVATE_H
#define HELPER_NETLINK_PRIVATE_H

#include "netlink.h"

struct nl_msg;

/**
 * struct vum_question - what is asked
 * @cmd: enum vum_cmd
 * @uuid: of the mdev; NULL: of all of them
 * @on_answer: called for each, with the question as @arg, so that it can be the
 *	first member of something larger
 */
struct vum_question {
	uint8_t cmd;
	const char *uuid;
	int (*on_answer)(struct nl_msg *msg, void *arg);
};

/* Returns when everything is answered: 0 or -errno. */
int vum_nl_ask(struct vum_nl *nl, const struct vum_question *q);

/* Anybody may send to us. Is it from the kernel, and complete? */
bool vum_nl_from_kernel(struct nl_msg *msg);

#endif /* HELPER_NETLINK_PRIVATE_H */
