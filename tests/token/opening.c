/* SPDX-License-Identifier: Apache-2.0 */
/* opening.c: what opening a key may do to a token, and what it says when it cannot. */
#include "tests/token/mock_token.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the PIN ---- */

START_TEST(every_hash)
{
    const ekmotp_hash hashes[] = {EKMOTP_HASH_SHA256, EKMOTP_HASH_SHA384, EKMOTP_HASH_SHA512};

    for (size_t i = 0; i < 3; i++) {
        ekmotp_p11_options options = mock_options();
        ekmotp_error err = {0};
        ekmotp_key *key = NULL;

        options.hash = hashes[i];
        ck_ok(ekmotp_p11_key_open(mock_uri(""), &options, &key, &err), err);
        ck_assert_int_eq(ekmotp_key_is_slow(key), 1);
        mock_mac_right(key);
        ekmotp_key_free(&key);
    }
    ck_assert_uint_eq(atomic_load(&m->no_locking), 0);
    ck_assert_uint_eq(atomic_load(&m->open_sessions), 0);
}
END_TEST

START_TEST(one_login)
{
    ekmotp_key *key = mock_open();

    for (int i = 0; i < 100; i++)
        mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ck_assert_int_eq(mock_asked, 1);
    /* One C_Sign for each MAC, and one for the trial. */
    ck_assert_uint_eq(mock_calls(MOCK_SIGN), 101);
    ck_assert_uint_eq(mock_calls(MOCK_OPEN_SESSION), 1);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(a_wrong_pin_is_sent_once)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    mock_pin = "9999";
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_INCORRECT);
    ck_assert_ptr_nonnull(strstr(err.message, "'mock'"));
    ck_assert_ptr_nonnull(strstr(err.message, "CKR_PIN_INCORRECT"));
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ck_assert_uint_eq(mock_calls(MOCK_SIGN), 0);
    /* Neither for the same key nor for another one of this token. */
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_INCORRECT);
    ck_assert_int_eq(mock_open_fails(mock_uri(";id=%01"), &options, &err), EKMOTP_E_PIN_INCORRECT);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    mock_pin = "1234";
    {
        ekmotp_key *key = mock_open();

        mock_mac_right(key);
        ekmotp_key_free(&key);
    }
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
}
END_TEST

START_TEST(a_locked_pin)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    atomic_store(&m->tries, 0);
    atomic_store(&m->is_tpm, 1);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_LOCKED);
    ck_assert_ptr_nonnull(strstr(err.message, "CKR_PIN_LOCKED"));
    ck_assert_ptr_nonnull(strstr(err.message, "tpm2_dictionarylockout"));
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
}
END_TEST

START_TEST(a_token_that_says_it_is_locked_gets_no_pin)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    atomic_store(&m->token_flags, CKF_USER_PIN_LOCKED);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_LOCKED);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
}
END_TEST

START_TEST(the_last_try_is_told)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    mock_pin = "9999";
    atomic_store(&m->token_flags, CKF_USER_PIN_FINAL_TRY);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_INCORRECT);
    ck_assert_ptr_nonnull(strstr(err.message, "ONE try"));
}
END_TEST

START_TEST(no_pin)
{
    ekmotp_p11_options options = {0};
    ekmotp_error err;

    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_MISSING);
    ck_assert_ptr_nonnull(strstr(err.message, "pin-source"));
    ck_assert_int_eq(mock_open_fails(mock_uri(""), NULL, &err), EKMOTP_E_PIN_MISSING);
    mock_pin = "";
    options = mock_options();
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_MISSING);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
    ck_assert_uint_eq(atomic_load(&m->null_pins), 0);
}
END_TEST

static int refuse_pin(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    (void)ctx;
    (void)token;
    (void)pin;
    (void)size;
    return ekmotp_error_set(err, EKMOTP_E_PIN_MISSING, "nobody is there");
}

START_TEST(the_callback_says_no)
{
    ekmotp_p11_options options = {.pin = refuse_pin};
    ekmotp_error err;

    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_PIN_MISSING);
    ck_assert_str_eq(err.message, "nobody is there");
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
}
END_TEST

