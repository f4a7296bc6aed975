// SPDX-License-Identifier: GPL-2.0
/* The puppet's state, as it goes to another puppet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "puppet_priv.h"

#define STATE_KIND	0x74707570	/* "pupt" */
#define STATE_VERSION	1

/**
 * struct state - a saved puppet; BAR0 and the ballast follow
 * @kind: STATE_KIND
 * @version: STATE_VERSION
 * @bar0_size: bytes of BAR0
 * @ballast: bytes of ballast
 * @intx_level: PUPPET_INTX_LEVEL
 * @reserved: 0
 * @feature: PUPPET_FEATURE
 * @bar4: BAR4
 */
struct state {
	__u32 kind;
	__u32 version;
	__u32 bar0_size;
	__u32 ballast;
	__u32 intx_level;
	__u32 reserved;
	__u8 feature[PUPPET_FEATURE_SIZE];
	__u8 bar4[PUPPET_BAR4_SIZE];
};

static __u8 ballast_at(__u32 i)
{
	return (__u8)(i * 2654435761U >> 24);
}

static int stop(void *opaque)
{
	struct puppet *puppet = opaque;

	puppet->stopped = true;
	puppet->resets_at_stop = puppet->nr_resets;
	puppet_dma_reset(puppet);
	return 0;
}

static int run(void *opaque)
{
	struct puppet *puppet = opaque;

	puppet->stopped = false;
	puppet->resets_to_run = puppet->nr_resets - puppet->resets_at_stop;
	puppet_update_intx(puppet);
	return 0;
}

static int save(void *opaque, void **to, size_t *size)
{
	const struct puppet *puppet = opaque;
	const struct puppet_options *opt = &puppet->opt;
	struct state *state;
	__u8 *more;

	*size = sizeof(*state) + opt->bar0_size + opt->ballast;
	state = malloc(*size);
	if (!state)
		return -ENOMEM;
	*state = (struct state){
		.kind = STATE_KIND, .version = STATE_VERSION,
		.bar0_size = opt->bar0_size, .ballast = opt->ballast,
		.intx_level = puppet->intx_level,
	};
	memcpy(state->feature, puppet->feature, sizeof(state->feature));
	memcpy(state->bar4, puppet->bar4, sizeof(state->bar4));
	more = (__u8 *)(state + 1);
	memcpy(more, puppet->bar0, opt->bar0_size);
	more += opt->bar0_size;
	for (__u32 i = 0; i < opt->ballast; i++)
		more[i] = ballast_at(i);
	*to = state;
	return 0;
}

static const char *flaw_of(const struct puppet *puppet, const struct state *state,
			   size_t size)
{
	const __u8 *ballast;

	if (size < sizeof(*state) || state->kind != STATE_KIND)
		return "of another kind of device";
	if (state->version != STATE_VERSION)
		return "of another version";
	if (state->bar0_size != puppet->opt.bar0_size)
		return "of a device with another BAR0";
	if (state->ballast != puppet->opt.ballast)
		return "of a device with other ballast";
	if (size != sizeof(*state) + (size_t)state->bar0_size + state->ballast)
		return "cut short";
	ballast = (const __u8 *)(state + 1) + state->bar0_size;
	for (__u32 i = 0; i < state->ballast; i++)
		if (ballast[i] != ballast_at(i))
			return "garbled";
	return NULL;
}

static int load(void *opaque, const void *from, size_t size)
{
	struct puppet *puppet = opaque;
	const struct state *state = from;
	const char *flaw = flaw_of(puppet, state, size);

	if (flaw) {
		fprintf(stderr, "vum-puppet: the state to be loaded is %s\n", flaw);
		return -EINVAL;
	}
	puppet->intx_level = state->intx_level;
	memcpy(puppet->feature, state->feature, sizeof(state->feature));
	memcpy(puppet->bar4, state->bar4, sizeof(state->bar4));
	memcpy(puppet->bar0, state + 1, state->bar0_size);
	return 0;
}

const struct vus_migration puppet_migration = {
	.stop = stop,
	.run = run,
	.save = save,
	.load = load,
};
