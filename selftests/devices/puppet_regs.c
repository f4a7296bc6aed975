// SPDX-License-Identifier: GPL-2.0
/* The puppet's control registers. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/vfio.h>

#include "puppet_priv.h"

static __u32 dma_data(const struct puppet *puppet, __u64 offset)
{
	__u32 word;

	memcpy(&word, puppet->dma_data + (offset - PUPPET_DMA_DATA),
	       sizeof(word));
	return le32toh(word);
}

static __u32 read_register(struct puppet *puppet, __u64 offset)
{
	switch (offset) {
	case PUPPET_MAGIC:
		return PUPPET_MAGIC_VALUE;
	case PUPPET_FAULT:
		return puppet->fault;
	case PUPPET_FAULT_ARG:
		return puppet->fault_arg;
	case PUPPET_FAULT_CMD:
		return puppet->fault_cmd;
	case PUPPET_GATHER:
		return puppet->gather;
	case PUPPET_MAX_OVERLAP:
		return puppet->max_overlap;
	case PUPPET_INTX_LEVEL:
		return puppet->intx_level;
	case PUPPET_NR_SET_IRQS:
		return puppet->nr_set_irqs;
	case PUPPET_NR_RESETS:
		return puppet->nr_resets;
	case PUPPET_NR_VECTORS:
		return vus_irq_bound(puppet->srv, VFIO_PCI_MSIX_IRQ_INDEX);
	case PUPPET_MAX_FDS:
		return puppet->max_fds;
	case PUPPET_NR_CONNECTIONS:
		return puppet->nr_connections;
	case PUPPET_INTX_MASKED:
		return vus_irq_masked(puppet->srv, VFIO_PCI_INTX_IRQ_INDEX, 0);
	case PUPPET_DMA_RESULT:
		return puppet->dma_result;
	case PUPPET_NR_READS:
		return puppet->nr_reads;
	case PUPPET_NR_MULTI:
		return puppet->nr_multi;
	case PUPPET_NR_WRITES:
		return puppet->nr_writes;
	case PUPPET_LAST_COUNT:
		return puppet->last_count;
	case PUPPET_RESETS_TO_RUN:
		return puppet->resets_to_run;
	case PUPPET_DMA_STATUS:
		return puppet->dma.status;
	case PUPPET_DMA_SUM_RESULT:
		return puppet->dma.sum;
	case PUPPET_IO_FD_HITS:
		return puppet_io_fd_hits(puppet);
	case PUPPET_TRIGGER_DELAY:
		return puppet->timing.delay;
	case PUPPET_TRIGGER_TIME:
		return (__u32)puppet->timing.fired;
	case PUPPET_TRIGGER_TIME + 4:
		return (__u32)(puppet->timing.fired >> 32);
	case PUPPET_DMA_TIME:
		return (__u32)puppet->timing.took;
	case PUPPET_DMA_TIME + 4:
		return (__u32)(puppet->timing.took >> 32);
	default:
		if (offset >= PUPPET_DMA_DATA &&
		    offset < PUPPET_DMA_DATA + PUPPET_DMA_SIZE)
			return dma_data(puppet, offset);
		return 0;
	}
}

/**
 * puppet_trigger() - fire an interrupt
 * @puppet: the puppet
 * @value: as written to PUPPET_TRIGGER
 */
void puppet_trigger(struct puppet *puppet, __u32 value)
{
	__u32 index = value >> 16;

	if (index == VFIO_PCI_INTX_IRQ_INDEX) {
		puppet->intx_level = 1;
		puppet_update_intx(puppet);
	} else {
		/* An interrupt that nobody listens to is lost, as on a bus. */
		(void)vus_irq_trigger(puppet->srv, index, value & 0xffff);
	}
}

static void write_register(struct puppet *puppet, __u64 offset, __u32 value)
{
	switch (offset) {
	case PUPPET_FAULT:
		puppet->fault = value < PUPPET_NR_FAULTS ? value : 0;
		break;
	case PUPPET_FAULT_ARG:
		puppet->fault_arg = value;
		break;
	case PUPPET_FAULT_CMD:
		puppet->fault_cmd = value;
		break;
	case PUPPET_GATHER:
		puppet->gather = value;
		puppet_gather_changed(puppet);
		break;
	case PUPPET_MAX_OVERLAP:
		puppet->max_overlap = 0;
		break;
	case PUPPET_TRIGGER:
		if (puppet->timing.delay)
			puppet_trigger_later(puppet, value);
		else
			puppet_trigger(puppet, value);
		break;
	case PUPPET_TRIGGER_DELAY:
		puppet->timing.delay = value;
		break;
	case PUPPET_INTX_LEVEL:
		puppet->intx_level = !!value;
		puppet_update_intx(puppet);
		break;
	default:
		puppet_dma_write(puppet, offset, value);
	}
}

/**
 * puppet_regs_read() - the client reads BAR2
 * @opaque: the puppet
 * @offset: where
 * @buf: where to
 * @count: 4
 *
 * Return: 0, or -EINVAL if this is no register.
 */
int puppet_regs_read(void *opaque, __u64 offset, void *buf, __u32 count)
{
	__u32 value;

	if (count != sizeof(value) || offset % sizeof(value))
		return -EINVAL;
	value = htole32(read_register(opaque, offset));
	memcpy(buf, &value, sizeof(value));
	return 0;
}

/**
 * puppet_regs_write() - the client writes BAR2
 * @opaque: the puppet
 * @offset: where
 * @buf: where from
 * @count: 4
 *
 * Return: 0, or -EINVAL if this is no register.
 */
int puppet_regs_write(void *opaque, __u64 offset, const void *buf, __u32 count)
{
	__u32 value;

	if (count != sizeof(value) || offset % sizeof(value))
		return -EINVAL;
	memcpy(&value, buf, sizeof(value));
	write_register(opaque, offset, le32toh(value));
	return 0;
}
