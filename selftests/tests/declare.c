// SPDX-License-Identifier: GPL-2.0
/* What a server declares of a region: capabilities and files, good and bad. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../lib/bar0.h"
#include "../lib/ctl.h"
#include "../lib/dma.h"

#define RW	(PROT_READ | PROT_WRITE)
#define INFO	sizeof(struct vfio_region_info)
#define MSIX	VFIO_REGION_INFO_CAP_MSIX_MAPPABLE
#define SPARSE	VFIO_REGION_INFO_CAP_SPARSE_MMAP
#define TYPE	VFIO_REGION_INFO_CAP_TYPE

#define READ_WRITE_MMAP	(VFIO_REGION_INFO_FLAG_READ | \
			 VFIO_REGION_INFO_FLAG_WRITE | \
			 VFIO_REGION_INFO_FLAG_MMAP)

static struct world w;
static struct consumer c;

/* Room for VFIO_DEVICE_GET_REGION_INFO and what comes with it. */
static union {
	struct vfio_region_info info;
	unsigned char bytes[16384];
} room;

/* With so much of the room. Beyond that nothing is written. */
static void ask(unsigned int index, size_t size)
{
	memset(&room, 0xee, sizeof(room));
	room.info.argsz = (uint32_t)size;
	room.info.index = index;
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &room));
	for (size_t i = size; i < sizeof(room); i++)
		CHECK_EQ(room.bytes[i], 0xee);
}

/* The capability, and how many there are in all; each beyond the last. */
static const void *find_cap(unsigned int id, unsigned int *nr)
{
	const struct vfio_info_cap_header *header;
	const void *found = NULL;
	uint32_t at = room.info.cap_offset, before = INFO;

	CHECK(room.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	for (*nr = 0; at; at = header->next, ++*nr) {
		CHECK(at >= before && at % 8 == 0);
		CHECK(at + sizeof(*header) <= room.info.argsz);
		header = (const void *)(room.bytes + at);
		if (header->id == id)
			found = header;
		before = at + sizeof(*header);
	}
	return found;
}

/* What is said of BAR0's areas is this. */
static void check_areas(const bar0_area *areas, uint32_t nr)
{
	const struct vfio_region_info_cap_sparse_mmap *cap;
	unsigned int nr_caps;

	cap = find_cap(SPARSE, &nr_caps);
	CHECK(cap);
	CHECK_EQ(cap->header.version, 1);
	CHECK_EQ(cap->nr_areas, nr);
	CHECK_EQ(cap->reserved, 0);
	CHECK(!nr || !memcmp(cap->areas, areas, nr * sizeof(*areas)));
}

TEST(sparse)
{
	const char *const args[] = { "--sparse-bar0", NULL };
	const bar0_area half = { BAR0_SIZE / 2, BAR0_SIZE / 2 };
	const uint32_t full = INFO + sizeof(struct vfio_info_cap_header) + 8 +
			      sizeof(half);

	bar0_up(&w, &c, -1, args);
	/* Too little room: only how much it takes. */
	for (size_t size = INFO; size < full; size += 8) {
		ask(BAR0, size);
		CHECK_EQ(room.info.flags, READ_WRITE_MMAP |
			 VFIO_REGION_INFO_FLAG_CAPS);
		CHECK_EQ(room.info.argsz, full);
		CHECK_EQ(room.info.cap_offset, 0);
		CHECK_EQ(room.info.size, BAR0_SIZE);
	}
	for (size_t size = full; size <= sizeof(room); size += sizeof(room) - full) {
		ask(BAR0, size);
		CHECK_EQ(room.info.argsz, size);
		CHECK_EQ(room.info.cap_offset, INFO);
		check_areas(&half, 1);
	}
	/* None where there are none. */
	ask(VFIO_PCI_BAR1_REGION_INDEX, sizeof(room));
	CHECK_EQ(room.info.flags, VFIO_REGION_INFO_FLAG_READ |
		 VFIO_REGION_INFO_FLAG_WRITE);
	CHECK_EQ(room.info.cap_offset, 0);
}

TEST(what_is_mapped_is_in_an_area)
{
	/* The second and the third touch, but are two. */
	static const bar0_area areas[] = {
		{ 8 * PAGE, PAGE }, { PAGE, PAGE }, { 2 * PAGE, 2 * PAGE },
	};
	struct chain ch = { 0 };
	const char *args[] = { "--mmap-bar0", "--bar0-caps", NULL, NULL };
	volatile uint32_t *mem;

	chain_add_areas(&ch, areas, 3);
	args[2] = chain_hex(&ch);
	/* The file ends where the last area does. */
	bar0_up(&w, &c, bar0_file(9 * PAGE), args);
	ask(BAR0, sizeof(room));
	check_areas(areas, 3);
	region_same(&c, region_mapped(&c, BAR0, PAGE, PAGE), BAR0, PAGE);
	mem = region_mapped(&c, BAR0, 2 * PAGE, 2 * PAGE);
	region_same(&c, mem, BAR0, 2 * PAGE);
	region_same(&c, mem + PAGE / 4, BAR0, 3 * PAGE);
	region_same(&c, region_mapped(&c, BAR0, 8 * PAGE, PAGE), BAR0, 8 * PAGE);

	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 0, 2 * PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, PAGE, 2 * PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 3 * PAGE, 2 * PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 4 * PAGE, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 7 * PAGE, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 9 * PAGE, PAGE, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, 0, BAR0_SIZE, RW), EINVAL);
}

