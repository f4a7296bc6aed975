// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: what the server is told of the consumer's memory.
 *
 * The server is told either each of the consumer's mappings, or one aperture for all
 * that there may ever be. What it has been told is kept; when that is to change, the
 * difference goes to the server as DMA_UNMAPs and DMA_MAPs. Only a task that has
 * mapped something waits for the answers: for other tasks it is enough that messages
 * arrive in order, and an unmap has already taken the memory away.
 */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "device.h"
#include "request.h"
#include "work.h"

/* A server that leaves more messages than this unanswered is told nothing new. */
#define VUM_ANNOUNCE_MAX	1024

/**
 * vum_announce_map - make the message that announces a mapping
 * @kind: VUM_REQ_ASYNC or VUM_REQ_ATTACH
 * @window: window; the message takes a reference, but not with VUM_DMA_MESSAGE
 * @mode: how the server shall reach the memory
 * @map: mapping to be announced, which may have a file of its own instead
 *
 * Return: the request, or NULL if there is no memory.
 */
struct vum_req *vum_announce_map(enum vum_req_kind kind, struct file *window,
				 enum vum_dma_mode mode,
				 const struct vum_mapping *map)
{
	struct vfio_user_dma_map msg = {
		.argsz = sizeof(msg),
		.flags = map->prot,
		.addr = map->iova,
		.size = map->size,
	};
	struct vum_req *req;

	req = vum_req_alloc(kind, VFIO_USER_DMA_MAP, sizeof(msg));
	if (mode != VUM_DMA_MESSAGE) {
		msg.offset = map->file ? map->offset : map->iova;
		req->msg.files = kvcalloc(1, sizeof(window), GFP_KERNEL);
		if (!req->msg.files) {
			vum_req_put(req);
			return NULL;
		}
		req->msg.files[0] = get_file(map->file ?: window);
		req->msg.nr_files = 1;
	}
	if (mode == VUM_DMA_FILE)
		msg.flags |= VFIO_USER_F_DMA_REGION_FILE_IO;
	memcpy(req->msg.payload, &msg, sizeof(msg));
	return req;
}

/**
 * vum_announce_unmap - make the message that takes an announcement back
 * @kind: VUM_REQ_ASYNC or VUM_REQ_ATTACH
 * @map: mapping that had been announced
 *
 * Return: the request.
 */
struct vum_req *vum_announce_unmap(enum vum_req_kind kind,
				   const struct vum_mapping *map)
{
	struct vfio_user_dma_unmap msg = {
		.argsz = sizeof(msg),
		.addr = map->iova,
		.size = map->size,
	};
	struct vum_req *req;

	req = vum_req_alloc(kind, VFIO_USER_DMA_UNMAP, sizeof(msg));
	memcpy(req->msg.payload, &msg, sizeof(msg));
	req->reply_max = sizeof(msg);
	return req;
}

/* Is @map in @list, which is sorted? The search begins at *@at, which moves on. */
static bool vum_mapping_in(const struct vum_mapping *map,
			   const struct vum_mapping *list, unsigned int nr,
			   unsigned int *at)
{
	while (*at < nr && list[*at].iova < map->iova)
		++*at;
	return *at < nr && vum_mapping_same(&list[*at], map);
}

/**
 * vum_announce_later - have a worker tell the server what has changed
 * @dev: device
 *
 * Context: any.
 */
void vum_announce_later(struct vum_device *dev)
{
	vum_work_queue(&dev->announce.work);
}

/* Has the server refused to map this? */
static bool vum_announce_refused(struct vum_device *dev, const struct vum_req *req)
{
	return req->reply && req->msg.hdr.cmd == VFIO_USER_DMA_MAP &&
	       req->reply->hdr.flags & VFIO_USER_F_ERROR &&
	       req->session == READ_ONCE(dev->announce.session);
}

