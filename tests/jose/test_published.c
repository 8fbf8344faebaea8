/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of RFC 7515, 7516 and 7520 that use what the JWT carriers use. */
#include "tests/jose/expect.h"

#include "tests/unit/suite.h"

#include <ekmotp/openssl.h>
#include <string.h>

static size_t decode(const char *text, uint8_t *out, size_t size)
{
    size_t len = 0;
    uint8_t *bytes = fixture_unbase64(text, strlen(text), &len);

    ck_assert_uint_le(len, size);
    memcpy(out, bytes, len);
    free(bytes);
    return len;
}

/* A copy with the first character of the signature, or of the tag, changed. */
static const char *flipped(const char *token, char *copy, size_t size)
{
    char *at;

    ck_assert_uint_lt(strlen(token), size);
    strcpy(copy, token);
    at = strrchr(copy, '.') + 1;
    *at = *at == 'A' ? 'B' : 'A';
    return copy;
}

START_TEST(rfc7515_a1)
{
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    ekmotp_bearer_request request =
        expect_request(EKMOTP_PROFILE_COMPAT_JWS, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    uint8_t key[64];
    char copy[256];

    request.jws_key_len =
        decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", key,
               sizeof(key));
    request.jws_key = key;
    request.now = 1300819379; /* a second before its exp */
    expect_text(token, &request, NULL, EKMOTP_REASON_OK, "");
    expect_text(flipped(token, copy, sizeof(copy)), &request, NULL, EKMOTP_REASON_WRONG_PROOF, "");
    request.now = 1300819380 + 61;
    expect_text(token, &request, NULL, EKMOTP_REASON_TOKEN_CLAIMS, "exp");
    request.now = 1300819379;
    key[0] ^= 1;
    expect_text(token, &request, NULL, EKMOTP_REASON_WRONG_PROOF, "");
}
END_TEST

/* Its payload is a sentence: the signature is right, the claims are not. */
START_TEST(rfc7520_4_4)
{
    static const char token[] =
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9"
        ".SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGU"
        "gcm"
        "9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IG"
        "JlIH"
        "N3ZXB0IG9mZiB0by4"
        ".s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";
    ekmotp_bearer_request request = expect_request(EKMOTP_PROFILE_V1, EKMOTP_BEARER_JWS, EKMOTP_HASH_SHA256);
    uint8_t key[32];
    char copy[512];

    request.jws_key_len = decode("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg", key, sizeof(key));
    request.jws_key = key;
    request.id = (const uint8_t *)"018c0ae5-4d9b-471b-bfd6-eef314bc7037";
    request.id_len = 36;
    expect_text(token, &request, NULL, EKMOTP_REASON_MALFORMED, "claims");
    expect_text(flipped(token, copy, sizeof(copy)), &request, NULL, EKMOTP_REASON_WRONG_PROOF, "");
}
END_TEST

/* A256GCM under the content encryption key that the example's RSA transports. */
START_TEST(rfc7516_a1)
{
    static const char header[] = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
                      plain[] = "The true sign of intelligence is not knowledge but imagination.";
    static const uint8_t key[32] = {177, 161, 244, 128, 84,  143, 225, 115, 63, 180, 3,
                                    255, 107, 154, 212, 246, 138, 7,   110, 91, 112, 46,
                                    34,  105, 47,  130, 203, 46,  122, 234, 64, 252};
    const ekmotp_crypto *crypto = ekmotp_openssl_crypto();
    uint8_t nonce[12], sealed[128], out[128];
    size_t len = decode(
        "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A", sealed, 100);

    ck_assert_uint_eq(decode("48V1_ALb6US04U3b", nonce, sizeof(nonce)), sizeof(nonce));
    len += decode("XFBoMYUZodetZdvTiFvSkQ", sealed + len, 16);
    ck_assert_uint_eq(len, strlen(plain) + 16);
    ck_assert_int_eq(crypto->open(key, nonce, (const uint8_t *)header, strlen(header), sealed, len, out), 0);
    ck_assert_mem_eq(out, plain, strlen(plain));
    ck_assert_int_eq(crypto->seal(key, nonce, (const uint8_t *)header, strlen(header), (const uint8_t *)plain,
                                  strlen(plain), out),
                     0);
    ck_assert_mem_eq(out, sealed, len);
    for (size_t i = 0; i < len; i++) {
        sealed[i] ^= 1;
        ck_assert_int_ne(crypto->open(key, nonce, (const uint8_t *)header, strlen(header), sealed, len, out),
                         0);
        sealed[i] ^= 1;
    }
    ck_assert_int_ne(crypto->open(key, nonce, (const uint8_t *)header, strlen(header) - 1, sealed, len, out),
                     0);
}
END_TEST

UNIT_MAIN("published examples", rfc7515_a1, rfc7516_a1, rfc7520_4_4)
