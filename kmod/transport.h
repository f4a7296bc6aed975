/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: what carries messages between a connection and its server. The
 * two implementations are the two data paths: sock.c ("kernel") and relay.c
 * ("relay").
 */
#ifndef VUM_TRANSPORT_H
#define VUM_TRANSPORT_H

#include <linux/poll.h>

struct bio_vec;
struct vum_conn;
struct vum_req;
struct vum_transport;

/* Values of vfio_user/data_path. */
enum vum_data_path {
	VUM_PATH_AUTO,
	VUM_PATH_RELAY,
	VUM_PATH_KERNEL,
	VUM_PATHS,
};

/**
 * struct vum_transport_ops - a data path
 * @path: VUM_PATH_RELAY or VUM_PATH_KERNEL
 * @start: the transport has become @conn's, whose lock is held; the server may
 *	have sent something already
 * @queue: send @req, or append it to conn->out. Called with conn's lock held,
 *	which it releases
 * @answer: send @req, whose data are in the pages of @vec from its second entry on, of
 *	@nr that are there; or NULL if the transport cannot. Called with conn's lock held,
 *	which it releases. Returns 0; -EAGAIN if nothing has been sent, since it is too
 *	long, others wait, the server has left too much unread, or memory is not at hand;
 *	or an error, after which the attachment has to end. @req stays the caller's
 * @kick: go on with sending and receiving, since something that may have stood in
 *	the way is gone; conn's lock is held
 * @poll: which events of poll(2) the helper shall see; conn's lock is held
 * @close: end the transport, which is no connection's any more; a worker does what waits
 */
struct vum_transport_ops {
	enum vum_data_path path;
	void (*start)(struct vum_conn *conn);
	void (*queue)(struct vum_conn *conn, struct vum_req *req);
	int (*answer)(struct vum_conn *conn, struct vum_req *req, struct bio_vec *vec,
		      unsigned int nr);
	void (*kick)(struct vum_conn *conn);
	__poll_t (*poll)(struct vum_conn *conn);
	void (*close)(struct vum_transport *transport);
};

/**
 * struct vum_transport - an instance of a data path
 * @ops: its implementation
 */
struct vum_transport {
	const struct vum_transport_ops *ops;
};

#endif /* VUM_TRANSPORT_H */
