/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uri_text.h: parts of a PKCS#11 URI (RFC 7512) as text. The front decides with them what it may send where
 * without a PKCS#11 library; what the URI means is the worker's matter.
 */
#ifndef EK_AGENT_URI_TEXT_H
#define EK_AGENT_URI_TEXT_H

#include <ekmotp/error.h>
#include <stddef.h>

/* The URI without pin-source, the only form that is sent to an agent; the caller's to free. NULL: no memory.
 */
char *ek_uri_text_plain(const char *uri);

/* 1 if an attribute of this name is in the URI. */
int ek_uri_text_has(const char *uri, const char *name);
/* The decoded value of the last attribute of this name, the caller's to free; NULL where there is none. */
int ek_uri_text_value(const char *uri, const char *name, char **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* The URI without the attributes that tell the objects of one token apart. NULL: no memory. */
char *ek_uri_text_token(const char *uri);
/* The text of module-path or module-name, as it stands; "" where there is neither. NULL: no memory. */
char *ek_uri_text_module(const char *uri);

#endif
