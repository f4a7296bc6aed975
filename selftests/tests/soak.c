// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer that uses all there is, at random, and now and then something happens to it,
 * its helper or its server, or to two of them. After each round everything works.
 *
 * VUM_SOAK_ROUNDS= says how many (50); VUM_SOAK_SEED= repeats a run, from round
 * VUM_SOAK_FROM= on.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/cgroup.h"
#include "../lib/dma.h"
#include "../lib/random.h"

#define PAGE		4096UL
#define IOVA		0x100000000ULL
#define MEMORY		(256 * PAGE)
#define NR_VECTORS	8
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX
#define ROUND_SECONDS	100

enum victim { HELPER, SERVER, CONSUMER, NR_VICTIMS };
enum harm { KILL, STOP, FREEZE, NO_FDS, NO_MEMORY, NR_HARMS };

static const char *const victim_names[] = { "helper", "server", "consumer" };
static const char *const harm_names[] = {
	"killed", "stopped", "frozen", "out of descriptors", "out of memory",
};

static struct world w;
static pid_t consumer;
/* Shared with the consumer: how many operations it has begun. */
static volatile uint64_t *progress;
static unsigned char *memory;
static unsigned int done[NR_VICTIMS][NR_HARMS];

/*
 * The consumer, which minds no error
 */