/* Is there a refusal that has not had its consequences? */
static bool vum_announce_unhandled(const struct vum_announce *ann)
{
	return atomic_read(&ann->refusals) != READ_ONCE(ann->handled);
}

/* Count a refusal, of which the caller has noted what it was. */
static void vum_announce_count_refusal(struct vum_announce *ann)
{
	/* Pairs with vum_announce_update(), which reads the count first. */
	smp_mb__before_atomic();
	atomic_inc(&ann->refusals);
}

/*
 * A message has ended. For tasks that wait until the server has heard of all, there must
 * be no instant at which neither @pending nor @refusals tells of more.
 */
static void vum_announce_ended(struct vum_device *dev)
{
	struct vum_announce *ann = &dev->announce;

	/* Pairs with vum_announce_heard(): a refusal is counted by now. */
	smp_mb__before_atomic();
	atomic_dec(&ann->pending);
	/* There may be more to tell than VUM_ANNOUNCE_MAX allowed at a time. */
	if (vum_announce_unhandled(ann) || vum_announce_behind(dev))
		vum_announce_later(dev);
}

/* A DMA_MAP of the window or a DMA_UNMAP has ended. */
static void vum_announce_done(struct vum_device *dev, const struct vum_req *req)
{
	const struct vfio_user_dma_map *msg = (const void *)req->msg.payload;
	struct vum_announce *ann = &dev->announce;
	const struct vum_mapping *aperture = &ann->aperture;

	if (vum_announce_refused(dev, req)) {
		set_bit(msg->addr == aperture->iova && msg->size == aperture->size ?
			VUM_REFUSED_APERTURE : VUM_REFUSED_MAPPING,
			&ann->refused);
		vum_announce_count_refusal(ann);
	}
	vum_announce_ended(dev);
}

/* Remember that the server does not take the file behind this. */
static void vum_announce_unshare(struct vum_device *dev, u64 iova)
{
	struct vum_announce *ann = &dev->announce;

	vum_conn_lock(&dev->conn);
	if (ann->nr_unshared < VUM_UNSHARED_MAX)
		ann->unshared[ann->nr_unshared] = iova;
	if (ann->nr_unshared <= VUM_UNSHARED_MAX)
		ann->nr_unshared++;
	vum_conn_unlock(&dev->conn);
}

/* Does the server take the file that is at this address? Conn's lock is held. */
static bool vum_announce_shares(struct vum_device *dev, u64 iova)
{
	const struct vum_announce *ann = &dev->announce;
	bool shares = ann->nr_unshared <= VUM_UNSHARED_MAX;
	unsigned int i;

	vum_conn_assert_held(&dev->conn);
	for (i = 0; shares && i < ann->nr_unshared; i++)
		shares = ann->unshared[i] != iova;
	return shares;
}

/* A DMA_MAP of the consumer's file has ended. */
static void vum_announce_file_done(struct vum_device *dev, const struct vum_req *req)
{
	const struct vfio_user_dma_map *msg = (const void *)req->msg.payload;

	if (vum_announce_refused(dev, req)) {
		vum_announce_unshare(dev, msg->addr);
		vum_announce_count_refusal(&dev->announce);
	}
	vum_announce_ended(dev);
}

static int vum_announce_queue(struct vum_device *dev, u32 session,
			      struct vum_req *req, bool file)
{
	int ret;

	if (!req)
		return -ENOMEM;
	req->session = session;
	req->done = file ? vum_announce_file_done : vum_announce_done;
	atomic_inc(&dev->announce.pending);
	ret = vum_req_queue(dev, req);
	if (ret) {
		atomic_dec(&dev->announce.pending);
		wake_up_all(&dev->conn.changed);
	}
	vum_req_put(req);
	return ret;
}

static int vum_announce_one(struct vum_device *dev, struct file *window, u32 session,
			    const struct vum_mapping *map)
{
	enum vum_dma_mode mode = READ_ONCE(dev->dma.announced);

	if (mode == VUM_DMA_SHARE && map->why)
		vum_conn_note(dev, session, "memory goes by the window: %s", map->why);
	return vum_announce_queue(dev, session,
				  vum_announce_map(VUM_REQ_ASYNC, window, mode, map),
				  map->file);
}

