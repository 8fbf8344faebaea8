/* SPDX-License-Identifier: Apache-2.0 */
/* From credentials, channel and directory to a verdict. */
#include "lib/common/base64.h"
#include "lib/common/secret.h"
#include "lib/core/request_profiles.h"
#include "lib/core/verifier.h"
#include "lib/core/verifier_state.h"

#include <string.h>

/* One verification under way. */
typedef struct check {
    const ekmotp_verifier *verifier;
    ekmotp_verifier_state *state;
    int64_t now;
    ekmotp_verdict *verdict;
    ek_request request;
    ekmotp_record record;
    ekmotp_profile profiles[EK_REQUEST_PROFILES_MAX]; /* that the credentials can belong to */
    size_t profile_count;
    uint8_t server_proof[EK_PROOF_SIZE]; /* v1: with the secret that was tried last */
    ekmotp_reason veto;                  /* what refuses even a right proof; OK: nothing */
} check;

static ekmotp_verdict_status finish(check *c, ekmotp_verdict_status status, ekmotp_reason reason)
{
    c->verdict->status = status;
    c->verdict->reason = reason;
    return status;
}

static ekmotp_verdict_status refuse(check *c, ekmotp_reason reason)
{
    return finish(c, EKMOTP_VERDICT_REFUSED, reason);
}

static ekmotp_reason choose_profiles(check *c)
{
    ekmotp_verdict *verdict = c->verdict;

    c->profile_count = ek_request_profiles(c->verifier, &c->request, c->profiles);
    if (c->profile_count == 0)
        return EKMOTP_REASON_PROFILE;
    verdict->profile = c->profiles[0];
    memcpy(verdict->id, c->request.id, c->request.id_len);
    verdict->id_len = c->request.id_len;
    if (verdict->id_len > 0)
        return EKMOTP_REASON_OK;
    ekmotp_error_set(&verdict->detail, EKMOTP_E_SYNTAX,
                     c->profiles[0] == EKMOTP_PROFILE_V1 ? "Authorization: the JWT has no kid"
                                                         : "no client is named for the compat JWT profiles");
    return EKMOTP_REASON_MALFORMED;
}

static ekmotp_reason channel_reason(int code)
{
    switch (code) {
    case EKMOTP_E_CHANNEL_VERSION:
        return EKMOTP_REASON_CHANNEL_VERSION;
    case EKMOTP_E_CHANNEL_EMS:
        return EKMOTP_REASON_CHANNEL_EMS;
    case EKMOTP_E_CHANNEL_RENEGOTIATION:
        return EKMOTP_REASON_CHANNEL_RENEGOTIATION;
    case EKMOTP_E_CHANNEL_HANDSHAKE:
        return EKMOTP_REASON_CHANNEL_HANDSHAKE;
    case EKMOTP_E_CHANNEL_EARLY_DATA:
        return EKMOTP_REASON_CHANNEL_EARLY_DATA;
    case EKMOTP_E_NOMEM:
    case EKMOTP_E_CRYPTO:
        return EKMOTP_REASON_INTERNAL;
    default:
        return EKMOTP_REASON_CHANNEL_EXPORT;
    }
}

/* The dummy's serials differ, so that each costs a secret of its own, as two keys do. */
static ekmotp_record_key dummy_key(const ekmotp_verifier *verifier, size_t which)
{
    return (ekmotp_record_key){.bytes = verifier->dummy,
                               .len = sizeof(verifier->dummy),
                               .serial = EK_DUMMY_SERIAL - which,
                               .not_before = INT64_MIN,
                               .not_after = INT64_MAX};
}

/* Rule 11: keys under 32 bytes are for the compat profiles only. */
static int has_short_key(const ekmotp_record *record)
{
    for (size_t i = 0; i < record->key_count; i++)
        if (!record->keys[i].key && record->keys[i].len < EKMOTP_KEY_MIN_SIZE)
            return 1;
    return 0;
}

