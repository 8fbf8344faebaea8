/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier takes and refuses as serialisation, keys and nesting of a token made by hand. */
#include "config.h"

#include "tests/jose/expect.h"

#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(serialisation)
{
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *token = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    size_t len = strlen(token);
    char *bad = malloc(EKMOTP_JOSE_TOKEN_MAX + 2);
    size_t payload = strcspn(token, ".") + 1;

    expect_text("", &request, NULL, EKMOTP_REASON_MALFORMED, "token: is empty");
    expect_text("a", &request, NULL, EKMOTP_REASON_MALFORMED, "1 parts");
    expect_text("a.b", &request, NULL, EKMOTP_REASON_MALFORMED, "2 parts");
    expect_text("a.b.c.d", &request, NULL, EKMOTP_REASON_MALFORMED, "4 parts");
    expect_text("a.b.c.d.e.f.g", &request, NULL, EKMOTP_REASON_MALFORMED, "7 parts");
    expect_text("..", &request, NULL, EKMOTP_REASON_MALFORMED, "token header");
    expect_text("{\"payload\":\"\",\"signatures\":[]}", &request, NULL, EKMOTP_REASON_MALFORMED,
                "JSON serialisation");
    /* white space, padding, the other alphabet */
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, " %s", token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token header: is not unpadded base64url");
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%s ", token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature: is not unpadded base64url");
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%s=", token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature: is not unpadded base64url");
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%.*s+%s", (int)payload, token, token + payload + 1);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token payload: is not unpadded base64url");
    /* bits that no byte takes: the last of 43 characters has two */
    memcpy(bad, token, len + 1);
    bad[len - 1] = bad[len - 1] == 'A' ? 'B' : (char)(bad[len - 1] + 1);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature");
    /* a signature that is shorter, longer, or not there */
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%.*s", (int)len - 4, token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature: ");
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%.*s", (int)len - 43, token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature: 0 bytes, not 32");
    snprintf(bad, EKMOTP_JOSE_TOKEN_MAX, "%.*sAAAA", (int)len - 43, token);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token signature: 3 bytes, not 32");
    /* a NUL in the middle */
    memcpy(bad, token, len + 1);
    bad[len / 2] = '\0';
    expect_bytes(bad, len, &request, NULL, EKMOTP_REASON_MALFORMED, "base64url");
    /* too long */
    memset(bad, 'A', EKMOTP_JOSE_TOKEN_MAX + 1);
    expect_bytes(bad, EKMOTP_JOSE_TOKEN_MAX + 1, &request, NULL, EKMOTP_REASON_MALFORMED, "at most 16384");
    memcpy(bad + 8000, "..", 2);
    expect_bytes(bad, EKMOTP_JOSE_TOKEN_MAX, &request, NULL, EKMOTP_REASON_MALFORMED,
                 "token header: longer than 2048");
    free(bad);
    free(token);
}
END_TEST

/* The verifier says which kind it expects; the other one is refused before anything else. */
START_TEST(other_kind)
{
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *jws = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    char *jwe = fixture_jwe(EXPECT_JWE_HEADER, jws, expect_jwe_key);

    expect_text(jws, &request, NULL, EKMOTP_REASON_OK, NULL);
    expect_text(jwe, &request, NULL, EKMOTP_REASON_MALFORMED, "is a JWE, which is not expected");
    request.jwe_key = expect_jwe_key;
    expect_text(jwe, &request, NULL, EKMOTP_REASON_MALFORMED, "is a JWE, which is not expected");
    request.kind = EKMOTP_BEARER_JWE;
    expect_text(jwe, &request, NULL, EKMOTP_REASON_OK, NULL);
    expect_text(jws, &request, NULL, EKMOTP_REASON_MALFORMED, "is a JWS, which is not expected");
    request.jwe_key = NULL;
    expect_text(jwe, &request, NULL, EKMOTP_REASON_MALFORMED, "is a JWE, which is not expected");
    free(jwe);
    free(jws);
}
END_TEST

