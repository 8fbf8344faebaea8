/* SPDX-License-Identifier: Apache-2.0 */
/* The client binding and the verifier against each other, over channels that a test can set. */
#include "lib/common/base64.h"
#include "tests/unit/fake_channel.h"
#include "tests/unit/suite.h"

/* The source itself, to set the counter of a client near its end. */
#include "lib/core/client.c"

#include <ekmotp/openssl.h>
#include <ekmotp/verifier.h>

#define V1 EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_V1)
#define APIKEY EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY)
#define APIKEY_HMAC EKMOTP_PROFILE_BIT(EKMOTP_PROFILE_COMPAT_APIKEY_HMAC)

/* A directory of one client, a connection, and both ends of it. */
typedef struct world {
    uint8_t keys[2][32];
    ekmotp_record record;
    ekmotp_lookup lookup;
    fake_session session;
    ekmotp_channel *channel;
    ekmotp_verifier *verifier;
    ekmotp_verifier_state *state;
    ekmotp_key *key;
    ekmotp_client *client;
    ekmotp_verdict verdict;
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    size_t count;
    uint64_t n;
} world;

static int find(const void *ctx, const uint8_t *id, size_t id_len, ekmotp_record *record)
{
    const world *w = ctx;

    if (id_len != 6 || memcmp(id, "alice1", 6) != 0)
        return EKMOTP_E_CLIENT_NOT_FOUND;
    *record = w->record;
    return 0;
}

static void set_client(world *w, const char *id, uint8_t key, ekmotp_hash hash, ekmotp_profile profile)
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

static void set_connection(world *w, uint8_t seed)
{
    ekmotp_error err = {0};

    ekmotp_channel_free(&w->channel);
    ekmotp_verifier_state_free(&w->state);
    w->session = fake_session_make(seed);
    w->channel = fake_channel_new(&w->session);
    ck_ok(ekmotp_verifier_state_new(&w->state, &err), err);
}

static world *world_new(unsigned profiles)
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

static void world_free(world *w)
{
    ekmotp_verdict_clear(&w->verdict);
    ekmotp_client_free(&w->client);
    ekmotp_key_free(&w->key);
    ekmotp_channel_free(&w->channel);
    ekmotp_verifier_state_free(&w->state);
    ekmotp_verifier_free(&w->verifier);
    free(w);
}

static void request(world *w)
{
    ekmotp_error err = {0};

    ck_ok(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err), err);
}

/* The reason of the verdict on what stands in w->headers. */
static ekmotp_reason send_flags(world *w, unsigned flags)
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

static ekmotp_reason send(world *w)
{
    return send_flags(w, 0);
}

static ekmotp_reason send_new(world *w)
{
    request(w);
    return send(w);
}

static ekmotp_reason send_text(world *w, const char *authorization)
{
    strcpy(w->headers[0].name, "authorization");
    strcpy(w->headers[0].value, authorization);
    w->count = 1;
    return send(w);
}

START_TEST(v1_accepts_each_n_once)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};

    for (uint64_t n = 1; n <= 200; n++) {
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
        ck_assert_uint_eq(w->verdict.n, n);
        ck_assert_uint_eq(w->verdict.id_len, 6);
        ck_ok(ekmotp_client_check_server(w->client, w->n, w->verdict.authentication_info,
                                         strlen(w->verdict.authentication_info), &err),
              err);
        ck_assert_int_eq(send(w), EKMOTP_REASON_REPLAY);
    }
    world_free(w);
}
END_TEST

START_TEST(v1_any_order_within_the_window)
{
    world *w = world_new(V1);
    ekmotp_header old[70];

    for (int i = 0; i < 70; i++) {
        request(w);
        old[i] = w->headers[0];
    }
    ck_assert_int_eq(send(w), EKMOTP_REASON_OK);
    for (int i = 0; i < 70; i++) {
        w->headers[0] = old[i];
        ck_assert_int_eq(send(w), i < 6    ? EKMOTP_REASON_TOO_OLD
                                  : i < 69 ? EKMOTP_REASON_OK
                                           : EKMOTP_REASON_REPLAY);
    }
    world_free(w);
}
END_TEST

START_TEST(v1_a_forged_n_does_not_move_the_window)
{
    world *w = world_new(V1);
    char forged[1024];

    request(w);
    ck_assert_int_eq(send(w), EKMOTP_REASON_OK);
    request(w);
    snprintf(forged, sizeof(forged), "EKMOTP k=YWxpY2Ux, n=18446744073709551615%s",
             strstr(w->headers[0].value, ", p="));
    ck_assert_int_eq(send_text(w, forged), EKMOTP_REASON_WRONG_PROOF);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    world_free(w);
}
END_TEST

