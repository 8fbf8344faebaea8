/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h: one TLS connection, seen through its exporter (RFC 5705, RFC 8446 section 7.5).
 *
 * An adapter makes a channel (gnutls.h, openssl.h); the core asks it two things: "may I export?"
 * (rules 1 to 3 of the protocol) and "export".
 */
#ifndef EKMOTP_CHANNEL_H
#define EKMOTP_CHANNEL_H

#include <ekmotp/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EKMOTP_CHANNEL_LABEL_MAX 63    /* bytes: GnuTLS takes no more in TLS 1.3 */
#define EKMOTP_CHANNEL_CONTEXT_MAX 512 /* bytes: OpenSSL 3.0 takes about 930 in TLS 1.2 */

typedef struct ekmotp_channel ekmotp_channel;

/* How an adapter implements a channel. */
typedef struct ekmotp_channel_ops {
    /* 0 if the connection keeps rules 1 to 3, else the EKMOTP_E_CHANNEL_* of the rule that is broken. */
    int (*check)(void *ctx, ekmotp_error *err);
    /* Exports out_len bytes; a context is always passed, also when it is empty. */
    int (*export_key)(void *ctx, const char *label, size_t label_len, const uint8_t *context,
                      size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err);
    /* Releases ctx, not the TLS session behind it. May be NULL. */
    void (*free)(void *ctx);
} ekmotp_channel_ops;

/* Makes a channel of ops (borrowed) and ctx, which is the channel's from then on, also on failure. */
int ekmotp_channel_new(const ekmotp_channel_ops *ops, void *ctx, ekmotp_channel **out, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* Wipes and releases; the TLS session is left alone. *channel becomes NULL. NULL-safe. */
void ekmotp_channel_free(ekmotp_channel **channel);

/* Rules 1 to 3: 0, or EKMOTP_E_CHANNEL_VERSION, _EMS, _RENEGOTIATION, _HANDSHAKE or _EARLY_DATA. */
int ekmotp_channel_check(const ekmotp_channel *channel, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * Checks rules 1 to 3, then exports out_len bytes for a label (1 to 63 bytes, NUL-terminated) and a
 * context (0 to 512 bytes; NULL is EKMOTP_E_CHANNEL_CONTEXT, rule 4). out is written on success only
 * and is secret.
 */
int ekmotp_channel_export(const ekmotp_channel *channel, const char *label, const uint8_t *context,
                          size_t context_len, uint8_t *out, size_t out_len, ekmotp_error *err)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
