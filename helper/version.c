// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "version.h"
#include "../uapi/vfio_user.h"

#define VERSION_MSG_ID 0

static struct json_object *client_caps(const char *pledge)
{
	struct json_object *caps = json_object_new_object();
	struct json_object *migration = json_object_new_object();

	json_object_object_add(caps, "max_msg_fds", json_object_new_int(VUM_MAX_MSG_FDS));
	json_object_object_add(caps, "max_data_xfer_size",
			       json_object_new_int(VUM_MAX_DATA_XFER_SIZE));
	json_object_object_add(caps, "pgsizes", json_object_new_int(VFIO_USER_DEFAULT_PGSIZES));
	json_object_object_add(migration, "pgsize",
			       json_object_new_int(VFIO_USER_DEFAULT_PGSIZES));
	json_object_object_add(caps, "migration", migration);
	json_object_object_add(caps, "write_multiple", json_object_new_boolean(true));
	/* Some clients warn of capabilities that they do not know: servers may wait for this. */
	json_object_object_add(caps, "license", json_object_new_boolean(true));
	if (pledge)
		json_object_object_add(caps, "pledge", json_object_new_string(pledge));
	return caps;
}

uint8_t *version_request(const char *pledge, size_t *size)
{
	struct vfio_user_header h = {
		.msg_id = VERSION_MSG_ID,
		.cmd = VFIO_USER_VERSION,
		.flags = VFIO_USER_F_TYPE_COMMAND,
	};
	struct vfio_user_version v = { .major = VFIO_USER_MAJOR, .minor = VFIO_USER_MINOR };
	struct json_object *top = json_object_new_object();
	const char *text;
	uint8_t *buf;
	size_t len;

	json_object_object_add(top, "capabilities", client_caps(pledge));
	text = json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN);
	len = text ? strlen(text) + 1 : 0;	/* the text includes its NUL */
	*size = sizeof(h) + sizeof(v) + len;
	h.msg_size = (uint32_t)*size;
	buf = len ? malloc(*size) : NULL;
	if (buf) {
		memcpy(buf, &h, sizeof(h));
		memcpy(buf + sizeof(h), &v, sizeof(v));
		memcpy(buf + sizeof(h) + sizeof(v), text, len);
	}
	json_object_put(top);
	return buf;
}

struct reason {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3)))
static bool refuse(struct reason *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	return false;
}

/* Keep *@value if the server does not name the capability. Returns false if bad. */
static bool read_number(struct json_object *caps, const char *name, uint64_t *value,
			struct reason *why)
{
	struct json_object *o;

	if (!json_object_object_get_ex(caps, name, &o))
		return true;
	if (!json_object_is_type(o, json_type_int))
		return refuse(why, "capability %s in its VERSION reply is not an integer", name);
	if (json_object_get_int64(o) <= 0)
		return refuse(why, "capability %s in its VERSION reply is not positive", name);
	*value = json_object_get_uint64(o);
	return true;
}

/* The helper offers no twin socket: commands that a server sends there are lost. */
static bool check_twin_socket(struct json_object *caps, struct reason *why)
{
	struct json_object *twin, *supported;

	if (!json_object_object_get_ex(caps, "twin_socket", &twin))
		return true;
	if (!json_object_is_type(twin, json_type_object))
		return refuse(why, "capability twin_socket in its VERSION reply is not an object");
	if (json_object_object_get_ex(twin, "supported", &supported) &&
	    json_object_get_boolean(supported))
		return refuse(why, "it insists on a twin socket, which was not offered");
	return true;
}

/* Can it save and load its device? What its page size is does not matter to the module. */
static bool check_migration(struct json_object *caps, bool *migration, struct reason *why)
{
	struct json_object *o;

	*migration = json_object_object_get_ex(caps, "migration", &o) && o;
	if (*migration && !json_object_is_type(o, json_type_object))
		return refuse(why, "capability migration in its VERSION reply is not an object");
	return true;
}

/*
 * What licence does it declare? Something that is no text, or too long, is no licence, but
 * is kept, as far as it can be printed, for people to see.
 */