static ekmotp_reason record_veto(check *c)
{
    const ekmotp_record *record = &c->record;
    size_t allowed = 0;

    if (record->disabled)
        return EKMOTP_REASON_DISABLED;
    for (size_t i = 0; i < c->profile_count; i++) {
        int v1 = c->profiles[i] == EKMOTP_PROFILE_V1;

        if ((record->profiles & EKMOTP_PROFILE_BIT(c->profiles[i])) != 0 &&
            (v1 ? !has_short_key(record) : record->hash == EKMOTP_HASH_SHA256))
            c->profiles[allowed++] = c->profiles[i];
    }
    if (allowed == 0)
        return EKMOTP_REASON_PROFILE;
    c->profile_count = allowed;
    c->verdict->profile = c->profiles[0];
    return record->key_count == 0 ? EKMOTP_REASON_KEY_EXPIRED : EKMOTP_REASON_OK;
}

/* Rule 7: whoever cannot be accepted gets the dummy key's work. */
static void look_up(check *c, const ekmotp_lookup *lookup)
{
    if (lookup->find(lookup->ctx, c->request.id, c->request.id_len, &c->record) != 0)
        c->veto = EKMOTP_REASON_UNKNOWN_CLIENT;
    else
        c->veto = record_veto(c);
    if (c->veto != EKMOTP_REASON_OK) {
        c->record = (ekmotp_record){.hash = EKMOTP_HASH_SHA256, .key_count = 1};
        c->record.keys[0] = dummy_key(c->verifier, 0);
    }
}

static int is_slow(const ekmotp_record_key *key)
{
    return key->key && ekmotp_key_is_slow(key->key);
}

/* Asks for the secrets of slow keys; 1 if the caller has to run ekmotp_verifier_derive. */
static int want_slow_keys(check *c)
{
    int wanted = 0;

    for (size_t p = 0; p < c->profile_count; p++) {
        for (size_t k = 0; k < c->record.key_count; k++) {
            const ekmotp_record_key *key = &c->record.keys[k];
            ek_slot *slot;

            if (!is_slow(key))
                continue;
            slot = ek_state_slot(c->state, c->profiles[p], key->serial);
            if (slot->status == EK_SLOT_EMPTY || slot->status == EK_SLOT_WANTED) {
                slot->status = EK_SLOT_WANTED;
                slot->key = key->key;
                wanted = 1;
            }
        }
    }
    return wanted;
}

/* The READY or FAILED slot of a key. */
static ek_slot *fill_slot(check *c, ekmotp_profile profile, const ekmotp_record_key *key)
{
    ek_slot *slot = ek_state_slot(c->state, profile, key->serial);

    if (slot->status == EK_SLOT_EMPTY || slot->status == EK_SLOT_WANTED) {
        ek_key_view view = key->key
                               ? ek_key_view_of(key->key)
                               : ek_key_view_bytes(c->verifier->crypto, c->record.hash, key->bytes, key->len);

        ek_state_fill(c->state, slot, &view);
    }
    return slot;
}

static ekmotp_reason open_bearer(check *c, ekmotp_profile profile, const ek_slot *slot,
                                 const ek_key_view *secret)
{
    uint8_t jws[EKMOTP_HASH_MAX_SIZE] = {0}, jwe[32] = {0};
    ekmotp_bearer_result result = {.reason = EKMOTP_REASON_INTERNAL};
    ekmotp_bearer_request request = {.profile = profile,
                                     .kind = c->request.kind,
                                     .hash = c->record.hash,
                                     .id = c->request.id,
                                     .id_len = c->request.id_len,
                                     .jws_key = jws,
                                     .jws_key_len = slot->secret.len,
                                     .jwe_key = c->request.kind == EKMOTP_BEARER_JWE ? jwe : NULL,
                                     .now = c->now};
    int rc = 0;

    if (profile == EKMOTP_PROFILE_V1) {
        rc = ek_derive_jws_key(secret, jws, slot->secret.len, NULL);
        if (rc == 0 && request.jwe_key)
            rc = ek_derive_jwe_key(secret, jwe, NULL);
    } else {
        memcpy(jws, slot->secret.bytes, slot->secret.len);
        memcpy(jwe, slot->secret.jwe, sizeof(jwe));
    }
    if (rc == 0 && c->verifier->bearer->open(c->verifier->bearer_ctx, c->request.token, c->request.token_len,
                                             &request, &result, &c->verdict->detail) == 0) {
        c->verdict->claims = result.claims;
        c->request.n = result.n;
        if (profile == EKMOTP_PROFILE_V1 &&
            ek_derive_server_proof(secret, result.n, c->server_proof, NULL) != 0)
            result.reason = EKMOTP_REASON_INTERNAL;
    }
    ek_wipe(jws, sizeof(jws));
    ek_wipe(jwe, sizeof(jwe));
    return result.reason;
}

