/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vfio-user-mdev: the interface between vfio_user_mdev.ko and its helper.
 *
 * For each mdev there is a channel, /dev/vfio-user/<uuid>, mode 0600, with one
 * opener at a time (a second open() fails with EBUSY). The helper opens it,
 * connects to the mdev's server, negotiates VFIO_USER_VERSION, and attaches
 * the connection with VUM_ATTACH. From then on the channel carries vfio-user
 * messages as they are, header included: the helper reads messages for the server,
 * and writes messages from the server.
 *
 * Each read() returns one whole message, and each write() submits one. Messages
 * with file descriptors need VUM_RECV and VUM_SEND, which do the same and
 * carry messages without descriptors as well.
 *
 * If the connection is a local stream socket, the helper can hand the socket over:
 * see VUM_ATTACH. Then the kernel itself sends and receives, and the helper only
 * lends its table of descriptors to messages that carry some: when poll() reports
 * EPOLLIN, it calls VUM_CARRY. Such an attachment, once in VUM_STATE_ATTACHED,
 * outlives the helper: the next helper takes it over with VUM_RESUME.
 *
 * Any other attachment ends when the channel is closed. Every attachment ends when
 * the server hangs up, breaks the protocol or is detached, or when the mdev is
 * removed. poll() then reports EPOLLHUP; all other calls fail with EPIPE, or with
 * ENODEV once the mdev is gone. To attach again, close the channel and open it anew.
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
 * The release. The module's modinfo, the programs' --version and the packages all have it
 * from this line.
 */
#define VUM_RELEASE		"0.2"

/*
 * The version of everything in this file. Module and helper refuse each other unless
 * both have the same; releases with the same one go together.
 */
#define VUM_API_VERSION		4

/* The path of an mdev's channel is this, followed by the mdev's uuid. */
#define VUM_CHANNEL_DIR		"/dev/vfio-user/"
/* The path of an mdev's socket is this, unless vfio_user/socket says otherwise. */
#define VUM_SOCKET_DIR		"/run/vfio-user/"
#define VUM_SOCKET_SUFFIX	".sock"

/* The limits of this project as a client, which VFIO_USER_VERSION tells servers. */
#define VUM_MAX_MSG_FDS		64
#define VUM_MAX_DATA_XFER_SIZE	1048576
/* The longest text in this interface, in bytes, with its NUL. */
#define VUM_MAX_TEXT		128
/* The longest message that the channel carries: data, and room for any header. */
#define VUM_MAX_MSG_SIZE	(VUM_MAX_DATA_XFER_SIZE + 4096)

#define VUM_IOC_TYPE		0xb5

/**
 * VUM_GET_API_VERSION - get the version of the interface that the module speaks
 *
 * Works before VUM_ATTACH. This ioctl will never change.
 *
 * Return: the VUM_API_VERSION that the module was built with.
 */
#define VUM_GET_API_VERSION	_IO(VUM_IOC_TYPE, 0)

/* In vum_attach.flags: @socket can be handed over. */
#define VUM_ATTACH_SOCKET	(1 << 0)
/* In vum_attach.flags: the server has the capability "migration". */
#define VUM_ATTACH_MIGRATION	(1 << 1)
/* In vum_attach.flags: @license is an SPDX expression. */
#define VUM_ATTACH_LICENSE	(1 << 2)
/* In vum_attach.flags, with VUM_ATTACH_LICENSE: one that is compatible with GPL-2.0. */
#define VUM_ATTACH_GPL		(1 << 3)
/* In vum_attach.flags: the server has the capability "write_multiple". */
#define VUM_ATTACH_WRITE_MULTI	(1 << 4)

