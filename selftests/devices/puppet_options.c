// SPDX-License-Identifier: GPL-2.0
/* The puppet's command line. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "puppet_priv.h"

/* A BAR of 32 bits does not get larger. */
#define MAX_BAR0_SIZE	0x80000000UL

enum {
	OPT_CONFIG_SIZE = 0x2000,
	OPT_MSIX,
	OPT_BAR0_SIZE,
	OPT_SHAPE_BAR0,
	OPT_IO_BAR0,
	OPT_NUM_REGIONS,
	OPT_NUM_IRQS,
	OPT_NO_PCI,
	OPT_NO_RESET,
	OPT_MMAP_BAR0,
	OPT_SPARSE_BAR0,
	OPT_BAR0_FLAGS,
	OPT_BAR0_FD,
	OPT_KEEP_BAR0_FD,
	OPT_BAR0_OFFSET,
	OPT_BAR0_CAPS,
	OPT_BAR0_CAP_OFFSET,
	OPT_REGION9_CAPS,
	OPT_TOUCH,
	OPT_MIGRATE,
	OPT_BALLAST,
};

static const struct argp_option options[] = {
	{ "config-size", OPT_CONFIG_SIZE, "N", 0,
	  "Size of the config region: 256 (default) or 4096", 0 },
	{ "msix", OPT_MSIX, "N", 0,
	  "Number of MSI-X vectors, 1 to 2048 (default 64)", 0 },
	{ "bar0-size", OPT_BAR0_SIZE, "N", 0,
	  "Size of BAR0 (default 65536)", 0 },
	{ "shape-bar0", OPT_SHAPE_BAR0, NULL, OPTION_ALIAS, NULL, 0 },
	{ "io-bar0", OPT_IO_BAR0, NULL, 0, "BAR0 is I/O space, not memory", 0 },
	{ "num-regions", OPT_NUM_REGIONS, "N", 0,
	  "Number of regions to claim (default 9)", 0 },
	{ "num-irqs", OPT_NUM_IRQS, "N", 0,
	  "Number of IRQ indexes to claim (default 5)", 0 },
	{ "no-pci", OPT_NO_PCI, NULL, 0, "Claim to be no PCI device", 0 },
	{ "no-reset", OPT_NO_RESET, NULL, 0, "Claim not to know reset", 0 },
	{ "mmap-bar0", OPT_MMAP_BAR0, NULL, 0, "BAR0 can be mapped", 0 },
	{ "sparse-bar0", OPT_SPARSE_BAR0, NULL, 0,
	  "Only the second half of BAR0 can be mapped", 0 },
	{ "bar0-flags", OPT_BAR0_FLAGS, "N", 0,
	  "VFIO_REGION_INFO_FLAG_* of BAR0 (default 3: read and write)", 0 },
	{ "bar0-fd", OPT_BAR0_FD, "N", 0,
	  "An inherited descriptor: the file that BAR0 is in", 0 },
	{ "keep-bar0-fd", OPT_KEEP_BAR0_FD, NULL, 0,
	  "Do not hand it out, whatever the flags say", 0 },
	{ "bar0-offset", OPT_BAR0_OFFSET, "N", 0,
	  "Where BAR0 starts in that file", 0 },
	{ "bar0-caps", OPT_BAR0_CAPS, "HEX", 0,
	  "Capabilities of BAR0, as they go out 32 bytes into the reply", 0 },
	{ "bar0-cap-offset", OPT_BAR0_CAP_OFFSET, "N", 0,
	  "Where they are said to start", 0 },
	{ "region9-caps", OPT_REGION9_CAPS, "HEX", 0,
	  "There is a region 9 with these capabilities", 0 },
	{ "touch", OPT_TOUCH, NULL, 0,
	  "Touch announced memory every 2 MiB, as storage targets do", 0 },
	{ "migrate", OPT_MIGRATE, "N", 0,
	  "The device can be migrated: VFIO_USER_MIGRATION_*, or'ed", 0 },
	{ "ballast", OPT_BALLAST, "N", 0,
	  "Bytes that its state has for no other reason than to be large", 0 },
	{ 0 },
};

static __u8 hex_digit(struct argp_state *state, char c)
{
	const char *digits = "0123456789abcdef", *p = strchr(digits, c);

	if (!c || !p) {
		argp_error(state, "not pairs of digits 0 to f");
		return 0;
	}
	return (__u8)(p - digits);
}