/* Whether the request's proof was made with this secret: OK, WRONG_PROOF, or what is wrong with a JWT. */
static ekmotp_reason try_secret(check *c, ekmotp_profile profile, const ek_slot *slot)
{
    ek_key_view secret =
        ek_key_view_bytes(c->verifier->crypto, c->record.hash, slot->secret.bytes, slot->secret.len);
    uint8_t expected[EK_PROOF_SIZE];
    int same;

    if (c->request.carrier == EK_CARRIER_BEARER)
        return open_bearer(c, profile, slot, &secret);
    if (c->request.carrier == EK_CARRIER_APIKEY)
        return ek_equal(slot->secret.bytes, c->request.proof, EK_PROOF_SIZE) ? EKMOTP_REASON_OK
                                                                             : EKMOTP_REASON_WRONG_PROOF;
    if (ek_derive_proofs(&secret, c->request.n, expected, c->server_proof, NULL) != 0)
        return EKMOTP_REASON_INTERNAL;
    same = ek_equal(expected, c->request.proof, EK_PROOF_SIZE);
    ek_wipe(expected, sizeof(expected));
    return same ? EKMOTP_REASON_OK : EKMOTP_REASON_WRONG_PROOF;
}

static ekmotp_reason time_reason(const ekmotp_record_key *key, int64_t now)
{
    if (now < key->not_before)
        return EKMOTP_REASON_KEY_NOT_YET_VALID;
    return now > key->not_after ? EKMOTP_REASON_KEY_EXPIRED : EKMOTP_REASON_OK;
}

static int check_value_matches(const check *c)
{
    const ek_exported *exported = &c->state->exported;

    return c->request.carrier != EK_CARRIER_V1_HEADER ||
           ek_equal(exported->bytes + exported->ekm_len, c->request.check, EK_CHECK_SIZE);
}

static ekmotp_verdict_status write_server_proof(check *c)
{
    char *info = c->verdict->authentication_info;

    memcpy(info, "p=", 2);
    if (ek_base64_encode(EK_BASE64URL, c->server_proof, sizeof(c->server_proof), info + 2,
                         EKMOTP_AUTHENTICATION_INFO_SIZE - 2) != 0) {
        info[0] = '\0';
        return refuse(c, EKMOTP_REASON_INTERNAL);
    }
    return finish(c, EKMOTP_VERDICT_ACCEPTED, EKMOTP_REASON_OK);
}

/* The proof is right: what else has to hold? */
static ekmotp_verdict_status accept(check *c, ekmotp_profile profile, const ekmotp_record_key *key)
{
    ekmotp_verifier_state *state = c->state;
    ekmotp_reason reason = c->veto;

    if (reason == EKMOTP_REASON_OK && !check_value_matches(c))
        reason = EKMOTP_REASON_OTHER_SESSION;
    if (reason == EKMOTP_REASON_OK)
        reason = time_reason(key, c->now);
    if (reason == EKMOTP_REASON_OK && profile == EKMOTP_PROFILE_V1) {
        ek_window_answer answer = ek_window_check(&state->window, c->request.n);

        if (answer != EK_WINDOW_NEW)
            reason = answer == EK_WINDOW_REPLAY ? EKMOTP_REASON_REPLAY : EKMOTP_REASON_TOO_OLD;
    }
    c->verdict->n = c->request.n;
    if (reason != EKMOTP_REASON_OK)
        return refuse(c, reason);
    c->verdict->profile = profile;
    state->accepted = 1;
    state->accepted_serial = key->serial;
    if (c->request.carrier != EK_CARRIER_BEARER) {
        memcpy(c->verdict->proof, c->request.proof, EK_PROOF_SIZE);
        c->verdict->proof_len = EK_PROOF_SIZE;
    }
    if (profile != EKMOTP_PROFILE_V1)
        return finish(c, EKMOTP_VERDICT_ACCEPTED, EKMOTP_REASON_OK);
    ek_window_take(&state->window, c->request.n);
    return write_server_proof(c);
}

