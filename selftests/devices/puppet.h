/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vum-puppet: a PCI device that does what it is told, also what no device
 * should do. This is what it looks like to the tests that pull its strings.
 *
 * BAR0	memory, nothing but memory (64 KiB, or --bar0-size), or, with --io-bar0,
 *	I/O space that behaves the same
 * BAR1	a pattern: the 32-bit word at offset o reads as o ^ PUPPET_PATTERN,
 *	smaller and unaligned reads as the bytes of those words; writes are
 *	ignored
 * BAR2	control registers, below: 32 bits, little-endian
 * BAR3	what memory the client has announced: struct puppet_announced
 * BAR4	memory where the MSI-X table and PBA are
 * region 9 (--region9-caps) memory that can be mapped
 *
 * IRQs: INTx 1, MSI 4, MSI-X 64 (or --msix), ERR 1, REQ 1.
 */
#ifndef PUPPET_H
#define PUPPET_H

#include <stdint.h>

#define PUPPET_VENDOR_ID	0x1b36
#define PUPPET_DEVICE_ID	0x0005
#define PUPPET_CLASS		0x00ff00

#define PUPPET_BAR0_SIZE	0x10000
#define PUPPET_BAR1_SIZE	0x10000
#define PUPPET_BAR2_SIZE	0x1000
#define PUPPET_BAR3_SIZE	0x40000
#define PUPPET_BAR4_SIZE	0x10000
#define PUPPET_REGION9		9
#define PUPPET_REGION9_SIZE	0x2000
#define PUPPET_NR_MSI		4
#define PUPPET_NR_MSIX		64
#define PUPPET_MAX_MSIX		2048

#define PUPPET_PATTERN		0xa5a50000

/*
 * In BAR0: any word here, and this word there, have an eventfd; and any word at the third
 * place has that of MSI-X vector 0, once the client has set it.
 */
#define PUPPET_IO_FD_ANY	0x100
#define PUPPET_IO_FD_MATCH	0x104
#define PUPPET_IO_FD_DATA	0x600d
#define PUPPET_IO_FD_IRQ	0x108

/* A feature that no other device has: this many bytes, to be got and set. */
#define PUPPET_FEATURE		0x7f00
#define PUPPET_FEATURE_INVALID	0x7f02
#define PUPPET_FEATURE_SIZE	24

/**
 * struct puppet_announced - BAR3, to be read from its beginning
 * @nr: DMA_MAPs that hold
 * @reserved: 0
 * @maps: the latest first; addresses, sizes, and 1 for read, 2 for write
 */
struct puppet_announced {
	uint32_t nr;
	uint32_t reserved;
	struct puppet_announced_map {
		uint64_t addr;
		uint64_t size;
		uint64_t prot;
	} maps[];
};

#define PUPPET_ANNOUNCED_MAX \
	((PUPPET_BAR3_SIZE - sizeof(struct puppet_announced)) / \
	 sizeof(struct puppet_announced_map))

/* Where the MSI-X structures are in BAR4, and the capabilities in config. */
#define PUPPET_MSIX_TABLE	0x0000
#define PUPPET_MSIX_PBA		0x8000
#define PUPPET_CAP_MSI		0x50
#define PUPPET_CAP_MSIX		0x70

