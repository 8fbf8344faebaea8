/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h: one thread with an event loop, its listening sockets and its connections. Other threads reach it
 * through ek_loop_post_* only.
 */
#ifndef EK_SERVER_LOOP_H
#define EK_SERVER_LOOP_H

#include "server/counts.h"
#include "server/derive.h"
#include "server/shared.h"

#include <ekmotp/directory.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#define EK_DATE_SIZE 32

typedef struct ek_loop {
    const ek_shared *shared;
    unsigned index;
    struct event_base *base;
    struct ek_connection *connections; /* doubly linked */
    SSL_CTX *tls;
    ekmotp_snapshot *snapshot; /* NULL in benchmarks without a directory */
    ekmotp_lookup lookup;
    int draining;
    ek_counts counts;
    int64_t date_at; /* the second that date stands for */
    char date[EK_DATE_SIZE];
    struct ek_loop_private *private;
} ek_loop;

/* A loop that is not running yet; takes a reference of each of tls and snapshot. */
int ek_loop_new(const ek_shared *shared, unsigned index, SSL_CTX *tls, ekmotp_snapshot *snapshot,
                ek_loop **out, ekmotp_error *err) __attribute__((warn_unused_result));
/* Of a loop that was never started, or was joined. */
void ek_loop_free(ek_loop **loop);
/* Accepts connections from a listening socket, which is the loop's from then on. Before the start. */
int ek_loop_listen(ek_loop *loop, int fd, ekmotp_error *err) __attribute__((warn_unused_result));
int ek_loop_start(ek_loop *loop, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_loop_join(ek_loop *loop);
/* 1 once the loop's thread has left its loop. Any thread. */
int ek_loop_ended(const ek_loop *loop);

/* For new connections; the loop takes a reference of its own. */
void ek_loop_post_tls(ek_loop *loop, SSL_CTX *tls);
/* For the next requests; likewise. */
void ek_loop_post_snapshot(ek_loop *loop, ekmotp_snapshot *snapshot);
/* Takes no new connections, lets requests end, then the loop ends. */
void ek_loop_post_drain(ek_loop *loop);
/* The loop ends now. */
void ek_loop_post_stop(ek_loop *loop);
/* Gives a derive job back. */
void ek_loop_post_job(ek_loop *loop, ek_derive_job *job);

/* Milliseconds of a clock that only goes forward. */
uint64_t ek_loop_now(void);
/* The Date field's value. */
const char *ek_loop_date(ek_loop *loop);
/* Tells the loop that a connection is gone. */
void ek_loop_forget(ek_loop *loop);

#endif
