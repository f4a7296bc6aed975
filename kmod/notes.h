/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: notes of what a device goes without, because its server refuses it or
 * cannot have it.
 */
#ifndef VUM_NOTES_H
#define VUM_NOTES_H

#include <linux/types.h>

/* One for each region, at worst, and a few more. */
#define VUM_NR_NOTES	8
#define VUM_NOTE_SIZE	80

/**
 * struct vum_note - a note
 * @text: what the device goes without, and why
 * @count: how often that has happened in this attachment
 */
struct vum_note {
	char text[VUM_NOTE_SIZE];
	u32 count;
};

/**
 * struct vum_notes - a device's notes; conn's lock guards them
 * @note: notes, those of earlier attachments with a count of 0
 * @more: how often something happened for which there was no room
 * @told_more: that has been logged
 */
struct vum_notes {
	struct vum_note note[VUM_NR_NOTES];
	u32 more;
	bool told_more;
};

void vum_notes_begin(struct vum_notes *notes);
bool vum_notes_add(struct vum_notes *notes, const char *text);

#endif /* VUM_NOTES_H */