/* DMA_UNMAPs go first, since a new mapping may be in the place of an old one. */
static int vum_announce_difference(struct vum_device *dev, struct file *window,
				   u32 session, const struct vum_mapping *maps,
				   unsigned int nr)
{
	struct vum_announce *ann = &dev->announce;
	unsigned int i, at;
	int ret = 0;

	for (i = at = 0; !ret && i < ann->nr_told; i++)
		if (!vum_mapping_in(&ann->told[i], maps, nr, &at))
			ret = vum_announce_queue(dev, session,
						 vum_announce_unmap(VUM_REQ_ASYNC,
								    &ann->told[i]),
						 false);
	for (i = at = 0; !ret && i < nr; i++)
		if (!vum_mapping_in(&maps[i], ann->told, ann->nr_told, &at))
			ret = vum_announce_one(dev, window, session, &maps[i]);
	return ret;
}

static void vum_announce_tell(struct vum_device *dev, struct vum_mapping *maps,
			      unsigned int nr)
{
	struct vum_announce *ann = &dev->announce;
	unsigned int i, files = 0;

	for (i = 0; i < nr; i++)
		files += !!maps[i].file;
	vum_mappings_drop_files(ann->told, ann->nr_told);
	kvfree(ann->told);
	ann->told = maps;
	WRITE_ONCE(ann->nr_told, nr);
	WRITE_ONCE(ann->nr_files, files);
}

/* Leave out mappings beyond the window, which ends where a file must: at 2^63. */
static unsigned int vum_announce_clip(struct vum_mapping *maps, unsigned int nr)
{
	unsigned int left = nr;

	while (left && (maps[left - 1].iova >= VUM_WINDOW_SIZE ||
			maps[left - 1].size > VUM_WINDOW_SIZE - maps[left - 1].iova))
		left--;
	vum_mappings_drop_files(maps + left, nr - left);
	return left;
}

/* Remember a place beyond the aperture. Returns false if there are too many. */
static bool vum_announce_add_far(struct vum_device *dev, u64 iova)
{
	struct vum_announce *ann = &dev->announce;
	unsigned int at = ann->nr_far;

	while (at && ann->far[at - 1] > iova)
		at--;
	if (at && ann->far[at - 1] == iova)
		return true;
	if (ann->nr_far == VUM_FAR_MAX ||
	    ann->nr_far + 1 >= READ_ONCE(dev->conn.peer.max_dma_maps))
		return false;
	memmove(ann->far + at + 1, ann->far + at,
		(ann->nr_far - at) * sizeof(*ann->far));
	ann->far[at] = iova;
	ann->nr_far++;
	return true;
}

/* Remember where the server has memory, so that it is not taken away. */
static void vum_announce_note_far(struct vum_device *dev)
{
	struct vum_announce *ann = &dev->announce;
	u64 size = ann->aperture.size, iova, last;
	unsigned int i;

	for (i = 0; i < ann->nr_told; i++) {
		iova = round_down(ann->told[i].iova, size);
		last = round_down(ann->told[i].iova + (ann->told[i].size - 1), size);
		for (; iova <= last; iova += size) {
			if (!iova || vum_announce_add_far(dev, iova))
				continue;
			vum_warn(dev, "server no longer reaches memory from IOVA 0x%llx on: it would take too many apertures\n",
				 iova);
			return;
		}
	}
}

static void vum_announce_fall_back(struct vum_device *dev, const char *why)
{
	if (!dev->announce.inexact) {
		vum_notice(dev, "server is told an aperture, not the consumer's mappings: %s\n",
			   why);
		vum_announce_note_far(dev);
		if (READ_ONCE(dev->dma.announced) == VUM_DMA_SHARE)
			vum_conn_note(dev, dev->announce.session,
				      "no memory is shared by its file: an aperture is announced");
	}
	WRITE_ONCE(dev->announce.inexact, why);
}

