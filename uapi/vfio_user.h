/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The vfio-user protocol, versions 0.0 and 0.1: the messages between a client, which
 * is this project, and a server.
 *
 * The rules are those of docs/interop/vfio-user.rst in the QEMU tree. Names follow
 * that document or, where it names no struct, the ioctl of <linux/vfio.h> that the
 * command mirrors. Flags and indexes that the protocol takes from VFIO
 * (VFIO_DEVICE_FLAGS_*, VFIO_REGION_INFO_FLAG_*, VFIO_IRQ_INFO_*, VFIO_IRQ_SET_*,
 * VFIO_PCI_*_INDEX) are not repeated.
 *
 * All fields are in host byte order. All sizes are in bytes.
 */
#ifndef _UAPI_VFIO_USER_H
#define _UAPI_VFIO_USER_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

#define VFIO_USER_MAJOR			0
#define VFIO_USER_MINOR			1

/* A peer that does not name a capability has agreed to these. */
#define VFIO_USER_DEFAULT_MAX_MSG_FDS		1
#define VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE	1048576
#define VFIO_USER_DEFAULT_MAX_DMA_MAPS		65535
#define VFIO_USER_DEFAULT_PGSIZES		4096

/**
 * enum vfio_user_command - what a message asks for
 * @VFIO_USER_VERSION: first message on a connection
 * @VFIO_USER_DMA_MAP: let the server access a range of IOVAs
 * @VFIO_USER_DMA_UNMAP: take back an earlier DMA_MAP
 * @VFIO_USER_DEVICE_GET_INFO: as VFIO_DEVICE_GET_INFO
 * @VFIO_USER_DEVICE_GET_REGION_INFO: as VFIO_DEVICE_GET_REGION_INFO
 * @VFIO_USER_DEVICE_GET_REGION_IO_FDS: get descriptors that stand for parts of a
 *	region
 * @VFIO_USER_DEVICE_GET_IRQ_INFO: as VFIO_DEVICE_GET_IRQ_INFO
 * @VFIO_USER_DEVICE_SET_IRQS: as VFIO_DEVICE_SET_IRQS
 * @VFIO_USER_REGION_READ: read from a region
 * @VFIO_USER_REGION_WRITE: write to a region
 * @VFIO_USER_DMA_READ: from server to client: read the client's memory
 * @VFIO_USER_DMA_WRITE: from server to client: write to the client's memory
 * @VFIO_USER_DEVICE_RESET: as VFIO_DEVICE_RESET
 * @VFIO_USER_REGION_WRITE_MULTI: several small region writes at once
 * @VFIO_USER_DEVICE_FEATURE: as VFIO_DEVICE_FEATURE
 * @VFIO_USER_MIG_DATA_READ: read migration data
 * @VFIO_USER_MIG_DATA_WRITE: write migration data
 *
 * Unless said otherwise, a command goes from client to server. 14 is unused.
 */
enum vfio_user_command {
	VFIO_USER_VERSION			= 1,
	VFIO_USER_DMA_MAP			= 2,
	VFIO_USER_DMA_UNMAP			= 3,
	VFIO_USER_DEVICE_GET_INFO		= 4,
	VFIO_USER_DEVICE_GET_REGION_INFO	= 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS	= 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO		= 7,
	VFIO_USER_DEVICE_SET_IRQS		= 8,
	VFIO_USER_REGION_READ			= 9,
	VFIO_USER_REGION_WRITE			= 10,
	VFIO_USER_DMA_READ			= 11,
	VFIO_USER_DMA_WRITE			= 12,
	VFIO_USER_DEVICE_RESET			= 13,
	VFIO_USER_REGION_WRITE_MULTI		= 15,
	VFIO_USER_DEVICE_FEATURE		= 16,
	VFIO_USER_MIG_DATA_READ			= 17,
	VFIO_USER_MIG_DATA_WRITE		= 18,
};

/**
 * struct vfio_user_header - the start of every message
 * @msg_id: chosen by the sender of the command, repeated in the reply
 * @cmd: enum vfio_user_command; repeated in the reply
 * @msg_size: bytes of the whole message, this header included
 * @flags: VFIO_USER_F_*
 * @error_no: in a reply with VFIO_USER_F_ERROR: an errno value, or 0 if the
 *	sender names none. Reserved otherwise.
 *
 * A reply with VFIO_USER_F_ERROR consists of the header only.
 */
struct vfio_user_header {
	__u16 msg_id;
	__u16 cmd;
	__u32 msg_size;
	__u32 flags;
#define VFIO_USER_F_TYPE_MASK		0xf
#define VFIO_USER_F_TYPE_COMMAND	0x0
#define VFIO_USER_F_TYPE_REPLY		0x1
#define VFIO_USER_F_NO_REPLY		0x10
#define VFIO_USER_F_ERROR		0x20
	__u32 error_no;
};

