// SPDX-License-Identifier: GPL-2.0
/* See qemu.h. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "consumer.h"
#include "qemu.h"
#include "test.h"

#define ANSWER_MS	30000
#define WINDOW		0xc0000000
#define WINDOW_SIZE	0x1000000
#define MAX_ARGS	64
#define MAX_TEXT	128
/* Not "iommufd": QEMU would find that under each device as well. */
#define IOMMUFD		"iommufd0"

/* One line into @in, however it is cut into pieces; false if none comes. */
static bool get_line(int fd, char *in, size_t size, int timeout_ms)
{
	long long end = test_now_ms() + timeout_ms;
	size_t len = strlen(in);

	while (!strchr(in, '\n')) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		long long left = end - test_now_ms();
		ssize_t n;

		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = read(fd, in + len, size - len - 1);
		if (n <= 0)
			FAIL("QEMU has gone");
		len += (size_t)n;
		in[len] = '\0';
	}
	return true;
}

static void drop_line(char *in)
{
	char *next = strchr(in, '\n') + 1;

	memmove(in, next, strlen(next) + 1);
}

static void keep_event(struct qemu *q)
{
	size_t line = (size_t)(strchr(q->in, '\n') + 1 - q->in);
	size_t len = strlen(q->events);

	CHECK(len + line < sizeof(q->events));
	memcpy(q->events + len, q->in, line);
	q->events[len + line] = '\0';
}

/* The next line of the monitor's; an event is kept, else it is still in @in. */
static bool next_is_event(struct qemu *q)
{
	char *end = strchr(q->in, '\n');
	bool event;

	*end = '\0';
	event = strstr(q->in, "\"event\": ");
	*end = '\n';
	if (event) {
		keep_event(q);
		drop_line(q->in);
	}
	return event;
}

static int command(struct qemu *q, const char *fmt, va_list args)
{
	char text[1024];
	int n = vsnprintf(text, sizeof(text), fmt, args);
	bool ok;

	CHECK(n > 0 && (size_t)n < sizeof(text));
	CHECK_EQ(write(q->qmp, text, (size_t)n), n);
	do {
		if (!get_line(q->qmp, q->in, sizeof(q->in), ANSWER_MS))
			FAIL("QEMU does not answer %s", text);
	} while (next_is_event(q));
	ok = !strncmp(q->in, "{\"return\"", 9);
	if (!ok)
		test_say("%s: %.*s", text, (int)strcspn(q->in, "\r\n"), q->in);
	drop_line(q->in);
	return ok ? 0 : -1;
}

int qemu_try(struct qemu *q, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = command(q, fmt, args);
	va_end(args);
	return ret;
}

void qemu_do(struct qemu *q, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	CHECK_EQ(command(q, fmt, args), 0);
	va_end(args);
}

static bool take_event(struct qemu *q, const char *what)
{
	for (char *line = q->events; *line; line = strchr(line, '\n') + 1) {
		char *end = strchr(line, '\n');
		bool found;

		*end = '\0';
		found = strstr(line, what);
		*end = '\n';
		if (found) {
			drop_line(line);
			return true;
		}
	}
	return false;
}

void qemu_event(struct qemu *q, const char *what)
{
	long long end = test_now_ms() + TEST_SOON_MS;

	while (!take_event(q, what)) {
		if (!get_line(q->qmp, q->in, sizeof(q->in),
			      (int)(end - test_now_ms())))
			FAIL("no %s within %d ms", what, TEST_SOON_MS);
		CHECK(next_is_event(q));
	}
}

/* In the child: arguments, one after the other, for execvp(). */
struct args {
	char text[MAX_ARGS][MAX_TEXT];
	char *argv[MAX_ARGS + 1];
	int n;
};

static void __attribute__((format(printf, 2, 3)))
add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	CHECK(a->n < MAX_ARGS);
	va_start(ap, fmt);
	vsnprintf(a->text[a->n], MAX_TEXT, fmt, ap);
	va_end(ap);
	a->argv[a->n] = a->text[a->n];
	a->n++;
}

