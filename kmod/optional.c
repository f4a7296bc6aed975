// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-user-mdev: commands that a server need not know.
 *
 * Some servers refuse a command that they do not know without reading its payload. They
 * take the payload for the beginning of the next message, and the connection breaks. A
 * consumer that only asks whether the server has a feature would lose its device that way
 * each time, so a command that has broken a connection is not sent again.
 */

#include "device.h"
#include "request.h"

/* Names in vfio_user/optional_commands. */
const char *const vum_optional_names[] = {
	[VUM_OPTIONAL_FEATURE]	= "device_feature",
	[VUM_OPTIONAL_IO_FDS]	= "get_region_io_fds",
};

/*
 * Ask the server for what it has told before. One that has left a payload in the stream
 * breaks the connection at this message, if it has not already.
 */
static int vum_optional_settle(struct vum_device *dev, u32 session)
{
	struct vfio_user_device_info info = { .argsz = sizeof(info) };
	struct vum_req *req;
	int ret;

	req = vum_req_alloc(VUM_REQ_CONSUMER, VFIO_USER_DEVICE_GET_INFO, sizeof(info));
	if (!req)
		return -ENOMEM;
	memcpy(req->msg.payload, &info, sizeof(info));
	req->session = session;
	req->reply_min = sizeof(info);
	req->reply_max = VUM_MAX_INFO;
	ret = vum_req_call(dev, req);
	vum_req_put(req);
	return ret;
}

/* Whatever attachment there is now goes without the command. */
static void vum_optional_note(struct vum_device *dev, enum vum_optional which)
{
	vum_conn_note(dev, READ_ONCE(dev->conn.session),
		      "%s not sent: see vfio_user/optional_commands",
		      vum_optional_names[which]);
}

/**
 * vum_optional_call - send a command that the server need not know, and wait for its reply
 * @dev: device
 * @req: the request, of kind VUM_REQ_CONSUMER
 * @which: the command
 *
 * Return: as vum_req_call(); -EOPNOTSUPP if the command is not sent, since an attachment
 * has ended by it, or the operator does not want it.
 */
int vum_optional_call(struct vum_device *dev, struct vum_req *req, enum vum_optional which)
{
	struct vum_conn *conn = &dev->conn;
	u32 session = READ_ONCE(conn->session);
	bool known = READ_ONCE(dev->in_step[which]) == session;
	int ret, settled = 0;

	if (!test_bit(which, &dev->optional_commands)) {
		vum_optional_note(dev, which);
		return -EOPNOTSUPP;
	}
	req->session = session;
	ret = vum_req_call(dev, req);
	if (ret && req->reply && !known)
		settled = vum_optional_settle(dev, session);
	if (req->reply && !settled)
		WRITE_ONCE(dev->in_step[which], session);
	/* Where a server has dealt with the command before, the end has another reason. */
	if (!known && req->sent && !vum_conn_current(conn, session) &&
	    (settled == -EIO || !req->reply)) {
		clear_bit(which, &dev->optional_commands);
		vum_optional_note(dev, which);
	}
	return ret;
}
