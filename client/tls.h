/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h: what the client needs of the TLS library that libcurl was built for: tls_gnutls.c or tls_openssl.c,
 * as configure --with-client-tls says. A session is libcurl's: a gnutls_session_t or an SSL *.
 */
#ifndef EK_CLIENT_TLS_H
#define EK_CLIENT_TLS_H

#include <curl/curl.h>
#include <ekmotp/channel.h>
#include <ekmotp/key.h>

typedef struct ek_tls_description {
    char version[16]; /* "TLS1.3" */
    char cipher[32];
    char group[32];
    char text[128]; /* the library's own */
} ek_tls_description;

/* Which backend libcurl must run on. */
curl_sslbackend ek_tls_backend(void);
/* Software cryptography of the same library. */
const ekmotp_crypto *ek_tls_crypto(void);
int ek_tls_channel_new(void *session, ekmotp_channel **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
void ek_tls_describe(void *session, ek_tls_description *description);
/* 1 if the library has a key exchange group of this name. */
int ek_tls_has_group(const char *name);
/* Sets what the library needs on a transfer; groups is a list with ':' between the names, or NULL for the
 * default. */
CURLcode ek_tls_set_up(CURL *curl, const char *groups);

#endif