static_assert(sizeof(struct vfio_user_header) == 16, "wire format");

/**
 * struct vfio_user_version - VFIO_USER_VERSION, command and reply
 * @major: must be equal on both sides
 * @minor: the reply's is at most the command's
 * @data: optional JSON text with a terminating NUL: {"capabilities": {…}}
 */
struct vfio_user_version {
	__u16 major;
	__u16 minor;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_version) == 4, "wire format");

/**
 * struct vfio_user_dma_map - VFIO_USER_DMA_MAP; the reply has no payload
 * @argsz: size of this struct
 * @flags: VFIO_USER_F_DMA_REGION_*
 * @offset: where the memory starts in the file whose descriptor comes with the
 *	message; 0 if there is none
 * @addr: IOVA of the first byte
 * @size: bytes
 *
 * Without a descriptor, the server reaches the memory by VFIO_USER_DMA_READ and
 * VFIO_USER_DMA_WRITE. A map over an existing one fails with EEXIST.
 */
struct vfio_user_dma_map {
	__u32 argsz;
	__u32 flags;
#define VFIO_USER_F_DMA_REGION_READ	0x1
#define VFIO_USER_F_DMA_REGION_WRITE	0x2
/* libvfio-user has added these; its releases before 2024 refuse them with EINVAL. */
#define VFIO_USER_F_DMA_REGION_MMAP	0x4
#define VFIO_USER_F_DMA_REGION_FILE_IO	0x8
	__u64 offset;
	__u64 addr;
	__u64 size;
};

static_assert(sizeof(struct vfio_user_dma_map) == 32, "wire format");

/**
 * struct vfio_user_dma_unmap - VFIO_USER_DMA_UNMAP, repeated in the reply
 * @argsz: largest reply payload that the sender takes
 * @flags: 0
 * @addr: exactly as in an earlier map
 * @size: exactly as in that map
 */
struct vfio_user_dma_unmap {
	__u32 argsz;
	__u32 flags;
	__u64 addr;
	__u64 size;
};

static_assert(sizeof(struct vfio_user_dma_unmap) == 24, "wire format");

/**
 * struct vfio_user_device_info - VFIO_USER_DEVICE_GET_INFO, command and reply
 * @argsz: in the command, the largest reply payload; in the reply, the
 *	payload's full size
 * @flags: reply: VFIO_DEVICE_FLAGS_RESET, VFIO_DEVICE_FLAGS_PCI
 * @num_regions: reply: number of regions
 * @num_irqs: reply: number of IRQ indexes
 */
struct vfio_user_device_info {
	__u32 argsz;
	__u32 flags;
	__u32 num_regions;
	__u32 num_irqs;
};

static_assert(sizeof(struct vfio_user_device_info) == 16, "wire format");

/**
 * struct vfio_user_region_info - VFIO_USER_DEVICE_GET_REGION_INFO
 * @argsz: as in struct vfio_user_device_info
 * @flags: reply: VFIO_REGION_INFO_FLAG_*
 * @index: region index; besides @argsz, the only field that is set in the command
 * @cap_offset: reply: where the capability chain starts, counted from @argsz
 * @size: reply: bytes of the region; 0 if it does not exist
 * @offset: reply: where the region starts in the file whose descriptor comes with
 *	the reply (VFIO_REGION_INFO_FLAG_MMAP)
 */
struct vfio_user_region_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 cap_offset;
	__u64 size;
	__u64 offset;
};

static_assert(sizeof(struct vfio_user_region_info) == 32, "wire format");

/**
 * struct vfio_user_region_io_fds - VFIO_USER_DEVICE_GET_REGION_IO_FDS
 * @argsz: as in struct vfio_user_device_info
 * @flags: 0
 * @index: region index
 * @count: reply: number of sub-regions that follow; 0 in the command
 *
 * Entry i of the reply is (argsz - sizeof(header)) / count bytes from entry
 * i - 1; each is a union vfio_user_sub_region_io_fd today.
 */
struct vfio_user_region_io_fds {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
};

static_assert(sizeof(struct vfio_user_region_io_fds) == 16, "wire format");

#define VFIO_USER_IO_FD_TYPE_IOEVENTFD		0
#define VFIO_USER_IO_FD_TYPE_IOREGIONFD		1

/**
 * struct vfio_user_sub_region_ioeventfd - bytes that signal an eventfd when written
 * @offset: first byte, within the region
 * @size: bytes; 0 if the access size does not matter
 * @fd_index: index of the eventfd among the descriptors that come with the reply
 * @type: VFIO_USER_IO_FD_TYPE_IOEVENTFD
 * @flags: KVM_IOEVENTFD_FLAG_*
 * @padding: 0
 * @datamatch: with KVM_IOEVENTFD_FLAG_DATAMATCH, the only value that signals it
 */