/* Stop announcing what the server has refused. */
static void vum_announce_refusals(struct vum_device *dev)
{
	struct vum_announce *ann = &dev->announce;

	if (test_and_clear_bit(VUM_REFUSED_MAPPING, &ann->refused)) {
		if (ann->inexact)
			vum_warn(dev, "server refuses an aperture beyond 0x%llx: it does not reach memory there\n",
				 ann->aperture.size);
		vum_announce_fall_back(dev, "the server refuses one of them");
	}
	if (test_and_clear_bit(VUM_REFUSED_APERTURE, &ann->refused)) {
		vum_warn(dev, "server refuses DMA_MAP of an aperture of 0x%llx bytes: it reaches no memory; try another vfio_user/dma_aperture\n",
			 ann->aperture.size);
		WRITE_ONCE(dev->dma.announced, VUM_DMA_NONE);
	}
}

/* Make a list of one mapping, with room for @nr. */
static struct vum_mapping *vum_mapping_list(const struct vum_mapping *map, unsigned int nr)
{
	struct vum_mapping *list;

	list = kvcalloc(nr, sizeof(*list), GFP_KERNEL | __GFP_NOFAIL);
	*list = *map;
	return list;
}

/* Make a list of the aperture and, of its size, of the places that have worked. */
static struct vum_mapping *vum_announce_apertures(struct vum_device *dev,
						  unsigned int *nr)
{
	const struct vum_announce *ann = &dev->announce;
	struct vum_mapping *list = vum_mapping_list(&ann->aperture, 1 + ann->nr_far);
	u64 size = ann->aperture.size, iova;
	unsigned int i;

	*nr = 1;
	for (i = 0; i < ann->nr_far; i++) {
		iova = round_down(ann->far[i], size);
		if (iova <= list[*nr - 1].iova)
			continue;
		list[*nr] = ann->aperture;
		list[*nr].iova = iova;
		++*nr;
	}
	return list;
}

/* Leave out the files that the server has refused. */
static void vum_announce_leave_out_files(struct vum_device *dev, struct vum_mapping *maps,
					 unsigned int nr)
{
	unsigned int i;

	vum_conn_lock(&dev->conn);
	for (i = 0; i < nr; i++) {
		if (!maps[i].file || vum_announce_shares(dev, maps[i].iova))
			continue;
		vum_mappings_drop_files(&maps[i], 1);
		maps[i].why = "the server refuses its file";
	}
	vum_conn_unlock(&dev->conn);
}

static const char vum_too_many[] = "the consumer has more mappings than the server can hold";

/* Make a list of the consumer's mappings. Returns NULL, or why that cannot be. */
static const char *vum_announce_exact(struct vum_device *dev, struct vum_mapping **maps,
				      unsigned int *nr)
{
	bool files = dev->dma.announced == VUM_DMA_SHARE && !dev->announce.whole;
	const char *why = vum_container_snapshot(dev, files, maps, nr);

	if (why)
		return why;
	*nr = vum_announce_clip(*maps, *nr);
	vum_announce_leave_out_files(dev, *maps, *nr);
	if (*nr <= READ_ONCE(dev->conn.peer.max_dma_maps))
		return NULL;
	vum_mappings_drop_files(*maps, *nr);
	kvfree(*maps);
	return vum_too_many;
}

