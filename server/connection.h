/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.h: one TLS connection: handshake, then request after request, then the end. Each phase has a
 * deadline that no peer can push back by sending a byte now and then.
 */
#ifndef EK_SERVER_CONNECTION_H
#define EK_SERVER_CONNECTION_H

#include "server/address.h"
#include "server/body.h"
#include "server/head.h"
#include "server/loop.h"

#include <event2/bufferevent.h>

#define EK_SEND_BYTES_PER_SECOND 4096 /* a peer that reads slower loses its connection */

typedef enum ek_phase {
    EK_PHASE_HANDSHAKE = 0,
    EK_PHASE_IDLE,    /* between requests */
    EK_PHASE_HEAD,    /* a head has begun */
    EK_PHASE_VERIFY,  /* a worker thread makes the channel secret */
    EK_PHASE_BODY,    /* the head is verified, its body comes in */
    EK_PHASE_FILE,    /* a file goes out */
    EK_PHASE_CLOSING, /* the last answer goes out */
    EK_PHASE_LINGER   /* all is sent; the peer's last bytes are thrown away */
} ek_phase;

/* A verified request whose body is still coming in. */
typedef struct ek_waiting {
    ek_head head; /* points into bytes */
    ek_body framing;
    ekmotp_verdict verdict;
    struct evbuffer *body;
    char bytes[];
} ek_waiting;

/* A file that is being sent. */
typedef struct ek_file {
    int open, fd;
    int close;     /* the connection ends after it */
    uint64_t left; /* bytes that are still to be read */
} ek_file;

typedef struct ek_connection {
    struct ek_connection *next, *previous;
    ek_loop *loop;
    struct bufferevent *bev;
    SSL *ssl;
    uint64_t serial;
    ek_phase phase;
    uint64_t deadline; /* ek_loop_now() at which the phase is over */
    uint64_t requests;
    size_t scanned;   /* bytes of a head that were looked at */
    size_t head_len;  /* of the head that waits for its verdict */
    unsigned failure; /* OpenSSL's reason for a failed handshake */
    int counted;      /* in the limits */
    ek_limits_key limits_key;
    ekmotp_channel *channel;
    ekmotp_verifier_state *state;
    ek_derive_job *job;
    ek_waiting *waiting;
    ek_file file;
    char peer[EK_ADDRESS_SIZE];
} ek_connection;

/* Set-up once: where an SSL keeps its connection. 0, or EKMOTP_E_CRYPTO. */
int ek_connection_global_init(ekmotp_error *err) __attribute__((warn_unused_result));
/* The connection of an SSL. */
ek_connection *ek_connection_of(const SSL *ssl);
/* For the contexts whose connections these are: notes when the handshake ends, and why it fails. */
void ek_connection_watch(SSL_CTX *ctx);

/* Takes over an accepted socket; closes it where limits or memory say no. */
void ek_connection_accept(ek_loop *loop, int fd, const struct sockaddr *peer, int peer_len);
/* Ends a connection at once. */
void ek_connection_free(ek_connection *c);
/* Checks the deadline; ends the connection where it has passed. */
void ek_connection_sweep(ek_connection *c, uint64_t now);
/* The loop drains: an idle connection ends, a busy one after its answer. */
void ek_connection_drain(ek_connection *c);

/* For exchange.c: enters a phase that may last so many seconds. */
void ek_connection_enter(ek_connection *c, ek_phase phase, unsigned seconds);
/* Waits for no derive job any more; the verifier's state goes with the job. */
void ek_connection_leave_job(ek_connection *c);
/* An answer is in the output buffer: on to the next request, or (close) to the end. */
void ek_connection_answered(ek_connection *c, int close);
/* Seconds that the peer has to read what is in the output buffer. */
unsigned ek_connection_send_time(const ek_connection *c);
/* After the last answer was written into the output buffer: sends it, then ends. */
void ek_connection_finish(ek_connection *c);

#endif
