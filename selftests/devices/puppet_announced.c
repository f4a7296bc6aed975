// SPDX-License-Identifier: GPL-2.0
/* What memory the client has announced, as the puppet tells and treats it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "puppet_priv.h"

static struct puppet_announced *announced(const struct puppet *puppet)
{
	struct vus_announced *list = vus_alloc(PUPPET_ANNOUNCED_MAX *
					       sizeof(*list));
	struct puppet_announced *out = vus_alloc(PUPPET_BAR3_SIZE);

	out->nr = vus_dma_list(puppet->srv, list, PUPPET_ANNOUNCED_MAX);
	for (uint32_t i = 0; i < out->nr && i < PUPPET_ANNOUNCED_MAX; i++) {
		out->maps[i].addr = list[i].addr;
		out->maps[i].size = list[i].size;
		out->maps[i].prot = (list[i].prot & PROT_READ ? 1 : 0) |
				    (list[i].prot & PROT_WRITE ? 2 : 0);
	}
	free(list);
	return out;
}

/**
 * puppet_announced_read() - the client reads BAR3
 * @opaque: the puppet
 * @offset: where
 * @buf: where to
 * @count: how much
 *
 * Return: 0
 */
int puppet_announced_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct puppet_announced *out = announced(opaque);

	memcpy(buf, (__u8 *)out + offset, count);
	free(out);
	return 0;
}

/**
 * puppet_touch() - with --touch: announced memory is touched, every 2 MiB of it
 * @opaque: the puppet
 * @addr: IOVA
 * @size: bytes
 *
 * As storage targets do, to know where their memory is.
 */
void puppet_touch(void *opaque, __u64 addr, __u64 size)
{
	const struct puppet *puppet = opaque;
	const volatile __u8 *p = vus_dma_ptr(puppet->srv, addr, size, PROT_READ);

	for (__u64 i = 0; p && i < size; i += 2UL << 20)
		(void)p[i];
}