/* A PIN file with this text and mode; what opening with it returns. */
static int open_with_file(const char *text, mode_t mode, ekmotp_error *err)
{
    ekmotp_p11_options options = mock_options();
    char path[128];
    FILE *f;
    ekmotp_key *key = NULL;
    int rc;

    snprintf(path, sizeof(path), "%s.pin", getenv("EKMOTP_MOCK"));
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(chmod(path, mode), 0);
    options.pin_source = path;
    *err = (ekmotp_error){0};
    rc = ekmotp_p11_key_open(mock_uri(""), &options, &key, err);
    ekmotp_key_free(&key);
    unlink(path);
    ck_assert_int_eq(mock_asked, 0);
    return rc;
}

START_TEST(a_pin_file)
{
    ekmotp_error err;
    char longest[EKMOTP_PIN_MAX + 8];

    ck_assert_int_eq(open_with_file("1234", 0600, &err), 0);
    ck_assert_int_eq(open_with_file("1234\n", 0600, &err), 0);
    ck_assert_int_eq(open_with_file("1234\r\n", 0400, &err), 0);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 3);
    ck_assert_int_eq(open_with_file("1234\n\n", 0600, &err), EKMOTP_E_PIN_INCORRECT);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 4);
    ck_assert_int_eq(open_with_file("1234", 0644, &err), EKMOTP_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "chmod 600"));
    ck_assert_int_eq(open_with_file("", 0600, &err), EKMOTP_E_PIN_MISSING);
    ck_assert_int_eq(open_with_file("\n", 0600, &err), EKMOTP_E_PIN_MISSING);
    memset(longest, '1', sizeof(longest));
    longest[EKMOTP_PIN_MAX + 1] = '\0';
    ck_assert_int_eq(open_with_file(longest, 0600, &err), EKMOTP_E_PIN_MISSING);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 4);
}
END_TEST

START_TEST(a_pin_source_in_the_uri)
{
    const char *const forms[] = {"", "file:", "file://", "file://localhost"};
    char pin[128], uri[512];
    ekmotp_error err = {0};
    FILE *f;

    snprintf(pin, sizeof(pin), "%s.pin", getenv("EKMOTP_MOCK"));
    f = fopen(pin, "w");
    ck_assert_ptr_nonnull(f);
    fputs("1234\n", f);
    fclose(f);
    ck_assert_int_eq(chmod(pin, 0600), 0);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        ekmotp_key *key = NULL;

        snprintf(uri, sizeof(uri), "%s&pin-source=%s%s", mock_uri(""), forms[i], pin);
        ck_ok(ekmotp_p11_key_open(uri, NULL, &key, &err), err);
        ekmotp_key_free(&key);
    }
    unlink(pin);
    ck_assert_int_eq(mock_open_fails(uri, NULL, &err), EKMOTP_E_IO);
    snprintf(uri, sizeof(uri), "%s&pin-source=%%7Ccat%%20%s", mock_uri(""), pin);
    ck_assert_int_eq(mock_open_fails(uri, NULL, &err), EKMOTP_E_URI);
}
END_TEST

START_TEST(a_token_without_login)
{
    ekmotp_error err;
    ekmotp_p11_options options = {0};

    atomic_store(&m->login_required, 0);
    /* The mock hides its keys all the same. */
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_KEY_NOT_FOUND);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 0);
}
END_TEST

/* ---- every call that opening makes, failing in every way ---- */