static void map_or_unmap(const struct consumer *c)
{
	uint32_t page = random_below(200), nr = 1 + random_below(32);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)memory + page * PAGE,
		.iova = IOVA + page * PAGE, .size = nr * PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = map.iova, .size = map.size,
	};

	if (random_below(2))
		ioctl(c->container, VFIO_IOMMU_MAP_DMA, &map);
	else
		ioctl(c->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static void reg(const struct consumer *c, enum puppet_register r, uint32_t value)
{
	pwrite(c->device, &value, sizeof(value), region_at(VFIO_PCI_BAR2_REGION_INDEX, r));
}

static void dma(const struct consumer *c)
{
	uint64_t iova = IOVA + random_below(200) * PAGE;

	reg(c, PUPPET_DMA_IOVA, (uint32_t)iova);
	reg(c, PUPPET_DMA_IOVA + 4, (uint32_t)(iova >> 32));
	reg(c, PUPPET_DMA_LENGTH, 1 + random_below(32 * PAGE));
	reg(c, PUPPET_DMA_VALUE, random_below(1U << 30));
	reg(c, PUPPET_DMA_OP, random_below(2) ? PUPPET_DMA_FILL : PUPPET_DMA_SUM);
}

static void interrupts(const struct consumer *c, const int *fds)
{
	switch (random_below(3)) {
	case 0:
		irq_set_eventfds(c, MSIX, 0, 1 + random_below(NR_VECTORS), fds);
		break;
	case 1:
		irq_disable(c, MSIX);
		break;
	default:
		reg(c, PUPPET_TRIGGER, MSIX << 16 | random_below(NR_VECTORS));
	}
}

static void use(const struct consumer *c, const int *fds)
{
	uint32_t value = random_below(1U << 30);

	switch (random_below(16)) {
	case 0:
	case 1:
		map_or_unmap(c);
		break;
	case 2:
	case 3:
		dma(c);
		break;
	case 4:
	case 5:
		interrupts(c, fds);
		break;
	case 6:
		if (!random_below(8))
			ioctl(c->device, VFIO_DEVICE_RESET);
		break;
	case 7:
	case 8:
	case 9:
		pwrite(c->device, &value, sizeof(value),
		       region_at(VFIO_PCI_BAR1_REGION_INDEX, 4ULL * random_below(64)));
		break;
	default:
		pread(c->device, &value, sizeof(value),
		      region_at(VFIO_PCI_BAR1_REGION_INDEX, 4ULL * random_below(64)));
	}
}

static void consume(void)
{
	struct consumer c;
	int fds[NR_VECTORS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(0);
	for (int i = 0; i < NR_VECTORS; i++)
		fds[i] = new_eventfd();
	consumer_open(&c, &w);
	for (;;) {
		++*progress;
		use(&c, fds);
	}
}

static void start_consumer(void)
{
	uint64_t before = *progress;

	consumer = fork();
	CHECK(consumer >= 0);
	if (!consumer)
		consume();
	CHECK_SOON(*progress > before);
}

/*
 * What happens
 */

static pid_t *pid_of(enum victim v)
{
	return v == HELPER ? &w.helper : v == SERVER ? &w.server : &consumer;
}

static unsigned long memory_of(pid_t pid)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	CHECK_EQ(read_file(path, text, sizeof(text)), 0);
	return strtoul(text, NULL, 10) * PAGE;
}

static void limit(pid_t pid, int what, rlim_t now)
{
	struct rlimit lim;

	CHECK(!prlimit(pid, what, NULL, &lim));
	lim.rlim_cur = now < lim.rlim_max ? now : lim.rlim_max;
	CHECK(!prlimit(pid, what, &lim, NULL));
}

static void hurt(enum victim v, enum harm h)
{
	pid_t pid = *pid_of(v);

	switch (h) {
	case KILL:
		CHECK(!kill(pid, SIGKILL));
		break;
	case STOP:
		CHECK(!kill(pid, SIGSTOP));
		break;
	case FREEZE:
		cgroup_enter(pid);
		CHECK_EQ(write_file(CGROUP "/cgroup.freeze", "1"), 0);
		break;
	case NO_FDS:
		limit(pid, RLIMIT_NOFILE, world_open_files(pid));
		break;
	default:
		limit(pid, RLIMIT_AS, memory_of(pid));
	}
}

static bool has_ended(pid_t *pid)
{
	if (*pid && waitpid(*pid, NULL, WNOHANG) != *pid)
		return false;
	*pid = 0;
	return true;
}

static void heal(enum victim v, enum harm h)
{
	pid_t pid = *pid_of(v);

	switch (h) {
	case KILL:
		CHECK_SOON(has_ended(pid_of(v)));
		break;
	case STOP:
		CHECK(!kill(pid, SIGCONT));
		break;
	case FREEZE:
		CHECK_EQ(write_file(CGROUP "/cgroup.freeze", "0"), 0);
		cgroup_leave(pid);
		break;
	case NO_FDS:
		limit(pid, RLIMIT_NOFILE, 1U << 16);
		break;
	default:
		limit(pid, RLIMIT_AS, RLIM_INFINITY);
	}
}

static void start_again(void)
{
	const char *const args[] = { "--mmap-bar0", "--dma",
		(const char *const[]){ "mmap", "file", "message" }[random_below(3)], NULL };

	if (has_ended(&w.server))
		world_server(&w, args);
	if (has_ended(&w.helper))
		world_helper(&w, NULL);
	CHECK_SOON(has_ended(&w.server) || has_ended(&w.helper) ||
		   world_state_is(&w, "attached") || world_state_is(&w, "broken"));
}

/*
 * Whether it works
 */

static void works(void)
{
	struct consumer c;
	int fd = new_eventfd();

	if (consumer)
		world_kill(&consumer, SIGKILL);
	consumer_open(&c, &w);
	puppet_check(&c, 8);
	/* The engine does one thing at a time, and may be at the last consumer's. */
	CHECK_SOON(puppet_get(&c, PUPPET_DMA_STATUS) != EINPROGRESS);
	memset(memory, 0, PAGE);
	dma_map(&c, memory, IOVA, MEMORY, DMA_READ | DMA_WRITE);
	CHECK_EQ(dma_run(&c, PUPPET_DMA_FILL, IOVA, PAGE, 0x5a5a5a5a), 0);
	CHECK_EQ(memory[PAGE - 1], 0x5a);
	CHECK(!irq_set_eventfds(&c, MSIX, 0, 1, &fd));
	puppet_set(&c, PUPPET_TRIGGER, MSIX << 16);
	CHECK_EQ(eventfd_take(fd, TEST_SOON_MS), 1);
	consumer_close(&c);
	close(fd);
	CHECK_SOON(dma_pins_balance());
}

static bool all_is_well(void)
{
	if (w.helper && w.server && !has_ended(&w.helper) && !has_ended(&w.server))
		return world_state_is(&w, "attached");
	start_again();
	return false;
}

static void one_round(void)
{
	enum victim v[2];
	enum harm h[2];
	uint64_t before;
	int nr = 1;

	for (int i = 0; i < 2; i++) {
		v[i] = (enum victim)random_below(NR_VICTIMS);
		h[i] = (enum harm)random_below(NR_HARMS);
	}
	/* There is one control group to be frozen. */
	if (v[0] != v[1] && !(h[0] == FREEZE && h[1] == FREEZE) && !random_below(3))
		nr = 2;
	test_sleep_ms(random_below(60));
	for (int i = 0; i < nr; i++) {
		hurt(v[i], h[i]);
		done[v[i]][h[i]]++;
		test_sleep_ms(random_below(20));
	}
	test_sleep_ms(random_below(100));
	for (int i = nr; i--;)
		heal(v[i], h[i]);
	/* A server that had no memory has refused what it was asked for, memory above all. */
	for (int i = 0; i < nr; i++)
		if (v[i] == SERVER && (h[i] == NO_MEMORY || h[i] == NO_FDS))
			world_attr_set(&w, "state", "detached");
	CHECK_SOON(all_is_well());
	/* A consumer that was not hurt goes on, whatever has happened to the others. */
	before = *progress;
	if (consumer && !has_ended(&consumer))
		CHECK_SOON(*progress > before);
	works();
	CHECK_SOON(all_is_well());
	start_consumer();
}

static void tell(unsigned long rounds)
{
	char line[160];

	for (int v = 0; v < NR_VICTIMS; v++) {
		int at = snprintf(line, sizeof(line), "%s:", victim_names[v]);

		for (int h = 0; h < NR_HARMS; h++)
			at += snprintf(line + at, sizeof(line) - (size_t)at, " %u %s%s",
				       done[v][h], harm_names[h], h == NR_HARMS - 1 ? "" : ",");
		test_say("%s", line);
	}
	test_say("%lu rounds, %llu operations of the consumer", rounds,
		 (unsigned long long)*progress);
}

TEST(soak)
{
	unsigned long rounds = test_number("VUM_SOAK_ROUNDS", 50);
	unsigned long first = test_number("VUM_SOAK_FROM", 0);
	unsigned long base = test_number("VUM_SOAK_SEED", (unsigned long)test_now_ms());
	static char doing[64];

	test_say("VUM_SOAK_SEED=%#lx", base);
	cgroup_up();
	progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(progress != MAP_FAILED && memory != MAP_FAILED);
	world_up(&w, (const char *const[]){ "--mmap-bar0", NULL });
	world_attr_set(&w, "timeout_ms", "5000");
	start_consumer();
	test_doing = doing;
	for (unsigned long i = first; i < first + rounds; i++) {
		snprintf(doing, sizeof(doing), "round %lu of seed %#lx", i, base);
		alarm(ROUND_SECONDS);
		random_seed((base + i) * 2654435761ULL | 1);
		one_round();
	}
	test_doing = NULL;
	tell(rounds);
	world_kill(&consumer, SIGKILL);
	CHECK_SOON(dma_pins_balance());
	CHECK_SOON(live_messages() == 0);
}
