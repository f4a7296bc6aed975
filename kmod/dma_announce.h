/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: what the server is told of the consumer's memory.
 */
#ifndef VUM_DMA_ANNOUNCE_H
#define VUM_DMA_ANNOUNCE_H

#include "dma.h"
#include "dma_container.h"
#include "message.h"

/* Bits of vum_announce's @refused. */
enum vum_refused {
	VUM_REFUSED_MAPPING,
	VUM_REFUSED_APERTURE,
};

/* Most files whose refusals are remembered one by one; with more, none is announced. */
#define VUM_UNSHARED_MAX	16

/* Most apertures beyond the first; a server's address space has room for no more. */
#define VUM_FAR_MAX	15

/**
 * struct vum_announce - what a device's server has been told of memory
 * @lock: guards all that follows but @exact, @pending, @refused, @refusals and @unshared,
 *	and the order in which the server is told. Never held while a task waits for the
 *	server
 * @session: the attachment that this is for
 * @exact: announce the consumer's mappings, not the aperture
 * @inexact: why the aperture is announced although @exact is set, or NULL
 * @aperture: the range of all IOVAs that there may be
 * @far: where, beyond @aperture, the consumer's mappings had been announced before they
 *	could not be any more: multiples of @aperture's size, ascending
 * @nr_far: number of entries in @far
 * @told: the mappings that have been announced, by IOVA
 * @nr_told: number of entries in @told
 * @nr_files: number of those with a file of their own
 * @pending: messages that the server has not replied to
 * @gen: dev->member.gen at that time
 * @refused: enum vum_refused, what the server has replied an error to
 * @refusals: how often the server has done that, for files as well
 * @handled: how many of @refusals have had their consequences
 * @whole: the server holds too few mappings to be told those of which parts have files
 *	by these parts
 * @unshared: IOVAs at which the server has refused the file; conn's lock guards it
 * @nr_unshared: number of entries in @unshared; more than VUM_UNSHARED_MAX: no file is to
 *	be announced
 * @work: work item that announces what is new
 */
struct vum_announce {
	struct mutex lock; /* see above */
	u32 session;
	bool exact;
	const char *inexact;
	struct vum_mapping aperture;
	u64 far[VUM_FAR_MAX];
	unsigned int nr_far;
	struct vum_mapping *told;
	unsigned int nr_told;
	unsigned int nr_files;
	atomic_t pending;
	unsigned long gen;
	unsigned long refused;
	atomic_t refusals;
	int handled;
	bool whole;
	u64 unshared[VUM_UNSHARED_MAX];
	unsigned int nr_unshared;
	struct work_struct work;
};

void vum_announce_init(struct vum_device *dev);
void vum_announce_exit(struct vum_device *dev);
struct vum_req *vum_announce_map(enum vum_req_kind kind, struct file *window,
				 enum vum_dma_mode mode,
				 const struct vum_mapping *map);
struct vum_req *vum_announce_unmap(enum vum_req_kind kind,
				   const struct vum_mapping *map);
void vum_announce_begin(struct vum_device *dev, u32 session,
			const struct vum_mapping *aperture, bool told);
int vum_announce_now(struct vum_device *dev);
void vum_announce_catch_up(struct vum_device *dev);
void vum_announce_withdraw(struct vum_device *dev);
void vum_announce_later(struct vum_device *dev);
bool vum_announce_heard(const struct vum_device *dev, unsigned long gen);
int vum_announce_wait_heard(struct vum_device *dev);
bool vum_announce_show(struct vum_device *dev, const char **why);

#endif /* VUM_DMA_ANNOUNCE_H */
