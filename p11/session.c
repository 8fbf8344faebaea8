/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/session.h"

#include "p11/clock.h"

void ek_sessions_init(ek_sessions *sessions, const ek_token *token)
{
    *sessions = (ek_sessions){
        .functions = ek_module_functions(token->module),
        .label = token->label,
        .stopped = 1,
    };
    pthread_mutex_init(&sessions->lock, NULL);
    ek_cond_init(&sessions->given);
}

void ek_sessions_destroy(ek_sessions *sessions)
{
    pthread_cond_destroy(&sessions->given);
    pthread_mutex_destroy(&sessions->lock);
}

static unsigned cap_of(const ek_token *token)
{
    CK_ULONG max = token->info.ulMaxSessionCount;

    if (ek_module_is_serial(token->module))
        return 1;
    /* CK_EFFECTIVELY_INFINITE is 0. */
    if (max == CK_UNAVAILABLE_INFORMATION || max == 0 || max > EK_SESSIONS_MAX)
        return EK_SESSIONS_MAX;
    return (unsigned)max;
}

void ek_sessions_start(ek_sessions *sessions, const ek_token *token, CK_SESSION_HANDLE first,
                       CK_OBJECT_HANDLE key)
{
    pthread_mutex_lock(&sessions->lock);
    sessions->slot = token->slot;
    sessions->generation = token->generation;
    sessions->key = key;
    sessions->cap = cap_of(token);
    sessions->idle[0] = first;
    sessions->idle_count = 1;
    sessions->open = 1;
    sessions->stopped = 0;
    pthread_mutex_unlock(&sessions->lock);
}

static int is_running(const ek_sessions *sessions, unsigned generation)
{
    return !sessions->stopped && sessions->generation == generation;
}

int ek_sessions_running(ek_sessions *sessions, unsigned generation)
{
    int running;

    pthread_mutex_lock(&sessions->lock);
    running = is_running(sessions, generation);
    pthread_mutex_unlock(&sessions->lock);
    return running;
}

static CK_RV open_session(const ek_sessions *sessions, CK_SLOT_ID slot, CK_SESSION_HANDLE *out)
{
    return sessions->functions->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, out);
}

/*
 * Opens one more; its place is reserved. Called and left with the lock held, which is given up meanwhile:
 * a token may take its time. 1 if the pool has to be content with the sessions that it has, -1 if it is lost.
 */
static int open_another(ek_sessions *sessions, CK_SESSION_HANDLE *out, CK_RV *rv)
{
    CK_SLOT_ID slot = sessions->slot;

    pthread_mutex_unlock(&sessions->lock);
    *rv = open_session(sessions, slot, out);
    pthread_mutex_lock(&sessions->lock);
    if (*rv == CKR_OK)
        return 0;
    sessions->open--;
    if (*rv == CKR_SESSION_COUNT && sessions->open > 0) {
        sessions->cap = sessions->open; /* the token has fewer than it says */
        return 1;
    }
    sessions->stopped = 1;
    pthread_cond_broadcast(&sessions->given);
    return -1;
}

/* With the lock held: waits for an idle session, or opens one. As ek_sessions_take. */
static int wait_or_open(ek_sessions *sessions, unsigned generation, unsigned timeout_ms,
                        CK_SESSION_HANDLE *out, CK_RV *rv)
{
    struct timespec deadline = ek_deadline(timeout_ms);
    int timed_out = 0, opened;

    for (;;) {
        if (!is_running(sessions, generation))
            return EK_SESSIONS_LOST;
        if (sessions->idle_count > 0) {
            *out = sessions->idle[--sessions->idle_count];
            return 0;
        }
        if (sessions->open < sessions->cap) {
            sessions->open++;
            opened = open_another(sessions, out, rv);
            if (opened == 0)
                return 0;
            if (opened == 1)
                continue;
            return EK_SESSIONS_LOST;
        }
        if (timed_out)
            return EKMOTP_E_TOKEN_TIMEOUT;
        sessions->waiting++;
        timed_out = pthread_cond_timedwait(&sessions->given, &sessions->lock, &deadline) != 0;
        sessions->waiting--;
    }
}

int ek_sessions_take(ek_sessions *sessions, unsigned generation, unsigned timeout_ms, ek_lease *out,
                     CK_RV *rv, ekmotp_error *err)
{
    int rc = 0;

    *rv = CKR_OK;
    pthread_mutex_lock(&sessions->lock);
    if (sessions->idle_count > 0 && is_running(sessions, generation))
        out->session = sessions->idle[--sessions->idle_count];
    else
        rc = wait_or_open(sessions, generation, timeout_ms, &out->session, rv);
    out->key = sessions->key;
    pthread_mutex_unlock(&sessions->lock);
    if (rc == EKMOTP_E_TOKEN_TIMEOUT)
        return ekmotp_error_set(err, rc,
                                "token '%s': every session was busy for %u ms; give it more time, or send it "
                                "fewer requests at once",
                                sessions->label, timeout_ms);
    return rc;
}

void ek_sessions_give(ek_sessions *sessions, const ek_lease *lease)
{
    pthread_mutex_lock(&sessions->lock);
    sessions->idle[sessions->idle_count++] = lease->session;
    if (sessions->waiting > 0)
        pthread_cond_signal(&sessions->given);
    pthread_mutex_unlock(&sessions->lock);
}

CK_RV ek_sessions_renew(ek_sessions *sessions, ek_lease *lease)
{
    CK_SESSION_HANDLE old = lease->session;
    CK_SLOT_ID slot;
    CK_RV rv;

    pthread_mutex_lock(&sessions->lock);
    slot = sessions->slot;
    pthread_mutex_unlock(&sessions->lock);
    /* The new one first: closing the last session of a token logs out. */
    rv = open_session(sessions, slot, &lease->session);
    if (rv != CKR_OK)
        lease->session = CK_INVALID_HANDLE;
    sessions->functions->C_CloseSession(old);
    return rv;
}

void ek_sessions_fail(ek_sessions *sessions, const ek_lease *lease)
{
    pthread_mutex_lock(&sessions->lock);
    sessions->open--;
    sessions->stopped = 1;
    pthread_cond_broadcast(&sessions->given);
    pthread_mutex_unlock(&sessions->lock);
    if (lease->session != CK_INVALID_HANDLE)
        sessions->functions->C_CloseSession(lease->session);
}

void ek_sessions_close(ek_sessions *sessions)
{
    pthread_mutex_lock(&sessions->lock);
    for (unsigned i = 0; i < sessions->idle_count; i++)
        sessions->functions->C_CloseSession(sessions->idle[i]);
    sessions->open -= sessions->idle_count;
    sessions->idle_count = 0;
    pthread_mutex_unlock(&sessions->lock);
}