/* Make a list of what the server shall know now; NULL if that is nothing. */
static struct vum_mapping *vum_announce_wanted(struct vum_device *dev,
					       unsigned int *nr)
{
	struct vum_announce *ann = &dev->announce;
	struct vum_mapping *maps;
	const char *why;

	*nr = 0;
	if (dev->dma.announced == VUM_DMA_NONE)
		return NULL;
	if (READ_ONCE(ann->exact) && !ann->inexact) {
		if (!READ_ONCE(dev->dma.open))
			return NULL;
		why = vum_announce_exact(dev, &maps, nr);
		if (why == vum_too_many && dev->dma.announced == VUM_DMA_SHARE && !ann->whole) {
			vum_conn_note(dev, ann->session,
				      "no memory is shared by its file: the server holds too few mappings");
			ann->whole = true;
			why = vum_announce_exact(dev, &maps, nr);
		}
		if (!why)
			return maps;
		/* The consumer may have left meanwhile, and its container with it. */
		if (!READ_ONCE(dev->dma.open)) {
			*nr = 0;
			return NULL;
		}
		vum_announce_fall_back(dev, why);
	}
	return vum_announce_apertures(dev, nr);
}

/*
 * There is no server. Keep no file of the consumer's alive for it, but remember where it
 * had memory, for vum_announce_note_far().
 */
static void vum_announce_forget(struct vum_device *dev)
{
	struct vum_announce *ann = &dev->announce;

	vum_mappings_drop_files(ann->told, ann->nr_told);
	WRITE_ONCE(ann->nr_files, 0);
}

/* Tell the server what is new. Returns 0, or -EINTR if the caller is being killed. */
static int vum_announce_update(struct vum_device *dev)
{
	unsigned long gen = READ_ONCE(dev->member.gen);
	struct vum_announce *ann = &dev->announce;
	int refusals, ret;
	struct vum_mapping *maps;
	struct file *window;
	unsigned int nr;
	u32 session;

	lockdep_assert_held(&ann->lock);
	/* The server would refuse it; vum_announce_catch_up() or the next server is told. */
	if (READ_ONCE(dev->handover.stopped))
		return 0;
	refusals = atomic_read_acquire(&ann->refusals);
	window = vum_dma_window(dev, &session);
	if (IS_ERR(window))
		return PTR_ERR(window);
	/* Until vum_announce_begin(), attach.c tries out how the server takes memory. */
	if (!window || session != ann->session) {
		vum_announce_forget(dev);
		goto out;
	}
	/* The server has enough to do; vum_announce_ended() queues the work again. */
	if (atomic_read(&ann->pending) > VUM_ANNOUNCE_MAX) {
		fput(window);
		return 0;
	}
	vum_announce_refusals(dev);
	maps = vum_announce_wanted(dev, &nr);
	ret = vum_announce_difference(dev, window, session, maps, nr);
	vum_announce_tell(dev, maps, nr);
	if (ret && ret != -EIO)
		vum_conn_break(dev, session,
			       "cannot tell it of the consumer's memory: error %d",
			       ret);
out:
	/* Pairs with vum_announce_heard(): @pending counts the new requests by now. */
	smp_store_release(&ann->handled, refusals);
	smp_store_release(&ann->gen, gen);
	if (window)
		fput(window);
	return 0;
}

/**
 * vum_announce_now - tell the server what has changed, and open the device for DMA
 * @dev: device, open
 *
 * The server hears of the changes before anything that is queued after this returns.
 * The consumer's accesses call this if vum_announce_stale(). DMA is not opened before
 * the first access, since the container may not know the device until then, and would
 * take pages that are pinned earlier for a bug.
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
int vum_announce_now(struct vum_device *dev)
{
	struct vum_announce *ann = &dev->announce;
	struct vum_conn *conn = &dev->conn;
	int ret;

	if (wait_event_state(conn->changed, atomic_read(&ann->pending) <= VUM_ANNOUNCE_MAX,
			     (TASK_KILLABLE | TASK_FREEZABLE)))
		return -EINTR;
	if (mutex_lock_killable(&dev->announce.lock))
		return -EINTR;
	if (!READ_ONCE(dev->dma.open)) {
		/* Forget why the last consumer's mappings could not be told. */
		WRITE_ONCE(dev->announce.inexact, NULL);
		dev->announce.nr_far = 0;
		vum_dma_open(dev);
	}
	ret = vum_announce_update(dev);
	mutex_unlock(&dev->announce.lock);
	return ret;
}