/**
 * struct vum_attach - a negotiated connection
 * @argsz: size of this struct
 * @api_version: the caller's VUM_API_VERSION
 * @flags: VUM_ATTACH_*, or'ed
 * @max_msg_fds: most descriptors that the server takes in one message
 * @max_data_xfer_size: most bytes in one data transfer message to the server; at
 *	least 8, or the registers of a device could not be accessed
 * @max_dma_maps: most mappings that the server can hold
 * @pgsizes: page sizes that the server supports in mappings, or'ed
 * @minor: negotiated minor version
 * @reserved: 0
 * @server_pid: pid of the process that has sent the VERSION reply, by its
 *	SCM_CREDENTIALS; 0 if it has none here, in another PID namespace. VUM_RESUME returns
 *	what VUM_ATTR_SERVER_PID tells
 * @server_uid: that process's uid, likewise
 * @server_gid: that process's gid, likewise
 * @socket: with VUM_ATTACH_SOCKET: the connection, a connected AF_UNIX stream
 *	socket, from which nothing has been read beyond the VFIO_USER_VERSION
 *	reply; else 0
 * @reserved2: 0
 * @license: address of the licence that the server declares, a text of printable ASCII
 *	characters, its NUL included no longer than VUM_MAX_TEXT; 0 if it declares none
 *
 * The values come from the server's reply to VFIO_USER_VERSION. Those that it does
 * not name have the specification's defaults.
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
	__aligned_u64 license;
};

static_assert(sizeof(struct vum_attach) == 64, "interface");

/**
 * VUM_ATTACH - attach a negotiated connection to the mdev
 *
 * Argument: struct vum_attach.
 *
 * Return: 0 if the caller is to carry messages, with VUM_RECV and VUM_SEND; 1 if the
 * kernel has taken the socket and closed the caller's descriptor of it, and the
 * caller goes on with VUM_CARRY. The mdev's vfio_user/data_path decides which. If
 * another descriptor of that socket is open anywhere, the attachment ends at once.
 *
 * Errors: EPROTONOSUPPORT if @api_version is not the module's; EINVAL if a
 * field is out of range, a reserved one not 0 or @argsz too small; EISCONN if
 * this opener has attached before, or VUM_RESUME would find an attachment, or the
 * mdev is handed to another socket since the channel was opened;
 * EREMOTEIO if the device has failed (its DMA, see VUM_ATTR_REASON), until its
 * consumer closes it; ENODEV if the mdev is gone; EBADF, ENOTSOCK or EPROTOTYPE if @socket is not
 * as described above; EPROTOTYPE if there is none although data_path is "kernel";
 * EBUSY if the kernel uses @socket for something else, such as a BPF map; ENOMEM;
 * EFAULT.
 */
#define VUM_ATTACH		_IO(VUM_IOC_TYPE, 1)

/**
 * struct vum_message - a message and its descriptors
 * @argsz: size of this struct
 * @flags: 0
 * @buf: the message, header included
 * @size: VUM_SEND: bytes of the message. VUM_RECV: room at @buf; set to the
 *	message's size.
 * @nr_fds: VUM_SEND: number of descriptors. VUM_RECV: room at @fds, in descriptors;
 *	set to the number received.
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
 * Return: 0; EAGAIN if there is no message; ENOTCONN before VUM_ATTACH; EBUSY if the
 * kernel has the socket; EMSGSIZE if @size or @nr_fds is too small: then the sizes
 * needed are stored there, and the message stays the next one; EPIPE or ENODEV as
 * said at the top. read() fails with EMSGSIZE also if the next message carries
 * descriptors.
 */
#define VUM_RECV		_IO(VUM_IOC_TYPE, 2)

/**
 * VUM_SEND - submit a message from the server
 *
 * Argument: struct vum_message. The descriptors stay the caller's.
 *
 * Return: 0; EINVAL if this is not one message (too short, too long, or a size in the
 * header that differs from @size), which changes nothing; EAGAIN if the kernel holds too
 * many commands of the server, and answers to them, to take one more: wait for EPOLLOUT;
 * EPROTO if the message breaks the protocol, which has ended the attachment; ENOTCONN
 * before VUM_ATTACH; EBUSY if the kernel has the socket; EPIPE or ENODEV as said
 * at the top.
 */
#define VUM_SEND		_IO(VUM_IOC_TYPE, 3)

/**
 * struct vum_carry - memory through which descriptors pass
 * @argsz: size of this struct
 * @size: bytes at @buf: at least CMSG_SPACE(VUM_MAX_MSG_FDS * 4)
 * @buf: where the kernel's own recvmsg() puts control messages; its content after the
 *	call has no meaning
 */
struct vum_carry {
	__u32 argsz;
	__u32 size;
	__aligned_u64 buf;
};

static_assert(sizeof(struct vum_carry) == 16, "interface");

/**
 * VUM_CARRY - send and receive the messages that carry descriptors
 *
 * Argument: struct vum_carry. Never blocks in the socket. Needs VUM_MAX_MSG_FDS
 * free descriptors for the time of the call.
 *
 * Return: 0, also if there was nothing to do; EINVAL if @argsz or @size is too
 * small; EMFILE if there are too few free descriptors, and then nothing is lost;
 * EFAULT; ENOTCONN before VUM_ATTACH or VUM_RESUME; EPIPE or ENODEV as said at
 * the top; EPIPE also if the kernel does not have the socket.
 */
