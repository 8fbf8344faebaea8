/* SPDX-License-Identifier: Apache-2.0 */
/* key.h: a client key in a token of this process, as key.c and heal.c see it. */
#ifndef EK_P11_KEY_H
#define EK_P11_KEY_H

#include "p11/object.h"
#include "p11/pin.h"
#include "p11/session.h"
#include "p11/token.h"

#include <ekmotp/p11.h>
#include <stdint.h>

typedef struct ek_token_key {
    /* Fixed once it is open. */
    ek_uri *uri;
    ekmotp_hash hash;
    CK_MECHANISM_TYPE mechanism;
    unsigned timeout_ms;
    ek_token token;                      /* as it was found first; its slot is the sessions' business */
    uint8_t probe[EKMOTP_HASH_MAX_SIZE]; /* MAC of the probe message when the key was opened */

    ek_sessions sessions;

    pthread_mutex_t lock; /* guards what follows; only a failure takes it */
    int healing;          /* a thread is at it */
    int dead;             /* the PIN was refused: no healing ever */
    ekmotp_error last;    /* why the last healing failed; code 0 after a good one */
    unsigned backoff_ms;  /* from the last healing, good or not, to the next one */
    uint64_t retry_at;    /* on ek_now_ms's clock */
    uint64_t ended_at;    /* of the last healing */
    unsigned tried;       /* generation of the module in which the last healing tried to open the key */
    /* The healing thread alone touches these. */
    ekmotp_p11_options pin_options; /* pin_source is owned */
    ek_secret *pin;                 /* the one that the token took, or NULL */
    ek_pin_taken *taken;            /* the same, for the other keys of this token */
} ek_token_key;

/* Where and how an operation failed. */
typedef struct ek_failure {
    unsigned generation; /* of the module, 0 where it was not entered */
    CK_RV rv;
    const char *step;
} ek_failure;

/*
 * Finds the key on a token (of key->token's identity), logs in at most once, makes the probe MAC and starts
 * the sessions. The caller has not entered the module.
 */
int ek_key_open_on(ek_token_key *key, const ek_token *token, int first, ekmotp_error *err)
    __attribute__((warn_unused_result));

/*
 * Heals: after it the caller may try once more. EKMOTP_E_TOKEN_AWAY at once while another thread heals or
 * until the back-off is over; EKMOTP_E_TOKEN_CHANGED; EKMOTP_E_PIN_* for good.
 */
int ek_key_heal(ek_token_key *key, const ek_failure *failure, ekmotp_error *err)
    __attribute__((warn_unused_result));

/* One single-part MAC in a session. mac_size is exact: another length is CKR_FUNCTION_FAILED. */
CK_RV ek_key_sign(const ek_token_key *key, const ek_lease *lease, const uint8_t *msg, size_t len,
                  uint8_t *out, const char **step);

#endif
