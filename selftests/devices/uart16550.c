// SPDX-License-Identifier: GPL-2.0
/* A 16550A UART: registers, FIFOs, interrupts. */
#include <string.h>

#include <linux/serial_reg.h>

#include "uart16550.h"

/* The crystal of a PC's serial port, divided by 16 per bit. */
#define BASE_BAUD	115200U

/* The receiver's timeout interrupt comes after the time of 4 characters. */
#define TIMEOUT_CHARS	4U

#define IER_MASK	(UART_IER_MSI | UART_IER_RLSI | UART_IER_THRI | \
			 UART_IER_RDI)
#define MCR_MASK	(UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_OUT1 | \
			 UART_MCR_RTS | UART_MCR_DTR)
#define MSR_LINES	(UART_MSR_DCD | UART_MSR_RI | UART_MSR_DSR | \
			 UART_MSR_CTS)

/* The other end of the cable is always there, and always ready. */
#define MSR_CABLE	(UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

/* linux/serial_reg.h has no name for it on its own. */
#define IIR_NONE	UART_IIR_NO_INT
#define IIR_FIFOS	0xc0

static bool fifo_mode(const struct uart *uart)
{
	return uart->fcr & UART_FCR_ENABLE_FIFO;
}

static unsigned int fifo_room(const struct uart *uart,
			      const struct uart_fifo *fifo)
{
	return (fifo_mode(uart) ? UART_FIFO_SIZE : 1) - fifo->len;
}

static void fifo_put(struct uart_fifo *fifo, __u8 byte)
{
	fifo->data[(fifo->head + fifo->len++) % UART_FIFO_SIZE] = byte;
}

static __u8 fifo_peek(const struct uart_fifo *fifo, unsigned int i)
{
	return fifo->data[(fifo->head + i) % UART_FIFO_SIZE];
}

static void fifo_drop(struct uart_fifo *fifo, unsigned int n)
{
	fifo->head = (fifo->head + n) % UART_FIFO_SIZE;
	fifo->len -= n;
}

static unsigned int rx_trigger(const struct uart *uart)
{
	static const unsigned int levels[] = { 1, 4, 8, 14 };

	return fifo_mode(uart) ? levels[uart->fcr >> 6] : 1;
}

/* The interrupt that the identification register shows: highest first. */
static __u8 interrupt(const struct uart *uart)
{
	if (uart->ier & UART_IER_RLSI && uart->lsr & UART_LSR_OE)
		return UART_IIR_RLSI;
	if (uart->ier & UART_IER_RDI && uart->rx.len >= rx_trigger(uart))
		return UART_IIR_RDI;
	if (uart->ier & UART_IER_RDI && uart->timed_out)
		return UART_IIR_RX_TIMEOUT;
	if (uart->ier & UART_IER_THRI && uart->thre_due)
		return UART_IIR_THRI;
	if (uart->ier & UART_IER_MSI && uart->msr & UART_MSR_ANY_DELTA)
		return UART_IIR_MSI;
	return IIR_NONE;
}

/* On a PC, OUT2 gates the interrupt; in loopback mode the pin is inactive. */
static void update_line(struct uart *uart)
{
	bool gate = (uart->mcr & (UART_MCR_OUT2 | UART_MCR_LOOP)) ==
		    UART_MCR_OUT2;
	bool line = gate && interrupt(uart) != IIR_NONE;

	if (line == uart->line)
		return;
	uart->line = line;
	uart->ops->irq(uart->opaque, line);
}

static unsigned int character_usecs(const struct uart *uart)
{
	__u64 bits = 1 + 5 + (uart->lcr & 3) +
		     !!(uart->lcr & UART_LCR_PARITY) +
		     1 + !!(uart->lcr & UART_LCR_STOP);
	__u64 divisor = uart->divisor ? uart->divisor : 1;

	return (unsigned int)(bits * divisor * 1000000 / BASE_BAUD + 1);
}

/* Something went into the receiver or came out: the timeout starts anew. */
static void restart_timeout(struct uart *uart)
{
	bool wanted = fifo_mode(uart) && uart->rx.len;

	uart->timed_out = false;
	uart->ops->timeout(uart->opaque,
			   wanted ? TIMEOUT_CHARS * character_usecs(uart) : 0);
}