static void *open_many(void *token)
{
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    long accepted = 0;

    for (int i = 0; i < 200; i++) {
        ekmotp_bearer_result result = {0};
        uint8_t id[EKMOTP_ID_MAX];
        ekmotp_bearer_kind kind;
        size_t id_len;

        if (ekmotp_jose_bearer()->peek(NULL, token, strlen(token), &kind, id, &id_len, NULL) == 0 &&
            ekmotp_jose_bearer()->open(NULL, token, strlen(token), &request, &result, NULL) == 0)
            accepted++;
        free(result.claims);
    }
    return (void *)accepted;
}

/* A server opens tokens on all of its threads; the thread sanitizer watches this one. */
START_TEST(threads)
{
    char *jws = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    char *jwe = fixture_jwe(EXPECT_JWE_HEADER, jws, expect_jwe_key);
    pthread_t thread[4];
    void *accepted = NULL;

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, open_many, jwe), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(thread[i], &accepted), 0);
        ck_assert_int_eq((long)accepted, 200);
    }
    free(jwe);
    free(jws);
}
END_TEST

static long allocations, fail_at = -1;

static void *failing_malloc(size_t size)
{
    return allocations++ == fail_at ? NULL : malloc(size);
}

/* Memory runs out at each allocation of jansson in turn: a refusal, or what would have come anyway. */
START_TEST(no_memory)
{
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    char *jws = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    char *jwe = fixture_jwe(EXPECT_JWE_HEADER, jws, expect_jwe_key);
    char *wrong = fixture_jwe(EXPECT_JWE_HEADER, jws, expect_jws_key);
    int refused = 0;

    json_set_alloc_funcs(failing_malloc, free);
    fail_at = 0;
    do {
        ekmotp_bearer_result result = {0};
        ekmotp_error err = {0};
        int rc;

        allocations = 0;
        rc = ekmotp_jose_bearer()->open(NULL, wrong, strlen(wrong), &request, &result, &err);
        ck_assert_int_ne(rc, 0);
        ck_assert_ptr_null(result.claims);
        allocations = 0;
        rc = ekmotp_jose_bearer()->open(NULL, jwe, strlen(jwe), &request, &result, &err);
        ck_assert_int_eq(rc == 0, result.reason == EKMOTP_REASON_OK);
        ck_assert_int_eq(rc == 0, result.claims != NULL);
        ck_assert(rc != 0 || result.n == 1);
        refused += rc != 0;
        free(result.claims);
    } while (allocations > fail_at++);
    ck_assert_int_gt(refused, 20);
    free(wrong);
    free(jwe);
    free(jws);
}
END_TEST

START_TEST(wrong_keys)
{
    static const uint8_t other[64] = "another key";
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *token = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, other, 32), *outer;

    expect_text(token, &request, NULL, EKMOTP_REASON_WRONG_PROOF, "the signature is wrong");
    request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    outer = fixture_jwe(EXPECT_JWE_HEADER, token, expect_jwe_key);
    expect_text(outer, &request, NULL, EKMOTP_REASON_WRONG_PROOF, "the signature is wrong");
    free(outer);
    free(token);
    token = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    outer = fixture_jwe(EXPECT_JWE_HEADER, token, other);
    expect_text(outer, &request, NULL, EKMOTP_REASON_WRONG_PROOF, "the tag is wrong");
    free(outer);
    free(token);
}
END_TEST

