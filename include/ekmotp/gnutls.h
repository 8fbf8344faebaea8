/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnutls.h: channels on GnuTLS sessions (either side) and GnuTLS's software cryptography.
 */
#ifndef EKMOTP_GNUTLS_H
#define EKMOTP_GNUTLS_H

#include <ekmotp/channel.h>
#include <ekmotp/key.h>
#include <gnutls/gnutls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* HMAC, random and AES-256-GCM of GnuTLS; static, thread-safe. */
const ekmotp_crypto *ekmotp_gnutls_crypto(void);

/*
 * A channel on a session, which is borrowed and must outlive it. The session should have finished its
 * handshake: before that every export is EKMOTP_E_CHANNEL_HANDSHAKE. A session that renegotiates after
 * this call is EKMOTP_E_CHANNEL_RENEGOTIATION from then on.
 */
int ekmotp_gnutls_channel_new(gnutls_session_t session, ekmotp_channel **out, ekmotp_error *err)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
