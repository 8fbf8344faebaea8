/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that the client makes: byte for byte, and accepted by the verifier. */
#include "config.h"

#include "tests/jose/fixture.h"

#include <check.h>
#include <ekmotp/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ekmotp_hash hashes[] = {EKMOTP_HASH_SHA256, EKMOTP_HASH_SHA384, EKMOTP_HASH_SHA512};
static const char *const algs[] = {"HS256", "HS384", "HS512"};

/* The text of one part of a token. */
static char *part_text(const char *token, int index)
{
    size_t len;

    while (index-- > 0)
        token = strchr(token, '.') + 1;
    return (char *)fixture_unbase64(token, strcspn(token, "."), &len);
}

static void assert_part(const char *token, int index, const char *text)
{
    char *found = part_text(token, index);

    ck_assert_str_eq(found, text);
    free(found);
}

/* The keys that the token of the same n was made with: a second binding of the same key and channel. */
static ekmotp_bearer_keys keys_of(ekmotp_profile profile, ekmotp_hash hash, int jwe)
{
    ekmotp_client *client = fixture_client(profile, hash, NULL);
    ekmotp_channel *channel = fixture_channel("channel");
    ekmotp_bearer_keys keys;

    ck_assert_int_eq(ekmotp_client_bearer(client, channel, jwe, &keys, NULL), 0);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
    return keys;
}

static char *make(ekmotp_profile profile, ekmotp_hash hash, ekmotp_bearer_kind kind, const char *claims,
                  int64_t now)
{
    ekmotp_client *client = fixture_client(profile, hash, NULL);
    ekmotp_channel *channel = fixture_channel("channel");
    ekmotp_error err = {0};
    char *token = NULL;
    uint64_t n = 77;
    int rc = ekmotp_jose_token(client, channel, kind, claims, now, &token, &n, &err);

    ck_assert_msg(rc == 0, "%s", err.message);
    ck_assert_uint_eq(n, profile == EKMOTP_PROFILE_V1 ? 1 : 0);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
    return token;
}

/* Each JWS must be what OpenSSL alone makes of the same header, payload and key. */
static void assert_jws(const char *token, const char *header, const char *payload,
                       const ekmotp_bearer_keys *keys)
{
    char *again = fixture_jws(header, payload, keys->hash, keys->jws, keys->jws_len);

    ck_assert_str_eq(token, again);
    free(again);
}

START_TEST(v1_jws)
{
    char header[100];
    ekmotp_bearer_keys keys = keys_of(EKMOTP_PROFILE_V1, hashes[_i], 0);
    char *token = make(EKMOTP_PROFILE_V1, hashes[_i], EKMOTP_BEARER_JWS, NULL, 0);

    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"client-7\",\"typ\":\"JWT\"}", algs[_i]);
    assert_jws(token, header, "{\"n\":1,\"sub\":\"client-7\"}", &keys);
    free(token);
    token =
        make(EKMOTP_PROFILE_V1, hashes[_i], EKMOTP_BEARER_JWS, " { \"scope\" : [ \"a b\", 1.50 ] }\n", 1234);
    assert_jws(token, header, "{\"n\":1,\"sub\":\"client-7\",\"iat\":1234,\"scope\":[\"a b\",1.50]}", &keys);
    free(token);
    token = make(EKMOTP_PROFILE_V1, hashes[_i], EKMOTP_BEARER_JWS, "{\"iat\":5}", 1234);
    assert_jws(token, header, "{\"n\":1,\"sub\":\"client-7\",\"iat\":5}", &keys);
    free(token);
}
END_TEST

START_TEST(v1_jwe)
{
    char header[100];
    ekmotp_bearer_keys keys = keys_of(EKMOTP_PROFILE_V1, hashes[_i], 1);
    char *token = make(EKMOTP_PROFILE_V1, hashes[_i], EKMOTP_BEARER_JWE, "{\"a\":1}", 0);
    char *inner = fixture_jwe_open(token, keys.jwe);

    assert_part(token, 0,
                "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"typ\":\"JWT\"}");
    ck_assert_ptr_nonnull(inner);
    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"client-7\",\"typ\":\"JWT\"}", algs[_i]);
    assert_jws(inner, header, "{\"n\":1,\"sub\":\"client-7\",\"a\":1}", &keys);
    free(inner);
    free(token);
}
END_TEST

