/* SPDX-License-Identifier: Apache-2.0 */
/* healing.c: a token that was away, and what may be done to it until it is back. */
#include "tests/token/mock_token.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Waits until a MAC works again, at most 10 s, and returns how many calls were told that the token is away.
 */
static int wait_for_mac(ekmotp_key *key)
{
    uint8_t mac[EKMOTP_HASH_MAX_SIZE];
    ekmotp_error err = {0};
    int away = 0, rc;

    for (int i = 0; i < 1000; i++) {
        rc = ekmotp_key_mac(key, (const uint8_t *)"message", 7, mac, sizeof(mac), &err);
        if (rc == 0)
            return away;
        ck_assert_msg(rc == EKMOTP_E_TOKEN_AWAY, "%d: %s", rc, err.message);
        away++;
        usleep(10000);
    }
    ck_abort_msg("the token did not come back: %s", err.message);
    return -1;
}

/* No CK_RV is interpreted: whatever the call fails with, one healing follows, and the caller gets a MAC. */
static void heal_once(enum mock_call call, CK_RV rv)
{
    ekmotp_key *key = mock_open();
    unsigned signs, inits;

    mock_mac_right(key);
    signs = mock_calls(MOCK_SIGN);
    inits = mock_calls(MOCK_SIGN_INIT);
    mock_fail(call, rv, 0, 1);
    mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 2);
    ck_assert_uint_eq(mock_calls(MOCK_FINALIZE), 1);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ck_assert_int_eq(mock_asked, 1);
    /* The one that failed, the probe, and the new try. */
    ck_assert_uint_eq(mock_calls(MOCK_SIGN_INIT), inits + 3);
    ck_assert_uint_eq(mock_calls(MOCK_SIGN), signs + (call == MOCK_SIGN ? 3 : 2));
    mock_fail(call, CKR_OK, 0, 0);
    ekmotp_key_free(&key);
    ck_assert_uint_eq(atomic_load(&m->open_sessions), 0);
}

static const CK_RV any_rv[] = {
    CKR_HOST_MEMORY,
    CKR_GENERAL_ERROR,
    CKR_FUNCTION_FAILED,
    CKR_ARGUMENTS_BAD,
    CKR_DEVICE_ERROR,
    CKR_DEVICE_MEMORY,
    CKR_DEVICE_REMOVED,
    CKR_FUNCTION_CANCELED,
    CKR_KEY_HANDLE_INVALID,
    CKR_KEY_SIZE_RANGE,
    CKR_OBJECT_HANDLE_INVALID,
    CKR_OPERATION_ACTIVE,
    CKR_OPERATION_NOT_INITIALIZED,
    CKR_PIN_EXPIRED,
    CKR_TOKEN_NOT_PRESENT,
    CKR_TOKEN_NOT_RECOGNIZED,
    CKR_USER_NOT_LOGGED_IN,
    CKR_BUFFER_TOO_SMALL,
    CKR_CRYPTOKI_NOT_INITIALIZED,
    0xce534351UL,
};

START_TEST(every_rv_of_c_sign)
{
    heal_once(MOCK_SIGN, any_rv[_i]);
}
END_TEST

START_TEST(every_rv_of_c_sign_init)
{
    heal_once(MOCK_SIGN_INIT, any_rv[_i]);
}
END_TEST

