/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier takes and refuses in the claims of a token made by hand. */
#include "config.h"

#include "tests/jose/expect.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct claims_case {
    const char *claims;
    ekmotp_reason reason;
    const char *words;
    uint64_t n;
} claims_cases[] = {
    {"{\"n\":1,\"sub\":\"client-7\"}", EKMOTP_REASON_OK, NULL, 1},
    {"{ \"sub\" : \"client-7\" , \"n\" : 65 }", EKMOTP_REASON_OK, NULL, 65},
    {"{\"n\":9223372036854775807,\"sub\":\"client-7\"}", EKMOTP_REASON_OK, NULL, INT64_MAX},
    {"{\"n\":9223372036854775808,\"sub\":\"client-7\"}", EKMOTP_REASON_OK, NULL, 9223372036854775808u},
    {"{\"sub\":\"client-7\",\"n\":18446744073709551615}", EKMOTP_REASON_OK, NULL, UINT64_MAX},
    {"{\"a\":{\"n\":5},\"b\":\"\\\"n\\\":6\",\"n\":7,\"sub\":\"client-7\"}", EKMOTP_REASON_OK, NULL, 7},
    {"{\"n\":18446744073709551616,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":0,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":-1,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":01,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":+1,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":1.0,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":1e0,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":\"1\",\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":[1],\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":true,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"n\":null,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is not an integer", 0},
    {"{\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is missing", 0},
    {"{\"a\":{\"n\":5},\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is missing", 0},
    {"{\"N\":1,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "claim n: is missing", 0},
    {"{\"n\":1,\"n\":2,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "twice", 0},
    {"{\"n\":18446744073709551615,\"\\u006e\":2,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "twice", 0},
    {"{\"n\":1 2,\"sub\":\"client-7\"}", EKMOTP_REASON_MALFORMED, "inside a value", 0},
    {"{\"n\":1", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":1,\"sub\":\"client-7\"}x", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"x\":[[[[[[[[0]]]]]]]]}", EKMOTP_REASON_MALFORMED, "levels", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"x\":99999999999999999999}", EKMOTP_REASON_MALFORMED,
     "not a JSON object", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"x\":1e999}", EKMOTP_REASON_MALFORMED, "not a JSON object", 0},
    {"{\"n\":1,\"sub\":\"client-8\"}", EKMOTP_REASON_TOKEN_CLAIMS, "claim sub: client-8 is not", 0},
    {"{\"n\":1,\"sub\":\"client-77\"}", EKMOTP_REASON_TOKEN_CLAIMS, "claim sub: client-77 is not", 0},
    {"{\"n\":1,\"sub\":\"client-\"}", EKMOTP_REASON_TOKEN_CLAIMS, "claim sub: client- is not", 0},
    {"{\"n\":1,\"sub\":[\"client-7\"]}", EKMOTP_REASON_TOKEN_CLAIMS, "claim sub: (not a string)", 0},
    {"{\"n\":1}", EKMOTP_REASON_TOKEN_CLAIMS, "claim sub: (missing)", 0},
    /* now is 1700000000, the leeway 60 seconds */
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":1699999941}", EKMOTP_REASON_OK, NULL, 1},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":1699999940}", EKMOTP_REASON_TOKEN_CLAIMS,
     "claim exp: 1699999940 is past", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":1699999940.5}", EKMOTP_REASON_OK, NULL, 1},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":0}", EKMOTP_REASON_TOKEN_CLAIMS, "claim exp", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":-9223372036854775808}", EKMOTP_REASON_TOKEN_CLAIMS, "claim exp",
     0},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":9223372036854775807}", EKMOTP_REASON_OK, NULL, 1},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":\"1800000000\"}", EKMOTP_REASON_TOKEN_CLAIMS,
     "claim exp: is not a number", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"exp\":null}", EKMOTP_REASON_TOKEN_CLAIMS, "claim exp: is not a number",
     0},
    {"{\"n\":1,\"sub\":\"client-7\",\"nbf\":1700000060}", EKMOTP_REASON_OK, NULL, 1},
    {"{\"n\":1,\"sub\":\"client-7\",\"nbf\":1700000061}", EKMOTP_REASON_TOKEN_CLAIMS, "claim nbf", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"nbf\":true}", EKMOTP_REASON_TOKEN_CLAIMS, "claim nbf: is not a number",
     0},
    {"{\"n\":1,\"sub\":\"client-7\",\"iat\":1700000060}", EKMOTP_REASON_OK, NULL, 1},
    {"{\"n\":1,\"sub\":\"client-7\",\"iat\":1700000061}", EKMOTP_REASON_TOKEN_CLAIMS, "claim iat", 0},
    {"{\"n\":1,\"sub\":\"client-7\",\"iat\":{}}", EKMOTP_REASON_TOKEN_CLAIMS, "claim iat: is not a number",
     0},
};

