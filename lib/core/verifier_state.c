/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/verifier_state.h"

#include "lib/common/secret.h"

#include <stdlib.h>
#include <string.h>

int ekmotp_verifier_state_new(ekmotp_verifier_state **out, ekmotp_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : ekmotp_error_set(err, EKMOTP_E_NOMEM, "out of memory for the state of a channel");
}

void ekmotp_verifier_state_free(ekmotp_verifier_state **state)
{
    if (!state || !*state)
        return;
    free((*state)->failure);
    ek_wipe(*state, sizeof(**state));
    free(*state);
    *state = NULL;
}

/* Both apikey profiles export the same bytes. */
static ekmotp_profile export_profile(ekmotp_profile profile)
{
    return profile == EKMOTP_PROFILE_COMPAT_APIKEY_HMAC ? EKMOTP_PROFILE_COMPAT_APIKEY : profile;
}

int ek_state_open(ekmotp_verifier_state *state, const ekmotp_channel *channel, ekmotp_profile profile,
                  ekmotp_hash hash, const uint8_t *id, size_t id_len, ekmotp_error *err)
{
    int rc;

    profile = export_profile(profile);
    if (state->open && state->profile == profile && state->hash == hash && state->id_len == id_len &&
        memcmp(state->id, id, id_len) == 0)
        return 0;
    state->open = 0;
    ek_wipe(state->slots, sizeof(state->slots));
    rc = ek_derive_export(channel, profile, hash, id, id_len, &state->exported, err);
    if (rc != 0)
        return rc;
    state->profile = profile;
    state->hash = hash;
    memcpy(state->id, id, id_len);
    state->id_len = id_len;
    state->open = 1;
    return 0;
}

ek_slot *ek_state_slot(ekmotp_verifier_state *state, ekmotp_profile profile, uint64_t serial)
{
    ek_slot *empty = NULL, *slot;

    for (slot = state->slots; slot < state->slots + EK_SLOTS; slot++) {
        if (slot->status == EK_SLOT_EMPTY)
            empty = empty ? empty : slot;
        else if (slot->profile == profile && slot->serial == serial)
            return slot;
    }
    if (!empty) {
        /* Keys were replaced while the channel lived: what is here belongs to keys of the past. */
        ek_wipe(state->slots, sizeof(state->slots));
        empty = state->slots;
    }
    empty->profile = profile;
    empty->serial = serial;
    return empty;
}

void ek_state_fill(ekmotp_verifier_state *state, ek_slot *slot, const ek_key_view *key)
{
    ekmotp_error err = {0};

    slot->key = NULL;
    if (ek_derive_secret(key, slot->profile, &state->exported, &slot->secret, &err) == 0) {
        slot->status = EK_SLOT_READY;
        return;
    }
    slot->status = EK_SLOT_FAILED;
    free(state->failure);
    state->failure = strdup(err.message);
}

void ekmotp_verifier_derive(ekmotp_verifier_state *state)
{
    for (size_t i = 0; i < EK_SLOTS; i++) {
        ek_slot *slot = &state->slots[i];

        if (slot->status == EK_SLOT_WANTED) {
            ek_key_view key = ek_key_view_of(slot->key);

            ek_state_fill(state, slot, &key);
        }
    }
}
