// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: notes of what a device goes without, because its server refuses it or
 * cannot have it. Each is counted, shown, and logged once, also if the same server is
 * attached again.
 */

#include <linux/string.h>

#include "notes.h"

/**
 * vum_notes_begin - forget what an earlier server refused
 * @notes: notes
 */
void vum_notes_begin(struct vum_notes *notes)
{
	u32 i;

	for (i = 0; i < VUM_NR_NOTES; i++)
		notes->note[i].count = 0;
	notes->more = 0;
}

/* The note with this text; or one that can be had for it; or NULL. */
static struct vum_note *vum_notes_find(struct vum_notes *notes, const char *text)
{
	struct vum_note *note, *spare = NULL;

	for (note = notes->note; note < notes->note + VUM_NR_NOTES; note++) {
		if (!strcmp(note->text, text))
			return note;
		if (!note->count && (!spare || !note->text[0]))
			spare = note;
	}
	return spare;
}

/**
 * vum_notes_add - note that the device goes without something, once more
 * @notes: notes
 * @text: what and why, shorter than VUM_NOTE_SIZE
 *
 * Return: true if the caller is to log that, since it has not been noted before.
 */
bool vum_notes_add(struct vum_notes *notes, const char *text)
{
	struct vum_note *note = vum_notes_find(notes, text);
	bool known = notes->told_more;

	if (!note) {
		notes->more++;
		notes->told_more = true;
		return !known;
	}
	known = !strcmp(note->text, text);
	strscpy(note->text, text, sizeof(note->text));
	note->count++;
	return !known;
}
