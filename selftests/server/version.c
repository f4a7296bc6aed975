// SPDX-License-Identifier: GPL-2.0
/* The first message of a connection: version and capabilities. */
#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

static __u32 number_or(const struct json_object *caps, const char *name,
		       __u32 fallback)
{
	struct json_object *value;
	int64_t n;

	if (!json_object_object_get_ex(caps, name, &value) ||
	    !json_object_is_type(value, json_type_int))
		return fallback;
	n = json_object_get_int64(value);
	return n >= 0 && n <= UINT32_MAX ? (__u32)n : fallback;
}

/* Return: 0, or -1 if this is no version data. */
static int read_capabilities(struct vus_server *srv, const char *text,
			     size_t size)
{
	struct json_object *root, *caps, *pledge;
	int ret = -1;

	if (!size)
		return 0;
	if (text[size - 1])
		return -1;
	root = json_tokener_parse(text);
	if (!json_object_is_type(root, json_type_object))
		goto out;
	ret = 0;
	if (!json_object_object_get_ex(root, "capabilities", &caps))
		goto out;
	if (!json_object_is_type(caps, json_type_object)) {
		ret = -1;
		goto out;
	}
	srv->client_max_fds = number_or(caps, "max_msg_fds",
					srv->client_max_fds);
	srv->client_max_xfer = number_or(caps, "max_data_xfer_size",
					 srv->client_max_xfer);
	srv->declares = *srv->opt.license && json_object_object_get_ex(caps, "license", NULL);
	srv->pledges = srv->opt.pledge && json_object_object_get_ex(caps, "pledge", &pledge) &&
		       json_object_is_type(pledge, json_type_string) &&
		       !strcmp(json_object_get_string(pledge), srv->opt.pledge);
out:
	json_object_put(root);
	return ret;
}

/* Return: our version data; free() it. */
static char *write_capabilities(const struct vus_server *srv)
{
	const int flags = JSON_C_TO_STRING_PLAIN;
	struct json_object *root, *caps, *migration;
	char *text;

	if (srv->opt.version_json)
		return strdup(srv->opt.version_json);
	root = json_object_new_object();
	caps = json_object_new_object();
	json_object_object_add(caps, "max_msg_fds",
			       json_object_new_int64(srv->opt.max_msg_fds));
	json_object_object_add(caps, "max_data_xfer_size",
			       json_object_new_int64(srv->opt.max_data_xfer_size));
	if (srv->dev->migration) {
		migration = json_object_new_object();
		json_object_object_add(migration, "pgsize", json_object_new_int64(4096));
		json_object_object_add(caps, "migration", migration);
	}
	if (!srv->opt.single_writes)
		json_object_object_add(caps, "write_multiple", json_object_new_boolean(true));
	if (srv->declares)
		json_object_object_add(caps, "license",
				       json_object_new_string(srv->opt.license));
	if (srv->pledges)
		json_object_object_add(caps, "pledge",
				       json_object_new_string(srv->opt.pledge));
	json_object_object_add(root, "capabilities", caps);
	text = strdup(json_object_to_json_string_ext(root, flags));
	json_object_put(root);
	return text;
}

static __u16 answer_minor(const struct vus_server *srv, __u16 proposed)
{
	if (srv->opt.minor >= 0)
		return (__u16)srv->opt.minor;
	return proposed < VFIO_USER_MINOR ? proposed : VFIO_USER_MINOR;
}

/* VFIO_USER_VERSION */
struct vus_reply *vus_version(struct vus_server *srv,
			      const struct vus_msg *msg)
{
	const struct vfio_user_version *in = msg->payload;
	struct vfio_user_version *out;
	struct vus_reply *reply;
	size_t len;
	char *text;

	if (srv->negotiated)
		return vus_reply_error(msg, EINVAL);
	if (msg->size < sizeof(*in) ||
	    read_capabilities(srv, (const char *)in->data,
			      msg->size - sizeof(*in))) {
		vus_log("client sent a bad VERSION");
		vus_hangup(srv);
		return vus_reply_error(msg, EINVAL);
	}
	if (in->major != VFIO_USER_MAJOR && srv->opt.major < 0) {
		vus_log("client speaks version %u.%u", in->major, in->minor);
		vus_hangup(srv);
		return vus_reply_error(msg, EINVAL);
	}
	text = write_capabilities(srv);
	if (!text)
		return vus_reply_error(msg, ENOMEM);
	len = strlen(text) + 1;
	reply = vus_reply_new(msg, sizeof(*out) + len);
	out = vus_reply_payload(reply);
	out->major = (__u16)(srv->opt.major >= 0 ? srv->opt.major :
			     VFIO_USER_MAJOR);
	out->minor = answer_minor(srv, in->minor);
	memcpy(out->data, text, len);
	free(text);
	srv->negotiated = true;
	return reply;
}
