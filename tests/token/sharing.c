/* SPDX-License-Identifier: Apache-2.0 */
/* sharing.c: threads, limits of sessions, forks, and two of these at once. */
#include "tests/token/mock_token.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

typedef struct worker {
    pthread_t thread;
    ekmotp_key *key;
    int number, macs;
    int right, wrong, away, timeout, other;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;

    for (int i = 0; i < w->macs; i++) {
        uint8_t mac[EKMOTP_HASH_MAX_SIZE], wanted[EKMOTP_HASH_MAX_SIZE];
        char msg[32];
        int len = snprintf(msg, sizeof(msg), "%d from %d", i, w->number), rc;

        rc = ekmotp_key_mac(w->key, (const uint8_t *)msg, (size_t)len, mac, sizeof(mac), NULL);
        mock_mac(ekmotp_key_hash(w->key), 0, msg, (size_t)len, wanted);
        if (rc == 0 && memcmp(mac, wanted, ekmotp_hash_size(ekmotp_key_hash(w->key))) == 0)
            w->right++;
        else if (rc == 0)
            w->wrong++;
        else if (rc == EKMOTP_E_TOKEN_AWAY)
            w->away++;
        else if (rc == EKMOTP_E_TOKEN_TIMEOUT)
            w->timeout++;
        else
            w->other++;
        if (rc != 0)
            usleep(2000);
    }
    return NULL;
}

static worker start_and_sum(ekmotp_key *key, int threads, int macs, void (*meanwhile)(void))
{
    worker workers[THREADS], sum = {0};

    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){.key = key, .number = i, .macs = macs};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    if (meanwhile)
        meanwhile();
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        sum.right += workers[i].right;
        sum.wrong += workers[i].wrong;
        sum.away += workers[i].away;
        sum.timeout += workers[i].timeout;
        sum.other += workers[i].other;
    }
    ck_assert_int_eq(sum.wrong, 0);
    ck_assert_int_eq(sum.other, 0);
    ck_assert_uint_eq(atomic_load(&m->collisions), 0);
    ck_assert_uint_eq(atomic_load(&m->finalized_inside), 0);
    return sum;
}

START_TEST(many_threads)
{
    ekmotp_key *key = mock_open();
    worker sum;

    atomic_store(&m->sign_us, 50);
    sum = start_and_sum(key, THREADS, 200, NULL);
    ck_assert_int_eq(sum.right, THREADS * 200);
    /* Each had a session of its own, and none was opened for nothing. */
    ck_assert_uint_le(mock_calls(MOCK_OPEN_SESSION), THREADS);
    ck_assert_uint_gt(mock_calls(MOCK_OPEN_SESSION), 1);
    ck_assert_uint_eq(mock_calls(MOCK_LOGIN), 1);
    ekmotp_key_free(&key);
    ck_assert_uint_eq(atomic_load(&m->open_sessions), 0);
}
END_TEST

START_TEST(fewer_sessions_than_threads)
{
    ekmotp_key *key;

    for (int limit = 1; limit <= 3; limit++) {
        worker sum;

        atomic_store(&m->session_limit, limit);
        key = mock_open();
        sum = start_and_sum(key, THREADS, 50, NULL);
        ck_assert_int_eq(sum.right, THREADS * 50);
        ekmotp_key_free(&key);
    }
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 3);
}
END_TEST

START_TEST(the_token_tells_its_limit)
{
    ekmotp_key *key;
    worker sum;

    atomic_store(&m->sessions_said, 2);
    key = mock_open();
    atomic_store(&m->sign_us, 200);
    sum = start_and_sum(key, THREADS, 20, NULL);
    ck_assert_int_eq(sum.right, THREADS * 20);
    ck_assert_uint_le(mock_calls(MOCK_OPEN_SESSION), 2);
    ekmotp_key_free(&key);
}
END_TEST

static void let_go(void)
{
    usleep(1000000);
    atomic_store(&m->release, 1);
}

