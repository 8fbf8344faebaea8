/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields that carry credentials: malformed in every way, doubled, of profiles that are not offered. */
#include "lib/common/base64.h"
#include "tests/unit/suite.h"
#include "tests/unit/world.h"

#include <ekmotp/openssl.h>
#include <stdio.h>
#include <string.h>

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
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_NO_CREDENTIALS);
    make_request(w);
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
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_MALFORMED);
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
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_WRONG_PROOF);
    strcpy(w->headers[1].value, "AAAA");
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_MALFORMED);
    w->record.hash = EKMOTP_HASH_SHA512;
    ck_assert_int_eq(send_new(w), EKMOTP_REASON_PROFILE);
    w->count = 1;
    w->headers[0] = w->headers[1];
    ck_assert_int_eq(send_again(w), EKMOTP_REASON_MALFORMED);
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

UNIT_MAIN("credentials", malformed_headers, oversized_id, fields_missing_or_doubled,
          profiles_that_are_not_offered, compat_apikey_in_both_variants, compat_takes_short_keys)
