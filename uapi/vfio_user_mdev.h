/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vfio-user-mdev: between vfio_user_mdev.ko and its helper.
 *
 * For each mdev there is a channel, /dev/vfio-user/<uuid>, mode 0600, with one
 * opener at a time (a second open() fails with EBUSY). The helper opens it,
 * connects to the mdev's server, negotiates VFIO_USER_VERSION, and attaches
 * the connection with VUM_ATTACH. From then on the channel carries vfio-user
 * messages as they are, header included: those read are for the server, those
 * written come from the server.
 *
 * One read() returns one whole message, one write() submits one. Messages
 * with file descriptors need VUM_RECV and VUM_SEND, which do the same and
 * carry messages without descriptors as well.
 *
 * If the connection is a local stream socket, the helper can hand that over:
 * see VUM_ATTACH. Then the kernel itself sends and receives. What is left to the
 * helper is to lend its table of descriptors to messages that carry some: when
 * poll() reports EPOLLIN, it calls VUM_CARRY. Such an attachment outlives the
 * helper: the next one takes it over with VUM_RESUME.
 *
 * Any other attachment ends when the channel is closed, and each one when the
 * server hangs up or breaks the protocol, or when the mdev goes. poll() then
 * reports EPOLLHUP; everything else fails with EPIPE, or with ENODEV once the
 * mdev is gone. To attach again, close the channel and open it anew.
 */
#ifndef _UAPI_VFIO_USER_MDEV_H
#define _UAPI_VFIO_USER_MDEV_H

#include <linux/types.h>
#include <linux/ioctl.h>
#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

/*
 * Version of everything in this file. Module and helper must be of the same;
 * each refuses the other otherwise.
 */
#define VUM_API_VERSION		2

/* The channel of an mdev is this, followed by its uuid. */
#define VUM_CHANNEL_DIR		"/dev/vfio-user/"
/* The socket of an mdev, unless vfio_user/socket says otherwise. */
#define VUM_SOCKET_DIR		"/run/vfio-user/"
#define VUM_SOCKET_SUFFIX	".sock"

/* What the client side of this project takes; told to servers in VERSION. */
#define VUM_MAX_MSG_FDS		64
#define VUM_MAX_DATA_XFER_SIZE	1048576
/* The longest message the channel carries: data, and room for any header. */
#define VUM_MAX_MSG_SIZE	(VUM_MAX_DATA_XFER_SIZE + 4096)

#define VUM_IOC_TYPE		0xb5

/**
 * VUM_GET_API_VERSION - version of the interface that the module speaks
 *
 * Returns VUM_API_VERSION as the module was built with it. Works before
 * VUM_ATTACH and will never change.
 */
#define VUM_GET_API_VERSION	_IO(VUM_IOC_TYPE, 0)

/* In vum_attach.flags: @socket is there to be handed over. */
#define VUM_ATTACH_SOCKET	(1 << 0)

/**
 * struct vum_attach - a negotiated connection
 * @argsz: size of this struct
 * @api_version: the caller's VUM_API_VERSION
 * @flags: VUM_ATTACH_SOCKET, or 0
 * @max_msg_fds: how many descriptors the server takes in one message
 * @max_data_xfer_size: the most bytes in one data transfer message to the
 *	server; at least 8, or the registers of a device could not be accessed
 * @max_dma_maps: how many DMA mappings the server can hold
 * @pgsizes: page sizes that the server supports in DMA mappings, or'ed
 * @minor: negotiated minor version
 * @reserved: 0
 * @server_pid: SO_PEERCRED of the socket; 0 if it has none
 * @server_uid: the same
 * @server_gid: the same
 * @socket: with VUM_ATTACH_SOCKET: the connection, a connected AF_UNIX stream
 *	socket, from which nothing has been read beyond the VFIO_USER_VERSION
 *	reply; else 0
 * @reserved2: 0
 * @reserved3: 0
 *
 * The values come from the server's VFIO_USER_VERSION reply, the defaults of
 * the specification filled in.
 */