static void read_license(struct json_object *caps, struct version_caps *out)
{
	struct json_object *o;
	const char *text;
	size_t len;

	if (!json_object_object_get_ex(caps, "license", &o) || !o)
		return;
	text = json_object_is_type(o, json_type_string) ? json_object_get_string(o) :
	       json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	len = strlen(text);
	if (len >= sizeof(out->license))
		len = sizeof(out->license) - 1;
	for (size_t i = 0; i < len; i++)
		out->license[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	out->license[len] = '\0';
	if (json_object_is_type(o, json_type_string) && !strcmp(text, out->license) &&
	    (size_t)json_object_get_string_len(o) == len)
		out->license_kind = license_read(out->license);
}

/* A server that serves this operator has to repeat the operator's text. */
static bool check_pledge(struct json_object *caps, const char *pledge, struct reason *why)
{
	struct json_object *o;

	if (!pledge)
		return true;
	if (!json_object_object_get_ex(caps, "pledge", &o))
		return refuse(why, "it does not repeat the text that --pledge asks for, as \"pledge\" in its VERSION reply");
	if (!json_object_is_type(o, json_type_string) ||
	    (size_t)json_object_get_string_len(o) != strlen(pledge) ||
	    strcmp(json_object_get_string(o), pledge) != 0)
		return refuse(why, "\"pledge\" in its VERSION reply is not the text that --pledge asks for");
	return true;
}

/* Does it take several writes in one message? */
static bool check_write_multiple(struct json_object *caps, bool *multiple, struct reason *why)
{
	struct json_object *o;

	*multiple = json_object_object_get_ex(caps, "write_multiple", &o) &&
		    json_object_get_boolean(o);
	if (*multiple && !json_object_is_type(o, json_type_boolean))
		return refuse(why, "capability write_multiple in its VERSION reply is not a boolean");
	return true;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static bool read_caps(struct json_object *top, const char *pledge, struct version_caps *caps,
		      struct reason *why)
{
	uint64_t fds = caps->max_msg_fds, xfer = caps->max_data_xfer_size;
	uint64_t maps = caps->max_dma_maps, pgsizes = caps->pgsizes;
	struct json_object *o;

	if (!json_object_is_type(top, json_type_object))
		return refuse(why, "the JSON text in its VERSION reply is not an object");
	if (!json_object_object_get_ex(top, "capabilities", &o))
		return check_pledge(NULL, pledge, why);
	if (!json_object_is_type(o, json_type_object))
		return refuse(why, "\"capabilities\" in its VERSION reply is not an object");
	if (!read_number(o, "max_msg_fds", &fds, why) ||
	    !read_number(o, "max_data_xfer_size", &xfer, why) ||
	    !read_number(o, "max_dma_maps", &maps, why) ||
	    !read_number(o, "pgsizes", &pgsizes, why) ||
	    !check_twin_socket(o, why) ||
	    !check_migration(o, &caps->migration, why) ||
	    !check_write_multiple(o, &caps->write_multiple, why) ||
	    !check_pledge(o, pledge, why))
		return false;
	if (xfer < sizeof(uint64_t))
		return refuse(why, "\"max_data_xfer_size\" in its VERSION reply is less than 8: its registers could not be accessed");

	caps->max_msg_fds = (uint32_t)at_most(fds, VUM_MAX_MSG_FDS);
	caps->max_data_xfer_size = (uint32_t)at_most(xfer, VUM_MAX_DATA_XFER_SIZE);
	caps->max_dma_maps = (uint32_t)at_most(maps, UINT32_MAX);
	caps->pgsizes = pgsizes;
	read_license(o, caps);
	return true;
}

static bool read_json(const char *text, size_t size, const char *pledge,
		      struct version_caps *caps, struct reason *why)
{
	struct json_tokener *tok;
	struct json_object *top;
	enum json_tokener_error err;
	bool ok;

	if (text[size - 1])
		return refuse(why, "the JSON text in its VERSION reply has no NUL at the end");

	tok = json_tokener_new();
	if (!tok)
		return refuse(why, "out of memory");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	top = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
	err = json_tokener_get_error(tok);
	if (err != json_tokener_success)
		ok = refuse(why, "its VERSION reply is not JSON: %s",
			    json_tokener_error_desc(err));
	else
		ok = read_caps(top, pledge, caps, why);
	json_object_put(top);
	json_tokener_free(tok);
	return ok;
}

static bool check_header(const struct vfio_user_header *h, struct reason *why)
{
	if (h->cmd != VFIO_USER_VERSION)
		return refuse(why, "it answers VERSION with command %u", h->cmd);
	if ((h->flags & VFIO_USER_F_TYPE_MASK) != VFIO_USER_F_TYPE_REPLY)
		return refuse(why, "it answers VERSION with a message that is no reply");
	if (h->msg_id != VERSION_MSG_ID)
		return refuse(why, "it answers VERSION with id %u instead of %u", h->msg_id,
			      VERSION_MSG_ID);
	if (h->flags & VFIO_USER_F_ERROR) {
		if (!h->error_no)
			return refuse(why, "it answers VERSION with an error, but error number 0");
		return refuse(why, "it answers VERSION with error %u (%s)", h->error_no,
			      strerror((int)h->error_no));
	}
	return true;
}

bool version_reply(const uint8_t *msg, size_t size, const char *pledge,
		   struct version_caps *caps, char *why_text, size_t why_size)
{
	struct reason why = { why_text, why_size };
	struct vfio_user_header h;
	struct vfio_user_version v;
	size_t fixed = sizeof(h) + sizeof(v);

	memcpy(&h, msg, sizeof(h));
	if (!check_header(&h, &why))
		return false;
	if (size < fixed)
		return refuse(&why, "its VERSION reply is %zu bytes long, %zu are the least",
			      size, fixed);
	memcpy(&v, msg + sizeof(h), sizeof(v));
	if (v.major != VFIO_USER_MAJOR || v.minor > VFIO_USER_MINOR)
		return refuse(&why, "it speaks vfio-user %u.%u; %u.%u and below are known",
			      v.major, v.minor, VFIO_USER_MAJOR, VFIO_USER_MINOR);

	*caps = (struct version_caps) {
		.minor = v.minor,
		.max_msg_fds = VFIO_USER_DEFAULT_MAX_MSG_FDS,
		.max_data_xfer_size = VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE,
		.max_dma_maps = VFIO_USER_DEFAULT_MAX_DMA_MAPS,
		.pgsizes = VFIO_USER_DEFAULT_PGSIZES,
	};
	if (size == fixed)
		return check_pledge(NULL, pledge, &why);
	return read_json((const char *)msg + fixed, size - fixed, pledge, caps, &why);
}
