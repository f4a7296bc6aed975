// SPDX-License-Identifier: GPL-2.0
/*
 * The disk's direct I/O, where the kernel takes hold of guest memory itself. It cannot
 * where the client's window shows that memory, which is page frames and no file's pages:
 * that is EFAULT.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "virtio_blk.h"

/**
 * blk_direct_open() - open the backing file once more, for direct I/O
 * @blk: the disk
 *
 * Return: 0, or -1 with errno set.
 */
int blk_direct_open(struct blk *blk)
{
	if (!blk->opt.direct)
		return 0;
	blk->direct_fd = open(blk->opt.file,
			      (blk->opt.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT);
	return blk->direct_fd < 0 ? -1 : 0;
}

/**
 * blk_direct_probe() - say whether direct I/O works with memory that has been announced
 * @opaque: the disk
 * @addr: IOVA of its first byte
 * @size: bytes
 */
void blk_direct_probe(void *opaque, __u64 addr, __u64 size)
{
	const struct blk *blk = opaque;
	int err = -vus_dma_take_hold(blk->srv, addr);

	fprintf(stderr, "%s: memory at %#llx, %#llx bytes: direct I/O %s%s\n",
		blk->name, (unsigned long long)addr, (unsigned long long)size,
		err ? "does not work: " : "works", err ? strerror(err) : "");
}

/**
 * blk_direct_refused() - find out whether direct I/O has failed for the memory's sake
 * @blk: the disk
 *
 * Return: true if, by errno, this memory is not for direct I/O, and data is to be copied.
 */
bool blk_direct_refused(struct blk *blk)
{
	/* EINVAL: the memory, or the request, is not aligned as the disk wants it. */
	if (errno != EFAULT && errno != EINVAL)
		return false;
	if (!blk->told_copied)
		fprintf(stderr,
			"%s: direct I/O does not work with this client's memory: %s; copying\n",
			blk->name, strerror(errno));
	blk->told_copied = true;
	return true;
}
