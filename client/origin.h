/* SPDX-License-Identifier: Apache-2.0 */
/* origin.h: scheme, host and port of a URL (RFC 6454). Credentials go to the origin that was named only. */
#ifndef EK_CLIENT_ORIGIN_H
#define EK_CLIENT_ORIGIN_H

#include <ekmotp/error.h>

#define EK_ORIGIN_HOST_SIZE 256 /* bytes with the NUL: a host name has 253 at most */

typedef struct ek_origin {
    char host[EK_ORIGIN_HOST_SIZE]; /* in lower case */
    char port[8];                   /* decimal */
} ek_origin;

/* Reads an https URL. EKMOTP_E_INVAL for another scheme, a user or password in it, or no URL at all. */
int ek_origin_parse(const char *url, ek_origin *out, ekmotp_error *err) __attribute__((warn_unused_result));
/* 1 if both are the same origin, else 0. */
int ek_origin_same(const ek_origin *a, const ek_origin *b);

#endif