START_TEST(v1_the_counter_ends)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};

    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->client->n = UINT64_MAX - 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(w->verdict.n, UINT64_MAX);
    ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err),
                     EKMOTP_E_COUNTER);
    world_free(w);
}
END_TEST

START_TEST(v1_sha384_and_sha512)
{
    for (int h = EKMOTP_HASH_SHA256; h <= EKMOTP_HASH_SHA512; h++) {
        world *w = world_new(V1);

        for (int other = EKMOTP_HASH_SHA256; other <= EKMOTP_HASH_SHA512; other++) {
            w->record.hash = (ekmotp_hash)h;
            set_connection(w, 1);
            set_client(w, "alice1", 1, (ekmotp_hash)other, EKMOTP_PROFILE_V1);
            /* The hash stands in the exporter's context: a wrong one looks like another session. */
            ck_assert_int_eq(send_new(w), h == other ? EKMOTP_REASON_OK : EKMOTP_REASON_OTHER_SESSION);
        }
        world_free(w);
    }
}
END_TEST

START_TEST(another_channel_is_another_session)
{
    world *w = world_new(V1);

    request(w);
    set_connection(w, 2);
    ck_assert_int_eq(send(w), EKMOTP_REASON_OTHER_SESSION);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    world_free(w);
}
END_TEST

START_TEST(a_right_proof_with_another_check_value)
{
    world *w = world_new(V1);
    char *v;

    request(w);
    v = strstr(w->headers[0].value, "v=") + 2;
    *v = *v == 'A' ? 'B' : 'A';
    ck_assert_int_eq(send(w), EKMOTP_REASON_OTHER_SESSION);
    world_free(w);
}
END_TEST

START_TEST(wrong_key_is_a_wrong_proof)
{
    world *w = world_new(V1);

    set_client(w, "alice1", 9, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_UNKNOWN_CLIENT);
    world_free(w);
}
END_TEST

START_TEST(refusals_of_the_directory)
{
    world *w = world_new(V1);

    w->record.disabled = 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_DISABLED);
    w->record.disabled = 0;
    w->record.profiles = APIKEY;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->record.profiles = V1;
    w->record.keys[0].not_before = 1001;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_NOT_YET_VALID);
    w->record.keys[0].not_before = 1000;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0].not_after = 999;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_EXPIRED);
    w->record.keys[0].not_after = 1000;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0].len = 31;
    set_connection(w, 3);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->record.keys[0].len = 32;
    w->record.key_count = 0;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_EXPIRED);
    world_free(w);
}
END_TEST

START_TEST(rotation_without_a_gap)
{
    world *w = world_new(V1);

    /* before: key 1; during: 2 is current, 1 previous; after: 2 alone */
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.keys[0] = w->record.keys[1];
    w->record.keys[1].bytes = w->keys[0];
    w->record.keys[1].serial = 1;
    w->record.key_count = 2;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "alice1", 2, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "alice1", 3, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    set_connection(w, 3);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    w->record.key_count = 1;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_KEY_REPLACED);
    set_connection(w, 4);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    world_free(w);
}
END_TEST

START_TEST(a_channel_belongs_to_one_client)
{
    world *w = world_new(V1);

    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_UNKNOWN_CLIENT);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "nobody", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OTHER_CLIENT);
    world_free(w);
}
END_TEST

START_TEST(one_export_and_one_secret_a_channel)
{
    world *w = world_new(V1);

    for (int i = 0; i < 10; i++) {
        request(w);
        w->session.exports = 0;
        ck_assert_int_eq(send(w), EKMOTP_REASON_OK);
        ck_assert_uint_eq(w->session.exports, i == 0 ? 1 : 0);
    }
    world_free(w);
}
END_TEST

START_TEST(a_reflected_server_proof_is_no_client_proof)
{
    world *w = world_new(V1);
    char text[1024], *p;
    ekmotp_error err = {0};

    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    p = strstr(w->headers[0].value, "p=") + 2;
    /* the client's proof as the server's */
    snprintf(text, sizeof(text), "p=%.43s", p);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err),
                     EKMOTP_E_SERVER_PROOF);
    /* the server's proof of n as the client's of n: on a state that has not seen n */
    snprintf(text, sizeof(text), "EKMOTP k=YWxpY2Ux, n=1, %s, v=%s", w->verdict.authentication_info,
             strstr(w->headers[0].value, "v=") + 2);
    set_connection(w, 1);
    ck_assert_int_eq(send_text(w, text), EKMOTP_REASON_WRONG_PROOF);
    world_free(w);
}
END_TEST