/**
 * vum_announce_heard - find out whether the server has heard of mappings
 * @dev: device
 * @gen: value of vum_container_gen() after the mappings were made
 *
 * Context: any; the containers' lock may be held.
 * Return: true if the server has replied to all it was told, or is not to be told.
 */
bool vum_announce_heard(const struct vum_device *dev, unsigned long gen)
{
	const struct vum_announce *ann = &dev->announce;
	enum vum_dma_mode mode = READ_ONCE(dev->dma.announced);
	unsigned long told;
	int handled;

	if (!READ_ONCE(dev->dma.open) || mode == VUM_DMA_NONE ||
	    (!READ_ONCE(ann->exact) && mode != VUM_DMA_SHARE))
		return true;
	/* Pairs with vum_announce_update(), for @pending below. */
	told = smp_load_acquire(&ann->gen);
	/* Other containers' changes make @gen grow, but are nothing to tell. */
	if ((long)(told - gen) < 0 && told != READ_ONCE(dev->member.gen))
		return false;
	/*
	 * Likewise. What was refused has to be told in another way: if it has been, that
	 * is @pending; if it will be, it is a refusal more than have been handled, which
	 * vum_announce_ended() has counted before it lowered @pending.
	 */
	handled = smp_load_acquire(&ann->handled);
	return !atomic_read_acquire(&ann->pending) &&
	       atomic_read(&ann->refusals) == handled;
}

/*
 * Wait for the answers to all that the server was told, for @left jiffies at most.
 * Returns false if the time was not enough. A signal that kills ends the wait; @state is
 * TASK_KILLABLE, to which TASK_FREEZABLE may be added.
 */
static bool vum_announce_answered(struct vum_device *dev, long left, unsigned int state)
{
	const atomic_t *pending = &dev->announce.pending;
	struct vum_conn *conn = &dev->conn;
	DEFINE_WAIT(wait);

	prepare_to_wait(&conn->changed, &wait, state);
	while (atomic_read(pending) && left && !fatal_signal_pending(current)) {
		left = schedule_timeout(left);
		prepare_to_wait(&conn->changed, &wait, state);
	}
	finish_wait(&conn->changed, &wait);
	return left || !atomic_read(pending);
}