START_TEST(claims)
{
    const struct claims_case *c = &claims_cases[_i];
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *token = fixture_jws(EXPECT_JWS_HEADER, c->claims, EKMOTP_HASH_SHA256, expect_jws_key, 32);

    expect_text(token, &request, NULL, c->reason, c->words);
    if (c->reason == EKMOTP_REASON_OK) {
        ekmotp_bearer_result result = {0};

        ck_assert_int_eq(ekmotp_jose_bearer()->open(NULL, token, strlen(token), &request, &result, NULL), 0);
        ck_assert_uint_eq(result.n, c->n);
        ck_assert_ptr_null(strchr(result.claims, ' '));
        free(result.claims);
    }
    free(token);
}
END_TEST

START_TEST(audience)
{
    static const struct {
        const char *aud;
        const char *words;
    } cases[] = {
        {"\"us\"", NULL},
        {"[\"them\",\"us\"]", NULL},
        {"\"them\"", "names others"},
        {"\"\"", "names others"},
        {"[\"them\"]", "names others"},
        {"[]", "names others"},
        {"7", "names others"},
        {"[\"us\",7]", "element 1 is not"},
        {"{\"us\":\"us\"}", "names others"},
        {"\"us \"", "names others"},
        {NULL, "is missing"},
    };
    ekmotp_jose_policy policy = {.leeway = 0, .audience = "us"};
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[100];
        char *token;

        snprintf(text, sizeof(text), "{\"n\":1,\"sub\":\"client-7\"%s%s}", cases[i].aud ? ",\"aud\":" : "",
                 cases[i].aud ? cases[i].aud : "");
        token = fixture_jws(EXPECT_JWS_HEADER, text, EKMOTP_HASH_SHA256, expect_jws_key, 32);
        expect_text(token, &request, &policy, cases[i].words ? EKMOTP_REASON_TOKEN_CLAIMS : EKMOTP_REASON_OK,
                    cases[i].words);
        /* Without a configured audience, aud is not looked at. */
        expect_text(token, &request, NULL, EKMOTP_REASON_OK, NULL);
        free(token);
    }
}
END_TEST

START_TEST(leeway_of_the_policy)
{
    ekmotp_jose_policy policy = {.leeway = 0, .audience = NULL};
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *token = fixture_jws(EXPECT_JWS_HEADER, "{\"n\":1,\"sub\":\"client-7\",\"exp\":1700000000}",
                              EKMOTP_HASH_SHA256, expect_jws_key, 32);

    expect_text(token, &request, &policy, EKMOTP_REASON_TOKEN_CLAIMS, "claim exp");
    policy.leeway = 1;
    expect_text(token, &request, &policy, EKMOTP_REASON_OK, NULL);
    free(token);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("jose claims");
    TCase *tc = tcase_create("bearer");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, claims, 0, COUNT(claims_cases));
    tcase_add_test(tc, audience);
    tcase_add_test(tc, leeway_of_the_policy);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