static ekmotp_verdict_status no_match(check *c, int unavailable, int broken)
{
    if (c->veto != EKMOTP_REASON_OK)
        return refuse(c, c->veto);
    if ((unavailable || broken) && c->state->failure)
        ekmotp_error_set(&c->verdict->detail, unavailable ? EKMOTP_E_TOKEN_AWAY : EKMOTP_E_CRYPTO, "%s",
                         c->state->failure);
    if (unavailable)
        return finish(c, EKMOTP_VERDICT_UNAVAILABLE, EKMOTP_REASON_KEY_UNAVAILABLE);
    if (broken)
        return refuse(c, EKMOTP_REASON_INTERNAL);
    c->verdict->n = c->request.n;
    if (!check_value_matches(c))
        return refuse(c, EKMOTP_REASON_OTHER_SESSION);
    for (size_t k = 0; k < c->record.key_count; k++)
        if (c->record.keys[k].serial == c->state->accepted_serial)
            return refuse(c, EKMOTP_REASON_WRONG_PROOF);
    return refuse(c, c->state->accepted ? EKMOTP_REASON_KEY_REPLACED : EKMOTP_REASON_WRONG_PROOF);
}

/*
 * Tries the client's keys. A refusal tries two keys in each profile, whether the client has one, two or
 * does not exist: the time tells nothing (rule 7).
 */
static ekmotp_verdict_status try_keys(check *c)
{
    int unavailable = 0, broken = 0;

    for (size_t p = 0; p < c->profile_count; p++) {
        for (size_t k = 0; k < 2; k++) {
            ekmotp_record_key key = k < c->record.key_count ? c->record.keys[k] : dummy_key(c->verifier, k);
            ek_slot *slot = fill_slot(c, c->profiles[p], &key);
            ekmotp_reason reason;

            if (slot->status == EK_SLOT_FAILED) {
                *(is_slow(&key) ? &unavailable : &broken) = 1;
                slot->status = EK_SLOT_EMPTY;
                continue;
            }
            reason = try_secret(c, c->profiles[p], slot);
            if (reason == EKMOTP_REASON_OK)
                return accept(c, c->profiles[p], &key);
            if (reason != EKMOTP_REASON_WRONG_PROOF)
                return refuse(c, c->veto != EKMOTP_REASON_OK ? c->veto : reason);
        }
    }
    return no_match(c, unavailable, broken);
}

static ekmotp_verdict_status verify(check *c, const ekmotp_channel *channel,
                                    const ekmotp_credentials *credentials, const ekmotp_lookup *lookup,
                                    unsigned flags)
{
    ekmotp_error *detail = &c->verdict->detail;
    ekmotp_reason reason;
    int rc;

    reason =
        ek_credentials_read(credentials, c->verifier->bearer, c->verifier->bearer_ctx, &c->request, detail);
    if (reason == EKMOTP_REASON_OK)
        reason = choose_profiles(c);
    if (reason != EKMOTP_REASON_OK)
        return refuse(c, reason);
    rc = ekmotp_channel_check(channel, detail);
    if (rc != 0)
        return refuse(c, channel_reason(rc));
    if (c->state->accepted && (c->state->id_len != c->request.id_len ||
                               memcmp(c->state->id, c->request.id, c->request.id_len) != 0))
        return refuse(c, EKMOTP_REASON_OTHER_CLIENT);
    look_up(c, lookup);
    rc = ek_state_open(c->state, channel, c->profiles[0], c->record.hash, c->request.id, c->request.id_len,
                       detail);
    if (rc != 0)
        return refuse(c, channel_reason(rc));
    if (flags & EKMOTP_VERIFY_ASYNC && want_slow_keys(c))
        return finish(c, EKMOTP_VERDICT_PENDING, EKMOTP_REASON_OK);
    return try_keys(c);
}

ekmotp_verdict_status ekmotp_verifier_verify(const ekmotp_verifier *verifier, ekmotp_verifier_state *state,
                                             const ekmotp_channel *channel,
                                             const ekmotp_credentials *credentials,
                                             const ekmotp_lookup *lookup, int64_t now, unsigned flags,
                                             ekmotp_verdict *verdict)
{
    check c = {.verifier = verifier, .state = state, .now = now, .verdict = verdict};
    ekmotp_verdict_status status;

    memset(verdict, 0, sizeof(*verdict));
    status = verify(&c, channel, credentials, lookup, flags);
    if (status != EKMOTP_VERDICT_ACCEPTED)
        ek_verdict_drop_claims(verdict);
    ek_wipe(&c, sizeof(c));
    return status;
}