#define VUM_CARRY		_IO(VUM_IOC_TYPE, 4)

/**
 * VUM_RESUME - take over an attachment whose helper has gone
 *
 * Argument: struct vum_attach with @argsz and @api_version; what the last helper
 * attached is stored there, without @flags and @socket.
 *
 * Return: 0: go on with VUM_CARRY; ENOTCONN if there is no such attachment: find
 * a server, then VUM_ATTACH; EISCONN if this opener has attached before;
 * EPROTONOSUPPORT, EINVAL, ENODEV, EFAULT as VUM_ATTACH.
 */
#define VUM_RESUME		_IO(VUM_IOC_TYPE, 5)

/* The reason for the end of an attachment whose server has closed its socket. */
#define VUM_WHY_HANGUP		"the server hung up"

/* In vum_end.flags: the server is at fault: the state is to be VUM_STATE_BROKEN. */
#define VUM_END_BROKEN		(1 << 0)

/**
 * struct vum_end - why there is no attachment any more, or none yet
 * @argsz: size of this struct
 * @flags: VUM_END_BROKEN or 0
 * @reason: address of a text of printable ASCII characters, not empty, its NUL included no
 *	longer than VUM_MAX_TEXT
 */
struct vum_end {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 reason;
};

static_assert(sizeof(struct vum_end) == 16, "interface");

/**
 * VUM_END - end the attachment of this opener, or say why it does not attach a server
 *
 * Argument: struct vum_end. The reason is what VUM_ATTR_REASON and VUM_SERVER_WHY tell.
 *
 * Return: 0; EINVAL if a field is out of range; ENOTCONN if there is nothing to end, and
 * VUM_END_BROKEN is not set; EISCONN if VUM_RESUME would find an attachment; EREMOTEIO as
 * VUM_ATTACH; ENODEV if the mdev is gone; ENOMEM; EFAULT.
 */
#define VUM_END			_IO(VUM_IOC_TYPE, 6)

/*
 * Generic netlink.
 */
#define VUM_GENL_NAME		"vfio_user_mdev"
#define VUM_GENL_VERSION	1
#define VUM_GENL_MCGRP_EVENTS	"events"

/*
 * The latency of replies, by command. Bucket 0 counts the replies that took less than
 * 2^VUM_LATENCY_SHIFT ns, bucket n those that took longer but less than
 * 2^(VUM_LATENCY_SHIFT + n) ns, and the last bucket all that took longer still.
 */
#define VUM_LATENCY_CMDS	19
#define VUM_LATENCY_BUCKETS	24
#define VUM_LATENCY_SHIFT	9

/**
 * enum vum_cmd - generic netlink commands
 * @VUM_CMD_UNSPEC: invalid
 * @VUM_CMD_GET_DEVICE: request: one mdev (VUM_ATTR_UUID), or all of them (dump);
 *	reply: the mdev's VUM_ATTR_*
 * @VUM_CMD_EVENT: multicast to VUM_GENL_MCGRP_EVENTS: VUM_ATTR_EVENT and the
 *	attributes that VUM_CMD_GET_DEVICE replies
 * @VUM_CMD_GET_STATS: request: one mdev (VUM_ATTR_UUID), or all of them (dump);
 *	reply: VUM_ATTR_UUID, the counters, VUM_ATTR_DMA_EVICTED and VUM_ATTR_LATENCY
 * @VUM_CMD_GET_SERVERS: request: one mdev (VUM_ATTR_UUID); reply: VUM_ATTR_UUID and
 *	VUM_ATTR_SERVERS
 */
enum vum_cmd {
	VUM_CMD_UNSPEC,
	VUM_CMD_GET_DEVICE,
	VUM_CMD_EVENT,
	VUM_CMD_GET_STATS,
	VUM_CMD_GET_SERVERS,
};

#define VUM_CMD_MAX VUM_CMD_GET_SERVERS

