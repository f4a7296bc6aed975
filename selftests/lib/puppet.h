/* SPDX-License-Identifier: GPL-2.0 */
/* Pulling the strings of vum-puppet. */
#ifndef VUM_LIB_PUPPET_H
#define VUM_LIB_PUPPET_H

#include <unistd.h>

#include <vfio_user.h>

#include "../devices/puppet.h"
#include "consumer.h"
#include "test.h"

static inline uint32_t puppet_get(const struct consumer *c,
				  enum puppet_register reg)
{
	return region_read32(c, VFIO_PCI_BAR2_REGION_INDEX, reg);
}

static inline void puppet_set(const struct consumer *c,
			      enum puppet_register reg, uint32_t value)
{
	region_write32(c, VFIO_PCI_BAR2_REGION_INDEX, reg, value);
}

/* The next message with this command gets this fault. */
static inline void puppet_fault(const struct consumer *c,
				enum vfio_user_command cmd,
				enum puppet_fault fault, uint32_t arg)
{
	puppet_set(c, PUPPET_FAULT_CMD, cmd);
	puppet_set(c, PUPPET_FAULT_ARG, arg);
	puppet_set(c, PUPPET_FAULT, fault);
	/* The writes are posted: see that they have arrived. */
	CHECK_EQ(puppet_get(c, PUPPET_MAGIC), PUPPET_MAGIC_VALUE);
}

/*
 * A consumer in a process of its own, whose call meets a fault: the process, which is
 * waiting for the server by now, and ends with status 0 after the call.
 */
pid_t puppet_fault_in_child(const struct world *w, enum vfio_user_command cmd,
			    enum puppet_fault fault, uint32_t arg,
			    void (*call)(struct consumer *c));

/*
 * It has got it: what it is for has arrived. Not of a fault after which the
 * server answers to nothing.
 */
static inline void puppet_wait_struck(const struct consumer *c)
{
	CHECK_SOON(puppet_get(c, PUPPET_FAULT) == PUPPET_FAULT_NONE);
}

/* A read of BAR1: 4, or -errno. */
static inline int puppet_read(const struct consumer *c, uint32_t offset,
			      uint32_t *value)
{
	ssize_t n = pread(c->device, value, 4,
			  region_at(VFIO_PCI_BAR1_REGION_INDEX, offset));

	return n < 0 ? -errno : (int)n;
}

/* It works, and gives what it should. */
static inline void puppet_check(const struct consumer *c, uint32_t offset)
{
	CHECK_EQ(region_read32(c, VFIO_PCI_BAR1_REGION_INDEX, offset),
		 PUPPET_PATTERN ^ offset);
}

#endif /* VUM_LIB_PUPPET_H */