static void rx_byte(struct uart *uart, __u8 byte)
{
	if (fifo_room(uart, &uart->rx)) {
		fifo_put(&uart->rx, byte);
		return;
	}
	/* A full FIFO keeps what it has, a single register is overwritten. */
	uart->lsr |= UART_LSR_OE;
	if (!fifo_mode(uart))
		uart->rx.data[uart->rx.head] = byte;
}

static void rx_clear(struct uart *uart)
{
	uart->rx.len = 0;
	restart_timeout(uart);
}

static void tx_clear(struct uart *uart)
{
	uart->tx.len = 0;
	uart->thre_due = true;
}

static __u8 read_rbr(struct uart *uart)
{
	__u8 byte = fifo_peek(&uart->rx, 0);

	if (uart->rx.len) {
		fifo_drop(&uart->rx, 1);
		restart_timeout(uart);
	}
	return byte;
}

static void write_thr(struct uart *uart, __u8 byte)
{
	uart->thre_due = false;
	if (uart->mcr & UART_MCR_LOOP) {
		rx_byte(uart, byte);
		restart_timeout(uart);
		uart->thre_due = true;
		return;
	}
	/* A transmitter that is full loses what is in it, not what comes. */
	if (!fifo_room(uart, &uart->tx))
		uart->tx.len--;
	fifo_put(&uart->tx, byte);
	uart->ops->transmit(uart->opaque);
}

static void write_ier(struct uart *uart, __u8 value)
{
	__u8 risen = value & ~uart->ier;

	uart->ier = value & IER_MASK;
	/* Enabling it while there is room is an interrupt in itself. */
	if (risen & UART_IER_THRI && !uart->tx.len)
		uart->thre_due = true;
}

static __u8 read_iir(struct uart *uart)
{
	__u8 iir = interrupt(uart);

	if (iir == UART_IIR_THRI)
		uart->thre_due = false;
	return iir | (fifo_mode(uart) ? IIR_FIFOS : 0);
}

static void write_fcr(struct uart *uart, __u8 value)
{
	bool toggled = (value ^ uart->fcr) & UART_FCR_ENABLE_FIFO;

	/* The other bits only mean something together with this one. */
	uart->fcr = value & UART_FCR_ENABLE_FIFO ? value : 0;
	if (toggled || uart->fcr & UART_FCR_CLEAR_RCVR)
		rx_clear(uart);
	if (toggled || uart->fcr & UART_FCR_CLEAR_XMIT)
		tx_clear(uart);
}

