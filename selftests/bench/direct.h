/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The leanest vfio-user client: what the bridge is compared with. It says
 * VERSION, as it has to; an access is then one sendmsg() and one recvmsg() of
 * as many bytes as the answer must have. Fails the row if anything goes wrong.
 */
#ifndef VUM_DIRECT_H
#define VUM_DIRECT_H

#include <stdint.h>
#include <sys/types.h>

#include <vfio_user.h>

/**
 * struct direct - a connection
 * @sock: to the server
 * @id: of the last message
 */
struct direct {
	int sock;
	uint16_t id;
};

/* Waits for the server to be there. */
void direct_open(struct direct *d, const char *path);
void direct_close(struct direct *d);

uint32_t direct_read32(struct direct *d, uint32_t region, uint64_t offset);
void direct_write32(struct direct *d, uint32_t region, uint64_t offset,
		    uint32_t value);
/* With NO_REPLY. */
void direct_post32(struct direct *d, uint32_t region, uint64_t offset,
		   uint32_t value);

/*
 * Any other command: @size bytes of payload and @fd, unless that is -1. The
 * answer has exactly @reply_size bytes, and brings a descriptor if @reply_fd.
 */
void direct_command(struct direct *d, uint16_t cmd, const void *payload,
		    size_t size, int fd, void *reply, size_t reply_size,
		    int *reply_fd);
/* DATA_EVENTFD | ACTION_TRIGGER */
void direct_set_eventfd(struct direct *d, uint32_t index, uint32_t sub, int fd);
void direct_dma_map(struct direct *d, int fd, uint64_t iova, uint64_t size);
void direct_dma_unmap(struct direct *d, uint64_t iova, uint64_t size);
/* mmap() of what the server offers for a region, shared. */
void *direct_map(struct direct *d, uint32_t region, size_t size);
/* Answers DMA_READs from memory that begins at @iova, until @bytes are gone. */
void direct_serve_dma(struct direct *d, const uint8_t *mem, uint64_t iova,
		      uint64_t bytes);

#endif /* VUM_DIRECT_H */