/**
 * enum vum_attr - generic netlink attributes
 * @VUM_ATTR_UNSPEC: invalid
 * @VUM_ATTR_PAD: padding
 * @VUM_ATTR_API_VERSION: u32, the module's VUM_API_VERSION
 * @VUM_ATTR_EVENT: u32, enum vum_event
 * @VUM_ATTR_UUID: string, the mdev's name in sysfs
 * @VUM_ATTR_TYPE: string, the mdev type ("vfio-user-pci")
 * @VUM_ATTR_STATE: u32, enum vum_state
 * @VUM_ATTR_OPEN: flag, a consumer has the device open
 * @VUM_ATTR_SOCKET: string, path of the server's socket
 * @VUM_ATTR_SERVER_PID: u32, while attached: pid, in the initial PID namespace, of the
 *	process that has sent the server's last message, as far as the kernel has seen: on
 *	the data path "relay", the VERSION reply. 0 if it is not known
 * @VUM_ATTR_SERVER_UID: u32, while attached: that process's uid
 * @VUM_ATTR_SERVER_GID: u32, while attached: that process's gid
 * @VUM_ATTR_REASON: string, why the state is VUM_STATE_BROKEN; or why the last attachment
 *	has ended, if it is VUM_STATE_DETACHED and there was one
 * @VUM_ATTR_REQUESTS: u64, requests queued since the mdev was created
 * @VUM_ATTR_ABORTED: u64, requests that ended without a reply
 * @VUM_ATTR_ERRORS: u64, requests to which the server replied with an error
 * @VUM_ATTR_ATTACHES: u64, number of attachments
 * @VUM_ATTR_DMA: string, how the consumer's memory was announced to the server:
 *	"mmap", "file", "message", "none" or "share"
 * @VUM_ATTR_PINNED: u64, pages of the consumer's that are pinned for the server
 * @VUM_ATTR_DMA_FAULTS: u64, the server's accesses to IOVAs that the consumer has not
 *	mapped, or not for this kind of access
 * @VUM_ATTR_DMA_ANNOUNCE: string, what the server is told of memory: "exact", each of
 *	the consumer's mappings, or "aperture", one range for all IOVAs
 * @VUM_ATTR_DMA_MAPPINGS: u32, number of DMA_MAPs that the server knows at present
 * @VUM_ATTR_DMA_INEXACT: string, why the server is told an aperture although the
 *	mdev's vfio_user/dma_announce says "exact"
 * @VUM_ATTR_DATA_PATH: string, while attached: "relay", the helper carries
 *	messages, or "kernel", the module itself has the server's socket
 * @VUM_ATTR_HELPER: flag, a helper has the channel open
 * @VUM_ATTR_LATENCY: nested enum vum_latency_attr, one for each command that has had
 *	a reply
 * @VUM_ATTR_DMA_EVICTED: u64, pages of the consumer's that were unpinned to make room
 *	for others, because of a limit or for want of memory
 * @VUM_ATTR_NOTES: nested VUM_NOTE, what the device goes without in this attachment, or
 *	did in the last
 * @VUM_ATTR_SERVER_ENDED: flag, that process has ended; another one has the connection
 * @VUM_ATTR_DMA_FILES: u32, how many of @VUM_ATTR_DMA_MAPPINGS have shown the server a
 *	file of the consumer's, as "share" does where the memory is in one
 * @VUM_ATTR_SERVERS: nested VUM_SERVER, one for each of the last 16 servers that were
 *	attached, or refused for their licence; the present or last one first
 * @VUM_ATTR_CONSUMER_PID: u32, while VUM_ATTR_OPEN: pid, in the initial PID namespace, of the
 *	process that has opened the device
 * @VUM_ATTR_REFUSED: nested VUM_REFUSED, one for each command to which a server has replied
 *	with an error since the mdev was created
 * @VUM_ATTR_SERVER_LICENSE: string, while attached: as VUM_SERVER_LICENSE
 * @VUM_ATTR_SINCE: u64, when the attachment began, in seconds since 1970; or ended, or the
 *	server was refused, if the state is VUM_STATE_DETACHED or VUM_STATE_BROKEN. Missing if
 *	there was none
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
	VUM_ATTR_DMA_EVICTED,
	VUM_ATTR_NOTES,
	VUM_ATTR_SERVER_ENDED,
	VUM_ATTR_DMA_FILES,
	VUM_ATTR_SERVERS,
	VUM_ATTR_CONSUMER_PID,
	VUM_ATTR_REFUSED,
	VUM_ATTR_SERVER_LICENSE,
	VUM_ATTR_SINCE,
};

#define VUM_ATTR_MAX VUM_ATTR_SINCE

/**
 * enum vum_note_attr - attributes within VUM_ATTR_NOTES, and within VUM_NOTE
 * @VUM_NOTE_UNSPEC: invalid
 * @VUM_NOTE: nested VUM_NOTE_TEXT and VUM_NOTE_COUNT
 * @VUM_NOTE_TEXT: string, what the device goes without, and why
 * @VUM_NOTE_COUNT: u32, how often that has happened
 */
enum vum_note_attr {
	VUM_NOTE_UNSPEC,
	VUM_NOTE,
	VUM_NOTE_TEXT,
	VUM_NOTE_COUNT,
};

