/* SPDX-License-Identifier: Apache-2.0 */
/* matching.c: a URI must name exactly one token and one key before a PIN is sent. */
#include "tests/token/mock_token.h"

#include <string.h>

START_TEST(two_tokens)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;
    ekmotp_key *key = NULL;

    atomic_store(&m->tokens, 2);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_TOKEN_AMBIGUOUS);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
    ck_assert_uint_eq(mock_calls(MOCK_OPEN_SESSION), 0);
    ck_assert_int_eq(mock_asked, 0);
    ck_ok(ekmotp_p11_key_open(mock_uri(";serial=2"), &options, &key, &err), err);
    mock_mac_right(key);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(two_keys)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;
    ekmotp_key *key = NULL;

    atomic_store(&m->keys, 2);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_KEY_AMBIGUOUS);
    ck_assert_uint_eq(mock_calls(MOCK_SIGN), 0);
    ck_ok(ekmotp_p11_key_open(mock_uri(";id=%02"), &options, &key, &err), err);
    mock_mac_right(key);
    ekmotp_key_free(&key);
    /* Many: more than one answer of C_FindObjects holds. */
    atomic_store(&m->keys, 100);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_KEY_AMBIGUOUS);
    ck_assert_ptr_nonnull(strstr(err.message, "100 keys"));
}
END_TEST

START_TEST(none)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    atomic_store(&m->keys, 0);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_KEY_NOT_FOUND);
    atomic_store(&m->tokens, 0);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_TOKEN_NOT_FOUND);
    atomic_store(&m->tokens, 1);
    ck_assert_int_eq(mock_open_fails("pkcs11:token=other;object=k?module-path=" MOCK_MODULE, &options, &err),
                     EKMOTP_E_TOKEN_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "'mock'"));
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
}
END_TEST

START_TEST(bad_uris)
{
    static const struct {
        const char *uri;
        int code;
    } cases[] = {
        {"", EKMOTP_E_URI},
        {"file:key", EKMOTP_E_URI},
        {"pkcs11:token", EKMOTP_E_URI},
        {"pkcs11:token=%4", EKMOTP_E_URI},
        {"pkcs11:tokn=mock?module-path=" MOCK_MODULE, EKMOTP_E_URI},
        {"pkcs11:token=mock;type=private?module-path=" MOCK_MODULE, EKMOTP_E_URI},
        {"pkcs11:token=mock?pin-value=1234&module-path=" MOCK_MODULE, EKMOTP_E_URI},
        {"pkcs11:token=mock?module-path=/nonexistent/module.so", EKMOTP_E_MODULE},
        {"pkcs11:token=mock?module-path=" MOCK_NO_MODULE, EKMOTP_E_MODULE},
        {"pkcs11:token=mock?module-name=ekmotp-no-such-module", EKMOTP_E_MODULE},
    };
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = mock_open_fails(cases[i].uri, &options, &err);

        ck_assert_msg(rc == cases[i].code, "%s: %d: %s", cases[i].uri, rc, err.message);
        ck_assert_ptr_null(strstr(err.message, "1234"));
    }
    ck_assert_int_eq(mock_open_fails(NULL, &options, &err), EKMOTP_E_INVAL);
    options.hash = (ekmotp_hash)99;
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_INVAL);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
}
END_TEST

MOCK_MAIN("matching", two_tokens, two_keys, none, bad_uris)
