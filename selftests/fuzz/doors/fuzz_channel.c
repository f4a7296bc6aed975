// SPDX-License-Identifier: GPL-2.0
/* The channel, as a helper that relays can use it. */
#include "../server.h"

TEST(channel)
{
	server_fuzz("channel", false);
}