START_TEST(a_wait_for_a_session_ends)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_key *key = NULL;
    ekmotp_error err = {0};
    worker sum;

    options.timeout_ms = 200;
    atomic_store(&m->session_limit, 1);
    ck_ok(ekmotp_p11_key_open(mock_uri(""), &options, &key, &err), err);
    mock_fail(MOCK_SIGN, MOCK_HANG, 0, 1);
    sum = start_and_sum(key, 4, 1, let_go);
    ck_assert_int_eq(sum.timeout, 3);
    ck_assert_int_eq(sum.right, 1);
    ekmotp_key_free(&key);
}
END_TEST

static void lose_it_now_and_then(void)
{
    for (int i = 0; i < 5; i++) {
        usleep(100000);
        mock_lose(i % 2 ? CKR_GENERAL_ERROR : CKR_DEVICE_ERROR);
    }
}

START_TEST(lost_under_many_threads)
{
    ekmotp_key *key = mock_open();
    worker sum;

    atomic_store(&m->sign_us, 500);
    sum = start_and_sum(key, THREADS, 1000, lose_it_now_and_then);
    ck_assert_int_eq(sum.right + sum.away, THREADS * 1000);
    ck_assert_int_gt(sum.right, THREADS * 300);
    ck_assert_int_gt(sum.away, 0);
    ck_assert_uint_le(mock_calls(MOCK_LOGIN), 6);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), mock_calls(MOCK_LOGIN));
    /* At most what was under way. */
    ck_assert_uint_le(atomic_load(&m->signs_while_lost), 5 * THREADS);
    mock_mac_right(key);
    ekmotp_key_free(&key);
}
END_TEST

START_TEST(a_lost_tpm_counts_one_failure)
{
    ekmotp_key *key;
    worker sum;

    atomic_store(&m->is_tpm, 1);
    key = mock_open();
    atomic_store(&m->sign_us, 500);
    sum = start_and_sum(key, THREADS, 200, lose_it_now_and_then);
    ck_assert_int_gt(sum.right, THREADS);
    /* One session for all threads: one operation fails each time, and nobody tries again. */
    ck_assert_uint_le(atomic_load(&m->signs_while_lost), 5);
    ekmotp_key_free(&key);
}
END_TEST

static void *open_and_close(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 20; i++) {
        ekmotp_key *key = mock_open();

        mock_mac_right(key);
        ekmotp_key_free(&key);
    }
    return NULL;
}

START_TEST(opened_and_closed_by_many_threads)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&m->open_sessions), 0);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), mock_calls(MOCK_FINALIZE));
}
END_TEST

/* In the child; 0 if all is as it should be. */
static int use_in_fork(ekmotp_key *key)
{
    unsigned signs = mock_calls(MOCK_SIGN), closed = mock_calls(MOCK_CLOSE_SESSION);
    uint8_t mac[EKMOTP_HASH_MAX_SIZE];
    ekmotp_p11_options options = mock_options();
    ekmotp_key *another = NULL;
    ekmotp_error err = {0};

    if (ekmotp_key_mac(key, (const uint8_t *)"m", 1, mac, sizeof(mac), &err) != EKMOTP_E_TOKEN_AWAY)
        return 1;
    if (!strstr(err.message, "fork"))
        return 2;
    if (ekmotp_p11_key_open(mock_uri(""), &options, &another, &err) != EKMOTP_E_MODULE)
        return 3;
    ekmotp_key_free(&key);
    if (mock_calls(MOCK_SIGN) != signs || mock_calls(MOCK_CLOSE_SESSION) != closed)
        return 4;
    return mock_calls(MOCK_FINALIZE) == 0 ? 0 : 5;
}

START_TEST(a_fork_is_harmless)
{
    ekmotp_key *key = mock_open();
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(use_in_fork(key));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    mock_mac_right(key);
    ck_assert_uint_eq(mock_calls(MOCK_INITIALIZE), 1);
    ekmotp_key_free(&key);
}
END_TEST

MOCK_MAIN("sharing", many_threads, fewer_sessions_than_threads, the_token_tells_its_limit,
          a_wait_for_a_session_ends, lost_under_many_threads, a_lost_tpm_counts_one_failure,
          opened_and_closed_by_many_threads, a_fork_is_harmless)