START_TEST(every_call_fails)
{
    static const struct {
        enum mock_call call;
        CK_RV rv;
        int code;
    } cases[] = {
        {MOCK_INITIALIZE, CKR_GENERAL_ERROR, EKMOTP_E_MODULE},
        {MOCK_INITIALIZE, 0xce534351UL, EKMOTP_E_MODULE},
        {MOCK_GET_SLOT_LIST, CKR_DEVICE_ERROR, EKMOTP_E_TOKEN_AWAY},
        {MOCK_GET_TOKEN_INFO, CKR_DEVICE_REMOVED, EKMOTP_E_TOKEN_NOT_FOUND},
        {MOCK_OPEN_SESSION, CKR_SESSION_COUNT, EKMOTP_E_TOKEN_AWAY},
        {MOCK_OPEN_SESSION, CKR_TOKEN_NOT_PRESENT, EKMOTP_E_TOKEN_AWAY},
        {MOCK_LOGIN, CKR_PIN_EXPIRED, EKMOTP_E_PIN_MISSING},
        {MOCK_LOGIN, CKR_USER_PIN_NOT_INITIALIZED, EKMOTP_E_PIN_MISSING},
        {MOCK_LOGIN, CKR_PIN_LEN_RANGE, EKMOTP_E_PIN_INCORRECT},
        {MOCK_LOGIN, CKR_HOST_MEMORY, EKMOTP_E_NOMEM},
        {MOCK_FIND_INIT, CKR_GENERAL_ERROR, EKMOTP_E_TOKEN_AWAY},
        {MOCK_FIND, CKR_GENERAL_ERROR, EKMOTP_E_TOKEN_AWAY},
        {MOCK_SIGN_INIT, CKR_KEY_SIZE_RANGE, EKMOTP_E_TOKEN_MECHANISM},
        {MOCK_SIGN_INIT, CKR_MECHANISM_INVALID, EKMOTP_E_TOKEN_MECHANISM},
        {MOCK_SIGN_INIT, CKR_KEY_TYPE_INCONSISTENT, EKMOTP_E_TOKEN_MECHANISM},
        {MOCK_SIGN_INIT, CKR_KEY_FUNCTION_NOT_PERMITTED, EKMOTP_E_TOKEN_MECHANISM},
        {MOCK_SIGN, CKR_GENERAL_ERROR, EKMOTP_E_TOKEN_AWAY},
        {MOCK_SIGN, CKR_DEVICE_MEMORY, EKMOTP_E_NOMEM},
    };
    ekmotp_error err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ekmotp_p11_options options = mock_options();
        unsigned before = mock_calls(cases[i].call), open = atomic_load(&m->open_sessions);
        char pin[16];
        int rc;

        /* Each time another PIN: one that was refused is not sent again. */
        snprintf(pin, sizeof(pin), "12%02zu", i);
        strcpy(m->pin, pin);
        mock_pin = pin;
        mock_fail(cases[i].call, cases[i].rv, 0, -1);
        rc = mock_open_fails(mock_uri(""), &options, &err);
        ck_assert_msg(rc == cases[i].code, "case %zu: %d: %s", i, rc, err.message);
        /* Once, and not again. */
        /* A token that is not there gets two more looks. */
        ck_assert_uint_eq(mock_calls(cases[i].call),
                          before + (cases[i].code == EKMOTP_E_TOKEN_NOT_FOUND ? 3 : 1));
        ck_assert_uint_eq(atomic_load(&m->open_sessions), open);
        mock_fail(cases[i].call, CKR_OK, 0, 0);
    }
}
END_TEST

START_TEST(a_mac_of_another_length)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err;

    atomic_store(&m->mac_short, 1);
    ck_assert_int_eq(mock_open_fails(mock_uri(""), &options, &err), EKMOTP_E_TOKEN_AWAY);
}
END_TEST

START_TEST(logged_in_already)
{
    ekmotp_key *one = mock_open(), *two;

    /* A token that does not tell: C_Login says it. */
    mock_fail(MOCK_GET_SESSION_INFO, CKR_FUNCTION_NOT_SUPPORTED, 0, -1);
    two = mock_open();
    mock_mac_right(two);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&two);
    ekmotp_key_free(&one);
}
END_TEST

START_TEST(a_second_key_of_the_token)
{
    ekmotp_key *one, *two = NULL;
    ekmotp_error err = {0};

    atomic_store(&m->keys, 2);
    {
        ekmotp_p11_options options = mock_options();

        ck_ok(ekmotp_p11_key_open(mock_uri(";id=%01"), &options, &one, &err), err);
    }
    /* The token is logged in: nobody is asked, no PIN is sent. */
    ck_ok(ekmotp_p11_key_open(mock_uri(";id=%02"), NULL, &two, &err), err);
    mock_mac_right(one);
    mock_mac_right(two);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 1);
    ekmotp_key_free(&one);
    mock_mac_right(two);
    ekmotp_key_free(&two);
    ck_assert_uint_eq(mock_calls(MOCK_FINALIZE), 1);
}
END_TEST

MOCK_MAIN("opening", every_hash, one_login, a_wrong_pin_is_sent_once, a_locked_pin,
          a_token_that_says_it_is_locked_gets_no_pin, the_last_try_is_told, no_pin, the_callback_says_no,
          a_pin_file, a_pin_source_in_the_uri, a_token_without_login, every_call_fails,
          a_mac_of_another_length, logged_in_already, a_second_key_of_the_token)