/**
 * enum puppet_register - BAR2; accesses have to be aligned and of 4 bytes
 * @PUPPET_MAGIC: ro: PUPPET_MAGIC_VALUE
 * @PUPPET_FAULT: rw: an enum puppet_fault, for the next message that carries
 *	PUPPET_FAULT_CMD and, if that is a region read or write, is for BAR1.
 *	Reads as 0 again once it has struck. It outlives the connection, so that
 *	it can strike the VERSION of the next one. Set it last.
 * @PUPPET_FAULT_ARG: rw: argument of the fault
 * @PUPPET_FAULT_CMD: rw: which command to strike; 9 (REGION_READ) at first
 * @PUPPET_GATHER: rw: n > 0: answers to reads of BAR1 are withheld until n are
 *	waiting, then sent in reverse order of arrival. A smaller n, or 0, sets
 *	free what is waiting.
 * @PUPPET_MAX_OVERLAP: rw: most reads of BAR1 without an answer at one time;
 *	any write resets it
 * @PUPPET_TRIGGER: wo: index << 16 | sub-index: fire that interrupt. INTx has
 *	its line raised.
 * @PUPPET_INTX_LEVEL: rw: 1: the interrupt line is asserted
 * @PUPPET_NR_SET_IRQS: ro: SET_IRQS messages so far, good or bad
 * @PUPPET_NR_RESETS: ro: resets so far
 * @PUPPET_NR_VECTORS: ro: MSI-X sub-indexes that have an eventfd now
 * @PUPPET_MAX_FDS: ro: most descriptors in one message so far
 * @PUPPET_NR_CONNECTIONS: ro: connections so far
 * @PUPPET_INTX_MASKED: ro: 1: INTx is masked, by the client or by itself
 * @PUPPET_DMA_RESULT: ro: errno of the last PUPPET_FAULT_DMA_READ, 0 if the
 *	client answered with data
 * @PUPPET_NR_READS: ro: reads of BAR0 and BAR1 so far
 * @PUPPET_NR_WRITES: ro: writes to BAR0 and BAR1 so far
 * @PUPPET_NR_MULTI: ro: messages REGION_WRITE_MULTI so far
 * @PUPPET_LAST_COUNT: ro: bytes of the last access to BAR0
 * @PUPPET_RESETS_TO_RUN: ro: resets between the last stop and the run that followed
 * @PUPPET_DMA_DATA: ro: 16 bytes: what the last PUPPET_FAULT_DMA_READ brought
 * @PUPPET_DMA_OP: wo: an enum puppet_dma_op: the DMA engine does it. Client
 *	memory is reached as --dma= says.
 * @PUPPET_DMA_IOVA: wo: 8 bytes, in two accesses
 * @PUPPET_DMA_IOVA2: wo: likewise: where a copy goes
 * @PUPPET_DMA_LENGTH: wo: bytes
 * @PUPPET_DMA_VALUE: wo: 4 bytes to be written over and over
 * @PUPPET_DMA_STATUS: ro: EINPROGRESS, or the errno with which it ended, 0 if
 *	it has done all
 * @PUPPET_DMA_SUM_RESULT: ro: sum of the bytes
 * @PUPPET_IO_FD_HITS: ro: signals of the eventfds that stand for writes to
 *	PUPPET_IO_FD_ANY and PUPPET_IO_FD_MATCH
 * @PUPPET_TRIGGER_DELAY: rw: microseconds that pass before PUPPET_TRIGGER fires
 * @PUPPET_TRIGGER_TIME: ro: 8 bytes: CLOCK_MONOTONIC when it last did, in ns
 * @PUPPET_DMA_TIME: ro: 8 bytes: what the last of the timed operations took, in
 *	ns
 *
 * No register is changed by a device reset but PUPPET_INTX_LEVEL and
 * PUPPET_NR_RESETS.
 */
enum puppet_register {
	PUPPET_MAGIC		= 0x00,
	PUPPET_FAULT		= 0x04,
	PUPPET_FAULT_ARG	= 0x08,
	PUPPET_FAULT_CMD	= 0x0c,
	PUPPET_GATHER		= 0x10,
	PUPPET_MAX_OVERLAP	= 0x14,
	PUPPET_TRIGGER		= 0x18,
	PUPPET_INTX_LEVEL	= 0x1c,
	PUPPET_NR_SET_IRQS	= 0x20,
	PUPPET_NR_RESETS	= 0x24,
	PUPPET_NR_VECTORS	= 0x28,
	PUPPET_MAX_FDS		= 0x2c,
	PUPPET_NR_CONNECTIONS	= 0x30,
	PUPPET_INTX_MASKED	= 0x34,
	PUPPET_DMA_RESULT	= 0x38,
	PUPPET_NR_READS		= 0x3c,
	PUPPET_NR_WRITES	= 0x40,
	PUPPET_LAST_COUNT	= 0x44,
	PUPPET_RESETS_TO_RUN	= 0x48,
	PUPPET_NR_MULTI		= 0x4c,
	PUPPET_DMA_DATA		= 0x50,
	PUPPET_DMA_OP		= 0x80,
	PUPPET_DMA_IOVA		= 0x84,
	PUPPET_DMA_IOVA2	= 0x8c,
	PUPPET_DMA_LENGTH	= 0x94,
	PUPPET_DMA_VALUE	= 0x98,
	PUPPET_DMA_STATUS	= 0x9c,
	PUPPET_DMA_SUM_RESULT	= 0xa0,
	PUPPET_IO_FD_HITS	= 0xb0,
	PUPPET_TRIGGER_DELAY	= 0xb4,
	PUPPET_TRIGGER_TIME	= 0xb8,
	PUPPET_DMA_TIME		= 0xc0,
};

/**
 * enum puppet_dma_op - what the DMA engine does
 * @PUPPET_DMA_FILL: write PUPPET_DMA_VALUE to all of PUPPET_DMA_IOVA
 * @PUPPET_DMA_SUM: add up the bytes there
 * @PUPPET_DMA_COPY: copy them to PUPPET_DMA_IOVA2
 * @PUPPET_DMA_HAMMER: as FILL, by mmap, in a process of its own, without end
 * @PUPPET_DMA_STOP: end that; status EFAULT if it had died of a SIGBUS
 * @PUPPET_DMA_PIN: by mmap, have the kernel take hold of one page there, as it does for
 *	direct I/O; status EFAULT where it cannot
 * @PUPPET_DMA_IN_TURN: by messages, ask for one byte there, and at once for one at
 *	PUPPET_DMA_IOVA2; status EPROTO if the second is answered first
 * @PUPPET_DMA_TIME_READ: fetch PUPPET_DMA_LENGTH bytes, at most 1 MiB,
 *	PUPPET_DMA_VALUE times
 * @PUPPET_DMA_TIME_LOADS: by mmap, load a word of every page
 * @PUPPET_DMA_TIME_STORES: likewise, store one
 */