START_TEST(server_proof_fails_closed)
{
    world *w = world_new(V1);
    ekmotp_error err = {0};
    char info[64], text[160];
    static const char *const bad[] = {"", "p=", "p=AAAA", "q=x", "p", "p=\"", "p=AA==", ", ,", "p=!"};

    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, "p=x", 3, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    strcpy(info, w->verdict.authentication_info);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, NULL, 0, &err), EKMOTP_E_SERVER_PROOF);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, bad[i], strlen(bad[i]), &err),
                         EKMOTP_E_SERVER_PROOF);
    snprintf(text, sizeof(text), "%s, %s", info, info);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err),
                     EKMOTP_E_SERVER_PROOF);
    snprintf(text, sizeof(text), "other=\"x\", P=\"%s\"", info + 2);
    ck_ok(ekmotp_client_check_server(w->client, 1, text, strlen(text), &err), err);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 2, info, strlen(info), &err),
                     EKMOTP_E_SERVER_PROOF);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 3, info, strlen(info), &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 0, info, strlen(info), &err), EKMOTP_E_INVAL);
    info[5] = info[5] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(ekmotp_client_check_server(w->client, 1, info, strlen(info), &err),
                     EKMOTP_E_SERVER_PROOF);
    world_free(w);
}
END_TEST

/* k of alice1, a well-formed p and v */
#define K "k=YWxpY2Ux"
#define P "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define V "v=AAAAAAAAAAAAAAAAAAAAAA"

START_TEST(malformed_headers)
{
    static const char *const bad[] = {
        "EKMOTP",
        "EKMOTP ",
        "EKMOTP x",
        "Basic YTpi",
        "EKMOTP " K,
        "EKMOTP " K ", n=1, " P,
        "EKMOTP " K ", " P ", " V,
        "EKMOTP " K ", n=1, " V,
        "EKMOTP n=1, " P ", " V,
        "EKMOTP " K ", n=1, " P ", " V ", " K,
        "EKMOTP " K ", n=1, " P ", " V ", x=1",
        "EKMOTP " K ", n=0, " P ", " V,
        "EKMOTP " K ", n=01, " P ", " V,
        "EKMOTP " K ", n=-1, " P ", " V,
        "EKMOTP " K ", n=1x, " P ", " V,
        "EKMOTP " K ", n=18446744073709551616, " P ", " V,
        "EKMOTP " K ", n=99999999999999999999, " P ", " V,
        "EKMOTP " K ", n=, " P ", " V,
        "EKMOTP " K ", n=\"\", " P ", " V,
        "EKMOTP k=YWxpY2U, n=1, " P "A, " V,
        "EKMOTP k=\"\", n=1, " P ", " V,
        "EKMOTP k=A, n=1, " P ", " V,
        "EKMOTP k=YWxpY2Ux=, n=1, " P ", " V,
        "EKMOTP k=YWx+Y2Ux, n=1, " P ", " V,
        "EKMOTP " K ", n=1, " P ", v=AAAA",
        "EKMOTP " K ", n=1, p=AAAA, " V,
        "EKMOTP " K ", n=1, p=\"" P "\", " V,
        "EKMOTP " K "; n=1; " P "; " V,
        "EKMOTP " K ", n=1, " P ", " V " trailing",
        "EKMOTP " K ", n=1, " P ", " V "=",
        "Bearer abc",
        "EKMOTP\t" K,
        "EKMOTP " K ", n=1, n=2, " P ", " V,
    };
    world *w = world_new(V1);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(send_text(w, bad[i]) == EKMOTP_REASON_MALFORMED, "not malformed: %s", bad[i]);
        ck_assert_str_ne(w->verdict.detail.message, "");
    }
    ck_assert_int_eq(send_text(w, "EKMOTP " K ", n=1, " P ", " V), EKMOTP_REASON_OTHER_SESSION);
    ck_assert_int_eq(send_text(w, "ekmotp V=\"AAAAAAAAAAAAAAAAAAAAAA\" ,, " P ",N=1 , " K),
                     EKMOTP_REASON_OTHER_SESSION);
    world_free(w);
}
END_TEST

