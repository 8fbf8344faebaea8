/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent over the mock module: a module that hangs, crashes or refuses in any of its calls costs the
 * caller an error in time, and the next call works again; logins are counted.
 */
#include "p11/agent/deadline.h"
#include "tests/token/mock_token.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static ekmotp_agent *agent;

static void start(void)
{
    ekmotp_error err = {0};

    ck_ok(ekmotp_agent_spawn(AGENT_PROGRAM, &agent, &err), err);
}

static int open_key(unsigned timeout_ms, ekmotp_key **key, ekmotp_error *err)
{
    ekmotp_p11_options options = mock_options();

    options.timeout_ms = timeout_ms;
    *err = (ekmotp_error){0};
    *key = NULL;
    return ekmotp_agent_key_open(agent, mock_uri(""), &options, key, err);
}

static ekmotp_key *opened(unsigned timeout_ms)
{
    ekmotp_error err;
    ekmotp_key *key;

    ck_ok(open_key(timeout_ms, &key, &err), err);
    return key;
}

/* MACs until one is right; those before may have failed only in the ways that a lost token has. */
static int right_within(ekmotp_key *key, int ms)
{
    int64_t until = ek_time_ms() + ms;
    uint8_t mac[EKMOTP_HASH_MAX_SIZE], wanted[EKMOTP_HASH_MAX_SIZE];
    ekmotp_error err;
    int rc, failures = 0;

    mock_mac(ekmotp_key_hash(key), 0, "message", 7, wanted);
    do {
        err = (ekmotp_error){0};
        rc = ekmotp_key_mac(key, (const uint8_t *)"message", 7, mac, sizeof(mac), &err);
        if (rc == 0) {
            ck_assert_mem_eq(mac, wanted, 32);
            return failures;
        }
        ck_assert_msg(rc == EKMOTP_E_TOKEN_AWAY || rc == EKMOTP_E_TOKEN_TIMEOUT, "%d: %s", rc, err.message);
        failures++;
        usleep(10000);
    } while (ek_time_ms() < until);
    ck_abort_msg("no MAC within %d ms: %s", ms, err.message);
}

START_TEST(one_login)
{
    ekmotp_key *a, *b;

    start();
    a = opened(0);
    b = opened(0);
    mock_mac_right(a);
    mock_mac_right(b);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ck_assert_int_eq(mock_asked, 1);
    ck_assert_uint_eq(atomic_load(&m->no_locking), 0);
    ekmotp_key_free(&a);
    ekmotp_key_free(&b);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(a_wrong_pin_is_sent_once)
{
    ekmotp_error err;
    ekmotp_key *key;

    start();
    mock_pin = "4321";
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(open_key(0, &key, &err), EKMOTP_E_PIN_INCORRECT);
        ck_assert_ptr_null(strstr(err.message, "4321"));
    }
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    mock_pin = "1234";
    key = opened(0);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    mock_mac_right(key);
    /* And not after a healing that found another PIN: one try. */
    strcpy(m->pin, "5678");
    mock_fail(MOCK_SIGN, MOCK_CRASH, 0, 1);
    for (int i = 0; i < 20; i++) {
        uint8_t mac[64];

        ck_assert_int_ne(ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err), 0);
        usleep(20000);
    }
    ck_assert_int_eq(err.code, EKMOTP_E_PIN_INCORRECT);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 3);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(a_pin_that_a_healing_saw_refused)
{
    ekmotp_error err;
    ekmotp_key *key;
    uint8_t mac[64] = {0};
    char *status = NULL;
    const char *worker;

    start();
    key = opened(0);
    /* The worker heals by itself, without the front; the PIN is another one by then. */
    strcpy(m->pin, "5678");
    mock_lose(CKR_DEVICE_ERROR);
    for (int i = 0; i < 100; i++) {
        if (ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err) == EKMOTP_E_PIN_INCORRECT)
            break;
        usleep(20000);
    }
    ck_assert_int_eq(err.code, EKMOTP_E_PIN_INCORRECT);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    /* The front must not send it again to the next worker. */
    ck_ok(ekmotp_agent_status(agent, &status, &err), err);
    worker = strstr(status, "\"workers\":[{");
    ck_assert_ptr_nonnull(worker);
    ck_assert_int_eq(kill(atoi(strstr(worker, "\"pid\":") + 6), SIGKILL), 0);
    free(status);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err), EKMOTP_E_PIN_INCORRECT);
        usleep(20000);
    }
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(a_locked_pin)
{
    ekmotp_error err;
    ekmotp_key *key;

    start();
    atomic_store(&m->tries, 0);
    ck_assert_int_eq(open_key(0, &key, &err), EKMOTP_E_PIN_LOCKED);
    ck_assert_uint_le(mock_calls(MOCK_LOGIN), 1);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(another_key_after_a_crash)
{
    ekmotp_error err;
    ekmotp_key *key;
    uint8_t mac[64] = {0};

    start();
    key = opened(0);
    atomic_store(&m->key_seed, 1);
    mock_fail(MOCK_SIGN, MOCK_CRASH, 0, 1);
    ck_assert_int_ne(ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err), EKMOTP_E_TOKEN_CHANGED);
        usleep(50000);
    }
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

