/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_pair.h: a TLS client and a TLS server in one process, each on GnuTLS or OpenSSL, joined by memory.
 */
#ifndef UNIT_TLS_PAIR_H
#define UNIT_TLS_PAIR_H

#include <ekmotp/channel.h>
#include <gnutls/gnutls.h>
#include <openssl/ssl.h>

typedef enum tls_stack { TLS_GNUTLS, TLS_OPENSSL } tls_stack;

#define TLS_NO_EMS 1u        /* without extended master secret */
#define TLS_RENEGOTIATION 2u /* OpenSSL: without SSL_OP_NO_RENEGOTIATION */
#define TLS_EARLY_DATA 4u    /* the server takes early data */

typedef struct tls_queue {
    uint8_t bytes[65536];
    size_t len;
} tls_queue;

typedef struct tls_end {
    tls_stack stack;
    gnutls_session_t gnutls;
    SSL *ssl;
    tls_queue *in, *out;
    int finished;
} tls_end;

typedef struct tls_pair {
    tls_end client, server;
    tls_queue to_client, to_server;
} tls_pair;

/* What outlives connections: contexts, a certificate, the ticket that a client got. */
typedef struct tls_setup {
    SSL_CTX *client_ctx, *server_ctx;
    gnutls_certificate_credentials_t client_cred, server_cred;
    gnutls_datum_t ticket_key;
    SSL_SESSION *session;        /* OpenSSL client: to resume */
    gnutls_datum_t session_data; /* GnuTLS client: to resume */
    gnutls_anti_replay_t anti_replay;
    int version; /* 0x0302, 0x0303, 0x0304 */
    unsigned flags;
} tls_setup;

tls_setup *tls_setup_new(int version, unsigned flags);
void tls_setup_free(tls_setup *setup);

/* A pair before its handshake. With a ticket in the setup the client tries to resume. */
tls_pair *tls_pair_new(tls_setup *setup, tls_stack client, tls_stack server);
void tls_pair_free(tls_pair *pair);
/* One step of an end's handshake: 1 when it is finished, 0 when it waits, -1 when it failed. */
int tls_end_handshake(tls_end *end);
/* The whole handshake: 0, or -1. */
int tls_pair_handshake(tls_pair *pair);
/* Takes what has arrived; application data is dropped. */
void tls_end_receive(tls_end *end);
/* Sends a byte each way, so that tickets and alerts arrive. */
void tls_pair_talk(tls_pair *pair);
/* Keeps what the client needs to resume this connection. */
void tls_pair_keep_session(tls_setup *setup, tls_pair *pair);
int tls_end_is_resumed(const tls_end *end);
/* A channel on an end, by its stack's adapter. */
ekmotp_channel *tls_end_channel(tls_end *end);

/* Each stack on each side. */
#define EACH_PAIR(c, s)                                                                                      \
    for (tls_stack c = TLS_GNUTLS; c <= TLS_OPENSSL; c++)                                                    \
        for (tls_stack s = TLS_GNUTLS; s <= TLS_OPENSSL; s++)

#endif