/* The Go demo's bytes. */
START_TEST(compat_jws)
{
    static const char claims[] = "{\"iss\":\"issuer\",\"sub\":\"subject\"}";
    ekmotp_bearer_keys keys = keys_of(EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_HASH_SHA256, 0);
    char *token = make(EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_HASH_SHA256, EKMOTP_BEARER_JWS, NULL, FIXTURE_NOW);

    assert_jws(token, "{\"alg\":\"HS256\"}", claims, &keys);
    free(token);
    token =
        make(EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_HASH_SHA256, EKMOTP_BEARER_JWS, "{\"n\":3,\"sub\":\"x\"}", 0);
    assert_jws(token, "{\"alg\":\"HS256\"}", "{\"n\":3,\"sub\":\"x\"}", &keys);
    free(token);
}
END_TEST

START_TEST(compat_jwe)
{
    ekmotp_bearer_keys keys = keys_of(EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_HASH_SHA256, 1);
    char *token = make(EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_HASH_SHA256, EKMOTP_BEARER_JWE, NULL, FIXTURE_NOW);
    char *inner = fixture_jwe_open(token, keys.jwe);

    assert_part(token, 0,
                "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client_1\",\"typ\":\"JWT\"}");
    ck_assert_ptr_nonnull(inner);
    assert_jws(inner, "{\"alg\":\"HS256\"}", "{\"iss\":\"issuer\",\"sub\":\"subject\"}", &keys);
    ck_assert(memcmp(keys.jwe, keys.jws, 32) != 0);
    free(inner);
    free(token);
}
END_TEST

/* Every profile, hash and carrier from the client through the verifier, and what it costs the key. */
static const struct cell {
    ekmotp_profile profile;
    ekmotp_bearer_kind kind; /* 0: header fields */
    ekmotp_hash hash;
    unsigned macs; /* of the client key per channel */
} cells[] = {
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA384, 1},
    {EKMOTP_PROFILE_V1, 0, EKMOTP_HASH_SHA512, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA384, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA512, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA384, 1},
    {EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA512, 1},
    {EKMOTP_PROFILE_COMPAT_APIKEY, 0, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_COMPAT_APIKEY_HMAC, 0, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256, 1},
    {EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256, 2},
};

START_TEST(accepted_and_counted)
{
    const struct cell *cell = &cells[_i];
    fixture_directory directory = {cell->hash};
    ekmotp_lookup lookup = fixture_lookup(&directory);
    ekmotp_verifier *verifier = fixture_verifier(EKMOTP_PROFILE_BIT(cell->profile), NULL);
    unsigned count = 0;
    ekmotp_client *client = fixture_client(cell->profile, cell->hash, &count);

    /* Three requests on each of two channels, one after the other, with the same binding. */
    for (unsigned c = 0; c < 2; c++) {
        ekmotp_channel *channel = fixture_channel(c == 0 ? "first" : "second");
        ekmotp_verifier_state *state = NULL;

        ck_assert_int_eq(ekmotp_verifier_state_new(&state, NULL), 0);
        for (uint64_t request = 1; request <= 3; request++) {
            ekmotp_verdict verdict;
            fixture_request r;
            int again;

            fixture_make_request(client, channel, cell->kind, "{\"tag\":\"x\"}", FIXTURE_NOW, &r);
            for (again = 0; again < 2; again++) {
                ekmotp_verdict_status status = ekmotp_verifier_verify(
                    verifier, state, channel, &r.credentials, &lookup, FIXTURE_NOW, 0, &verdict);

                if (again == 1 && cell->profile == EKMOTP_PROFILE_V1) {
                    /* Replayed inside its own channel. */
                    ck_assert_int_eq(status, EKMOTP_VERDICT_REFUSED);
                    ck_assert_str_eq(ekmotp_reason_name(verdict.reason), "replay");
                    ck_assert_ptr_null(verdict.claims);
                } else {
                    ck_assert_msg(status == EKMOTP_VERDICT_ACCEPTED, "%s: %s",
                                  ekmotp_reason_name(verdict.reason), verdict.detail.message);
                    ck_assert_int_eq(verdict.profile, cell->profile);
                    ck_assert_int_eq(verdict.claims != NULL, cell->kind != 0);
                    if (cell->profile == EKMOTP_PROFILE_V1) {
                        ck_assert_uint_eq(verdict.n, request);
                        ck_assert_int_eq(ekmotp_client_check_server(client, r.n, verdict.authentication_info,
                                                                    strlen(verdict.authentication_info),
                                                                    NULL),
                                         0);
                    }
                    if (cell->kind != 0)
                        ck_assert_ptr_nonnull(strstr(verdict.claims, "\"tag\":\"x\""));
                }
                ekmotp_verdict_clear(&verdict);
            }
            fixture_request_clear(&r);
        }
        ck_assert_uint_eq(count, cell->macs * (c + 1));
        ekmotp_verifier_state_free(&state);
        ekmotp_channel_free(&channel);
    }
    ekmotp_client_free(&client);
    ekmotp_verifier_free(&verifier);
}
END_TEST

