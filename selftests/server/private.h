/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the server library share with each other only. */
#ifndef VUS_PRIVATE_H
#define VUS_PRIVATE_H

#include <poll.h>
#include <stdio.h>
#include <sys/types.h>

#include "server.h"

#define vus_log(fmt, ...) \
	fprintf(stderr, "vum-server: " fmt "\n", ##__VA_ARGS__)

/**
 * struct vus_rx - the message that is being received
 * @hdr: header, complete once @got says so
 * @got: bytes of header and payload so far
 * @payload: room for the payload, allocated when the header is there
 * @fds: descriptors that came along
 * @nr_fds: entries in @fds
 * @fds_lost: some did not make it
 */
struct vus_rx {
	struct vfio_user_header hdr;
	size_t got;
	void *payload;
	int fds[VUS_MAX_FDS];
	unsigned int nr_fds;
	bool fds_lost;
};

struct vus_out;
struct vus_pending;
struct vus_irq_state;
struct vus_dirty;
struct vus_mig;
struct vus_window;

/**
 * struct vus_server - a server
 * @opt: the command line
 * @dev: the device that is served
 * @listener: listening socket
 * @sock_dev: with @sock_ino: which file our socket is
 * @sock_ino: see @sock_dev
 * @signals: signalfd, to leave tidily on SIGTERM and SIGINT
 * @watches: what else is polled
 * @polled: which entry of the loop's poll is the first one of this server's
 * @nr_polled: how many are
 * @quit: leave the loop
 * @conn: the connection or -1
 * @hung_up: close @conn as soon as nobody is in the middle of using it
 * @deaf: never look at a socket again
 * @negotiated: VERSION is done
 * @misread: a payload has been taken for the next message
 * @client_max_fds: client's max_msg_fds
 * @client_max_xfer: client's max_data_xfer_size
 * @declares: the client wants to know the licence
 * @pledges: the client asks for the pledge that this server's operator gives
 * @rx: what is being received
 * @out: what is waiting to be sent
 * @out_tail: where to append to @out
 * @pending: commands of ours without an answer yet
 * @next_id: for the next command of ours
 * @irqs: state of each sub-index of each index
 * @intx_level: the device's interrupt line
 * @mig: how far the device's migration is; NULL if it cannot be migrated
 * @windows: client memory
 * @dirty: what of it was written; NULL if the client does not want to know
 * @dma_messages: DMA_READ and DMA_WRITE without an answer yet
 */
struct vus_server {
	struct vus_options opt;
	const struct vus_device *dev;
	int listener;
	dev_t sock_dev;
	ino_t sock_ino;
	int signals;
	struct vus_watch *watches;
	size_t polled;
	size_t nr_polled;
	bool quit;

	int conn;
	bool hung_up;
	bool deaf;
	bool negotiated;
	bool misread;
	__u32 client_max_fds;
	__u32 client_max_xfer;
	bool declares;
	bool pledges;
	struct vus_rx rx;
	struct vus_out *out;
	struct vus_out **out_tail;
	struct vus_pending *pending;
	__u16 next_id;

	struct vus_irq_state **irqs;
	bool intx_level;
	struct vus_mig *mig;
	struct vus_window *windows;
	struct vus_dirty *dirty;
	unsigned int dma_messages;
};

/* wire.c */
void vus_receive(struct vus_server *srv);
void vus_flush(struct vus_server *srv);
void vus_wire_reset(struct vus_server *srv);
void vus_trace(const struct vus_server *srv, const char *dir,
	       const struct vfio_user_header *hdr, unsigned int nr_fds);

/* command.c */
void vus_dispatch(struct vus_server *srv, const struct vus_msg *msg);

/* peer.c */
void vus_command_answered(struct vus_server *srv, const struct vus_msg *msg);
void vus_commands_abort(struct vus_server *srv);

/* version.c */
struct vus_reply *vus_version(struct vus_server *srv,
			      const struct vus_msg *msg);

/* irq.c */
void vus_irq_init(struct vus_server *srv);
void vus_irq_forget(struct vus_server *srv);
void vus_irq_free(struct vus_server *srv);
struct vus_reply *vus_get_irq_info(struct vus_server *srv,
				   const struct vus_msg *msg);
struct vus_reply *vus_set_irqs(struct vus_server *srv,
			       const struct vus_msg *msg);

/* migrate.c */
void vus_mig_init(struct vus_server *srv);
void vus_mig_free(struct vus_server *srv);
void vus_mig_reset(struct vus_server *srv);
bool vus_mig_refuses(const struct vus_server *srv, __u16 cmd);
bool vus_mig_feature(struct vus_server *srv, const struct vus_msg *msg,
		     struct vus_reply **reply);
struct vus_reply *vus_mig_read(struct vus_server *srv, const struct vus_msg *msg);
struct vus_reply *vus_mig_write(struct vus_server *srv, const struct vus_msg *msg);

/* dma.c */
void vus_dma_forget(struct vus_server *srv);
struct vus_reply *vus_dma_map(struct vus_server *srv,
			      const struct vus_msg *msg);
struct vus_reply *vus_dma_unmap(struct vus_server *srv,
				const struct vus_msg *msg);

/* dirty.c */
void vus_dirty_stop(struct vus_server *srv);
int vus_dirty_feature(struct vus_server *srv, __u32 flags, void *data, size_t size);

/* dma_copy.c */
int vus_dma_init(void);

#endif /* VUS_PRIVATE_H */