START_TEST(oversized_id)
{
    world *w = world_new(V1);
    char id[EK_BASE64_SIZE(256)], text[1024];
    uint8_t bytes[256] = {0};

    ck_assert_int_eq(ek_base64_encode(EK_BASE64URL, bytes, 255, id, sizeof(id)), 0);
    snprintf(text, sizeof(text), "EKMOTP k=%s, n=1, " P ", " V, id);
    ck_assert_int_eq(send_text(w, text), EKMOTP_REASON_UNKNOWN_CLIENT);
    ck_assert_int_eq(ek_base64_encode(EK_BASE64URL, bytes, 256, id, sizeof(id)), 0);
    snprintf(text, sizeof(text), "EKMOTP k=%s, n=1, " P ", " V, id);
    ck_assert_int_eq(send_text(w, text), EKMOTP_REASON_MALFORMED);
    world_free(w);
}
END_TEST

START_TEST(fields_missing_or_doubled)
{
    world *w = world_new(V1 | APIKEY);
    ekmotp_credentials credentials = {0};

    w->count = 0;
    ck_assert_int_eq(send(w), EKMOTP_REASON_NO_CREDENTIALS);
    request(w);
    for (int i = 0; i < 2; i++)
        ekmotp_credentials_add(&credentials, "AUTHORIZATION", 13, w->headers[0].value,
                               strlen(w->headers[0].value));
    ck_assert_int_eq(ekmotp_verifier_verify(w->verifier, w->state, w->channel, &credentials, &w->lookup, 0, 0,
                                            &w->verdict),
                     EKMOTP_VERDICT_REFUSED);
    ck_assert_int_eq(w->verdict.reason, EKMOTP_REASON_DUPLICATE_FIELD);
    strcpy(w->headers[1].name, "apikey");
    strcpy(w->headers[1].value, "x");
    w->count = 2;
    ck_assert_int_eq(send(w), EKMOTP_REASON_MALFORMED);
    world_free(w);
}
END_TEST

START_TEST(profiles_that_are_not_offered)
{
    world *w = world_new(APIKEY);

    w->record.profiles = V1 | APIKEY | APIKEY_HMAC;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    set_client(w, "alice1", 1, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_COMPAT_APIKEY_HMAC);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_WRONG_PROOF);
    world_free(w);
}
END_TEST

START_TEST(compat_apikey_in_both_variants)
{
    world *w = world_new(APIKEY | APIKEY_HMAC);

    for (int i = 0; i < 3; i++) {
        set_client(w, "alice1", 1, EKMOTP_HASH_SHA256,
                   i % 2 ? EKMOTP_PROFILE_COMPAT_APIKEY : EKMOTP_PROFILE_COMPAT_APIKEY_HMAC);
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
        ck_assert_int_eq(w->verdict.profile, ekmotp_client_profile(w->client));
        ck_assert_str_eq(w->verdict.authentication_info, "");
    }
    set_connection(w, 2);
    ck_assert_int_eq(send(w), EKMOTP_REASON_WRONG_PROOF);
    strcpy(w->headers[1].value, "AAAA");
    ck_assert_int_eq(send(w), EKMOTP_REASON_MALFORMED);
    w->record.hash = EKMOTP_HASH_SHA512;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->count = 1;
    w->headers[0] = w->headers[1];
    ck_assert_int_eq(send(w), EKMOTP_REASON_MALFORMED);
    world_free(w);
}
END_TEST

START_TEST(compat_takes_short_keys)
{
    world *w = world_new(APIKEY);
    ekmotp_error err = {0};

    w->record.keys[0].bytes = (const uint8_t *)"my_api_key";
    w->record.keys[0].len = 10;
    ekmotp_client_free(&w->client);
    ekmotp_key_free(&w->key);
    ck_ok(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256,
                               (const uint8_t *)"my_api_key\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, 0,
                               &w->key, &err),
          err);
    ck_ok(ekmotp_client_new(ekmotp_openssl_crypto(), w->key, (const uint8_t *)"alice1", 6,
                            EKMOTP_PROFILE_COMPAT_APIKEY, &w->client, &err),
          err);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    world_free(w);
}
END_TEST