struct vum_attach {
	__u32 argsz;
	__u32 api_version;
	__u32 flags;
	__u32 max_msg_fds;
	__u32 max_data_xfer_size;
	__u32 max_dma_maps;
	__u64 pgsizes;
	__u16 minor;
	__u16 reserved;
	__s32 server_pid;
	__u32 server_uid;
	__u32 server_gid;
	__s32 socket;
	__u32 reserved2;
	__u64 reserved3;
};

static_assert(sizeof(struct vum_attach) == 64, "interface");

/**
 * VUM_ATTACH - attach a negotiated connection to the mdev
 *
 * Argument: struct vum_attach.
 *
 * Returns 0: the caller carries messages, with VUM_RECV and VUM_SEND; 1: the
 * kernel has taken the socket and closed the caller's descriptor, which has to
 * be the only one; the caller goes on with VUM_CARRY. The mdev's
 * vfio_user/data_path decides which.
 *
 * Errors: EPROTONOSUPPORT if @api_version is not the module's; EINVAL if a
 * field is out of range, a reserved one not 0 or @argsz too small; EISCONN if
 * this opener has attached before, or VUM_RESUME would find an attachment;
 * ENODEV if the mdev is gone; EBADF, ENOTSOCK or EPROTOTYPE if @socket is not
 * what it shall be; EPROTOTYPE if there is none although data_path is "kernel";
 * EBUSY if @socket is in a BPF map or otherwise not the caller's alone.
 */
#define VUM_ATTACH		_IO(VUM_IOC_TYPE, 1)

/**
 * struct vum_message - a message and its descriptors
 * @argsz: size of this struct
 * @flags: 0
 * @buf: the message, header included
 * @size: VUM_SEND: bytes of the message. VUM_RECV: room at @buf; set to the
 *	message's size.
 * @nr_fds: VUM_SEND: number of descriptors. VUM_RECV: room at @fds; set to
 *	the number received.
 * @fds: array of __s32
 */
struct vum_message {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 buf;
	__u32 size;
	__u32 nr_fds;
	__aligned_u64 fds;
};

static_assert(sizeof(struct vum_message) == 32, "interface");

/**
 * VUM_RECV - take the next message for the server
 *
 * Argument: struct vum_message. The descriptors are new ones, close-on-exec,
 * owned by the caller. Blocks unless O_NONBLOCK is set.
 *
 * Returns 0; EAGAIN if there is none; ENOTCONN before VUM_ATTACH; EBUSY if the
 * kernel has the socket; EMSGSIZE if
 * @size or @nr_fds is too small, with what is needed stored there, and the
 * message stays the next one; EPIPE or ENODEV as said at the top. read() fails
 * with EMSGSIZE as well where the next message carries descriptors.
 */
#define VUM_RECV		_IO(VUM_IOC_TYPE, 2)

/**
 * VUM_SEND - submit a message from the server
 *
 * Argument: struct vum_message. The descriptors stay the caller's.
 *
 * Returns 0; EINVAL if this is not one message (too short, too long, or a
 * size in the header that differs from @size), which changes nothing; EAGAIN
 * if 64 answers to commands of the server are waiting: take one with VUM_RECV
 * and try again; EPROTO
 * if the message breaks the protocol: the attachment has ended; ENOTCONN
 * before VUM_ATTACH; EBUSY if the kernel has the socket; EPIPE or ENODEV as said
 * at the top.
 */
#define VUM_SEND		_IO(VUM_IOC_TYPE, 3)

/**
 * struct vum_carry - memory for descriptors to pass through
 * @argsz: size of this struct
 * @size: bytes at @buf: at least CMSG_SPACE(VUM_MAX_MSG_FDS * 4)
 * @buf: where the kernel's own recvmsg() puts control messages; what is left
 *	there means nothing
 */
struct vum_carry {
	__u32 argsz;
	__u32 size;
	__aligned_u64 buf;
};

static_assert(sizeof(struct vum_carry) == 16, "interface");

/**
 * VUM_CARRY - send and receive what carries descriptors
 *
 * Argument: struct vum_carry. Never blocks in the socket. Needs VUM_MAX_MSG_FDS
 * free descriptors for the time of the call.
 *
 * Returns 0, also if there was nothing to do; EINVAL if @argsz or @size is too
 * small; EMFILE if there are too few descriptors left, and nothing is lost;
 * EFAULT; ENOTCONN before VUM_ATTACH or VUM_RESUME; EPIPE or ENODEV as said at
 * the top, EPIPE as well if the kernel does not have the socket.
 */
