/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/world.h"

#include "tests/unit/suite.h"

#include <ekmotp/openssl.h>
#include <string.h>

static int find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const world *w = ctx;

    if (id_len != 6 || memcmp(id, "alice1", 6) != 0)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = w->record;
    return 0;
}

void set_client(world *w, const char *id, uint8_t key, ekmotp_hash hash, ekmotp_profile profile)
{
    uint8_t bytes[32];
    ekmotp_error err = {0};

    ekmotp_client_free(&w->client);
    ekmotp_key_free(&w->key);
    memset(bytes, key, sizeof(bytes));
    ck_ok(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), hash, bytes, 32, 0, &w->key, &err), err);
    ck_ok(ekmotp_client_new(ekmotp_openssl_crypto(), w->key, (const uint8_t *)id, strlen(id), profile,
                            &w->client, &err),
          err);
}

void set_connection(world *w, uint8_t seed)
{
    ekmotp_error err = {0};

    ekmotp_channel_free(&w->channel);
    ekmotp_verifier_state_free(&w->state);
    w->session = fake_session_make(seed);
    w->channel = fake_channel_new(&w->session);
    ck_ok(ekmotp_verifier_state_new(&w->state, &err), err);
}

world *world_new(unsigned profiles)
{
    world *w = calloc(1, sizeof(*w));
    ekmotp_error err = {0};

    w->record = (ekmotp_record){.hash = EKMOTP_HASH_SHA256, .profiles = profiles, .key_count = 1};
    for (int k = 0; k < 2; k++) {
        memset(w->keys[k], k + 1, 32);
        w->record.keys[k] = (ekmotp_record_key){.bytes = w->keys[k],
                                                .len = 32,
                                                .serial = (uint64_t)k + 1,
                                                .not_before = INT64_MIN,
                                                .not_after = INT64_MAX};
    }
    w->lookup = (ekmotp_lookup){find, w};
    ck_ok(ekmotp_verifier_new(ekmotp_openssl_crypto(), profiles, "unit", &w->verifier, &err), err);
    set_connection(w, 1);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256,
               profiles & V1       ? EKMOTP_PROFILE_V1
               : profiles & APIKEY ? EKMOTP_PROFILE_COMPAT_APIKEY
                                   : EKMOTP_PROFILE_COMPAT_APIKEY_HMAC);
    return w;
}

void world_free(world *w)
{
    ekmotp_verdict_clear(&w->verdict);
    ekmotp_client_free(&w->client);
    ekmotp_key_free(&w->key);
    ekmotp_channel_free(&w->channel);
    ekmotp_verifier_state_free(&w->state);
    ekmotp_verifier_free(&w->verifier);
    free(w);
}

void make_request(world *w)
{
    ekmotp_error err = {0};

    ck_ok(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err), err);
}

ekmotp_reason send_flags(world *w, unsigned flags)
{
    ekmotp_credentials credentials = {0};
    ekmotp_verdict_status status;

    for (size_t i = 0; i < w->count; i++)
        ekmotp_credentials_add(&credentials, w->headers[i].name, strlen(w->headers[i].name),
                               w->headers[i].value, strlen(w->headers[i].value));
    ekmotp_verdict_clear(&w->verdict);
    status = ekmotp_verifier_verify(w->verifier, w->state, w->channel, &credentials, &w->lookup, 1000, flags,
                                    &w->verdict);
    ck_assert_int_eq(status, w->verdict.status);
    ck_assert_int_eq(status == EKMOTP_VERDICT_ACCEPTED || status == EKMOTP_VERDICT_PENDING,
                     w->verdict.reason == EKMOTP_REASON_OK);
    if (status != EKMOTP_VERDICT_ACCEPTED)
        ck_assert_str_eq(w->verdict.authentication_info, "");
    return w->verdict.reason;
}

ekmotp_reason send_again(world *w)
{
    return send_flags(w, 0);
}

ekmotp_reason send_new(world *w)
{
    make_request(w);
    return send_again(w);
}

ekmotp_reason send_text(world *w, const char *authorization)
{
    strcpy(w->headers[0].name, "authorization");
    strcpy(w->headers[0].value, authorization);
    w->count = 1;
    return send_again(w);
}

static int slow_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    slow_key *slow = ctx;
    uint8_t bytes[32];

    slow->macs++;
    if (slow->away)
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "away");
    memset(bytes, 1, sizeof(bytes));
    return ekmotp_crypto_hmac(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, sizeof(bytes), msg, msg_len,
                              out);
}

const ekmotp_key_ops slow_ops = {.mac = slow_mac, .slow = 1};