TEST(no_areas)
{
	struct chain ch = { 0 };
	const char *args[] = { "--mmap-bar0", "--bar0-caps", NULL, NULL };

	chain_add_areas(&ch, NULL, 0);
	args[2] = chain_hex(&ch);
	bar0_up(&w, &c, -1, args);
	ask(BAR0, sizeof(room));
	check_areas(NULL, 0);
	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE, RW), EINVAL);
}

TEST(many_areas)
{
	static bar0_area areas[256];
	struct chain ch = { 0 };
	const char *args[] = { "--mmap-bar0", "--bar0-size", "2097152",
			       "--bar0-caps", NULL, NULL };

	for (size_t i = 0; i < 256; i++)
		areas[i] = (bar0_area){ 2 * i * PAGE, PAGE };
	chain_add_areas(&ch, areas, 256);
	args[4] = chain_hex(&ch);
	bar0_up(&w, &c, -1, args);
	ask(BAR0, sizeof(room));
	check_areas(areas, 256);
	region_same(&c, region_mapped(&c, BAR0, 510 * PAGE, PAGE), BAR0,
		    510 * PAGE);
	CHECK_ERRNO(region_map(&c, BAR0, 511 * PAGE, PAGE, RW), EINVAL);
}

/* Those that are known; not those of which we cannot say what they are. */
TEST(all_capabilities_at_once)
{
	static const bar0_area area = { 0, 4 * PAGE };
	const struct vfio_region_info_cap_type *type;
	struct chain ch = { 0 };
	const char *args[] = { "--mmap-bar0", "--bar0-caps", NULL, NULL };
	unsigned int nr;

	chain_add(&ch, 0x1234, 24);
	chain_add(&ch, MSIX, 8);
	chain_add(&ch, MSIX + 1, 8);
	chain_add_areas(&ch, &area, 1);
	chain_add(&ch, 0, 16);
	chain_add(&ch, 0, 16);
	chain_add_type(&ch, 0x8086, 2);
	chain_add(&ch, 0xffff, 8);
	args[2] = chain_hex(&ch);
	bar0_up(&w, &c, -1, args);
	ask(BAR0, INFO);
	CHECK_EQ(room.info.argsz, INFO + 32 + 16 + 8);
	CHECK_EQ(room.info.cap_offset, 0);
	ask(BAR0, room.info.argsz);
	check_areas(&area, 1);
	CHECK(find_cap(MSIX, &nr));
	type = find_cap(TYPE, &nr);
	CHECK(type);
	CHECK_EQ(type->type, 0x8086);
	CHECK_EQ(type->subtype, 2);
	CHECK_EQ(nr, 3);
	region_same(&c, region_mapped(&c, BAR0, 0, 4 * PAGE), BAR0, 0);
}