START_TEST(broken_channels)
{
    static const int codes[][2] = {{EKMOTP_E_CHANNEL_VERSION, EKMOTP_REASON_CHANNEL_VERSION},
                                   {EKMOTP_E_CHANNEL_EMS, EKMOTP_REASON_CHANNEL_EMS},
                                   {EKMOTP_E_CHANNEL_RENEGOTIATION, EKMOTP_REASON_CHANNEL_RENEGOTIATION},
                                   {EKMOTP_E_CHANNEL_HANDSHAKE, EKMOTP_REASON_CHANNEL_HANDSHAKE},
                                   {EKMOTP_E_CHANNEL_EARLY_DATA, EKMOTP_REASON_CHANNEL_EARLY_DATA},
                                   {EKMOTP_E_CHANNEL_EXPORT, EKMOTP_REASON_CHANNEL_EXPORT}};
    world *w = world_new(V1);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        w->session.check = 0;
        request(w);
        w->session.check = codes[i][0];
        ck_assert_int_eq(send(w), codes[i][1]);
        ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, NULL),
                         codes[i][0]);
    }
    world_free(w);
}
END_TEST

/* A key that counts its MACs and can be away. */
typedef struct slow_key {
    unsigned macs;
    int away;
} slow_key;

static int slow_mac(void *ctx, const uint8_t *msg, size_t msg_len, uint8_t *out, ekmotp_error *err)
{
    slow_key *slow = ctx;
    uint8_t bytes[32];

    slow->macs++;
    if (slow->away)
        return ekmotp_error_set(err, EKMOTP_E_TOKEN_AWAY, "away");
    memset(bytes, 1, sizeof(bytes));
    return ekmotp_openssl_crypto()->hmac(EKMOTP_HASH_SHA256, bytes, sizeof(bytes), msg, msg_len, out);
}

static const ekmotp_key_ops slow_ops = {.mac = slow_mac, .slow = 1};

START_TEST(slow_keys_wait_outside_the_loop)
{
    world *w = world_new(V1);
    slow_key slow = {0};
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};

    ck_ok(ekmotp_key_new(EKMOTP_HASH_SHA256, &slow_ops, &slow, &key, &err), err);
    w->record.keys[0].key = key;
    request(w);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_PENDING);
    ck_assert_uint_eq(slow.macs, 0);
    ekmotp_verifier_derive(w->state);
    ck_assert_uint_eq(slow.macs, 1);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_ACCEPTED);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 2);
    /* away: 503, and the next request tries again */
    set_connection(w, 3);
    slow.away = 1;
    request(w);
    send_flags(w, EKMOTP_VERIFY_ASYNC);
    ekmotp_verifier_derive(w->state);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_KEY_UNAVAILABLE);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_UNAVAILABLE);
    ck_assert_str_eq(w->verdict.detail.message, "away");
    slow.away = 0;
    send_flags(w, EKMOTP_VERIFY_ASYNC);
    ck_assert_int_eq(w->verdict.status, EKMOTP_VERDICT_PENDING);
    ekmotp_verifier_derive(w->state);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_OK);
    /* a disabled client costs the token nothing */
    w->record.disabled = 1;
    set_connection(w, 4);
    slow.macs = 0;
    request(w);
    ck_assert_int_eq(send_flags(w, EKMOTP_VERIFY_ASYNC), EKMOTP_REASON_DISABLED);
    ck_assert_uint_eq(slow.macs, 0);
    ekmotp_key_free(&key);
    world_free(w);
}
END_TEST

/* Rule 7: what a refusal costs is the same for an unknown client, one key, two keys, and a disabled client.
 */
static unsigned hmac_calls;

static int counting_hmac(ekmotp_hash hash, const uint8_t *key, size_t key_len, const uint8_t *msg,
                         size_t msg_len, uint8_t *out)
{
    hmac_calls++;
    return ekmotp_openssl_crypto()->hmac(hash, key, key_len, msg, msg_len, out);
}

START_TEST(every_refusal_costs_the_same)
{
    ekmotp_crypto counting = *ekmotp_openssl_crypto();
    world *w = world_new(V1);
    ekmotp_error err = {0};
    unsigned calls[4];

    counting.hmac = counting_hmac;
    ekmotp_verifier_free(&w->verifier);
    ck_ok(ekmotp_verifier_new(&counting, V1, "unit", &w->verifier, &err), err);
    for (int i = 0; i < 4; i++) {
        set_connection(w, (uint8_t)(10 + i));
        set_client(w, i == 0 ? "nobody" : "alice1", 9, EKMOTP_HASH_SHA256, EKMOTP_PROFILE_V1);
        w->record.key_count = i == 2 ? 2 : 1;
        w->record.disabled = i == 3;
        request(w);
        hmac_calls = 0;
        ck_assert_int_ne(send(w), EKMOTP_REASON_OK);
        calls[i] = hmac_calls;
        ck_assert_uint_eq(calls[i], calls[0]);
        ck_assert_uint_eq(w->session.exports, 2);
    }
    ck_assert_uint_ge(calls[0], 4);
    world_free(w);
}
END_TEST

