// SPDX-License-Identifier: GPL-2.0
/*
 * vum-serial: a PCI card with one 16550A, in a process.
 *
 * The cable ends at stdin and stdout, or at a pseudo-terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "../server/server.h"
#include "pciconf.h"
#include "uart16550.h"

/**
 * struct card - the card
 * @opt: command line, ours and the library's
 * @srv: the server
 * @conf: configuration space
 * @uart: the UART
 * @in: where received bytes come from
 * @out: where transmitted bytes go
 * @in_watch: wakes us when there are bytes to receive; NULL after their end
 * @out_watch: wakes us when a full @out has room again
 * @timer: timerfd for the receiver's timeout
 * @stopped: it is to be migrated, and does nothing of its own accord
 * @slave: the other side of a pseudo-terminal; stays open, or else the master
 *	would report a hang-up for as long as nobody else has it open
 */
struct card {
	struct {
		struct vus_options common;
		bool pty;
	} opt;
	struct vus_server *srv;
	struct pciconf conf;
	struct uart uart;
	int in;
	int out;
	struct vus_watch *in_watch;
	struct vus_watch *out_watch;
	int timer;
	bool stopped;
	int slave;
};

#define STATE_KIND	0x6c726573	/* "serl" */
#define STATE_VERSION	1

/**
 * struct state - a saved card
 * @kind: STATE_KIND
 * @version: STATE_VERSION
 * @uart: the UART, but for its pointers
 * @conf: configuration space
 */
struct state {
	__u32 kind;
	__u32 version;
	struct uart uart;
	__u8 conf[PCI_CFG_SPACE_SIZE];
};

static void update_intx(struct card *card)
{
	bool enabled = !pciconf_intx_disabled(&card->conf);

	if (card->stopped)
		return;

	pciconf_intx_status(&card->conf, card->uart.line);
	vus_intx_set(card->srv, card->uart.line && enabled);
}

static void uart_irq(void *opaque, bool level __maybe_unused)
{
	update_intx(opaque);
}

/* Poll first: it is not for us to make somebody's stdout non-blocking. */
static bool writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && p.revents;
}

/*
 * A reader that is slow holds the UART up. Nobody reading at all is no reason
 * to: a closed pipe swallows everything, and so does a full pseudo-terminal,
 * where nobody can tell the one from the other.
 */
static void drain(struct card *card)
{
	__u8 data[UART_FIFO_SIZE];
	unsigned int len = uart_transmit_data(&card->uart, data);
	ssize_t n = 0;

	if (!len || card->stopped) {
		vus_watch_events(card->out_watch, 0);
		return;
	}
	if (writable(card->out)) {
		n = write(card->out, data, len);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			n = len;
	} else if (card->opt.pty) {
		n = len;
	}
	if (n > 0)
		uart_transmitted(&card->uart, (unsigned int)n);
	vus_watch_events(card->out_watch, n == len ? 0 : POLLOUT);
}

static void uart_transmit(void *opaque)
{
	drain(opaque);
}

static void out_ready(void *opaque, int fd __maybe_unused,
		      short revents __maybe_unused)
{
	drain(opaque);
}

static void set_timer(void *opaque, unsigned int usecs)
{
	const struct card *card = opaque;
	struct itimerspec its = {
		.it_value = {
			.tv_sec = usecs / 1000000,
			.tv_nsec = usecs % 1000000 * 1000L,
		},
	};

	timerfd_settime(card->timer, 0, &its, NULL);
}

static void timer_expired(void *opaque, int fd,
			  short revents __maybe_unused)
{
	struct card *card = opaque;
	__u64 times;

	if (read(fd, &times, sizeof(times)) == sizeof(times) && !card->stopped)
		uart_timeout(&card->uart);
}

static void receive_ready(void *opaque)
{
	struct card *card = opaque;
	bool wanted = uart_receive_room(&card->uart) && !card->stopped;

	if (card->in_watch)
		vus_watch_events(card->in_watch, wanted ? POLLIN : 0);
}

static void in_ready(void *opaque, int fd, short revents __maybe_unused)
{
	struct card *card = opaque;
	__u8 data[UART_FIFO_SIZE];
	ssize_t n;

	n = read(fd, data, uart_receive_room(&card->uart));
	if (n > 0) {
		uart_receive(&card->uart, data, (size_t)n);
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		vus_unwatch(card->in_watch);
		card->in_watch = NULL;
	}
}

static const struct uart_ops uart_ops = {
	.irq = uart_irq,
	.transmit = uart_transmit,
	.timeout = set_timer,
	.receive_ready = receive_ready,
};

static int bar_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	struct card *card = opaque;
	__u8 *to = buf;
	__u32 i;

	for (i = 0; i < count; i++)
		to[i] = uart_read(&card->uart, (unsigned int)offset + i);
	return 0;
}

static int bar_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct card *card = opaque;
	const __u8 *from = buf;
	__u32 i;

	for (i = 0; i < count; i++)
		uart_write(&card->uart, (unsigned int)offset + i, from[i]);
	return 0;
}

static int conf_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	const struct card *card = opaque;

	pciconf_read(&card->conf, offset, buf, count);
	return 0;
}

static int conf_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	struct card *card = opaque;

	pciconf_write(&card->conf, offset, buf, count);
	update_intx(card);
	return 0;
}

static void reset(void *opaque)
{
	struct card *card = opaque;

	pciconf_reset(&card->conf);
	uart_reset(&card->uart);
	update_intx(card);
}

static int stop(void *opaque)
{
	struct card *card = opaque;

	card->stopped = true;
	receive_ready(card);
	vus_watch_events(card->out_watch, 0);
	return 0;
}

