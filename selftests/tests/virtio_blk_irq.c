// SPDX-License-Identifier: GPL-2.0
/* A disk in a process: how it is notified and notifies, and comes back. */

#include <endian.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../lib/test.h"
#include "../lib/virtio_blk.h"

#define ISR_QUEUE	1
#define ISR_CONFIG	2

/* How long to wait for what shall not come. */
#define NEVER_MS	100

static struct vblk v;
static struct vblk_queue *const q = &v.queue[0];
static const struct vblk_segment sector = { VBLK_DATA, VBLK_SECTOR, true };

/* So many, each of which may come a little after what it is about. */
static void check_irqs(int fd, uint64_t want)
{
	uint64_t got = 0;

	while (got < want) {
		uint64_t n = eventfd_take(fd, TEST_SOON_MS);

		if (!n)
			FAIL("only %llu interrupts", (unsigned long long)got);
		got += n;
	}
	CHECK_EQ(got + eventfd_take(fd, NEVER_MS), want);
}

static uint64_t isr(void)
{
	return vblk_get(&v, VIRTIO_PCI_CAP_ISR_CFG, 0, 1);
}

/* A chain that is as long as it goes on: the device has to give up on it. */
static void break_device(void)
{
	vblk_desc(&v, q->desc, 0, VBLK_HEADER(0), 16, VRING_DESC_F_NEXT, 0);
	vblk_kick(&v, q, 0);
	vblk_wait_broken(&v);
}

TEST(msix_each_queue_its_vector)
{
	struct vblk_queue *other = &v.queue[1];

	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
	check_irqs(q->irq, 2);
	CHECK_EQ(eventfd_take(other->irq, 0), 0);
	vblk_check(&v, other);
	check_irqs(other->irq, 2);
	CHECK_EQ(eventfd_take(q->irq, 0), 0);
	CHECK_EQ(eventfd_take(v.config_irq, 0), 0);
	/* With MSI-X nobody has to look at this. */
	CHECK_EQ(isr(), 0);
	break_device();
	CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
	CHECK_EQ(eventfd_take(q->irq, 0), 0);
}

TEST(msix_queues_share_a_vector)
{
	struct vblk_queue *other = &v.queue[1];

	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	/* May be changed as long as nobody relies on it. */
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	/* As every driver does: a store that is posted may come after a request. */
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	vblk_check(&v, other);
	check_irqs(q->irq, 2);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2),
		 VIRTIO_MSI_NO_VECTOR);
	vblk_check(&v, other);
	CHECK_EQ(eventfd_take(q->irq, NEVER_MS), 0);
	CHECK_EQ(eventfd_take(other->irq, 0), 0);
}

static void unmask(void)
{
	CHECK(!irq_set(&v.c, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		       VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0));
}