static __u8 modem_lines(const struct uart *uart)
{
	__u8 lines = 0;

	if (!(uart->mcr & UART_MCR_LOOP))
		return MSR_CABLE;
	if (uart->mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (uart->mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (uart->mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (uart->mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

static void write_mcr(struct uart *uart, __u8 value)
{
	__u8 old = uart->msr & MSR_LINES;
	__u8 now, changed;

	uart->mcr = value & MCR_MASK;
	now = modem_lines(uart);
	changed = old ^ now;
	/* The change of each line is four bits below the line itself. */
	uart->msr = (uart->msr & UART_MSR_ANY_DELTA) | now;
	uart->msr |= (changed & (MSR_LINES & ~UART_MSR_RI)) >> 4;
	if (changed & old & UART_MSR_RI)
		uart->msr |= UART_MSR_TERI;
}

static __u8 read_lsr(struct uart *uart)
{
	__u8 lsr = uart->lsr;

	uart->lsr = 0;
	if (uart->rx.len)
		lsr |= UART_LSR_DR;
	if (!uart->tx.len)
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	return lsr;
}

static __u8 read_msr(struct uart *uart)
{
	__u8 msr = uart->msr;

	uart->msr &= MSR_LINES;
	return msr;
}

static __u8 read_register(struct uart *uart, unsigned int reg)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? uart->divisor & 0xff : read_rbr(uart);
	case UART_IER:
		return dlab ? uart->divisor >> 8 : uart->ier;
	case UART_IIR:
		return read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_lsr(uart);
	case UART_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void write_register(struct uart *uart, unsigned int reg, __u8 value)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			uart->divisor = (uart->divisor & 0xff00) | value;
		else
			write_thr(uart, value);
		break;
	case UART_IER:
		if (dlab)
			uart->divisor = (__u16)((uart->divisor & 0xff) |
						value << 8);
		else
			write_ier(uart, value);
		break;
	case UART_FCR:
		write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		write_mcr(uart, value);
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	default:
		/* Line and modem status are for factory tests only. */
		break;
	}
}

/**
 * uart_read() - the driver reads a register
 * @uart: the UART
 * @reg: 0 to 7
 *
 * Return: its value.
 */
__u8 uart_read(struct uart *uart, unsigned int reg)
{
	__u8 value = read_register(uart, reg);

	update_line(uart);
	uart->ops->receive_ready(uart->opaque);
	return value;
}

/**
 * uart_write() - the driver writes a register
 * @uart: the UART
 * @reg: 0 to 7
 * @value: what
 */
void uart_write(struct uart *uart, unsigned int reg, __u8 value)
{
	write_register(uart, reg, value);
	update_line(uart);
	uart->ops->receive_ready(uart->opaque);
}

/**
 * uart_receive_room() - how many bytes can be received without an overrun?
 * @uart: the UART
 *
 * The other end of the cable honours our handshake lines: it sends nothing
 * while both DTR and RTS are down, so that nothing is lost before a driver has
 * opened the port. In loopback mode the cable is not connected.
 *
 * Return: that number.
 */
unsigned int uart_receive_room(const struct uart *uart)
{
	if (uart->mcr & UART_MCR_LOOP ||
	    !(uart->mcr & (UART_MCR_DTR | UART_MCR_RTS)))
		return 0;
	return fifo_room(uart, &uart->rx);
}

/**
 * uart_receive() - bytes have come over the cable
 * @uart: the UART
 * @data: the bytes
 * @len: how many
 */
void uart_receive(struct uart *uart, const __u8 *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		rx_byte(uart, data[i]);
	restart_timeout(uart);
	update_line(uart);
	uart->ops->receive_ready(uart->opaque);
}

/**
 * uart_transmit_data() - what is there to be sent?
 * @uart: the UART
 * @data: UART_FIFO_SIZE bytes for the answer
 *
 * Return: number of bytes. They stay until uart_transmitted() is called.
 */
unsigned int uart_transmit_data(const struct uart *uart, __u8 *data)
{
	unsigned int i;

	for (i = 0; i < uart->tx.len; i++)
		data[i] = fifo_peek(&uart->tx, i);
	return uart->tx.len;
}

/**
 * uart_transmitted() - bytes have left
 * @uart: the UART
 * @len: how many, oldest first
 */
void uart_transmitted(struct uart *uart, unsigned int len)
{
	if (!len)
		return;
	fifo_drop(&uart->tx, len);
	if (!uart->tx.len)
		uart->thre_due = true;
	update_line(uart);
}

/**
 * uart_timeout() - the time set by the timeout operation is over
 * @uart: the UART
 */
void uart_timeout(struct uart *uart)
{
	uart->timed_out = fifo_mode(uart) && uart->rx.len;
	update_line(uart);
}

/**
 * uart_reset() - master reset
 * @uart: the UART
 *
 * Divisor and scratch register survive it, as on the real chip.
 */
void uart_reset(struct uart *uart)
{
	uart->ier = 0;
	uart->fcr = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->lsr = 0;
	uart->msr = modem_lines(uart);
	rx_clear(uart);
	tx_clear(uart);
	update_line(uart);
	uart->ops->receive_ready(uart->opaque);
}

/**
 * uart_init() - power on
 * @uart: the UART
 * @ops: the card around it
 * @opaque: handed to @ops
 */
void uart_init(struct uart *uart, const struct uart_ops *ops, void *opaque)
{
	memset(uart, 0, sizeof(*uart));
	uart->ops = ops;
	uart->opaque = opaque;
	uart->divisor = BASE_BAUD / 9600;
	uart_reset(uart);
}