struct vfio_user_sub_region_ioeventfd {
	__u64 offset;
	__u64 size;
	__u32 fd_index;
	__u32 type;
	__u32 flags;
	__u32 padding;
	__u64 datamatch;
};

static_assert(sizeof(struct vfio_user_sub_region_ioeventfd) == 40, "wire format");

/**
 * struct vfio_user_sub_region_ioregionfd - bytes whose accesses become messages
 * @offset: first byte, within the region
 * @size: bytes; 0 if the access size does not matter
 * @fd_index: index, among the descriptors that come with the reply, of the one that
 *	carries these messages
 * @type: VFIO_USER_IO_FD_TYPE_IOREGIONFD
 * @flags: KVM_IOREGION_PIO, KVM_IOREGION_POSTED_WRITES
 * @padding: 0
 * @user_data: handed back to the server with every access
 */
struct vfio_user_sub_region_ioregionfd {
	__u64 offset;
	__u64 size;
	__u32 fd_index;
	__u32 type;
	__u32 flags;
	__u32 padding;
	__u64 user_data;
};

static_assert(sizeof(struct vfio_user_sub_region_ioregionfd) == 40, "wire format");

/**
 * union vfio_user_sub_region_io_fd - one entry; its type is at the same place in both
 * @ioeventfd: for VFIO_USER_IO_FD_TYPE_IOEVENTFD
 * @ioregionfd: for VFIO_USER_IO_FD_TYPE_IOREGIONFD
 */
union vfio_user_sub_region_io_fd {
	struct vfio_user_sub_region_ioeventfd ioeventfd;
	struct vfio_user_sub_region_ioregionfd ioregionfd;
};

/**
 * struct vfio_user_irq_info - VFIO_USER_DEVICE_GET_IRQ_INFO, command and reply
 * @argsz: as in struct vfio_user_device_info
 * @flags: reply: VFIO_IRQ_INFO_*
 * @index: IRQ index
 * @count: reply: number of sub-indexes
 */
struct vfio_user_irq_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
};

static_assert(sizeof(struct vfio_user_irq_info) == 16, "wire format");

/**
 * struct vfio_user_irq_set - VFIO_USER_DEVICE_SET_IRQS; the reply has no payload
 * @argsz: size of the payload, @data included
 * @flags: one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*
 * @index: IRQ index
 * @start: first sub-index
 * @count: number of sub-indexes; 0, with a @start of 0, DATA_NONE and ACTION_TRIGGER,
 *	disables the whole index
 * @data: with DATA_BOOL only: one byte for each sub-index
 *
 * With DATA_EVENTFD, @count descriptors come with the message; a message without
 * descriptors removes those of the range.
 */
struct vfio_user_irq_set {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_irq_set) == 20, "wire format");

/**
 * struct vfio_user_region_access - VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE
 * @offset: first byte, within the region
 * @region: region index
 * @count: bytes; at most the peer's max_data_xfer_size
 * @data: the bytes to write (REGION_WRITE), or those read (reply to REGION_READ)
 *
 * The reply repeats @offset, @region and @count.
 */
struct vfio_user_region_access {
	__u64 offset;
	__u32 region;
	__u32 count;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_region_access) == 16, "wire format");

/**
 * struct vfio_user_dma_access - VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE
 * @addr: IOVA of the first byte
 * @count: bytes; at most the peer's max_data_xfer_size
 * @data: the bytes to write (DMA_WRITE), or those read (reply to DMA_READ)
 *
 * The reply repeats @addr and @count. (The specification's table gives the
 * DMA_WRITE reply's count as 4 bytes; libvfio-user and QEMU use 8.)
 */
struct vfio_user_dma_access {
	__u64 addr;
	__u64 count;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_dma_access) == 16, "wire format");

/**
 * struct vfio_user_write_single - one entry of VFIO_USER_REGION_WRITE_MULTI
 * @offset: first byte, within the region
 * @region: region index
 * @count: bytes, at most 8
 * @data: the bytes to write, in the first @count bytes of this field
 */
struct vfio_user_write_single {
	__u64 offset;
	__u32 region;
	__u32 count;
	__u64 data;
};

static_assert(sizeof(struct vfio_user_write_single) == 24, "wire format");

/**
 * struct vfio_user_write_multi - VFIO_USER_REGION_WRITE_MULTI
 * @wr_cnt: number of writes; the reply has this field only, the number of writes done
 * @wrs: the writes
 */
struct vfio_user_write_multi {
	__u64 wr_cnt;
	struct vfio_user_write_single wrs[];
};

