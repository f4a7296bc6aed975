/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vfio-user-mdev: tracepoints, vum:*. A request, but for a posted write that goes along with
 * another, passes vum_submit when it is queued,
 * vum_send when the helper or the socket has taken it, and then, if it is to have a
 * reply, vum_answer or vum_abort.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vum

#if !defined(VUM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VUM_TRACE_H

#include <linux/tracepoint.h>

#include "device.h"

#define VUM_COMMAND_NAMES						\
	{ VFIO_USER_DMA_MAP, "DMA_MAP" },				\
	{ VFIO_USER_DMA_UNMAP, "DMA_UNMAP" },				\
	{ VFIO_USER_DEVICE_GET_INFO, "DEVICE_GET_INFO" },		\
	{ VFIO_USER_DEVICE_GET_REGION_INFO, "DEVICE_GET_REGION_INFO" },	\
	{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, "DEVICE_GET_REGION_IO_FDS" }, \
	{ VFIO_USER_DEVICE_GET_IRQ_INFO, "DEVICE_GET_IRQ_INFO" },	\
	{ VFIO_USER_DEVICE_SET_IRQS, "DEVICE_SET_IRQS" },		\
	{ VFIO_USER_REGION_READ, "REGION_READ" },			\
	{ VFIO_USER_REGION_WRITE, "REGION_WRITE" },			\
	{ VFIO_USER_DMA_READ, "DMA_READ" },				\
	{ VFIO_USER_DMA_WRITE, "DMA_WRITE" },				\
	{ VFIO_USER_DEVICE_RESET, "DEVICE_RESET" },			\
	{ VFIO_USER_REGION_WRITE_MULTI, "REGION_WRITE_MULTI" },		\
	{ VFIO_USER_DEVICE_FEATURE, "DEVICE_FEATURE" },			\
	{ VFIO_USER_MIG_DATA_READ, "MIG_DATA_READ" },			\
	{ VFIO_USER_MIG_DATA_WRITE, "MIG_DATA_WRITE" }

/* For programs that read the format, and do not know the enum. */
TRACE_DEFINE_ENUM(VFIO_USER_DMA_MAP);
TRACE_DEFINE_ENUM(VFIO_USER_DMA_UNMAP);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_GET_INFO);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_GET_REGION_INFO);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_GET_REGION_IO_FDS);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_GET_IRQ_INFO);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_SET_IRQS);
TRACE_DEFINE_ENUM(VFIO_USER_REGION_READ);
TRACE_DEFINE_ENUM(VFIO_USER_REGION_WRITE);
TRACE_DEFINE_ENUM(VFIO_USER_DMA_READ);
TRACE_DEFINE_ENUM(VFIO_USER_DMA_WRITE);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_RESET);
TRACE_DEFINE_ENUM(VFIO_USER_REGION_WRITE_MULTI);
TRACE_DEFINE_ENUM(VFIO_USER_DEVICE_FEATURE);
TRACE_DEFINE_ENUM(VFIO_USER_MIG_DATA_READ);
TRACE_DEFINE_ENUM(VFIO_USER_MIG_DATA_WRITE);

DECLARE_EVENT_CLASS(vum_message,
	TP_PROTO(const struct vum_device *dev, const struct vum_req *req),
	TP_ARGS(dev, req),
	TP_STRUCT__entry(
		__array(char, uuid, UUID_STRING_LEN + 1)
		__field(u32, session)
		__field(u16, id)
		__field(u16, cmd)
		__field(u32, size)
		__field(u32, files)
		__field(int, error)
	),
	TP_fast_assign(
		memcpy(__entry->uuid, dev->uuid, sizeof(__entry->uuid));
		__entry->session = dev->conn.session;
		__entry->id = req->msg.hdr.msg_id;
		__entry->cmd = req->msg.hdr.cmd;
		__entry->size = req->msg.hdr.msg_size;
		__entry->files = req->msg.nr_files;
		__entry->error = req->error;
	),
	TP_printk("%s session=%u id=%u cmd=%s size=%u files=%u error=%d",
		  __entry->uuid, __entry->session, __entry->id,
		  __print_symbolic(__entry->cmd, VUM_COMMAND_NAMES),
		  __entry->size, __entry->files, __entry->error)
);

#define VUM_MESSAGE_EVENT(name)						\
DEFINE_EVENT(vum_message, name,						\
	TP_PROTO(const struct vum_device *dev, const struct vum_req *req), \
	TP_ARGS(dev, req))

VUM_MESSAGE_EVENT(vum_submit);
VUM_MESSAGE_EVENT(vum_send);
VUM_MESSAGE_EVENT(vum_answer);
VUM_MESSAGE_EVENT(vum_abort);

#endif /* VUM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
