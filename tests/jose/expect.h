/* SPDX-License-Identifier: Apache-2.0 */
/* expect.h: opens tokens made by hand with keys of its own, and says what must come of it. */
#ifndef TESTS_JOSE_EXPECT_H
#define TESTS_JOSE_EXPECT_H

#include "tests/jose/fixture.h"

extern const uint8_t expect_jws_key[64]; /* of which the hash takes its size */
extern const uint8_t expect_jwe_key[32];

#define EXPECT_JWS_HEADER "{\"alg\":\"HS256\",\"kid\":\"client-7\",\"typ\":\"JWT\"}"
#define EXPECT_JWE_HEADER                                                                                    \
    "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client-7\",\"typ\":\"JWT\"}"
#define EXPECT_DEMO_HEADER                                                                                   \
    "{\"alg\":\"dir\",\"cty\":\"JWT\",\"enc\":\"A256GCM\",\"kid\":\"client_1\",\"typ\":\"JWT\"}"
#define EXPECT_CLAIMS "{\"n\":1,\"sub\":\"client-7\"}"

/* What the verifier would ask for of FIXTURE_ID with these keys, at FIXTURE_NOW. */
ekmotp_bearer_request expect_request(ekmotp_profile profile, ekmotp_bearer_kind kind, ekmotp_hash hash);

/* Opens a token; words is what the message of a refusal must hold. */
void expect_bytes(const char *token, size_t len, const ekmotp_bearer_request *request,
                  ekmotp_jose_policy *policy, ekmotp_reason reason, const char *words);
void expect_text(const char *token, const ekmotp_bearer_request *request, ekmotp_jose_policy *policy,
                 ekmotp_reason reason, const char *words);

#endif
