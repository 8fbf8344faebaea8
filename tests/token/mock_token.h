/* SPDX-License-Identifier: Apache-2.0 */
/* mock_token.h: the mock module as the tests of the token layer use it. */
#ifndef TEST_MOCK_TOKEN_H
#define TEST_MOCK_TOKEN_H

#include "tests/lib/mock_p11.h"
#include "tests/unit/suite.h"

#include <ekmotp/p11.h>

/* In each test, first: a fresh mock with one token, one key and the PIN "1234". Removed at the test's end. */
extern mock *m;
void mock_set_up(void);
void mock_tear_down(void);

/* "pkcs11:token=mock;object=k" with the mock's module-path; more is put into the path part (";id=%01"). */
const char *mock_uri(const char *more);
/* Options whose PIN comes from a function that counts (mock_asked) and says mock_pin. */
extern const char *mock_pin;
extern atomic_int mock_asked;
ekmotp_p11_options mock_options(void);

/* Opens the key with these options; the test fails if that does not work. */
ekmotp_key *mock_open(void);
/* What opening returns; *err tells why. A key that opened all the same is freed. */
int mock_open_fails(const char *uri, const ekmotp_p11_options *options, ekmotp_error *err);

/* The MAC of a message by software, under the key with this seed. */
void mock_mac(ekmotp_hash hash, int seed, const void *msg, size_t len, uint8_t *out);
/* A MAC of "message" that must be right; and one that must fail with this code. */
void mock_mac_right(ekmotp_key *key);
void mock_mac_fails(ekmotp_key *key, int code, ekmotp_error *err);

unsigned mock_calls(enum mock_call call);
/* From now on: after skip good calls, times of them fail with rv. */
void mock_fail(enum mock_call call, CK_RV rv, int skip, int times);
/* The tokens lose what they knew. */
void mock_lose(CK_RV rv);

/* A program of tests that each run with a fresh mock. */
#define MOCK_MAIN(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const TTest *const tests[] = {__VA_ARGS__};                                                          \
                                                                                                             \
        return mock_run(name, tests, sizeof(tests) / sizeof(tests[0]));                                      \
    }

int mock_run(const char *name, const TTest *const *tests, size_t count);
/* The same, and each of loops with _i from 0 to times - 1. */
int mock_run_loops(const char *name, const TTest *const *tests, size_t count, const TTest *const *loops,
                   size_t loop_count, int times);

#endif