TEST(areas_of_what_cannot_be_mapped)
{
	static const bar0_area area = { 0, 4 * PAGE };
	struct chain ch = { 0 };
	const char *args[] = { "--bar0-caps", NULL, NULL };
	unsigned int nr;

	chain_add_areas(&ch, &area, 1);
	chain_add_type(&ch, 1, 2);
	args[1] = chain_hex(&ch);
	bar0_up(&w, &c, -1, args);
	ask(BAR0, sizeof(room));
	CHECK_EQ(room.info.flags, VFIO_REGION_INFO_FLAG_READ |
		 VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_CAPS);
	CHECK(!find_cap(SPARSE, &nr));
	CHECK(find_cap(TYPE, &nr));
	CHECK_EQ(nr, 1);
	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE, RW), EINVAL);
}

TEST(a_region_of_the_device_s_own)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const struct vfio_region_info_cap_type *type;
	/* VFIO_REGION_TYPE_PCI_VENDOR_TYPE overflows an int. */
	const uint32_t vendor = 1U << 31 | PUPPET_VENDOR_ID;
	struct chain ch = { 0 };
	const char *args[] = { "--mmap-bar0", "--region9-caps", NULL, NULL };
	volatile uint32_t *mem, *bar0;
	unsigned int nr;

	chain_add_type(&ch, vendor, 0x77);
	args[2] = chain_hex(&ch);
	bar0_up(&w, &c, -1, args);
	CHECK(!ioctl(c.device, VFIO_DEVICE_GET_INFO, &info));
	CHECK_EQ(info.num_regions, 10);
	ask(PUPPET_REGION9, sizeof(room));
	CHECK_EQ(room.info.flags, READ_WRITE_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
	CHECK_EQ(room.info.size, PUPPET_REGION9_SIZE);
	CHECK_EQ(room.info.offset, region_at(PUPPET_REGION9, 0));
	type = find_cap(TYPE, &nr);
	CHECK(type);
	CHECK_EQ(type->header.version, 1);
	CHECK_EQ(type->type, vendor);
	CHECK_EQ(type->subtype, 0x77);

	bar0 = region_mapped(&c, BAR0, 0, BAR0_SIZE);
	mem = region_mapped(&c, PUPPET_REGION9, 0, PUPPET_REGION9_SIZE);
	region_same(&c, mem, PUPPET_REGION9, 0);
	region_same(&c, mem + PAGE / 4, PUPPET_REGION9, PAGE);
	region_same(&c, bar0, BAR0, 0);
	CHECK(mem[0] != bar0[0]);
	CHECK_ERRNO(region_map(&c, PUPPET_REGION9, PAGE, 2 * PAGE, RW), EINVAL);
}

/**
 * struct refusal - a server whose attachment breaks
 * @what: is wrong with it
 * @reason: that is given
 * @w: its mdev and itself
 * @memfd: its file, or -1 if that is something else
 */
struct refusal {
	const char *what;
	const char *reason;
	struct world w;
	int memfd;
};

/* All those of a case are started first: it takes half the time. */
static struct refusal refusals[16];
static size_t nr_refusals;

/* A server with BAR0 in a file, which nobody shall have opened in the end. */
static void refused(const char *what, const char *reason, int memfd, int fd,
		    const char *const *args)
{
	struct refusal *r = &refusals[nr_refusals++];

	CHECK(nr_refusals <= sizeof(refusals) / sizeof(*refusals));
	r->what = what;
	r->reason = reason;
	r->memfd = memfd;
	world_mdev(&r->w);
	bar0_server(&r->w, fd, args);
	close(fd);
}

static void check_refusal(struct refusal *r)
{
	test_doing = r->what;
	world_wait_state(&r->w, "broken");
	CHECK_SOON(kernel_log_count(r->w.uuid, r->reason));
	world_kill(&r->w.server, SIGKILL);
	if (r->memfd < 0)
		return;
	CHECK_SOON(bar0_file_is_free(r->memfd));
	/* Nor does anybody count on being able to write to it. */
	CHECK(!fcntl(r->memfd, F_ADD_SEALS, F_SEAL_WRITE));
}