#define VUM_CARRY		_IO(VUM_IOC_TYPE, 4)

/**
 * VUM_RESUME - take over an attachment whose helper has gone
 *
 * Argument: struct vum_attach with @argsz and @api_version; what the last helper
 * attached is stored there, without @flags and @socket.
 *
 * Returns 0: go on with VUM_CARRY; ENOTCONN if there is no such attachment: find
 * a server, then VUM_ATTACH; EISCONN if this opener has attached before;
 * EPROTONOSUPPORT, EINVAL, ENODEV as VUM_ATTACH.
 */
#define VUM_RESUME		_IO(VUM_IOC_TYPE, 5)

/*
 * Generic netlink.
 */
#define VUM_GENL_NAME		"vfio_user_mdev"
#define VUM_GENL_VERSION	1
#define VUM_GENL_MCGRP_EVENTS	"events"

/*
 * Latency: of replies, by command. Bucket 0 counts those that took less than
 * 2^VUM_LATENCY_SHIFT ns, bucket n those below 2^(VUM_LATENCY_SHIFT + n) ns, the
 * last one all that took longer than the one before says.
 */
#define VUM_LATENCY_CMDS	19
#define VUM_LATENCY_BUCKETS	24
#define VUM_LATENCY_SHIFT	9

/**
 * enum vum_cmd - generic netlink commands
 * @VUM_CMD_UNSPEC: invalid
 * @VUM_CMD_GET_DEVICE: request: one mdev (VUM_ATTR_UUID), or all of them
 *	(dump); answer: its VUM_ATTR_*
 * @VUM_CMD_EVENT: multicast to VUM_GENL_MCGRP_EVENTS: VUM_ATTR_EVENT and what
 *	VUM_CMD_GET_DEVICE answers
 * @VUM_CMD_GET_STATS: request: one mdev (VUM_ATTR_UUID), or all of them (dump);
 *	answer: VUM_ATTR_UUID, the counters and VUM_ATTR_LATENCY
 */
enum vum_cmd {
	VUM_CMD_UNSPEC,
	VUM_CMD_GET_DEVICE,
	VUM_CMD_EVENT,
	VUM_CMD_GET_STATS,
};

#define VUM_CMD_MAX VUM_CMD_GET_STATS

/**
 * enum vum_attr - generic netlink attributes
 * @VUM_ATTR_UNSPEC: invalid
 * @VUM_ATTR_PAD: padding
 * @VUM_ATTR_API_VERSION: u32, the module's VUM_API_VERSION
 * @VUM_ATTR_EVENT: u32, enum vum_event
 * @VUM_ATTR_UUID: string, as in sysfs
 * @VUM_ATTR_TYPE: string, the mdev type ("vfio-user-pci")
 * @VUM_ATTR_STATE: u32, enum vum_state
 * @VUM_ATTR_OPEN: flag, a consumer has the device open
 * @VUM_ATTR_SOCKET: string, path of the server's socket
 * @VUM_ATTR_SERVER_PID: u32, while attached
 * @VUM_ATTR_SERVER_UID: u32, while attached
 * @VUM_ATTR_SERVER_GID: u32, while attached
 * @VUM_ATTR_REASON: string, why the device is broken
 * @VUM_ATTR_REQUESTS: u64, requests sent since the mdev was created
 * @VUM_ATTR_ABORTED: u64, requests that ended without an answer
 * @VUM_ATTR_ERRORS: u64, requests that the server answered with an error
 * @VUM_ATTR_ATTACHES: u64, how often a server was attached
 * @VUM_ATTR_DMA: string, how the consumer's memory was announced to the server:
 *	"mmap", "file", "message" or "none"
 * @VUM_ATTR_PINNED: u64, pages of the consumer's that the server has touched
 * @VUM_ATTR_DMA_FAULTS: u64, accesses of the server's to IOVAs that nobody has
 *	mapped, or not for this
 * @VUM_ATTR_DMA_ANNOUNCE: string, what of it is announced: "exact", each of the
 *	consumer's mappings, or "aperture", one range for all that there may be
 * @VUM_ATTR_DMA_MAPPINGS: u32, how many DMA_MAPs the server knows at present
 * @VUM_ATTR_DMA_INEXACT: string, why it is an aperture although the mdev's
 *	vfio_user/dma_announce says "exact"
 * @VUM_ATTR_DATA_PATH: string, while attached: "relay", the helper carries
 *	messages, or "kernel", the module itself has the server's socket
 * @VUM_ATTR_HELPER: flag, a helper has the channel open
 * @VUM_ATTR_LATENCY: nested, one for each command that has been answered: enum
 *	vum_latency_attr
 */