/* What the client refuses: before it spends an n or a MAC. */
static const struct refused_claims {
    const char *claims;
    int code;
    const char *words;
} refused[] = {
    {"{\"n\":1}", EKMOTP_E_INVAL, "member n"},
    {"{\"sub\":\"client-7\"}", EKMOTP_E_INVAL, "member sub"},
    {"[1]", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"\"n\"", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"{", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"{} {}", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"{\"a\":1,\"a\":2}", EKMOTP_E_SYNTAX, "twice"},
    {"{\"a\":1 2}", EKMOTP_E_SYNTAX, "inside a value"},
    {"{\"a\":tr ue}", EKMOTP_E_SYNTAX, "inside a value"},
    {"{\"a\":\"\xff\"}", EKMOTP_E_SYNTAX, "not a JSON object"},
    {"{\"a\":[[[[[[[[1]]]]]]]]}", EKMOTP_E_LIMIT, "levels"},
};

START_TEST(refused_claims)
{
    unsigned count = 0;
    ekmotp_client *client = fixture_client(EKMOTP_PROFILE_V1, EKMOTP_HASH_SHA256, &count);
    ekmotp_channel *channel = fixture_channel("channel");
    ekmotp_error err = {0};
    char *token = NULL;
    uint64_t n = 0;

    ck_assert_int_eq(
        ekmotp_jose_token(client, channel, EKMOTP_BEARER_JWS, refused[_i].claims, 0, &token, &n, &err),
        refused[_i].code);
    ck_assert_msg(strstr(err.message, refused[_i].words) != NULL, "%s", err.message);
    ck_assert_ptr_null(token);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(ekmotp_jose_token(client, channel, EKMOTP_BEARER_JWS, NULL, 0, &token, &n, &err), 0);
    ck_assert_uint_eq(n, 1);
    free(token);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
}
END_TEST

/* Ids that JSON can and cannot name. */
static const struct id_case {
    const char *id;
    size_t len;
    const char *quoted; /* NULL: refused */
} ids[] = {
    {"\xc3\xa9t\xc3\xa9", 5, "\"\xc3\xa9t\xc3\xa9\""},
    {"a\"b\\\n", 5, "\"a\\\"b\\\\\\n\""},
    {"\xff", 1, NULL},
    {"a\xc3", 2, NULL},
    {"\xed\xa0\x80", 3, NULL},
    {"a\0b", 3, NULL},
};

