// SPDX-License-Identifier: GPL-2.0
/* The socket that the kernel has taken, as a server that lies can use it. */
#include "../server.h"

TEST(socket)
{
	server_fuzz("socket", true);
}