START_TEST(a_closed_session_costs_a_new_one)
{
    ekmotp_key *key = mock_open();

    mock_fail(MOCK_SIGN_INIT, CKR_SESSION_HANDLE_INVALID, 0, 1);
    mock_mac_right(key);
    mock_fail(MOCK_SIGN_INIT, CKR_SESSION_CLOSED, 0, 1);
    mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 1);
    ck_assert_uint_eq(mock_calls(MOCK_OPEN_SESSION), 3);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(a_lost_token_is_signed_with_once)
{
    ekmotp_key *key = mock_open();

    mock_lose(CKR_GENERAL_ERROR);
    mock_mac_right(key);
    ck_assert_uint_le(atomic_load(&m->signs_while_lost), 1);
    mock_lose(CKR_DEVICE_ERROR);
    ck_assert_int_ge(wait_for_mac(key), 0);
    ck_assert_uint_le(atomic_load(&m->signs_while_lost), 2);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(while_it_is_away)
{
    ekmotp_key *key = mock_open();
    struct timespec start, end;
    ekmotp_error err;
    unsigned tries;

    mock_lose(CKR_GENERAL_ERROR);
    mock_fail(MOCK_INITIALIZE, CKR_GENERAL_ERROR, 0, -1);
    mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "'mock'"));
    ck_assert_ptr_nonnull(strstr(err.message, "CKR_GENERAL_ERROR"));
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 2);
    /* At once, and without a call to the module. */
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 1000; i++)
        mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert_ptr_nonnull(strstr(err.message, "next try in"));
    tries = mock_calls(MOCK_INITIALIZE) - 2;
    ck_assert_int_lt(end.tv_sec - start.tv_sec, 10);
    ck_assert_uint_le(tries, 8); /* 100, 200, 400 ... ms apart */
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ck_assert_uint_le(atomic_load(&m->signs_while_lost), 1);
    mock_fail(MOCK_INITIALIZE, CKR_OK, 0, 0);
    wait_for_mac(key);
    mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ck_assert_int_eq(mock_asked, 1);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(the_back_off_grows)
{
    ekmotp_key *key = mock_open();
    uint8_t mac[EKMOTP_HASH_MAX_SIZE];
    struct timespec start, end;
    unsigned tries, most = 1;

    clock_gettime(CLOCK_MONOTONIC, &start);
    mock_lose(CKR_GENERAL_ERROR);
    mock_fail(MOCK_INITIALIZE, CKR_GENERAL_ERROR, 0, -1);
    for (int i = 0; i < 150; i++) {
        ck_assert_int_eq(ekmotp_key_mac(key, (const uint8_t *)"m", 1, mac, sizeof(mac), NULL),
                         EKMOTP_E_TOKEN_AWAY);
        usleep(10000);
    }
    tries = mock_calls(MOCK_INITIALIZE) - 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    /* At 0, 100, 300, 700, 1500 ms and so on at the soonest. */
    for (long ms = 100; ms <= (end.tv_sec - start.tv_sec + 1) * 1000; ms = 2 * ms + 100)
        most++;
    ck_assert_uint_le(tries, most);
    ck_assert_uint_ge(tries, 3);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(the_card_is_pulled_and_put_back)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_DEVICE_REMOVED);
    atomic_store(&m->tokens, 0);
    mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "is not there"));
    atomic_store(&m->tokens, 1);
    wait_for_mac(key);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(another_card_is_put_in)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_DEVICE_REMOVED);
    atomic_store(&m->serial_base, 40);
    mock_mac_fails(key, EKMOTP_E_TOKEN_CHANGED, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "41"));
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    /* Two that match are no better. */
    usleep(150000);
    atomic_store(&m->serial_base, 0);
    atomic_store(&m->tokens, 2);
    mock_mac_fails(key, EKMOTP_E_TOKEN_AMBIGUOUS, &err);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(another_key_is_there)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_GENERAL_ERROR);
    atomic_store(&m->key_seed, 1);
    mock_mac_fails(key, EKMOTP_E_TOKEN_CHANGED, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "another key"));
    for (int i = 0; i < 100; i++)
        mock_mac_fails(key, EKMOTP_E_TOKEN_CHANGED, &err);
    /* The right one comes back. */
    atomic_store(&m->key_seed, 0);
    usleep(250000);
    mock_mac_right(key);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(a_second_key_of_that_name_is_there)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_GENERAL_ERROR);
    atomic_store(&m->keys, 2);
    mock_mac_fails(key, EKMOTP_E_KEY_AMBIGUOUS, &err);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(the_pin_was_changed)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_GENERAL_ERROR);
    strcpy(m->pin, "5678");
    mock_mac_fails(key, EKMOTP_E_PIN_INCORRECT, &err);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    for (int i = 0; i < 60; i++) {
        usleep(10000);
        mock_mac_fails(key, EKMOTP_E_PIN_INCORRECT, &err);
    }
    /* Sent once, and never again, whatever happens. */
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(the_pin_is_locked_meanwhile)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_GENERAL_ERROR);
    atomic_store(&m->tries, 0);
    mock_mac_fails(key, EKMOTP_E_PIN_LOCKED, &err);
    usleep(300000);
    mock_mac_fails(key, EKMOTP_E_PIN_LOCKED, &err);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(it_fails_again_after_the_healing)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    /* The first MAC fails, the probe goes well, the second try fails: such a token is not worn out. */
    mock_fail(MOCK_SIGN, CKR_GENERAL_ERROR, 0, 1);
    mock_fail(MOCK_SIGN_INIT, CKR_DEVICE_ERROR, 2, 1);
    mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "failed again"));
    for (int i = 0; i < 100; i++)
        mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 2);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    usleep(150000);
    mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 3);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(both_keys_of_a_token_heal)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_key *one = NULL, *two = NULL;
    ekmotp_error err = {0};

    atomic_store(&m->keys, 2);
    ck_ok(ekmotp_p11_key_open(mock_uri(";id=%01"), &options, &one, &err), err);
    ck_ok(ekmotp_p11_key_open(mock_uri(";id=%02"), NULL, &two, &err), err);
    mock_lose(CKR_GENERAL_ERROR);
    mock_mac_right(two); /* with the PIN of the first */
    mock_mac_right(one);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 2); /* once for both */
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&one);
    usleep(150000);
    mock_lose(CKR_GENERAL_ERROR);
    mock_mac_right(two);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 3);
    ck_assert_int_eq(mock_asked, 1);
    ekmotp_key_free(&two);
}
END_TEST

START_TEST(freed_while_away)
{
    ekmotp_key *key = mock_open();
    ekmotp_error err;

    mock_lose(CKR_GENERAL_ERROR);
    mock_fail(MOCK_INITIALIZE, CKR_GENERAL_ERROR, 0, 1);
    mock_mac_fails(key, EKMOTP_E_TOKEN_AWAY, &err);
    ekmotp_key_free(&key);
    key = mock_open();
    mock_mac_right(key);
    ekmotp_key_free(&key);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_closed_session_costs_a_new_one,
                                  a_lost_token_is_signed_with_once,
                                  while_it_is_away,
                                  the_back_off_grows,
                                  the_card_is_pulled_and_put_back,
                                  another_card_is_put_in,
                                  another_key_is_there,
                                  a_second_key_of_that_name_is_there,
                                  the_pin_was_changed,
                                  the_pin_is_locked_meanwhile,
                                  it_fails_again_after_the_healing,
                                  both_keys_of_a_token_heal,
                                  freed_while_away};
    const TTest *const loops[] = {every_rv_of_c_sign, every_rv_of_c_sign_init};

    return mock_run_loops("healing", tests, sizeof(tests) / sizeof(tests[0]), loops, 2,
                          sizeof(any_rv) / sizeof(any_rv[0]));
}
