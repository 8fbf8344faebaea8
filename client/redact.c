/* SPDX-License-Identifier: Apache-2.0 */
#include "client/redact.h"

#include <string.h>
#include <strings.h>

size_t ek_redact_length(const char *line, size_t len)
{
    static const char *const names[] = {"authorization:", "authentication-info:", "apikey:", "cookie:"};

    for (size_t at = 0; at < len; at++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            size_t name_len = strlen(names[i]);

            if (name_len <= len - at && strncasecmp(line + at, names[i], name_len) == 0)
                return at + name_len;
        }
    return len;
}