static void check_refusals(void)
{
	char reason[128] = "";

	world_helper(&w, NULL);
	/* It is tried again every second: there may be none at the moment. */
	while (!reason[0])
		dma_show_text(&refusals[0].w, "reason", reason, sizeof(reason));
	CHECK(!strcmp(reason, refusals[0].reason));
	for (size_t i = 0; i < nr_refusals; i++)
		check_refusal(&refusals[i]);
}

static void refused_caps(const char *what, const char *reason,
			 const struct chain *ch, const char *offset)
{
	const char *args[] = { "--mmap-bar0", "--bar0-caps", chain_hex(ch),
			       offset ? "--bar0-cap-offset" : NULL, offset,
			       NULL };
	int memfd = bar0_file(BAR0_SIZE);

	refused(what, reason, memfd, bar0_reopen(memfd, O_RDWR), args);
}

#define NO_PAGES	"server's mappable areas are not of whole pages"
#define OUTSIDE		"server's mappable area is not inside its region"
#define OVERLAP		"server's mappable areas overlap"

TEST(bad_areas)
{
	static const struct {
		const char *what, *reason;
		bar0_area areas[2];
	} rows[] = {
		{ "begins within a page", NO_PAGES, { { 2048, PAGE } } },
		{ "ends within a page", NO_PAGES, { { PAGE, 6144 } } },
		{ "empty", NO_PAGES, { { PAGE, 0 } } },
		{ "begins at the end", OUTSIDE, { { BAR0_SIZE, PAGE } } },
		{ "too long", OUTSIDE, { { BAR0_SIZE - PAGE, 2 * PAGE } } },
		{ "ends below its start", OUTSIDE, { { PAGE, -PAGE } } },
		{ "far away", OUTSIDE, { { -PAGE, 2 * PAGE } } },
		{ "second outside", OUTSIDE,
		  { { 0, PAGE }, { BAR0_SIZE, PAGE } } },
		{ "same", OVERLAP, { { PAGE, PAGE }, { PAGE, PAGE } } },
		{ "one in the other", OVERLAP,
		  { { 0, 4 * PAGE }, { PAGE, PAGE } } },
		{ "one around the other", OVERLAP,
		  { { PAGE, PAGE }, { 0, 4 * PAGE } } },
		{ "end over begin", OVERLAP,
		  { { PAGE, 2 * PAGE }, { 0, 2 * PAGE } } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool two = rows[i].areas[1].size;
		struct chain ch = { 0 };

		chain_add_areas(&ch, rows[i].areas, two ? 2 : 1);
		refused_caps(rows[i].what, rows[i].reason, &ch, NULL);
	}
	check_refusals();
}

#define NOWHERE		"server's region capabilities point nowhere"
#define CUT		"server's region capability is cut short"
#define TWICE		"server's region has a capability twice"

/**
 * struct bad_chain - two capabilities at most
 * @what: for us
 * @reason: why they are refused
 * @ids: of each
 * @sizes: of each; 0 if there is none
 * @next: of the last
 * @offset: where the first is said to be, if it is not there
 */
struct bad_chain {
	const char *what;
	const char *reason;
	unsigned int ids[2];
	size_t sizes[2];
	uint32_t next;
	const char *offset;
};

static void refused_chain(const struct bad_chain *bad)
{
	struct vfio_info_cap_header *last = NULL;
	struct chain ch = { 0 };

	for (size_t i = 0; i < 2 && bad->sizes[i]; i++)
		last = chain_add(&ch, bad->ids[i], bad->sizes[i]);
	last->next = bad->next;
	refused_caps(bad->what, bad->reason, &ch, bad->offset);
}

TEST(chains_that_lead_nowhere)
{
	static const struct bad_chain rows[] = {
		{ "to itself", NOWHERE, { TYPE }, { 16 }, 32, NULL },
		{ "unknown, to itself", NOWHERE, { 0x1234 }, { 8 }, 32, NULL },
		{ "to the first", NOWHERE, { TYPE, MSIX }, { 16, 8 }, 32, NULL },
		{ "to the end", NOWHERE, { TYPE }, { 16 }, 48, NULL },
		{ "to the last 4 bytes", NOWHERE, { TYPE }, { 20 }, 48, NULL },
		{ "unaligned", NOWHERE, { TYPE }, { 32 }, 52, NULL },
		{ "into the info", NOWHERE, { TYPE }, { 16 }, 24, NULL },
		{ "far away", NOWHERE, { TYPE }, { 16 }, 0xfffffff8, NULL },
		{ "starts at the end", NOWHERE, { TYPE }, { 16 }, 0, "48" },
		{ "starts unaligned", NOWHERE, { TYPE }, { 24 }, 0, "36" },
		{ "starts in the info", NOWHERE, { TYPE }, { 16 }, 0, "8" },
		{ "starts far away", NOWHERE, { TYPE }, { 16 }, 0, "4294967288" },
	};

	struct chain ch = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		refused_chain(&rows[i]);
	ch.size = 4;
	refused_caps("half a header", NOWHERE, &ch, NULL);
	check_refusals();
}

TEST(capabilities_that_make_no_sense)
{
	static const struct bad_chain rows[] = {
		{ "type, no subtype", CUT, { TYPE }, { 12 }, 0, NULL },
		{ "no type", CUT, { MSIX, TYPE }, { 8, 8 }, 0, NULL },
		{ "no number of areas", CUT, { SPARSE }, { 8 }, 0, NULL },
		{ "half a number", CUT, { TYPE, SPARSE }, { 16, 12 }, 0, NULL },
		{ "two types", TWICE, { TYPE, TYPE }, { 16, 16 }, 0, NULL },
		{ "two areas", TWICE, { SPARSE, SPARSE }, { 16, 16 }, 0, NULL },
		{ "two MSI-X", TWICE, { MSIX, MSIX }, { 8, 8 }, 0, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		refused_chain(&rows[i]);
	check_refusals();
}

TEST(numbers_of_areas)
{
	static const struct {
		const char *what;
		uint32_t really, said;
	} rows[] = {
		{ "none of one", 0, 1 },
		{ "one of two", 1, 2 },
		{ "one of as many as there can be", 1, 0xffffffff },
		/* In 32 bits these come out as 16 bytes for all. */
		{ "one of 2^28", 1, 0x10000000 },
		{ "one of 15 * 2^28", 1, 0xf0000000 },
		{ "too many", 257, 257 },
	};
	static bar0_area areas[257];

	for (size_t i = 0; i < 257; i++)
		areas[i] = (bar0_area){ i * PAGE, PAGE };
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct vfio_region_info_cap_sparse_mmap *cap;
		struct chain ch = { 0 };

		chain_add_areas(&ch, areas, rows[i].really);
		cap = (void *)ch.data;
		cap->nr_areas = rows[i].said;
		refused_caps(rows[i].what, CUT, &ch, NULL);
	}
	check_refusals();
}

#define SHORT		"server's file is shorter than its region"
#define NO_PAGE		"server's region does not start on a page of its file"
#define UNWRITABLE	"server's region can be written, but its file cannot"
#define NO_SHMEM	"region 0 cannot be mapped: its file is not on tmpfs"

static void refused_memfd(const char *what, const char *reason, size_t size,
			  const char *offset, int seals, int flags)
{
	const char *args[] = { "--mmap-bar0", offset ? "--bar0-offset" : NULL,
			       offset, NULL };
	int memfd = bar0_file(size);

	CHECK(!fcntl(memfd, F_ADD_SEALS, seals));
	refused(what, reason, memfd, bar0_reopen(memfd, flags), args);
}

TEST(memfds_that_do_not_fit)
{
	refused_memfd("empty", SHORT, 0, NULL, 0, O_RDWR);
	refused_memfd("a page less", SHORT, BAR0_SIZE - PAGE, NULL, 0, O_RDWR);
	refused_memfd("at a page", SHORT, BAR0_SIZE, "4096", 0, O_RDWR);
	refused_memfd("far away", SHORT, BAR0_SIZE, "9223372036854771712", 0,
		      O_RDWR);
	refused_memfd("below 0", SHORT, BAR0_SIZE, "18446744073709547520", 0,
		      O_RDWR);
	refused_memfd("within a page", NO_PAGE, 2 * BAR0_SIZE, "2048", 0, O_RDWR);
	refused_memfd("sealed", UNWRITABLE, BAR0_SIZE, NULL, F_SEAL_WRITE, O_RDWR);
	refused_memfd("for reading", UNWRITABLE, BAR0_SIZE, NULL, 0, O_RDONLY);
	check_refusals();
}

/* A consumer gets no more of a file than the server could map itself. */
TEST(memfds_that_the_server_may_not_use)
{
	refused_memfd("only for writing", "server's file cannot be read",
		      BAR0_SIZE, NULL, 0, O_WRONLY);
	refused_memfd("to be sealed for others", UNWRITABLE, BAR0_SIZE, NULL,
		      F_SEAL_FUTURE_WRITE, O_RDWR);
	check_refusals();
}

/* The file as well. Memory comes in pages, and there is one of it. */
TEST(less_than_a_page)
{
	const char *const args[] = { "--mmap-bar0", "--bar0-size", "2048", NULL };

	bar0_up(&w, &c, -1, args);
	region_same(&c, region_mapped(&c, BAR0, 0, PAGE), BAR0, 0);
	region_same(&c, region_mapped(&c, BAR0, 0, 2048) + 256, BAR0, 1024);
	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE + 1, RW), EINVAL);
	CHECK_ERRNO(region_map(&c, BAR0, PAGE, PAGE, RW), EINVAL);
}