static_assert(sizeof(struct vfio_user_write_multi) == 8, "wire format");

/**
 * struct vfio_user_device_feature - VFIO_USER_DEVICE_FEATURE
 * @argsz: as in struct vfio_user_device_info
 * @flags: VFIO_DEVICE_FEATURE_GET, _SET or _PROBE, and the feature's index in
 *	VFIO_DEVICE_FEATURE_MASK
 * @data: the feature's data
 */
struct vfio_user_device_feature {
	__u32 argsz;
	__u32 flags;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_device_feature) == 8, "wire format");

/* Data of VFIO_DEVICE_FEATURE_MIGRATION: a __u64 of these. */
#define VFIO_USER_MIGRATION_STOP_COPY	(1 << 0)
#define VFIO_USER_MIGRATION_P2P		(1 << 1)
#define VFIO_USER_MIGRATION_PRE_COPY	(1 << 2)

/**
 * enum vfio_user_mig_state - states of a device that is migrated, as VFIO's
 * @VFIO_USER_STATE_ERROR: it has failed, and has to be reset
 * @VFIO_USER_STATE_STOP: it changes neither its own state nor memory
 * @VFIO_USER_STATE_RUNNING: it runs
 * @VFIO_USER_STATE_STOP_COPY: it does not, and its state can be read
 * @VFIO_USER_STATE_RESUMING: its state can be written
 * @VFIO_USER_STATE_RUNNING_P2P: not used in vfio-user
 * @VFIO_USER_STATE_PRE_COPY: it runs, and its state can be read
 * @VFIO_USER_STATE_PRE_COPY_P2P: not used in vfio-user
 */
enum vfio_user_mig_state {
	VFIO_USER_STATE_ERROR		= 0,
	VFIO_USER_STATE_STOP		= 1,
	VFIO_USER_STATE_RUNNING		= 2,
	VFIO_USER_STATE_STOP_COPY	= 3,
	VFIO_USER_STATE_RESUMING	= 4,
	VFIO_USER_STATE_RUNNING_P2P	= 5,
	VFIO_USER_STATE_PRE_COPY	= 6,
	VFIO_USER_STATE_PRE_COPY_P2P	= 7,
};

/**
 * struct vfio_user_mig_device_state - data of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
 * @device_state: enum vfio_user_mig_state
 * @data_fd: not used in vfio-user
 */
struct vfio_user_mig_device_state {
	__u32 device_state;
	__s32 data_fd;
};

static_assert(sizeof(struct vfio_user_mig_device_state) == 8, "wire format");

/**
 * struct vfio_user_mig_data - VFIO_USER_MIG_DATA_READ, VFIO_USER_MIG_DATA_WRITE
 * @argsz: MIG_DATA_READ: as in struct vfio_user_device_info; MIG_DATA_WRITE:
 *	size of the payload
 * @size: bytes of migration data. A reply with less than was asked for means that
 *	there is no more.
 * @data: the data, in the READ's reply and the WRITE's command
 */
struct vfio_user_mig_data {
	__u32 argsz;
	__u32 size;
	__u8 data[];
};

static_assert(sizeof(struct vfio_user_mig_data) == 8, "wire format");

/**
 * struct vfio_user_device_feature_dma_logging_range - IOVAs to log
 * @iova: first byte
 * @length: bytes
 */
struct vfio_user_device_feature_dma_logging_range {
	__u64 iova;
	__u64 length;
};

static_assert(sizeof(struct vfio_user_device_feature_dma_logging_range) == 16,
	      "wire format");

/**
 * struct vfio_user_device_feature_dma_logging_control - start and stop logging
 * @page_size: granularity that the client wants; the reply has the one in use
 * @num_ranges: number of @ranges; 0 logs every write
 * @reserved: 0
 * @ranges: the IOVAs to log
 */
struct vfio_user_device_feature_dma_logging_control {
	__u64 page_size;
	__u32 num_ranges;
	__u32 reserved;
	struct vfio_user_device_feature_dma_logging_range ranges[];
};

static_assert(sizeof(struct vfio_user_device_feature_dma_logging_control) == 16,
	      "wire format");

/**
 * struct vfio_user_device_feature_dma_logging_report - pages that were written
 * @iova: first byte of the range
 * @length: bytes
 * @page_size: number of bytes for which one bit stands, a power of two
 * @bitmap: reply: one bit for each page, in 64-bit words
 */
struct vfio_user_device_feature_dma_logging_report {
	__u64 iova;
	__u64 length;
	__u64 page_size;
	__u64 bitmap[];
};

static_assert(sizeof(struct vfio_user_device_feature_dma_logging_report) == 24,
	      "wire format");

#endif /* _UAPI_VFIO_USER_H */