static int run(void *opaque)
{
	struct card *card = opaque;

	card->stopped = false;
	receive_ready(card);
	drain(card);
	/* The receiver's timeout may have been due. */
	if (card->uart.rx.len)
		uart_timeout(&card->uart);
	update_intx(card);
	return 0;
}

static int save(void *opaque, void **to, size_t *size)
{
	const struct card *card = opaque;
	struct state *state = calloc(1, sizeof(*state));

	if (!state)
		return -ENOMEM;
	state->kind = STATE_KIND;
	state->version = STATE_VERSION;
	state->uart = card->uart;
	state->uart.ops = NULL;
	state->uart.opaque = NULL;
	memcpy(state->conf, card->conf.data, sizeof(state->conf));
	*to = state;
	*size = sizeof(*state);
	return 0;
}

static bool fifo_valid(const struct uart_fifo *fifo)
{
	return fifo->head < UART_FIFO_SIZE && fifo->len <= UART_FIFO_SIZE;
}

static int load(void *opaque, const void *from, size_t size)
{
	const struct state *state = from;
	struct card *card = opaque;

	if (size != sizeof(*state) || state->kind != STATE_KIND ||
	    state->version != STATE_VERSION || !fifo_valid(&state->uart.rx) ||
	    !fifo_valid(&state->uart.tx)) {
		fprintf(stderr, "vum-serial: the state to be loaded is not this card's\n");
		return -EINVAL;
	}
	card->uart = state->uart;
	card->uart.ops = &uart_ops;
	card->uart.opaque = card;
	pciconf_load(&card->conf, state->conf);
	return 0;
}

static const struct vus_migration migration = {
	.flags = VFIO_USER_MIGRATION_STOP_COPY | VFIO_USER_MIGRATION_PRE_COPY,
	.stop = stop,
	.run = run,
	.save = save,
	.load = load,
};

#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

static const struct vus_region regions[VFIO_PCI_NUM_REGIONS] = {
	[VFIO_PCI_BAR0_REGION_INDEX] = {
		.size = UART_NR_REGS,
		.flags = READ_WRITE,
		.read = bar_read,
		.write = bar_write,
	},
	[VFIO_PCI_CONFIG_REGION_INDEX] = {
		.size = PCI_CFG_SPACE_SIZE,
		.flags = READ_WRITE,
		.read = conf_read,
		.write = conf_write,
	},
};

static const struct vus_irq irqs[VFIO_PCI_NUM_IRQS] = {
	[VFIO_PCI_INTX_IRQ_INDEX] = {
		.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			 VFIO_IRQ_INFO_AUTOMASKED,
		.count = 1,
	},
};

static const struct pciconf_ids ids = {
	.vendor = 0x1b36,
	.device = 0x0002,
	.subsystem = 0x1100,
	.class = 0x070002,
	.intx = true,
};

static const struct argp_option options[] = {
	{ "pty", 'p', NULL, 0,
	  "Make a pseudo-terminal, instead of using stdin and stdout", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg __maybe_unused,
		     struct argp_state *state)
{
	struct card *card = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &card->opt.common;
		break;
	case 'p':
		card->opt.pty = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int open_pty(struct card *card)
{
	const char *path;
	struct termios tio;

	card->in = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (card->in < 0 || grantpt(card->in) || unlockpt(card->in))
		return -1;
	path = ptsname(card->in);
	if (!path)
		return -1;
	card->slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (card->slave < 0 || tcgetattr(card->slave, &tio))
		return -1;
	cfmakeraw(&tio);
	if (tcsetattr(card->slave, TCSANOW, &tio))
		return -1;
	card->out = card->in;
	fprintf(stderr, "serial port is %s\n", path);
	return 0;
}

static int connect_cable(struct card *card)
{
	card->in = STDIN_FILENO;
	card->out = STDOUT_FILENO;
	if (card->opt.pty && open_pty(card))
		return -1;
	card->timer = timerfd_create(CLOCK_MONOTONIC,
				     TFD_CLOEXEC | TFD_NONBLOCK);
	if (card->timer < 0)
		return -1;
	vus_watch_fd(card->srv, card->timer, POLLIN, timer_expired, card);
	card->in_watch = vus_watch_fd(card->srv, card->in, 0, in_ready, card);
	card->out_watch = vus_watch_fd(card->srv, card->out, 0, out_ready,
				       card);
	return 0;
}

int main(int argc, char **argv)
{
	static struct card card;
	const struct vus_device dev = {
		.opaque = &card,
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.regions = regions,
		.nr_regions = VFIO_PCI_NUM_REGIONS,
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.irqs = irqs,
		.nr_irqs = VFIO_PCI_NUM_IRQS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
		.reset = reset,
		.migration = &migration,
	};
	int ret;

	if (vus_parse(options, parse,
		      "A 16550A PCI serial card, served over vfio-user.\v"
		      "What the guest sends goes to stdout, what stdin has goes to "
		      "the guest once its driver has raised DTR or RTS.",
		      &card, argc, argv))
		return EXIT_FAILURE;
	pciconf_init(&card.conf, PCI_CFG_SPACE_SIZE, &ids);
	pciconf_io_bar(&card.conf, 0, UART_NR_REGS);
	card.srv = vus_create(&card.opt.common, &dev);
	if (!card.srv)
		return EXIT_FAILURE;
	ret = connect_cable(&card);
	if (ret) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	} else {
		uart_init(&card.uart, &uart_ops, &card);
		ret = vus_run(&card.srv, 1);
	}
	vus_destroy(card.srv);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
