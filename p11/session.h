/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: the sessions of one key. A session runs one operation at a time, so each operation takes one
 * out of the pool and gives it back. Sessions are opened when they are needed, up to a cap; past it callers
 * wait, but not for ever.
 */
#ifndef EK_P11_SESSION_H
#define EK_P11_SESSION_H

#include "p11/token.h"

#include <pthread.h>

#define EK_SESSIONS_MAX 32

typedef struct ek_sessions {
    CK_FUNCTION_LIST *functions;
    const char *label;    /* of the token, for messages; borrowed */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    CK_SESSION_HANDLE idle[EK_SESSIONS_MAX];
    unsigned idle_count;
    unsigned open; /* idle and taken */
    unsigned cap;
    unsigned waiting;
    int stopped; /* after a failure, until ek_sessions_start */
    /* Where the sessions are: these change when the token comes back. */
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE key;
    unsigned generation;
} ek_sessions;

/* A session that is taken, and the key in it. */
typedef struct ek_lease {
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
} ek_lease;

/* An empty pool, stopped, for the token (borrowed: its label and its module must outlive the pool). */
void ek_sessions_init(ek_sessions *sessions, const ek_token *token);
void ek_sessions_destroy(ek_sessions *sessions);

/* Begins (anew) on a token with a first session; what is left of earlier sessions is forgotten. */
void ek_sessions_start(ek_sessions *sessions, const ek_token *token, CK_SESSION_HANDLE first,
                       CK_OBJECT_HANDLE key);
/* 1 if sessions of this generation of the module can be taken. */
int ek_sessions_running(ek_sessions *sessions, unsigned generation);

#define EK_SESSIONS_LOST 1 /* the pool is stopped, of another generation, or cannot open a first session */

/*
 * Takes a session out. EK_SESSIONS_LOST: heal first; then *rv is what C_OpenSession said, or CKR_OK where
 * it was not asked. EKMOTP_E_TOKEN_TIMEOUT: all sessions were busy for timeout_ms.
 */
int ek_sessions_take(ek_sessions *sessions, unsigned generation, unsigned timeout_ms, ek_lease *out,
                     CK_RV *rv, ekmotp_error *err) __attribute__((warn_unused_result));
void ek_sessions_give(ek_sessions *sessions, const ek_lease *lease);
/* Replaces the session of a lease, which the token has closed, by a new one. */
CK_RV ek_sessions_renew(ek_sessions *sessions, ek_lease *lease) __attribute__((warn_unused_result));
/*
 * Ends a lease after a failure: the session is closed, for its state is not known, and the pool stops, so
 * that nobody else tries the same on a token that may count failures.
 */
void ek_sessions_fail(ek_sessions *sessions, const ek_lease *lease);
/* Closes the idle sessions; none is taken. */
void ek_sessions_close(ek_sessions *sessions);

#endif
