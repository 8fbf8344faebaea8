/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/token/mock_token.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

mock *m;
const char *mock_pin = "1234";
atomic_int mock_asked;

static char folder[] = "/tmp/ekmotp-mock.XXXXXX", path[64];

void mock_set_up(void)
{
    int fd;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/mock", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof(mock)), 0);
    m = mmap(NULL, sizeof(mock), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(m, MAP_FAILED);
    close(fd);
    setenv("EKMOTP_MOCK", path, 1);
    atomic_store(&m->tokens, 1);
    atomic_store(&m->keys, 1);
    atomic_store(&m->login_required, 1);
    atomic_store(&m->tries, -1);
    atomic_store(&m->lost_rv, CKR_GENERAL_ERROR);
    strcpy(m->pin, "1234");
}

void mock_tear_down(void)
{
    unlink(path);
    rmdir(folder);
}

const char *mock_uri(const char *more)
{
    static _Thread_local char uri[512];

    snprintf(uri, sizeof(uri), "pkcs11:token=mock;object=k;type=secret-key%s?module-path=%s", more,
             MOCK_MODULE);
    return uri;
}

static int give_pin(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    (void)ctx;
    (void)err;
    ck_assert_str_eq(token, "mock");
    ck_assert_uint_ge(size, strlen(mock_pin));
    mock_asked++;
    memcpy(pin, mock_pin, strlen(mock_pin));
    return (int)strlen(mock_pin);
}

ekmotp_p11_options mock_options(void)
{
    return (ekmotp_p11_options){.pin = give_pin, .timeout_ms = 2000};
}

ekmotp_key *mock_open(void)
{
    ekmotp_p11_options options = mock_options();
    ekmotp_error err = {0};
    ekmotp_key *key = NULL;

    ck_ok(ekmotp_p11_key_open(mock_uri(""), &options, &key, &err), err);
    return key;
}

int mock_open_fails(const char *uri, const ekmotp_p11_options *options, ekmotp_error *err)
{
    ekmotp_key *key = NULL;
    int rc;

    *err = (ekmotp_error){0};
    rc = ekmotp_p11_key_open(uri, options, &key, err);
    ck_assert_ptr_null(key);
    ck_assert_int_eq(rc, err->code);
    ck_assert_str_ne(err->message, "");
    return rc;
}

void mock_mac(ekmotp_hash hash, int seed, const void *msg, size_t len, uint8_t *out)
{
    const EVP_MD *md = hash == EKMOTP_HASH_SHA384   ? EVP_sha384()
                       : hash == EKMOTP_HASH_SHA512 ? EVP_sha512()
                                                    : EVP_sha256();
    unsigned char key[MOCK_KEY_SIZE];

    memcpy(key, MOCK_KEY, sizeof(key));
    key[0] = (unsigned char)(key[0] + seed);
    ck_assert_ptr_nonnull(HMAC(md, key, sizeof(key), msg, len, out, NULL));
}

void mock_mac_right(ekmotp_key *key)
{
    uint8_t mac[EKMOTP_HASH_MAX_SIZE], wanted[EKMOTP_HASH_MAX_SIZE];
    ekmotp_error err = {0};

    ck_ok(ekmotp_key_mac(key, (const uint8_t *)"message", 7, mac, sizeof(mac), &err), err);
    mock_mac(ekmotp_key_hash(key), atomic_load(&m->key_seed), "message", 7, wanted);
    ck_assert_mem_eq(mac, wanted, ekmotp_hash_size(ekmotp_key_hash(key)));
}

void mock_mac_fails(ekmotp_key *key, int code, ekmotp_error *err)
{
    uint8_t mac[EKMOTP_HASH_MAX_SIZE] = {0}, zeros[EKMOTP_HASH_MAX_SIZE] = {0};
    int rc;

    *err = (ekmotp_error){0};
    rc = ekmotp_key_mac(key, (const uint8_t *)"message", 7, mac, sizeof(mac), err);
    ck_assert_msg(rc == code, "%d where %d was expected: %s", rc, code, err->message);
    ck_assert_int_eq(err->code, code);
    ck_assert_mem_eq(mac, zeros, sizeof(mac));
}

unsigned mock_calls(enum mock_call call)
{
    return atomic_load(&m->calls[call]);
}

void mock_fail(enum mock_call call, CK_RV rv, int skip, int times)
{
    atomic_store(&m->fault[call].skip, skip);
    atomic_store(&m->fault[call].times, times);
    atomic_store(&m->fault[call].rv, rv);
}

void mock_lose(CK_RV rv)
{
    atomic_store(&m->lost_rv, rv);
    atomic_fetch_add(&m->lost, 1);
}

int mock_run(const char *name, const TTest *const *tests, size_t count)
{
    return mock_run_loops(name, tests, count, NULL, 0, 0);
}

int mock_run_loops(const char *name, const TTest *const *tests, size_t count, const TTest *const *loops,
                   size_t loop_count, int times)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, mock_set_up, mock_tear_down);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    for (size_t i = 0; i < loop_count; i++)
        tcase_add_loop_test(tcase, loops[i], 0, times);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
