/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A 16550A UART, after the data sheet of National Semiconductor.
 *
 * The core knows registers, FIFOs and interrupts. Where bytes go to and come
 * from, what a microsecond is and where the interrupt line ends is up to the
 * card around it.
 */
#ifndef UART16550_H
#define UART16550_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#define UART_FIFO_SIZE	16
#define UART_NR_REGS	8

/**
 * struct uart_fifo - bytes in order
 * @data: a ring
 * @head: the oldest byte
 * @len: how many there are
 */
struct uart_fifo {
	__u8 data[UART_FIFO_SIZE];
	unsigned int head;
	unsigned int len;
};

/**
 * struct uart_ops - what the core asks of the card
 * @irq: the interrupt output has changed
 * @transmit: bytes have been put into the transmitter: call uart_transmitted()
 *	as they leave; may be called from within
 * @timeout: call uart_timeout() after so many microseconds, counted anew; 0
 *	calls it off
 * @receive_ready: uart_receive_room() may have changed
 */
struct uart_ops {
	void (*irq)(void *opaque, bool level);
	void (*transmit)(void *opaque);
	void (*timeout)(void *opaque, unsigned int usecs);
	void (*receive_ready)(void *opaque);
};

/**
 * struct uart - a UART
 * @ops: the card
 * @opaque: for @ops
 * @rx: receiver FIFO or receiver buffer
 * @tx: transmitter FIFO or holding register
 * @ier: interrupt enable
 * @fcr: FIFO control, as written
 * @lcr: line control
 * @mcr: modem control
 * @lsr: the error bits of line status; the others are computed
 * @msr: modem status, with the changes since it was last read
 * @scr: scratch
 * @divisor: baud rate divisor
 * @thre_due: the transmitter-empty interrupt has not been acknowledged
 * @timed_out: bytes have been waiting in the FIFO for long
 * @line: the interrupt output
 */
struct uart {
	const struct uart_ops *ops;
	void *opaque;
	struct uart_fifo rx;
	struct uart_fifo tx;
	__u8 ier;
	__u8 fcr;
	__u8 lcr;
	__u8 mcr;
	__u8 lsr;
	__u8 msr;
	__u8 scr;
	__u16 divisor;
	bool thre_due;
	bool timed_out;
	bool line;
};

void uart_init(struct uart *uart, const struct uart_ops *ops, void *opaque);
void uart_reset(struct uart *uart);
__u8 uart_read(struct uart *uart, unsigned int reg);
void uart_write(struct uart *uart, unsigned int reg, __u8 value);
unsigned int uart_receive_room(const struct uart *uart);
void uart_receive(struct uart *uart, const __u8 *data, size_t len);
unsigned int uart_transmit_data(const struct uart *uart, __u8 *data);
void uart_transmitted(struct uart *uart, unsigned int len);
void uart_timeout(struct uart *uart);

#endif /* UART16550_H */