/* JWEs that decrypt, around something else than one JWS. */
START_TEST(nesting)
{
    static const struct {
        const char *plain;
        const char *words;
    } cases[] = {
        {"", "token ciphertext: is empty"},
        {EXPECT_CLAIMS, "token plaintext: JSON serialisation"},
        {"hello", "token plaintext: 1 parts"},
    };
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    char *jws = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    char *once = fixture_jwe(EXPECT_JWE_HEADER, jws, expect_jwe_key),
         *twice = fixture_jwe(EXPECT_JWE_HEADER, once, expect_jwe_key), *bad;

    expect_text(once, &request, NULL, EKMOTP_REASON_OK, NULL);
    expect_text(twice, &request, NULL, EKMOTP_REASON_MALFORMED, "a JWE inside a JWE");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = fixture_jwe(EXPECT_JWE_HEADER, cases[i].plain, expect_jwe_key);

        expect_text(token, &request, NULL, EKMOTP_REASON_MALFORMED, cases[i].words);
        free(token);
    }
    /* an encrypted key, which "dir" has not */
    bad = malloc(strlen(once) + 10);
    sprintf(bad, "%.*s.AAAA.%s", (int)strcspn(once, "."), once, strstr(once, "..") + 2);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token encrypted key: 3 bytes, not 0");
    /* an iv of 9 and a tag of 15 bytes */
    sprintf(bad, "%.*s..%s", (int)strcspn(once, "."), once, strstr(once, "..") + 2 + 4);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token iv: 9 bytes, not 12");
    sprintf(bad, "%.*s", (int)strlen(once) - 2, once);
    expect_text(bad, &request, NULL, EKMOTP_REASON_MALFORMED, "token tag: 15 bytes, not 16");
    free(bad);
    free(twice);
    free(once);
    free(jws);
}
END_TEST

START_TEST(peek)
{
    static const struct {
        const char *header;
        const char *id; /* NULL: refused */
    } cases[] = {
        {"{\"alg\":\"HS512\",\"kid\":\"client-9\"}", "client-9"},
        {"{\"alg\":\"HS256\"}", ""},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", NULL},
        {"{\"alg\":\"HS256\",\"kid\":5}", NULL},
        {"{\"alg\":\"HS256\",\"jwk\":{}}", NULL},
        {"{}", NULL},
    };
    char header[600];
    char *token;

    for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
        const char *id = i < sizeof(cases) / sizeof(cases[0]) ? cases[i].id : NULL;
        uint8_t found[EKMOTP_ID_MAX];
        size_t found_len = 99;
        ekmotp_bearer_kind kind = 0;
        ekmotp_error err = {0};
        int rc;

        if (i < sizeof(cases) / sizeof(cases[0]))
            snprintf(header, sizeof(header), "%s", cases[i].header);
        else /* an id of 256 bytes */
            snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%0256d\"}", 0);
        token = fixture_jws(header, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
        rc = ekmotp_jose_bearer()->peek(NULL, token, strlen(token), &kind, found, &found_len, &err);
        ck_assert_int_eq(rc == 0, id != NULL);
        if (id) {
            ck_assert_int_eq(kind, EKMOTP_BEARER_JWS);
            ck_assert_uint_eq(found_len, strlen(id));
            ck_assert(memcmp(found, id, found_len) == 0);
        } else {
            ck_assert_int_eq(rc, EKMOTP_E_SYNTAX);
            ck_assert_ptr_nonnull(strstr(err.message, "token header"));
        }
        free(token);
    }
    token = fixture_jwe(EXPECT_JWE_HEADER, "", expect_jwe_key);
    {
        uint8_t found[EKMOTP_ID_MAX];
        size_t found_len = 0;
        ekmotp_bearer_kind kind = 0;

        ck_assert_int_eq(
            ekmotp_jose_bearer()->peek(NULL, token, strlen(token), &kind, found, &found_len, NULL), 0);
        ck_assert_int_eq(kind, EKMOTP_BEARER_JWE);
        ck_assert_uint_eq(found_len, 8);
    }
    free(token);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jose bearer");
    TCase *tc = tcase_create("bearer");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, serialisation);
    tcase_add_test(tc, other_kind);
    tcase_add_test(tc, threads);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, wrong_keys);
    tcase_add_test(tc, nesting);
    tcase_add_test(tc, peek);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
