// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <string.h>

#include "uuid.h"

bool is_uuid(const char *s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(s) != strlen(form))
		return false;
	for (int i = 0; form[i]; i++)
		if (form[i] == '-' ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	return true;
}