START_TEST(id_in_json)
{
    ekmotp_key *key = NULL;
    ekmotp_client *client = NULL;
    ekmotp_channel *channel = fixture_channel("channel");
    ekmotp_error err = {0};
    char *token = NULL;
    char payload[100];
    uint64_t n;
    int rc;

    ck_assert_int_eq(ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, fixture_key_bytes(),
                                          32, 0, &key, NULL),
                     0);
    ck_assert_int_eq(ekmotp_client_new(ekmotp_openssl_crypto(), key, (const uint8_t *)ids[_i].id, ids[_i].len,
                                       EKMOTP_PROFILE_V1, &client, NULL),
                     0);
    rc = ekmotp_jose_token(client, channel, EKMOTP_BEARER_JWS, NULL, 0, &token, &n, &err);
    if (ids[_i].quoted) {
        ck_assert_int_eq(rc, 0);
        snprintf(payload, sizeof(payload), "{\"n\":1,\"sub\":%s}", ids[_i].quoted);
        assert_part(token, 1, payload);
    } else {
        ck_assert_int_eq(rc, EKMOTP_E_INVAL);
        ck_assert_ptr_nonnull(strstr(err.message, "client id"));
    }
    free(token);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(wrong_kind_for_the_profile)
{
    static const struct {
        ekmotp_profile profile;
        int kind;
    } wrong[] = {{EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_BEARER_JWE},
                 {EKMOTP_PROFILE_COMPAT_JWE, EKMOTP_BEARER_JWS},
                 {EKMOTP_PROFILE_COMPAT_APIKEY, EKMOTP_BEARER_JWS},
                 {EKMOTP_PROFILE_COMPAT_APIKEY_HMAC, EKMOTP_BEARER_JWE},
                 {EKMOTP_PROFILE_V1, 0},
                 {EKMOTP_PROFILE_V1, 3}};
    ekmotp_client *client = fixture_client(wrong[_i].profile, EKMOTP_HASH_SHA256, NULL);
    ekmotp_channel *channel = fixture_channel("channel");
    char *token = NULL;
    uint64_t n;

    ck_assert_int_eq(
        ekmotp_jose_token(client, channel, (ekmotp_bearer_kind)wrong[_i].kind, NULL, 0, &token, &n, NULL),
        _i < 4 ? EKMOTP_E_PROFILE : EKMOTP_E_INVAL);
    ck_assert_ptr_null(token);
    ekmotp_channel_free(&channel);
    ekmotp_client_free(&client);
}
END_TEST

/* Claims of any size: a token within the limit, which the verifier reads, or a clear error. */
START_TEST(size_limit)
{
    int accepted = 0, too_long = 0;

    for (size_t size = 6000; size <= EKMOTP_JOSE_TOKEN_MAX + 1; size += size < 9000 ? 53 : 1001) {
        ekmotp_client *client = fixture_client(EKMOTP_PROFILE_V1, EKMOTP_HASH_SHA512, NULL);
        ekmotp_channel *channel = fixture_channel("channel");
        char *claims = malloc(size + 1), *token = NULL;
        ekmotp_bearer_kind kind = 0;
        uint8_t id[EKMOTP_ID_MAX];
        size_t id_len;
        uint64_t n;
        int rc;

        memset(claims, 'x', size);
        memcpy(claims, "{\"a\":\"", 6);
        memcpy(claims + size - 2, "\"}", 3);
        rc = ekmotp_jose_token(client, channel, EKMOTP_BEARER_JWE, claims, 0, &token, &n, NULL);
        if (rc == 0) {
            ck_assert(strlen(token) <= EKMOTP_JOSE_TOKEN_MAX);
            ck_assert_int_eq(ekmotp_jose_bearer()->peek(NULL, token, strlen(token), &kind, id, &id_len, NULL),
                             0);
            accepted = 1;
            ck_assert(!too_long);
        } else {
            ck_assert_int_eq(rc, EKMOTP_E_LIMIT);
            too_long = 1;
        }
        free(token);
        free(claims);
        ekmotp_channel_free(&channel);
        ekmotp_client_free(&client);
    }
    ck_assert(accepted && too_long);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("jose token");
    TCase *tc = tcase_create("token");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, v1_jws, 0, COUNT(hashes));
    tcase_add_loop_test(tc, v1_jwe, 0, COUNT(hashes));
    tcase_add_test(tc, compat_jws);
    tcase_add_test(tc, compat_jwe);
    tcase_add_loop_test(tc, accepted_and_counted, 0, COUNT(cells));
    tcase_add_loop_test(tc, refused_claims, 0, COUNT(refused));
    tcase_add_loop_test(tc, id_in_json, 0, COUNT(ids));
    tcase_add_loop_test(tc, wrong_kind_for_the_profile, 0, 6);
    tcase_add_test(tc, size_limit);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