/* It can be used all the same, and it is said why not as memory. */
static void check_unmapped(struct refusal *r)
{
	struct json_object *show;

	test_doing = r->what;
	world_wait_state(&r->w, "attached");
	consumer_open(&c, &r->w);
	CHECK_ERRNO(region_map(&c, BAR0, 0, PAGE, RW), EINVAL);
	region_write32(&c, BAR0, 8, 0x12345678);
	CHECK_EQ(region_read32(&c, BAR0, 8), 0x12345678);
	show = ctl_run_json("show --json %s", r->w.uuid);
	show = json_object_array_get_idx(json_get(show, "without"), 0);
	CHECK(!strcmp(json_get_text(show, "text"), r->reason));
	CHECK_EQ(json_get_number(show, "count"), 1);
	CHECK_EQ(kernel_log_count(r->w.uuid, r->reason), 1);
	consumer_close(&c);
	/* Attached anew, it is no news. */
	world_attr_set(&r->w, "state", "detached");
	world_wait_state(&r->w, "attached");
	CHECK_EQ(kernel_log_count(r->w.uuid, r->reason), 1);
	world_kill(&r->w.server, SIGKILL);
}

/* It matters that their pages stay where they are, as those of shmem do. */
TEST(files_that_are_not_shmem)
{
	const char *const args[] = { "--mmap-bar0", NULL };
	const char *path = "/var/tmp/vum-test-bar0";
	struct pollfd other_end = { .events = POLLIN };
	int fd, ends[2];

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, BAR0_SIZE));
	refused("on disk", NO_SHMEM, -1, fd, args);
	CHECK(!unlink(path));
	fd = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	refused("a directory", NO_SHMEM, -1, fd, args);
	refused("an eventfd", NO_SHMEM, -1, new_eventfd(), args);
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	CHECK(fd >= 0 && !ftruncate(fd, 2 << 20));
	refused("huge pages", NO_SHMEM, -1, fd, args);
	CHECK(!pipe2(ends, O_CLOEXEC));
	refused("a pipe", NO_SHMEM, -1, ends[1], args);
	world_helper(&w, NULL);
	for (size_t i = 0; i < nr_refusals; i++)
		check_unmapped(&refusals[i]);
	/* Nobody keeps the end that it was. */
	other_end.fd = ends[0];
	CHECK_EQ(poll(&other_end, 1, TEST_SOON_MS), 1);
	CHECK_EQ(other_end.revents, POLLHUP);
}

