/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_state.h: what the verifier keeps per channel: what the channel exported for one client, the
 * channel secrets that came of it, and the window of n.
 */
#ifndef EK_VERIFIER_STATE_H
#define EK_VERIFIER_STATE_H

#include "lib/core/derive.h"
#include "lib/core/window.h"

#include <ekmotp/verifier.h>

/* The secret of one key of the client in one profile: two profiles (apikey, apikey-hmac) by two keys. */
#define EK_SLOTS 4

typedef enum ek_slot_status { EK_SLOT_EMPTY, EK_SLOT_WANTED, EK_SLOT_READY, EK_SLOT_FAILED } ek_slot_status;

typedef struct ek_slot {
    ek_slot_status status;
    ekmotp_profile profile;
    uint64_t serial;       /* of the key */
    const ekmotp_key *key; /* WANTED: borrowed until ekmotp_verifier_derive */
    ek_channel_secret secret;
} ek_slot;

struct ekmotp_verifier_state {
    /* for whom and how the channel was exported; open 0: not yet */
    int open;
    ekmotp_profile profile; /* of the export: apikey stands for apikey-hmac too */
    ekmotp_hash hash;
    size_t id_len;
    uint8_t id[EKMOTP_ID_MAX];
    ek_exported exported;
    ek_slot slots[EK_SLOTS];
    char *failure; /* why a slot is FAILED, for the log; NULL: nothing failed, or memory ran out */
    /* since the first accepted request the channel belongs to this client */
    int accepted;
    uint64_t accepted_serial;
    ek_window window;
};

/* Exports the channel for a client, unless that is what the state holds. */
int ek_state_open(ekmotp_verifier_state *state, const ekmotp_channel *channel, ekmotp_profile profile,
                  ekmotp_hash hash, const uint8_t *id, size_t id_len, ekmotp_error *err)
    __attribute__((warn_unused_result));
/* The slot of a key in a profile; an EMPTY one where there is none yet. */
ek_slot *ek_state_slot(ekmotp_verifier_state *state, ekmotp_profile profile, uint64_t serial);
/* Makes the slot's secret with the key: it becomes READY or FAILED. */
void ek_state_fill(ekmotp_verifier_state *state, ek_slot *slot, const ek_key_view *key);

#endif
