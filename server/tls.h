/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h: the server's side of TLS: 1.2 and 1.3 only, no renegotiation, no early data. */
#ifndef EK_SERVER_TLS_H
#define EK_SERVER_TLS_H

#include "server/configuration.h"

#include <openssl/ssl.h>

/* Makes a context of the configuration's certificate, key and groups. EKMOTP_E_IO, _INVAL, _CRYPTO. */
int ek_tls_context_new(const ek_config *config, SSL_CTX **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* The text of OpenSSL's first pending error (static or buf), and empties its queue. */
const char *ek_tls_error(char *buf, size_t size);

/* The word of a TLS handshake's failure for the log, taken from OpenSSL's pending errors. */
const char *ek_tls_failure(unsigned long code);

#endif