static const struct puppet_caps *hex(struct argp_state *state, const char *arg)
{
	size_t size = (strlen(arg) + 1) / 2;
	struct puppet_caps *caps = vus_alloc(sizeof(*caps) + size);

	for (; caps->size < size; arg += 2)
		caps->data[caps->size++] =
			(__u8)(hex_digit(state, arg[0]) << 4 |
			       hex_digit(state, arg[1]));
	return caps;
}

static void init(struct argp_state *state)
{
	struct puppet_options *opt = state->input;

	opt->config_size = PCI_CFG_SPACE_SIZE;
	opt->nr_msix = PUPPET_NR_MSIX;
	opt->bar0_size = PUPPET_BAR0_SIZE;
	opt->num_regions = VFIO_PCI_NUM_REGIONS;
	opt->num_irqs = VFIO_PCI_NUM_IRQS;
	opt->bar0_flags = VFIO_REGION_INFO_FLAG_READ |
			  VFIO_REGION_INFO_FLAG_WRITE;
	opt->bar0_fd = -1;
	state->child_inputs[0] = &opt->common;
}

static error_t parse_bars(int key, char *arg, struct argp_state *state)
{
	struct puppet_options *opt = state->input;

	switch (key) {
	case OPT_IO_BAR0:
		opt->io_bar0 = true;
		break;
	case OPT_SPARSE_BAR0:
		opt->sparse = true;
		opt->bar0_flags |= VFIO_REGION_INFO_FLAG_MMAP;
		break;
	case OPT_MMAP_BAR0:
		opt->bar0_flags |= VFIO_REGION_INFO_FLAG_MMAP;
		break;
	case OPT_BAR0_FLAGS:
		opt->bar0_flags = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_BAR0_FD:
		opt->bar0_fd = (int)vus_option_number(state, arg, 0, INT_MAX);
		break;
	case OPT_KEEP_BAR0_FD:
		opt->keep_bar0_fd = true;
		break;
	case OPT_BAR0_OFFSET:
		opt->bar0_offset = vus_option_number(state, arg, 0, UINT64_MAX);
		break;
	case OPT_BAR0_CAPS:
		opt->bar0_caps = hex(state, arg);
		break;
	case OPT_BAR0_CAP_OFFSET:
		opt->bar0_cap_offset = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_REGION9_CAPS:
		opt->region9_caps = hex(state, arg);
		opt->num_regions = PUPPET_NR_REGIONS;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct puppet_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		init(state);
		break;
	case OPT_CONFIG_SIZE:
		opt->config_size = (__u32)vus_option_number(state, arg,
						 PCI_CFG_SPACE_SIZE,
						 PCI_CFG_SPACE_EXP_SIZE);
		break;
	case OPT_MSIX:
		opt->nr_msix = (__u32)vus_option_number(state, arg, 1, PUPPET_MAX_MSIX);
		break;
	case OPT_BAR0_SIZE:
	case OPT_SHAPE_BAR0:
		opt->bar0_size = (__u32)vus_option_number(state, arg, 16, MAX_BAR0_SIZE);
		break;
	case OPT_NUM_REGIONS:
		opt->num_regions = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_NUM_IRQS:
		opt->num_irqs = (__u32)vus_option_number(state, arg, 0, UINT32_MAX);
		break;
	case OPT_NO_PCI:
		opt->no_pci = true;
		break;
	case OPT_NO_RESET:
		opt->no_reset = true;
		break;
	case OPT_TOUCH:
		opt->touch = true;
		break;
	case OPT_MIGRATE:
		opt->migration = vus_option_number(state, arg, 1, 7);
		break;
	case OPT_BALLAST:
		opt->ballast = (__u32)vus_option_number(state, arg, 0, 1UL << 29);
		break;
	default:
		return parse_bars(key, arg, state);
	}
	return 0;
}

/**
 * puppet_parse() - parse the command line
 * @opt: where to
 * @argc: from main()
 * @argv: from main()
 *
 * Return: 0, or an errno. Exits if the line makes no sense.
 */
int puppet_parse(struct puppet_options *opt, int argc, char **argv)
{
	return vus_parse(options, parse,
			 "A PCI device that misbehaves on command, served over "
			 "vfio-user.\vIts registers are described in puppet.h.",
			 opt, argc, argv);
}