/* The server gets it right the second time, and is taken. */
TEST(second_thoughts)
{
	const char *const args[] = { "--mmap-bar0", NULL };
	int memfd = bar0_file(BAR0_SIZE - PAGE);

	world_mdev(&w);
	world_attr_set(&w, "posted_writes", "0");
	bar0_server(&w, memfd, args);
	world_helper(&w, NULL);
	world_wait_state(&w, "broken");
	CHECK(!ftruncate(memfd, (off_t)BAR0_SIZE));
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	region_same(&c, region_mapped(&c, BAR0, 0, BAR0_SIZE), BAR0, 0);
}

#define ENDED	"broken: server's device differs"
#define DIFFERS	"server's device differs from the one that is in use"

/* The helper as well, or it would take a second to try again. */
static void restart(const char *const *args)
{
	world_kill(&w.server, SIGKILL);
	world_kill(&w.helper, SIGKILL);
	bar0_server(&w, -1, args);
	world_helper(&w, NULL);
}

/* The state does not tell one refusal from the next, the helper's log does. */
static void restart_in_vain(const char *const *args)
{
	unsigned int before = file_count(world_helper_log(), ENDED);
	char reason[128] = "";

	restart(args);
	CHECK_SOON(file_count(world_helper_log(), ENDED) > before);
	while (!reason[0])
		dma_show_text(&w, "reason", reason, sizeof(reason));
	CHECK(!strcmp(reason, DIFFERS));
}

