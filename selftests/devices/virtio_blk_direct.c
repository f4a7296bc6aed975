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
#include <sys/mman.h>
#include <unistd.h>

#include "virtio_blk.h"

/**
 * blk_direct_open() - open the backing file once more, for direct I/O
 * @blk: the disk
 *
 * Return: 0, or -1 with errno set.
 */
int blk_direct_open(struct blk *blk)
{
	blk->direct_fd = -1;
	if (!blk->opt.direct)
		return 0;
	blk->direct_fd = open(blk->opt.file,
			      (blk->opt.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT);
	return blk->direct_fd < 0 ? -1 : 0;
}

/* vmsplice() takes hold of pages as direct I/O does. Return: 0 or an errno. */
static int take_hold(void *mem)
{
	struct iovec iov = { mem, 1 };
	int ends[2], err = 0;

	if (pipe(ends))
		return errno;
	if (vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK) < 0)
		err = errno;
	close(ends[0]);
	close(ends[1]);
	return err;
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
	struct vus_piece piece;
	int err;

	err = -vus_dma_find(blk->srv, addr, 1, PROT_READ, &piece);
	if (!err)
		err = piece.mem ? take_hold(piece.mem) : EOPNOTSUPP;
	fprintf(stderr, "vum-virtio-blk: memory at %#llx, %#llx bytes: direct I/O %s%s\n",
		(unsigned long long)addr, (unsigned long long)size,
		err ? "does not work: " : "works", err ? strerror(err) : "");
}

/**
 * blk_direct_io() - move data between the disk and guest memory
 * @blk: the disk, with a direct_fd
 * @iov: guest memory
 * @n: number of entries in @iov
 * @offset: in the backing file
 * @read: from the disk to the memory
 *
 * Return: number of bytes moved, or -1 with errno set; 0 if this memory is not for direct
 * I/O, and data is to be copied.
 */
ssize_t blk_direct_io(struct blk *blk, const struct iovec *iov, int n, __u64 offset,
		      bool read)
{
	ssize_t moved;

	if (read)
		moved = preadv(blk->direct_fd, iov, n, (off_t)offset);
	else
		moved = pwritev(blk->direct_fd, iov, n, (off_t)offset);
	if (moved > 0)
		blk->stats.direct_bytes += (__u64)moved;
	/* EINVAL: the memory, or the request, is not aligned as the disk wants it. */
	if (moved > 0 || !moved || (errno != EFAULT && errno != EINVAL))
		return moved;
	if (!blk->told_copied)
		fprintf(stderr,
			"vum-virtio-blk: direct I/O does not work with this client's memory: %s; copying\n",
			strerror(errno));
	blk->told_copied = true;
	return 0;
}
