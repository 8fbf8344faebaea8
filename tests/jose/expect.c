/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jose/expect.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

const uint8_t expect_jws_key[64] = "the key of the JWS: 64 bytes, of which SHA-256 takes 32";
const uint8_t expect_jwe_key[32] = "the key of the JWE: 32 bytes ..";

ekmotp_bearer_request expect_request(ekmotp_profile profile, ekmotp_bearer_kind kind, ekmotp_hash hash)
{
    return (ekmotp_bearer_request){.profile = profile,
                                   .kind = kind,
                                   .hash = hash,
                                   .id = (const uint8_t *)FIXTURE_ID,
                                   .id_len = strlen(FIXTURE_ID),
                                   .jws_key = expect_jws_key,
                                   .jws_key_len = ekmotp_hash_size(hash),
                                   .jwe_key = kind == EKMOTP_BEARER_JWE ? expect_jwe_key : NULL,
                                   .now = FIXTURE_NOW};
}

void expect_bytes(const char *token, size_t len, const ekmotp_bearer_request *request,
                  ekmotp_jose_policy *policy, ekmotp_reason reason, const char *words)
{
    ekmotp_bearer_result result = {.reason = EKMOTP_REASON_COUNT};
    ekmotp_error err = {0};
    int rc = ekmotp_jose_bearer()->open(policy, token, len, request, &result, &err);

    ck_assert_msg(result.reason == reason, "reason %s, not %s (%s): %.200s",
                  ekmotp_reason_name(result.reason), ekmotp_reason_name(reason), err.message, token);
    ck_assert_int_eq(rc == 0, reason == EKMOTP_REASON_OK);
    ck_assert_int_eq(result.claims != NULL, rc == 0);
    if (rc != 0) {
        ck_assert_int_eq(err.code, rc);
        ck_assert_msg(strstr(err.message, words) != NULL, "no '%s' in: %s", words, err.message);
    }
    for (const char *c = err.message; *c; c++)
        ck_assert_msg((unsigned char)*c >= ' ' && (unsigned char)*c < 127, "a message of printable ASCII");
    free(result.claims);
}

void expect_text(const char *token, const ekmotp_bearer_request *request, ekmotp_jose_policy *policy,
                 ekmotp_reason reason, const char *words)
{
    expect_bytes(token, strlen(token), request, policy, reason, words);
}