TEST(intx)
{
	v.intx = true;
	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	for (int i = 0; i < 5; i++) {
		vblk_request(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
		CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
		CHECK(vblk_config_get(&v, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
		/* To look at it is to acknowledge it. */
		CHECK_EQ(isr(), ISR_QUEUE);
		CHECK_EQ(isr(), 0);
		CHECK(!(vblk_config_get(&v, PCI_STATUS, 2) &
			PCI_STATUS_INTERRUPT));
		unmask();
		CHECK_EQ(eventfd_take(v.config_irq, i ? 0 : NEVER_MS), 0);
	}
	/* Not acknowledged: it is still there when unmasked. */
	vblk_request(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
	unmask();
	CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
	break_device();
	CHECK_EQ(isr(), ISR_QUEUE | ISR_CONFIG);
	vblk_reset(&v);
	CHECK_EQ(isr(), 0);
}

TEST(intx_disabled)
{
	v.intx = true;
	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_config_put(&v, PCI_COMMAND, 2, PCI_COMMAND_MEMORY |
			PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	vblk_request(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	CHECK_EQ(eventfd_take(v.config_irq, NEVER_MS), 0);
	/* It is pending nonetheless. */
	vblk_config_put(&v, PCI_COMMAND, 2,
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK_EQ(eventfd_take(v.config_irq, TEST_SOON_MS), 1);
}

/* VRING_AVAIL_F_NO_INTERRUPT, without the event index. */
TEST(interrupts_not_wanted)
{
	uint16_t *avail;

	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES & ~VBLK_BIT(VIRTIO_RING_F_EVENT_IDX));
	avail = vblk_at(&v, q->avail);
	avail[0] = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	vblk_request(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	CHECK_EQ(eventfd_take(q->irq, NEVER_MS), 0);
	avail[0] = 0;
	vblk_request(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	CHECK_EQ(eventfd_take(q->irq, TEST_SOON_MS), 1);
}

/* The event index is the only thing that counts, if negotiated. */
TEST(interrupts_by_event_index)
{
	uint16_t *avail;

	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	avail = vblk_at(&v, q->avail);
	avail[0] = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	/* From here on, the index is for us to set, not for vblk_offer(). */
	v.features &= ~VBLK_BIT(VIRTIO_RING_F_EVENT_IDX);
	/* With the third to come, and no other, whenever the device looks. */
	avail[2 + q->size] = htole16(2);
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	for (int i = 0; i < 8; i++)
		vblk_offer(&v, q, 0);
	vblk_notify(&v, q);
	vblk_wait(&v, q);
	check_irqs(q->irq, 1);
	/* Far away. */
	avail[2 + q->size] = htole16(1000);
	vblk_offer(&v, q, 0);
	vblk_notify(&v, q);
	vblk_wait(&v, q);
	CHECK_EQ(eventfd_take(q->irq, NEVER_MS), 0);
}

/* The device says from which request on it wants to be notified. */
TEST(notifications_by_event_index)
{
	const uint16_t *event;

	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	event = (const uint16_t *)((const struct vring_used *)
				   vblk_at(&v, q->used))->ring +
		q->size * sizeof(struct vring_used_elem) / sizeof(*event);
	vblk_check(&v, q);
	vblk_check(&v, q);
	CHECK_SOON(le16toh(*(const volatile uint16_t *)event) == q->offered);
}

TEST(no_dma_unless_bus_master)
{
	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_config_put(&v, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	vblk_snapshot(&v);
	vblk_offer(&v, q, 0);
	vblk_allow(&v, q->avail, 0x1000);
	vblk_notify(&v, q);
	test_sleep_ms(NEVER_MS);
	CHECK_EQ(vblk_changed(&v), -1);
	vblk_config_put(&v, PCI_COMMAND, 2,
			PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vblk_wait(&v, q);
	CHECK_EQ(vblk_done(&v, q), VIRTIO_BLK_S_OK);
}

/* Nothing is done before DRIVER_OK, and what has been offered then is. */
TEST(nothing_before_driver_ok)
{
	vblk_up(&v, NULL, NULL);
	v.nr_queues = 0;
	vblk_start(&v, VBLK_FEATURES);
	vblk_reset(&v);
	CHECK(vblk_negotiate(&v, VBLK_FEATURES));
	vblk_queue_init(&v, q);
	vblk_queue_enable(&v, q);
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	vblk_kick(&v, q, 0);
	test_sleep_ms(NEVER_MS);
	CHECK_EQ(vblk_used(&v, q), 0);
	vblk_driver_ok(&v);
	vblk_wait(&v, q);
	CHECK_EQ(vblk_done(&v, q), VIRTIO_BLK_S_OK);
}

static void after_reset(void)
{
	CHECK_EQ(vblk_status(&v), 0);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_MSIX, 2),
		 VIRTIO_MSI_NO_VECTOR);
	vblk_put_common(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	CHECK_EQ(vblk_get_common(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2),
		 VBLK_QUEUE_SIZE);
	/* What is offered now is nobody's business. */
	vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
	vblk_snapshot(&v);
	vblk_offer(&v, q, 0);
	vblk_allow(&v, q->avail, 0x1000);
	vblk_notify(&v, q);
	test_sleep_ms(NEVER_MS);
	CHECK_EQ(vblk_changed(&v), -1);
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
	vblk_check(&v, &v.queue[1]);
}

TEST(reset_by_the_driver)
{
	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
	vblk_reset(&v);
	after_reset();
}

TEST(reset_of_the_function)
{
	vblk_up(&v, NULL, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
	CHECK(!ioctl(v.c.device, VFIO_DEVICE_RESET));
	CHECK_EQ(vblk_config_get(&v, PCI_COMMAND, 2), 0);
	after_reset();
}

/* In the middle of requests, over and over. */
TEST(reset_while_busy)
{
	const struct vblk_segment much = { VBLK_DATA, 0x40000, true };

	vblk_up(&v, &vblk_by_messages, NULL);
	v.nr_queues = 1;
	for (unsigned int i = 0; i < 20; i++) {
		vblk_start(&v, VBLK_FEATURES);
		vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &much, 1);
		vblk_kick(&v, q, 0);
		test_sleep_ms(i % 4);
		vblk_reset(&v);
		/* Once it is over, nothing is written any more. */
		vblk_snapshot(&v);
		test_sleep_ms(5);
		CHECK_EQ(vblk_changed(&v), -1);
	}
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
}

/* The helper goes and comes back: the queues go on where they were. */
static void helper_restarts(const struct vblk_way *way)
{
	vblk_up(&v, way, NULL);
	vblk_start(&v, VBLK_FEATURES);
	vblk_check(&v, q);
	for (int i = 0; i < 3; i++) {
		vblk_settled(&v);
		world_cut(&v.w);
		world_wait_state(&v.w, "detached");
		vblk_chain(&v, q, VIRTIO_BLK_T_IN, 0, &sector, 1);
		vblk_offer(&v, q, 0);
		world_helper(&v.w, NULL);
		world_wait_state(&v.w, "attached");
		/* The notification may have got lost: no need to repeat it. */
		vblk_wait(&v, q);
		CHECK_EQ(vblk_done(&v, q), VIRTIO_BLK_S_OK);
		vblk_check(&v, q);
		vblk_check(&v, &v.queue[1]);
	}
}

TEST(helper_restarts_by_default)
{
	helper_restarts(NULL);
}

TEST(helper_restarts_by_messages)
{
	helper_restarts(&vblk_by_messages);
}