static void *twenty(void *key)
{
    for (int i = 0; i < 20; i++)
        mock_mac_right(key);
    return NULL;
}

START_TEST(concurrency_pays)
{
    ekmotp_key *key;
    pthread_t threads[4];

    start();
    atomic_store(&m->sign_us, 10000);
    key = opened(0);
    twenty(key);
    ck_assert_uint_eq(atomic_load(&m->most_working), 1);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, twenty, key), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_ge(atomic_load(&m->most_working), 2);
    ck_assert_uint_eq(atomic_load(&m->collisions), 0);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(hang_while_opening)
{
    static const enum mock_call calls[] = {MOCK_INITIALIZE,   MOCK_GET_SLOT_LIST, MOCK_GET_TOKEN_INFO,
                                           MOCK_OPEN_SESSION, MOCK_LOGIN,         MOCK_FIND_INIT,
                                           MOCK_FIND,         MOCK_SIGN_INIT,     MOCK_SIGN};
    ekmotp_error err;
    ekmotp_key *key;
    int64_t begin = ek_time_ms();

    if ((size_t)_i >= sizeof(calls) / sizeof(calls[0]))
        return;
    start();
    mock_fail(calls[_i], MOCK_HANG, 0, -1);
    ck_assert_int_eq(open_key(500, &key, &err), EKMOTP_E_TOKEN_TIMEOUT);
    ck_assert_int_lt(ek_time_ms() - begin, 5000);
    ck_assert_uint_le(mock_calls(MOCK_LOGIN), 1);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(hang_later)
{
    static const enum mock_call calls[] = {MOCK_SIGN_INIT, MOCK_SIGN};
    ekmotp_error err;
    ekmotp_key *key;
    uint8_t mac[64] = {0};
    int64_t begin;

    if (_i >= 2)
        return;
    start();
    key = opened(500);
    mock_fail(calls[_i], MOCK_HANG, 0, 1);
    begin = ek_time_ms();
    ck_assert_int_eq(ekmotp_key_mac(key, mac, 1, mac, sizeof(mac), &err), EKMOTP_E_TOKEN_TIMEOUT);
    ck_assert_int_lt(ek_time_ms() - begin, 1500);
    /* The other threads of the worker go on; after 2 s it is replaced, which the next one does not see. */
    while (ek_time_ms() - begin < 3000)
        right_within(key, 5000);
    ck_assert_uint_le(mock_calls(MOCK_LOGIN), 2);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(crash_while_opening)
{
    ekmotp_error err;
    ekmotp_key *key;

    if (_i == MOCK_FINALIZE || _i == MOCK_CREATE_OBJECT || _i == MOCK_DESTROY_OBJECT || _i >= MOCK_CALLS)
        return;
    start();
    mock_fail((enum mock_call)_i, MOCK_CRASH, 0, 1);
    /* Calls that opening does not make crash nothing. */
    if (open_key(0, &key, &err) == 0) {
        ck_assert_uint_eq(mock_calls((enum mock_call)_i), 0);
    } else {
        ck_assert_int_eq(err.code, EKMOTP_E_TOKEN_AWAY);
        key = opened(0);
    }
    ck_assert_uint_le(mock_calls(MOCK_LOGIN), 2);
    mock_mac_right(key);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

START_TEST(crash_later)
{
    static const enum mock_call calls[] = {MOCK_SIGN_INIT, MOCK_SIGN};
    ekmotp_key *key;

    if (_i >= 2)
        return;
    start();
    key = opened(0);
    for (int round = 0; round < 5; round++) {
        mock_fail(calls[_i], MOCK_CRASH, 0, 1);
        ck_assert_int_ge(right_within(key, 10000), 1);
    }
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 6);
    ck_assert_int_eq(mock_asked, 1);
    ekmotp_key_free(&key);
    ekmotp_agent_free(&agent);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {one_login,    a_wrong_pin_is_sent_once,  a_pin_that_a_healing_saw_refused,
                                  a_locked_pin, another_key_after_a_crash, concurrency_pays};
    const TTest *const loops[] = {hang_while_opening, hang_later, crash_while_opening, crash_later};

    return mock_run_loops("agent over the mock module", tests, sizeof(tests) / sizeof(tests[0]), loops,
                          sizeof(loops) / sizeof(loops[0]), MOCK_CALLS);
}