/* Tell the server what has changed and await its answers. Returns 0 or -EINTR. */
static int vum_announce_settle(struct vum_device *dev, u32 ms, unsigned int state)
{
	u32 session;
	int ret;

	if (mutex_lock_killable(&dev->announce.lock))
		return -EINTR;
	session = dev->announce.session;
	ret = vum_announce_update(dev);
	mutex_unlock(&dev->announce.lock);
	if (ret)
		return ret;
	if (!vum_announce_answered(dev, ms ? msecs_to_jiffies(ms) : MAX_SCHEDULE_TIMEOUT,
				   state))
		vum_conn_break(dev, session,
			       "no reply to what it was told of memory within timeout_ms");
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * vum_announce_wait_heard - tell the server what has changed and await its answers
 * @dev: device
 *
 * If much has changed, this tells only a part; vum_announce_heard() finds that out.
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
int vum_announce_wait_heard(struct vum_device *dev)
{
	/*
	 * A server that is being attached can be told of memory before it has answered
	 * all else. It may not do so for long, so a worker tells it, and not this task.
	 */
	if (!vum_conn_settled(&dev->conn))
		vum_announce_later(dev);
	if (vum_conn_wait_settled(&dev->conn))
		return -EINTR;
	if (!READ_ONCE(dev->dma.open))
		return 0;
	return vum_announce_settle(dev, READ_ONCE(dev->timeout_ms),
				   TASK_KILLABLE | TASK_FREEZABLE);
}

/**
 * vum_announce_withdraw - take memory back from the server of a device that was closed
 * @dev: device, which is in no container any more
 *
 * The kernel has taken the window's pages from the server. Of files, it has to say that
 * it no longer uses them, or the consumer could not use that memory for something else.
 * A consumer that exits does not, and so does not wait.
 *
 * Context: VFIO's locks are held, so that no wait may be freezable, nor without an end.
 */
void vum_announce_withdraw(struct vum_device *dev)
{
	u32 ms = READ_ONCE(dev->timeout_ms) ?: READ_ONCE(dev->attach_timeout_ms) ?:
		 VUM_ATTACH_TIMEOUT_MS;
	int ret;

	if (READ_ONCE(dev->dma.announced) != VUM_DMA_SHARE ||
	    current->flags & (PF_EXITING | PF_KTHREAD)) {
		vum_announce_later(dev);
		return;
	}
	/* One turn is not enough if VUM_ANNOUNCE_MAX messages are on their way. */
	do
		ret = vum_announce_settle(dev, min_t(u32, ms, VUM_ATTACH_TIMEOUT_MAX),
					  TASK_KILLABLE);
	while (!ret && READ_ONCE(dev->announce.nr_files));
	/* A task that is being killed may not have got the lock. */
	if (ret)
		vum_announce_later(dev);
}

static void vum_announce_work(struct work_struct *work)
{
	struct vum_device *dev = container_of(work, struct vum_device,
					      announce.work);

	mutex_lock(&dev->announce.lock);
	vum_announce_update(dev);
	mutex_unlock(&dev->announce.lock);
}

/**
 * vum_announce_begin - begin to tell a new attachment's server of memory
 * @dev: device
 * @session: the attachment, which knows how its server takes memory
 * @aperture: the range of all IOVAs that there may be
 * @told: the server has been told of the aperture already, else of nothing
 *
 * From here on the server is told of changes, beginning with what there is now.
 */
void vum_announce_begin(struct vum_device *dev, u32 session,
			const struct vum_mapping *aperture, bool told)
{
	struct vum_announce *ann = &dev->announce;

	mutex_lock(&ann->lock);
	if (READ_ONCE(dev->dma.open))
		vum_announce_note_far(dev);
	ann->aperture = *aperture;
	vum_announce_tell(dev, told ? vum_mapping_list(aperture, 1) : NULL, told);
	WRITE_ONCE(ann->session, session);
	/* What an earlier server has refused is no longer of interest. */
	ann->refused = 0;
	ann->whole = false;
	vum_conn_lock(&dev->conn);
	ann->nr_unshared = 0;
	vum_conn_unlock(&dev->conn);
	WRITE_ONCE(ann->inexact, NULL);
	vum_announce_update(dev);
	mutex_unlock(&ann->lock);
}

/**
 * vum_announce_catch_up - tell the server what has changed while it was stopped
 * @dev: device
 */
void vum_announce_catch_up(struct vum_device *dev)
{
	vum_announce_work(&dev->announce.work);
}

/**
 * vum_announce_show - find out whether the consumer's mappings are announced
 * @dev: device
 * @why: set to why the aperture is announced although it should not be, or to NULL
 *
 * Return: true if each mapping is announced, false if the aperture is.
 */
bool vum_announce_show(struct vum_device *dev, const char **why)
{
	*why = READ_ONCE(dev->announce.exact) ?
	       READ_ONCE(dev->announce.inexact) : NULL;
	return READ_ONCE(dev->announce.exact) && !*why;
}

void vum_announce_init(struct vum_device *dev)
{
	mutex_init(&dev->announce.lock);
	INIT_WORK(&dev->announce.work, vum_announce_work);
	dev->announce.exact = true;
}

void vum_announce_exit(struct vum_device *dev)
{
	cancel_work_sync(&dev->announce.work);
	vum_mappings_drop_files(dev->announce.told, dev->announce.nr_told);
	kvfree(dev->announce.told);
	mutex_destroy(&dev->announce.lock);
}
