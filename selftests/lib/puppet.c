// SPDX-License-Identifier: GPL-2.0
/* See puppet.h. */
#include <stdlib.h>

#include "puppet.h"

pid_t puppet_fault_in_child(const struct world *w, enum vfio_user_command cmd,
			    enum puppet_fault fault, uint32_t arg,
			    void (*call)(struct consumer *c))
{
	struct consumer c;
	int ready[2];
	pid_t pid;
	char go;

	CHECK(!pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		consumer_open(&c, w);
		puppet_fault(&c, cmd, fault, arg);
		CHECK_EQ(write(ready[1], "!", 1), 1);
		call(&c);
		_exit(EXIT_SUCCESS);
	}
	CHECK_EQ(read(ready[0], &go, 1), 1);
	close(ready[0]);
	close(ready[1]);
	test_sleep_ms(300);
	return pid;
}
