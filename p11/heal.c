/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heal.c: a token that was away comes back, without a restart of the application.
 *
 * Tokens report a loss with whatever comes to hand, and some count every further try towards a lockout. So
 * nothing is retried and no CK_RV is interpreted: finalise, initialise, find the token, log in, find the
 * key, probe. One thread heals; the others get their error at once. Between two healings there is a wait
 * that grows, also when they succeed: a token that fails after each one must not be worn out. A refused PIN
 * ends it for good.
 */
#include "p11/clock.h"
#include "p11/key.h"
#include "p11/rv.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define CALM_MS 10000 /* after so long without a healing the back-off begins anew */

/* Why a caller has to wait for the next healing. Called with the lock held. */
static int not_yet(const ek_token_key *key, const ek_failure *failure, uint64_t now, ekmotp_error *err)
{
    unsigned left = (unsigned)(key->retry_at - now);
    char buf[EK_RV_NAME_SIZE];

    if (key->last.code != 0)
        return ekmotp_error_set(err, key->last.code, "%s (next try in %u ms)", key->last.message, left);
    return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                            "token '%s' came back and failed again at once (%s: %s); next try in %u ms",
                            key->token.label, failure->step, ek_rv_name(failure->rv, buf, sizeof(buf)), left);
}

/* 0: go on and heal; 1: it has been healed meanwhile; otherwise the error for this caller. */
static int begin(ek_token_key *key, const ek_failure *failure, ekmotp_error *err)
{
    uint64_t now = ek_now_ms();
    int rc = 0;

    pthread_mutex_lock(&key->lock);
    if (key->dead) {
        rc = ekmotp_error_set(err, key->last.code, "%s", key->last.message);
    } else if (key->healing) {
        rc = ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY,
                              "token '%s' is away and is being opened again; call again in a moment",
                              key->token.label);
    } else if (ek_sessions_running(&key->sessions, ek_module_generation(key->token.module))) {
        rc = 1;
    } else if (now < key->retry_at) {
        rc = not_yet(key, failure, now, err);
    } else {
        key->healing = 1;
        if (now - key->ended_at > CALM_MS)
            key->backoff_ms = 0;
    }
    pthread_mutex_unlock(&key->lock);
    return rc;
}

static void end(ek_token_key *key, int rc, const ekmotp_error *why)
{
    pthread_mutex_lock(&key->lock);
    key->healing = 0;
    key->last = *why;
    key->dead = rc == EKMOTP_E_PIN_INCORRECT || rc == EKMOTP_E_PIN_LOCKED;
    key->backoff_ms = key->backoff_ms == 0 ? BACKOFF_FIRST_MS : key->backoff_ms * 2;
    if (key->backoff_ms > BACKOFF_MAX_MS)
        key->backoff_ms = BACKOFF_MAX_MS;
    key->ended_at = ek_now_ms();
    key->retry_at = key->ended_at + key->backoff_ms;
    pthread_mutex_unlock(&key->lock);
}

static int reopen(ek_token_key *key, ekmotp_error *err)
{
    /* The generation that is known to be bad. If another key has restarted the module since, that will do. */
    unsigned bad = key->sessions.generation > key->tried ? key->sessions.generation : key->tried;
    ek_token token = {0};
    int rc;

    rc = ek_module_restart(key->token.module, bad, key->timeout_ms, err);
    if (rc != 0)
        return rc;
    key->tried = ek_module_generation(key->token.module);
    rc = ek_token_find_again(key->uri, &key->token, &token, err);
    if (rc == 0)
        rc = ek_key_open_on(key, &token, 0, err);
    ek_token_clear(&token);
    return rc;
}

int ek_key_heal(ek_token_key *key, const ek_failure *failure, ekmotp_error *err)
{
    char buf[EK_RV_NAME_SIZE];
    ekmotp_error why = {0};
    int rc = begin(key, failure, err);

    if (rc != 0)
        return rc == 1 ? 0 : rc;
    rc = reopen(key, &why);
    if (rc == EKMOTP_E_MODULE)
        why.code = rc = EKMOTP_E_TOKEN_AWAY;
    if (rc != 0 && failure->rv != CKR_OK) {
        ekmotp_error again = why;

        ekmotp_error_set(&why, rc, "token '%s' is away (%s: %s) and did not come back: %s", key->token.label,
                         failure->step, ek_rv_name(failure->rv, buf, sizeof(buf)), again.message);
    }
    if (rc == 0)
        why = (ekmotp_error){0};
    end(key, rc, &why);
    if (rc != 0 && err)
        *err = why;
    return rc;
}