enum puppet_dma_op {
	PUPPET_DMA_FILL = 1,
	PUPPET_DMA_SUM,
	PUPPET_DMA_COPY,
	PUPPET_DMA_HAMMER,
	PUPPET_DMA_STOP,
	PUPPET_DMA_PIN,
	PUPPET_DMA_IN_TURN,
	PUPPET_DMA_TIME_READ,
	PUPPET_DMA_TIME_LOADS,
	PUPPET_DMA_TIME_STORES,
};

#define PUPPET_MAGIC_VALUE	0x74707570	/* "pupt" */
#define PUPPET_DMA_SIZE		16

/**
 * enum puppet_fault - what to do to one message
 * @PUPPET_FAULT_NONE: nothing
 * @PUPPET_FAULT_SHORT_REPLY: the payload lacks its last ARG (or 2) bytes;
 *	msg_size says so
 * @PUPPET_FAULT_LONG_REPLY: ARG (or 8) bytes follow the payload; msg_size says
 *	so
 * @PUPPET_FAULT_WRONG_ID: the reply has another msg_id
 * @PUPPET_FAULT_WRONG_CMD: the reply is to another command
 * @PUPPET_FAULT_ERROR: an error reply with errno ARG; the command is not done
 * @PUPPET_FAULT_TWICE: the reply comes twice
 * @PUPPET_FAULT_HUGE: a header with msg_size 0x7fffffff, and nothing after it
 * @PUPPET_FAULT_TINY: a header with msg_size 8
 * @PUPPET_FAULT_GARBAGE: 64 pseudo-random bytes, the same for the same ARG
 * @PUPPET_FAULT_SILENT: no reply, nor to the next ARG such messages
 * @PUPPET_FAULT_HANGUP: no reply, the connection is closed
 * @PUPPET_FAULT_EXIT: no reply, the process exits with status ARG
 * @PUPPET_FAULT_WRONG_REGION: region accesses: the echoed region is another
 * @PUPPET_FAULT_WRONG_COUNT: region accesses: the echoed count is one less, and
 *	so is the data
 * @PUPPET_FAULT_BAD_TYPE: the reply is neither command nor reply, but type 2
 * @PUPPET_FAULT_UNKNOWN_COMMAND: no reply, instead a command with number 99
 * @PUPPET_FAULT_EXTRA_FD: a descriptor comes with the reply
 * @PUPPET_FAULT_DELAY: the reply comes ARG milliseconds later; others do not
 *	wait for it
 * @PUPPET_FAULT_STOP: no reply to this message nor to any other ever again;
 *	the process lives on without looking at its socket
 * @PUPPET_FAULT_DMA_READ: before the reply, and waiting for its answer, a
 *	DMA_READ of 16 bytes at ARG. See PUPPET_DMA_RESULT.
 * @PUPPET_FAULT_UNSOLICITED: before the reply another one that nobody waits
 *	for
 * @PUPPET_FAULT_FLOOD: before the reply, three DMA_WRITEs of 1 MiB at IOVA ARG << 20
 *	that want no reply
 * @PUPPET_FAULT_REPLY: a good reply, also to a message that wants none, to this and
 *	the next ARG such messages
 * @PUPPET_NR_FAULTS: number of the above
 */
enum puppet_fault {
	PUPPET_FAULT_NONE,
	PUPPET_FAULT_SHORT_REPLY,
	PUPPET_FAULT_LONG_REPLY,
	PUPPET_FAULT_WRONG_ID,
	PUPPET_FAULT_WRONG_CMD,
	PUPPET_FAULT_ERROR,
	PUPPET_FAULT_TWICE,
	PUPPET_FAULT_HUGE,
	PUPPET_FAULT_TINY,
	PUPPET_FAULT_GARBAGE,
	PUPPET_FAULT_SILENT,
	PUPPET_FAULT_HANGUP,
	PUPPET_FAULT_EXIT,
	PUPPET_FAULT_WRONG_REGION,
	PUPPET_FAULT_WRONG_COUNT,
	PUPPET_FAULT_BAD_TYPE,
	PUPPET_FAULT_UNKNOWN_COMMAND,
	PUPPET_FAULT_EXTRA_FD,
	PUPPET_FAULT_DELAY,
	PUPPET_FAULT_STOP,
	PUPPET_FAULT_DMA_READ,
	PUPPET_FAULT_UNSOLICITED,
	PUPPET_FAULT_FLOOD,
	PUPPET_FAULT_REPLY,
	PUPPET_NR_FAULTS,
};

#endif /* PUPPET_H */
