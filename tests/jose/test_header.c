/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier takes and refuses in the header of a token made by hand. */
#include "config.h"

#include "tests/jose/expect.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct header_case {
    const char *header;
    const char *words; /* NULL: accepted */
} jws_headers[] = {
    {EXPECT_JWS_HEADER, NULL},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\"}", NULL},
    {" {\"typ\" : \"JWT\",\n\"kid\":\"client\\u002d7\" , \"alg\":\"HS256\"} ", NULL},
    {"{\"kid\":\"client-7\"}", "member alg is missing"},
    {"{\"alg\":\"none\",\"kid\":\"client-7\"}", "member alg is none, not HS256"},
    {"{\"alg\":\"None\",\"kid\":\"client-7\"}", "member alg is None"},
    {"{\"alg\":\"hs256\",\"kid\":\"client-7\"}", "member alg is hs256"},
    {"{\"alg\":\"HS384\",\"kid\":\"client-7\"}", "member alg is HS384"},
    {"{\"alg\":\"HS512\",\"kid\":\"client-7\"}", "member alg is HS512"},
    {"{\"alg\":\"RS256\",\"kid\":\"client-7\"}", "member alg is RS256"},
    {"{\"alg\":\"dir\",\"kid\":\"client-7\"}", "member alg is dir"},
    {"{\"alg\":\"HS256\\n\\u001b[31m\",\"kid\":\"client-7\"}", "member alg is HS256??[31m"},
    {"{\"alg\":[\"HS256\"],\"kid\":\"client-7\"}", "member alg is not a string"},
    {"{\"alg\":null,\"kid\":\"client-7\"}", "member alg is not a string"},
    {"{\"alg\":\"HS256\"}", "member kid is (missing), not client-7"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-8\"}", "member kid is client-8, not client-7"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7 \"}", "member kid is client-7?"},
    {"{\"alg\":\"HS256\",\"kid\":7}", "member kid is not a string"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"typ\":\"jose\"}", "member typ is jose"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"crit\":[\"exp\"]}", "member crit is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"crit\":[]}", "member crit is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"zip\":\"DEF\"}", "member zip is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"jku\":\"https://a.example/\"}", "member jku is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
     "member jwk is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"x5u\":\"https://a.example/\"}", "member x5u is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"x5c\":[\"AAAA\"]}", "member x5c is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"x5t\":\"AAAA\"}", "member x5t is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"x5t#S256\":\"AAAA\"}", "member x5t#S256 is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"b64\":false}", "member b64 is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"cty\":\"JWT\"}", "member cty is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"enc\":\"A256GCM\"}", "member enc is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"p2c\":1}", "member p2c is not taken"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",\"\":1}", "member  is not taken"},
    {"{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"client-7\"}", "twice"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-8\",\"\\u006bid\":\"client-7\"}", "twice"},
    {"{\"alg\":\"HS256\",\"kid\":[[[[[[[[\"client-7\"]]]]]]]]}", "levels"},
    {"{\"alg\":\"HS256\",\"kid\":[[[[[[\"client-7\"]]]]]]}", "member kid is not a string"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\"}}", "not a JSON object"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\"} {}", "not a JSON object"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\",}", "not a JSON object"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\\u0000\"}", "not a JSON object"},
    {"{\"alg\":\"HS256\",\"kid\":\"client-7\xff\"}", "not a JSON object"},
    {"{'alg':'HS256'}", "not a JSON object"},
    {"[\"HS256\"]", "an array"},
    {"\"HS256\"", "not a JSON object"},
    {"null", "not a JSON object"},
    {"", "not a JSON object"},
};

START_TEST(jws_header)
{
    const struct header_case *c = &jws_headers[_i];
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    char *token = fixture_jws(c->header, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32), *inner,
         *outer;

    expect_text(token, &request, NULL, c->words ? EKMOTP_REASON_MALFORMED : EKMOTP_REASON_OK, c->words);
    free(token);
    /* The same header inside a JWE. */
    request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    inner = fixture_jws(c->header, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    outer = fixture_jwe(EXPECT_JWE_HEADER, inner, expect_jwe_key);
    expect_text(outer, &request, NULL, c->words ? EKMOTP_REASON_MALFORMED : EKMOTP_REASON_OK, c->words);
    free(inner);
    free(outer);
}
END_TEST

static const struct header_case jwe_headers[] = {
    {EXPECT_JWE_HEADER, NULL},
    {"{\"kid\":\"client-7\",\"enc\":\"A256GCM\",\"cty\":\"JWT\",\"alg\":\"dir\"}", NULL},
    {"{\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}", "member alg is missing"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"kid\":\"client-7\"}", "member enc is (missing)"},
    {"{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}", "member cty is (missing)"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\"}", "member kid is (missing)"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-8\"}", "member kid is client-8"},
    {"{\"alg\":\"A256KW\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}", "member alg is A256KW"},
    {"{\"alg\":\"PBES2-HS256+A128KW\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}",
     "member alg is PBES2"},
    {"{\"alg\":\"none\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}", "member alg is none"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A128GCM\",\"kid\":\"client-7\"}", "member enc is A128GCM"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A128CBC-HS256\",\"kid\":\"client-7\"}",
     "member enc is A128CBC-HS256"},
    {"{\"alg\":\"dir\",\"cty\":\"text\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}", "member cty is text"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"zip\":\"DEF\"}",
     "member zip is not taken"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"crit\":[\"zip\"]}",
     "member crit is not taken"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"epk\":{}}",
     "member epk is not taken"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"p2c\":99999999}",
     "member p2c is not taken"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"jku\":\"https://a.example/"
     "\"}",
     "member jku is not taken"},
    {"{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"enc\":\"A256GCM\",\"kid\":\"client-7\"}",
     "twice"},
};

START_TEST(jwe_header)
{
    const struct header_case *c = &jwe_headers[_i];
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWE, EKMOTP_HASH_SHA256);
    char *inner = fixture_jws(EXPECT_JWS_HEADER, EXPECT_CLAIMS, EKMOTP_HASH_SHA256, expect_jws_key, 32);
    char *token = fixture_jwe(c->header, inner, expect_jwe_key);

    expect_text(token, &request, NULL, c->words ? EKMOTP_REASON_MALFORMED : EKMOTP_REASON_OK, c->words);
    free(token);
    free(inner);
}
END_TEST