#define VUM_NOTE_MAX VUM_NOTE_COUNT

/**
 * enum vum_refused_attr - attributes within VUM_ATTR_REFUSED, and within VUM_REFUSED
 * @VUM_REFUSED_UNSPEC: invalid
 * @VUM_REFUSED: nested, one command
 * @VUM_REFUSED_CMD: u32, enum vfio_user_command
 * @VUM_REFUSED_COUNT: u32, how often it was refused
 * @VUM_REFUSED_ERRNO: u32, the errno of the last refusal; 0 if the server named none
 */
enum vum_refused_attr {
	VUM_REFUSED_UNSPEC,
	VUM_REFUSED,
	VUM_REFUSED_CMD,
	VUM_REFUSED_COUNT,
	VUM_REFUSED_ERRNO,
};

#define VUM_REFUSED_MAX VUM_REFUSED_ERRNO

/**
 * enum vum_server_attr - attributes within VUM_ATTR_SERVERS, and within VUM_SERVER
 * @VUM_SERVER_UNSPEC: invalid
 * @VUM_SERVER_PAD: padding
 * @VUM_SERVER: nested, one server
 * @VUM_SERVER_PID: u32, as VUM_ATTR_SERVER_PID, as of the attachment's end
 * @VUM_SERVER_UID: u32, that process's uid
 * @VUM_SERVER_GID: u32, that process's gid
 * @VUM_SERVER_EXE: string, path of the executable of the process that answered VERSION, its
 *	last 127 bytes, with '?' for what cannot be printed; empty if it is not known, or
 *	the caller lacks CAP_NET_ADMIN
 * @VUM_SERVER_LICENSE: string, the licence that the server declares; empty if it
 *	declares none
 * @VUM_SERVER_GPL: flag, that is an SPDX expression that is compatible with GPL-2.0
 * @VUM_SERVER_FROM: u64, when it was attached, the first time, in seconds since 1970
 * @VUM_SERVER_UNTIL: u64, when that ended, the last time; 0 if it has not
 * @VUM_SERVER_TIMES: u32, how often it was attached in a row, and ended the same way
 * @VUM_SERVER_WHY: string, why it ended; empty if it has not
 */
enum vum_server_attr {
	VUM_SERVER_UNSPEC,
	VUM_SERVER_PAD,
	VUM_SERVER,
	VUM_SERVER_PID,
	VUM_SERVER_UID,
	VUM_SERVER_GID,
	VUM_SERVER_EXE,
	VUM_SERVER_LICENSE,
	VUM_SERVER_GPL,
	VUM_SERVER_FROM,
	VUM_SERVER_UNTIL,
	VUM_SERVER_TIMES,
	VUM_SERVER_WHY,
};

#define VUM_SERVER_MAX VUM_SERVER_WHY

/**
 * enum vum_latency_attr - attributes within VUM_ATTR_LATENCY
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
 * enum vum_state - the state of an mdev's connection to its server
 * @VUM_STATE_DETACHED: no server is attached; accesses fail with EIO
 * @VUM_STATE_ATTACHING: a server is being asked what its device looks like; accesses
 *	wait for the outcome
 * @VUM_STATE_ATTACHED: the server is in working order
 * @VUM_STATE_BROKEN: the server was detached since it misbehaved or ran into
 *	timeout_ms; as VUM_STATE_DETACHED, until a server is attached again
 */
enum vum_state {
	VUM_STATE_DETACHED,
	VUM_STATE_ATTACHING,
	VUM_STATE_ATTACHED,
	VUM_STATE_BROKEN,
};

/**
 * enum vum_event - what happened to an mdev
 * @VUM_EVENT_CREATED: the mdev was created
 * @VUM_EVENT_REMOVED: the mdev was removed
 * @VUM_EVENT_ATTACHED: the server is attached and its device known
 * @VUM_EVENT_DETACHED: the server is gone, or was detached
 * @VUM_EVENT_OPENED: a consumer has opened the device
 * @VUM_EVENT_CLOSED: the consumer has closed the device
 * @VUM_EVENT_BROKEN: the server misbehaved; VUM_ATTR_REASON says how
 * @VUM_EVENT_CHANGED: VUM_ATTR_SOCKET has changed; connect to the new socket
 * @VUM_EVENT_OPEN_FAILED: a consumer could not open the device, since no server was attached
 *	in time
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
	VUM_EVENT_OPEN_FAILED,
};

#endif /* _UAPI_VFIO_USER_MDEV_H */