START_TEST(client_counts_one_mac_a_channel)
{
    world *w = world_new(V1);
    slow_key slow = {0};
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};

    ck_ok(ekmotp_key_new(EKMOTP_HASH_SHA256, &slow_ops, &slow, &key, &err), err);
    ekmotp_client_free(&w->client);
    ck_ok(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)"alice1", 6, EKMOTP_PROFILE_V1,
                            &w->client, &err),
          err);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 1);
    set_connection(w, 2);
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ck_assert_uint_eq(slow.macs, 2);
    /* A failure leaves nothing behind that could be taken for a secret. */
    set_connection(w, 3);
    slow.away = 1;
    ck_assert_int_eq(ekmotp_client_headers(w->client, w->channel, w->headers, &w->count, &w->n, &err),
                     EKMOTP_E_TOKEN_AWAY);
    slow.away = 0;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_OK);
    ekmotp_key_free(&key);
    world_free(w);
}
END_TEST

START_TEST(bad_arguments)
{
    world *w = world_new(V1);
    ekmotp_client *client = NULL;
    ekmotp_verifier *verifier = NULL;
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};
    uint8_t id[256] = {'a', ' '};
    char realm[66];
    const ekmotp_crypto *c = ekmotp_openssl_crypto();

    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 0, EKMOTP_PROFILE_V1, &client, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 256, EKMOTP_PROFILE_V1, &client, &err), EKMOTP_E_INVAL);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 1, EKMOTP_PROFILE_COUNT, &client, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_client_new(c, w->key, id, 2, EKMOTP_PROFILE_COMPAT_APIKEY, &client, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(
        ekmotp_client_new(c, w->key, (const uint8_t *)"a\nb", 3, EKMOTP_PROFILE_COMPAT_APIKEY, &client, &err),
        EKMOTP_E_PROFILE);
    ck_ok(ekmotp_key_new_bytes(c, EKMOTP_HASH_SHA512, w->keys[0], 32, 0, &key, &err), err);
    ck_assert_int_eq(ekmotp_client_new(c, key, id, 1, EKMOTP_PROFILE_COMPAT_JWS, &client, &err),
                     EKMOTP_E_PROFILE);
    ekmotp_key_free(&key);
    ck_assert_ptr_null(client);
    ck_assert_int_eq(ekmotp_verifier_new(c, 0, "r", &verifier, &err), EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_verifier_new(c, 1u << EKMOTP_PROFILE_COUNT, "r", &verifier, &err),
                     EKMOTP_E_PROFILE);
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, "a\"b", &verifier, &err), EKMOTP_E_SYNTAX);
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, "a\r\nb", &verifier, &err), EKMOTP_E_SYNTAX);
    memset(realm, 'r', 65);
    realm[65] = '\0';
    ck_assert_int_eq(ekmotp_verifier_new(c, V1, realm, &verifier, &err), EKMOTP_E_LIMIT);
    ck_assert_ptr_null(verifier);
    ck_assert_str_eq(ekmotp_verifier_challenge(w->verifier), "EKMOTP realm=\"unit\"");
    for (int r = 0; r < EKMOTP_REASON_COUNT; r++) {
        ck_assert_ptr_nonnull(ekmotp_reason_name((ekmotp_reason)r));
        ck_assert_ptr_nonnull(ekmotp_reason_text((ekmotp_reason)r));
    }
    ck_assert_ptr_null(ekmotp_reason_name(EKMOTP_REASON_COUNT));
    world_free(w);
}
END_TEST

UNIT_MAIN("verifier", v1_accepts_each_n_once, v1_any_order_within_the_window,
          v1_a_forged_n_does_not_move_the_window, v1_the_counter_ends, v1_sha384_and_sha512,
          another_channel_is_another_session, a_right_proof_with_another_check_value,
          wrong_key_is_a_wrong_proof, refusals_of_the_directory, rotation_without_a_gap,
          a_channel_belongs_to_one_client, one_export_and_one_secret_a_channel,
          a_reflected_server_proof_is_no_client_proof, server_proof_fails_closed, malformed_headers,
          oversized_id, fields_missing_or_doubled, profiles_that_are_not_offered,
          compat_apikey_in_both_variants, compat_takes_short_keys, broken_channels,
          slow_keys_wait_outside_the_loop, every_refusal_costs_the_same, client_counts_one_mac_a_channel,
          bad_arguments)