/* The demo's wire: exactly its header members; the client is named outside. */
START_TEST(compat_headers)
{
    static const struct {
        ekmotp_profile profile;
        const char *outer; /* NULL: a JWS */
        const char *header;
        const char *words;
    } cases[] = {
        {EKMOTP_PROFILE_COMPAT_JWS, NULL, "{\"alg\":\"HS256\"}", NULL},
        {EKMOTP_PROFILE_COMPAT_JWS, NULL, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", NULL},
        {EKMOTP_PROFILE_COMPAT_JWS, NULL, "{\"alg\":\"HS256\",\"kid\":\"client-7\"}",
         "member kid is client-7"},
        {EKMOTP_PROFILE_COMPAT_JWS, NULL, "{\"alg\":\"none\"}", "member alg is none"},
        {EKMOTP_PROFILE_COMPAT_JWS, EXPECT_DEMO_HEADER, "{\"alg\":\"HS256\"}", "is a JWE"},
        {EKMOTP_PROFILE_COMPAT_JWE, EXPECT_DEMO_HEADER, "{\"alg\":\"HS256\"}", NULL},
        {EKMOTP_PROFILE_COMPAT_JWE, EXPECT_DEMO_HEADER, "{\"alg\":\"HS384\"}",
         "inner token header: member alg is HS384"},
        {EKMOTP_PROFILE_COMPAT_JWE, EXPECT_JWE_HEADER, "{\"alg\":\"HS256\"}",
         "member kid is client-7, not client_1"},
        {EKMOTP_PROFILE_COMPAT_JWE, EXPECT_DEMO_HEADER, "{\"alg\":\"HS256\",\"kid\":\"client_1\"}",
         "inner token header"},
        {EKMOTP_PROFILE_COMPAT_JWE, NULL, "{\"alg\":\"HS256\"}", "is a JWS"},
    };
    ekmotp_bearer_request request;
    char *inner, *token;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        request = expect_request(cases[i].profile, cases[i].outer ? EKMOTP_BEARER_JWE : EKMOTP_BEARER_JWS,
                                 EKMOTP_HASH_SHA256);
        inner = fixture_jws(cases[i].header, "{\"iss\":\"issuer\",\"sub\":\"subject\"}", EKMOTP_HASH_SHA256,
                            expect_jws_key, 32);
        token = cases[i].outer ? fixture_jwe(cases[i].outer, inner, expect_jwe_key) : strdup(inner);
        expect_text(token, &request, NULL, cases[i].words ? EKMOTP_REASON_MALFORMED : EKMOTP_REASON_OK,
                    cases[i].words);
        free(token);
        free(inner);
    }
}
END_TEST

/* Every hash with every other one's alg: only its own. Another one costs and says what a wrong proof does. */
START_TEST(alg_is_fixed)
{
    static const ekmotp_hash hashes[] = {EKMOTP_HASH_SHA256, EKMOTP_HASH_SHA384, EKMOTP_HASH_SHA512};
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"client-7\"}",
                                          "{\"alg\":\"HS384\",\"kid\":\"client-7\"}",
                                          "{\"alg\":\"HS512\",\"kid\":\"client-7\"}"};

    static const uint8_t nobody[EKMOTP_HASH_MAX_SIZE];

    for (int mine = 0; mine < 3; mine++) {
        for (int theirs = 0; theirs < 3; theirs++) {
            ekmotp_bearer_request request =
                expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, hashes[mine]);
            char *token = fixture_jws(headers[theirs], EXPECT_CLAIMS, hashes[theirs], expect_jws_key,
                                      request.jws_key_len);

            expect_text(token, &request, NULL, mine == theirs ? EKMOTP_REASON_OK : EKMOTP_REASON_WRONG_PROOF,
                        "member alg");
            free(token);
            if (mine == theirs)
                continue;
            /* a key that anybody knows; a signature that is not of the alg's size */
            token = fixture_jws(headers[theirs], EXPECT_CLAIMS, hashes[theirs], nobody, sizeof(nobody));
            expect_text(token, &request, NULL, EKMOTP_REASON_WRONG_PROOF, "member alg");
            free(token);
            token = fixture_jws(headers[theirs], EXPECT_CLAIMS, hashes[mine], expect_jws_key,
                                request.jws_key_len);
            expect_text(token, &request, NULL, EKMOTP_REASON_MALFORMED, "member alg");
            free(token);
        }
    }
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
    Suite *suite = suite_create("jose header");
    TCase *tc = tcase_create("bearer");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, jws_header, 0, COUNT(jws_headers));
    tcase_add_loop_test(tc, jwe_header, 0, COUNT(jwe_headers));
    tcase_add_test(tc, compat_headers);
    tcase_add_test(tc, alg_is_fixed);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