/* Areas, a type, or neither. */
static const char *areas_and_type(const bar0_area *area, uint32_t type)
{
	struct chain ch = { 0 };

	if (area)
		chain_add_areas(&ch, area, 1);
	if (type)
		chain_add_type(&ch, type, 7);
	return chain_hex(&ch);
}

TEST(another_shape_of_what_is_mapped)
{
	static const bar0_area good = { PAGE, 4 * PAGE };
	static const struct {
		const char *flag;
		bar0_area area;
		uint32_t type;
	} rows[] = {
		{ "--mmap-bar0", { PAGE, 5 * PAGE }, 1 },
		{ "--mmap-bar0", { 2 * PAGE, 4 * PAGE }, 1 },
		{ "--mmap-bar0", { 0, 0 }, 1 },
		{ "--mmap-bar0", { PAGE, 4 * PAGE }, 2 },
		{ "--mmap-bar0", { PAGE, 4 * PAGE }, 0 },
		{ "--keep-bar0-fd", { PAGE, 4 * PAGE }, 1 },
	};
	const char *args[] = { "--mmap-bar0", "--bar0-caps", NULL, NULL };
	volatile uint32_t *mem;

	args[2] = areas_and_type(&good, 1);
	bar0_up(&w, &c, -1, args);
	mem = region_mapped(&c, BAR0, PAGE, 4 * PAGE);
	mem[0] = 0x1111;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const bar0_area *area = &rows[i].area;

		args[0] = rows[i].flag;
		args[2] = areas_and_type(area->size ? area : NULL, rows[i].type);
		restart_in_vain(args);
		CHECK_EQ(mem[0], 0x1111);
		CHECK_ERRNO(region_map(&c, BAR0, PAGE, 5 * PAGE, RW), EINVAL);
	}
	args[0] = "--mmap-bar0";
	args[2] = areas_and_type(&good, 1);
	restart(args);
	world_wait_state(&w, "attached");
	region_same(&c, mem, BAR0, PAGE);
}

/* A mapping is as good as a descriptor; without either, nobody relies on it. */
TEST(another_shape_while_nobody_uses_it)
{
	static const bar0_area area = { PAGE, PAGE };
	const char *args[] = { "--mmap-bar0", "--bar0-caps", NULL, NULL };
	const char *const all[] = { "--mmap-bar0", NULL };
	volatile uint32_t *mem;

	args[2] = areas_and_type(&area, 0);
	bar0_up(&w, &c, -1, args);
	mem = region_mapped(&c, BAR0, PAGE, PAGE);
	mem[0] = 0x1111;
	consumer_close(&c);
	restart_in_vain(all);
	CHECK_EQ(mem[0], 0x1111);
	CHECK(!munmap((void *)mem, PAGE));
	/* The helper tries again by itself. */
	world_wait_state(&w, "attached");
	consumer_open(&c, &w);
	ask(BAR0, sizeof(room));
	CHECK_EQ(room.info.flags, READ_WRITE_MMAP);
	mem = region_mapped(&c, BAR0, 0, BAR0_SIZE);
	region_same(&c, mem, BAR0, 0);
}
