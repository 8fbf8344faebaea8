/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl.h: channels on OpenSSL connections (either side) and OpenSSL's software cryptography.
 */
#ifndef EKMOTP_OPENSSL_H
#define EKMOTP_OPENSSL_H

#include <ekmotp/channel.h>
#include <ekmotp/key.h>
#include <openssl/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* HMAC, random and AES-256-GCM of OpenSSL; static, thread-safe. */
const ekmotp_crypto *ekmotp_openssl_crypto(void);

/*
 * A channel on a connection, which is borrowed and must outlive it. Before its handshake is finished
 * every export is EKMOTP_E_CHANNEL_HANDSHAKE. In TLS 1.2 the connection must have
 * SSL_OP_NO_RENEGOTIATION set, else EKMOTP_E_CHANNEL_RENEGOTIATION.
 */
int ekmotp_openssl_channel_new(SSL *ssl, ekmotp_channel **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