/* A CPU that is started all the same shall do nothing: firmware of HLT only. */
static const char *firmware(void)
{
	static const char path[] = "/tmp/vum-firmware";
	static unsigned char hlt[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(hlt, 0xf4, sizeof(hlt));
	CHECK_EQ(write(fd, hlt, sizeof(hlt)), sizeof(hlt));
	close(fd);
	return path;
}

static void arguments(struct args *a, const struct world *const *mdevs, int qmp,
		      int qtest)
{
	static const char *const fixed[] = {
		"qemu-system-x86_64", "-S", "-accel", "tcg", "-M", "q35",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-qtest", "chardev:qtest", "-qtest-log", "none",
		"-mon", "qmp,mode=control",
		/* ACPI's hotplug would want a guest to agree to everything. */
		"-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		add(a, "%s", fixed[i]);
	add(a, "-bios");
	add(a, "%s", firmware());
	add(a, "-m");
	add(a, "%lu", QEMU_RAM >> 20);
	add(a, "-chardev");
	add(a, "socket,id=qmp,fd=%d", qmp);
	add(a, "-chardev");
	add(a, "socket,id=qtest,fd=%d", qtest);
	for (int i = 0; i < QEMU_SLOTS; i++) {
		add(a, "-device");
		add(a, "pcie-root-port,id=slot%d,chassis=%d,addr=%d", i, i + 1,
		    i + 1);
	}
	if (consumer_by_cdev()) {
		add(a, "-object");
		add(a, "iommufd,id=" IOMMUFD);
	}
	for (int i = 0; mdevs && mdevs[i]; i++) {
		add(a, "-device");
		add(a, "vfio-pci,id=dev%d,bus=slot%d,sysfsdev=" MDEV_DIR "%s%s",
		    i, i, mdevs[i]->uuid,
		    consumer_by_cdev() ? ",iommufd=" IOMMUFD : "");
	}
}

static void run(const struct world *const *mdevs, int qmp, int qtest)
{
	static struct args a;
	int fd = open(world_qemu_log(), O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(fd, 1);
	dup2(fd, 2);
	arguments(&a, mdevs, qmp, qtest);
	alarm(0);
	execvp(a.argv[0], a.argv);
	dprintf(2, "%s: %s\n", a.argv[0], strerror(errno));
	_exit(127);
}

void qemu_start(struct qemu *q, const struct world *const *mdevs)
{
	int qmp[2], qtest[2];

	memset(q, 0, sizeof(*q));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qtest));
	q->pid = fork();
	CHECK(q->pid >= 0);
	if (!q->pid) {
		fcntl(qmp[1], F_SETFD, 0);
		fcntl(qtest[1], F_SETFD, 0);
		run(mdevs, qmp[1], qtest[1]);
	}
	close(qmp[1]);
	close(qtest[1]);
	q->qmp = qmp[0];
	q->qtest = qtest[0];
	if (!get_line(q->qmp, q->in, sizeof(q->in), ANSWER_MS))
		FAIL("QEMU does not start");
	drop_line(q->in);
	qemu_do(q, "{\"execute\": \"qmp_capabilities\"}");
}

static int ended(struct qemu *q)
{
	int status;

	CHECK(waitpid(q->pid, &status, 0) == q->pid);
	q->pid = 0;
	close(q->qmp);
	close(q->qtest);
	return status;
}

void qemu_quit(struct qemu *q)
{
	qemu_do(q, "{\"execute\": \"quit\"}");
	CHECK_EQ(ended(q), 0);
}

void qemu_kill(struct qemu *q)
{
	CHECK(!kill(q->pid, SIGKILL));
	CHECK_EQ(WTERMSIG(ended(q)), SIGKILL);
}

void qemu_check_unpinned(const struct qemu *q)
{
	char path[64], buf[4096];
	const char *locked = NULL;

	snprintf(path, sizeof(path), "/proc/%d/status", q->pid);
	/* The event comes before the last reference to the device goes. */
	CHECK_SOON(!read_file(path, buf, sizeof(buf)) &&
		   (locked = strstr(buf, "VmLck:")) &&
		   !strtol(locked + strlen("VmLck:"), NULL, 10));
}

int qemu_try_add(struct qemu *q, unsigned int slot, const struct world *w)
{
	return qemu_try(q, "{\"execute\": \"device_add\", \"arguments\": "
			   "{\"driver\": \"vfio-pci\", \"id\": \"dev%u\", "
			   "\"bus\": \"slot%u\", \"sysfsdev\": \""
			   MDEV_DIR "%s\"%s}}", slot, slot, w->uuid,
			consumer_by_cdev() ? ", \"iommufd\": \"" IOMMUFD "\"" : "");
}

void qemu_add(struct qemu *q, unsigned int slot, const struct world *w)
{
	CHECK_EQ(qemu_try_add(q, slot, w), 0);
}

void qemu_del(struct qemu *q, unsigned int slot)
{
	qemu_do(q, "{\"execute\": \"device_del\", \"arguments\": "
		   "{\"id\": \"dev%u\"}}", slot);
}

/* "OK", and a number if one was asked for. */
static uint32_t hardware(struct qemu *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static uint32_t hardware(struct qemu *q, const char *fmt, ...)
{
	char text[128], answer[128] = "";
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	CHECK_EQ(write(q->qtest, text, (size_t)n), n);
	if (!get_line(q->qtest, answer, sizeof(answer), ANSWER_MS) ||
	    strncmp(answer, "OK", 2) != 0)
		FAIL("QEMU says '%s' to %s", answer, text);
	return (uint32_t)strtoull(answer + 2, NULL, 0);
}

uint32_t qemu_read32(struct qemu *q, uint64_t addr)
{
	return hardware(q, "readl 0x%llx\n", (unsigned long long)addr);
}

void qemu_write32(struct qemu *q, uint64_t addr, uint32_t value)
{
	hardware(q, "writel 0x%llx 0x%x\n", (unsigned long long)addr, value);
}

static void select_config(struct qemu *q, unsigned int bus, unsigned int dev,
			  unsigned int reg)
{
	hardware(q, "outl 0xcf8 0x%x\n", 1U << 31 | bus << 16 | dev << 11 |
					 (reg & ~3U));
}

uint32_t qemu_config_read(struct qemu *q, unsigned int slot, unsigned int reg)
{
	select_config(q, slot + 1, 0, reg);
	return hardware(q, "inl 0xcfc\n");
}

void qemu_config_write(struct qemu *q, unsigned int slot, unsigned int reg,
		       uint32_t value)
{
	select_config(q, slot + 1, 0, reg);
	hardware(q, "outl 0xcfc 0x%x\n", value);
}

static uint32_t port_read(struct qemu *q, unsigned int slot, unsigned int reg)
{
	select_config(q, 0, slot + 1, reg);
	return hardware(q, "inl 0xcfc\n");
}

static void port_write(struct qemu *q, unsigned int slot, unsigned int reg,
		       uint32_t value)
{
	select_config(q, 0, slot + 1, reg);
	hardware(q, "outl 0xcfc 0x%x\n", value);
}

uint64_t qemu_bar(unsigned int slot, unsigned int bar)
{
	return WINDOW + (uint64_t)slot * WINDOW_SIZE +
	       (uint64_t)bar * QEMU_BAR_SIZE;
}

/* Where the slot's registers are: status above control. */
static unsigned int slot_register(struct qemu *q, unsigned int slot)
{
	unsigned int cap = port_read(q, slot, PCI_CAPABILITY_LIST) & 0xff;

	while (cap) {
		uint32_t head = port_read(q, slot, cap);

		if ((head & 0xff) == PCI_CAP_ID_EXP)
			return cap + PCI_EXP_SLTCTL;
		cap = head >> 8 & 0xff;
	}
	FAIL("slot %u is not PCI Express", slot);
}

bool qemu_button(struct qemu *q, unsigned int slot)
{
	unsigned int reg = slot_register(q, slot);
	uint32_t value = port_read(q, slot, reg);

	if (!(value & PCI_EXP_SLTSTA_ABP << 16))
		return false;
	port_write(q, slot, reg, (value & 0xffff) | PCI_EXP_SLTSTA_ABP << 16);
	return true;
}

void qemu_power(struct qemu *q, unsigned int slot, bool on)
{
	port_write(q, slot, slot_register(q, slot), on ?
		   PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON |
		   PCI_EXP_SLTSTA_ABP << 16 :
		   PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
}

void qemu_enable(struct qemu *q, unsigned int slot)
{
	uint32_t base = (uint32_t)qemu_bar(slot, 0) >> 16;
	uint32_t last = base + ((WINDOW_SIZE - 1) >> 16);
	uint32_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	qemu_power(q, slot, true);
	port_write(q, slot, PCI_PRIMARY_BUS, (slot + 1) << 8 |
					     (slot + 1) << 16);
	port_write(q, slot, PCI_MEMORY_BASE, base | last << 16);
	port_write(q, slot, PCI_COMMAND, command);
	for (unsigned int bar = 0; bar < 6; bar++)
		qemu_config_write(q, slot, PCI_BASE_ADDRESS_0 + 4 * bar,
				  (uint32_t)qemu_bar(slot, bar));
	qemu_config_write(q, slot, PCI_COMMAND, command);
}