enum vum_attr {
	VUM_ATTR_UNSPEC,
	VUM_ATTR_PAD,
	VUM_ATTR_API_VERSION,
	VUM_ATTR_EVENT,
	VUM_ATTR_UUID,
	VUM_ATTR_TYPE,
	VUM_ATTR_STATE,
	VUM_ATTR_OPEN,
	VUM_ATTR_SOCKET,
	VUM_ATTR_SERVER_PID,
	VUM_ATTR_SERVER_UID,
	VUM_ATTR_SERVER_GID,
	VUM_ATTR_REASON,
	VUM_ATTR_REQUESTS,
	VUM_ATTR_ABORTED,
	VUM_ATTR_ERRORS,
	VUM_ATTR_ATTACHES,
	VUM_ATTR_DMA,
	VUM_ATTR_PINNED,
	VUM_ATTR_DMA_FAULTS,
	VUM_ATTR_DMA_ANNOUNCE,
	VUM_ATTR_DMA_MAPPINGS,
	VUM_ATTR_DMA_INEXACT,
	VUM_ATTR_DATA_PATH,
	VUM_ATTR_HELPER,
	VUM_ATTR_LATENCY,
};

#define VUM_ATTR_MAX VUM_ATTR_LATENCY

/**
 * enum vum_latency_attr - in VUM_ATTR_LATENCY
 * @VUM_LATENCY_UNSPEC: invalid
 * @VUM_LATENCY_CMD: u32, enum vfio_user_command
 * @VUM_LATENCY_COUNTS: u64[VUM_LATENCY_BUCKETS], replies by the time they took
 */
enum vum_latency_attr {
	VUM_LATENCY_UNSPEC,
	VUM_LATENCY_CMD,
	VUM_LATENCY_COUNTS,
};

#define VUM_LATENCY_MAX VUM_LATENCY_COUNTS

/**
 * enum vum_state - of an mdev
 * @VUM_STATE_DETACHED: no server; accesses fail with EIO
 * @VUM_STATE_ATTACHING: a server is there and is being asked what its device
 *	looks like; accesses wait for the outcome
 * @VUM_STATE_ATTACHED: in working order
 * @VUM_STATE_BROKEN: the server misbehaved or ran into timeout_ms; as
 *	DETACHED, until a server is attached again
 */
enum vum_state {
	VUM_STATE_DETACHED,
	VUM_STATE_ATTACHING,
	VUM_STATE_ATTACHED,
	VUM_STATE_BROKEN,
};

/**
 * enum vum_event - what happened to an mdev
 * @VUM_EVENT_CREATED: it appeared
 * @VUM_EVENT_REMOVED: it went
 * @VUM_EVENT_ATTACHED: its server is attached and its device known
 * @VUM_EVENT_DETACHED: its server is gone
 * @VUM_EVENT_OPENED: a consumer has opened it
 * @VUM_EVENT_CLOSED: the consumer has closed it
 * @VUM_EVENT_BROKEN: its server misbehaved; VUM_ATTR_REASON says how
 * @VUM_EVENT_CHANGED: VUM_ATTR_SOCKET is a new one; connect to that
 */
enum vum_event {
	VUM_EVENT_CREATED,
	VUM_EVENT_REMOVED,
	VUM_EVENT_ATTACHED,
	VUM_EVENT_DETACHED,
	VUM_EVENT_OPENED,
	VUM_EVENT_CLOSED,
	VUM_EVENT_BROKEN,
	VUM_EVENT_CHANGED,
};

#endif /* _UAPI_VFIO_USER_MDEV_H */
