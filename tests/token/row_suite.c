/* SPDX-License-Identifier: Apache-2.0 */
/* row_suite.c: the suite that each token must pass, and a stream of MACs that nothing stops. */
#define P11_KIT_FUTURE_UNSTABLE_API
#include "lib/common/file.h"
#include "p11/module.h"
#include "p11/token.h"
#include "tests/token/row.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4

static ek_secret *key_bytes;

int row_open(const char *uri, ekmotp_hash hash, ekmotp_key **out, ekmotp_error *err)
{
    const ekmotp_p11_options options = {.hash = hash, .pin_source = getenv("PIN_FILE"), .timeout_ms = 10000};

    return ekmotp_p11_key_open(uri, &options, out, err);
}

static int fail(const char *what, const ekmotp_error *err)
{
    printf("FAILED: %s: %s\n", what, err ? err->message : "");
    return 1;
}

/* 0 and right, -1 and wrong, or the error. */
static int mac_and_compare(ekmotp_key *key, const uint8_t *msg, size_t len, ekmotp_error *err)
{
    ekmotp_hash hash = ekmotp_key_hash(key);
    const EVP_MD *md = hash == EKMOTP_HASH_SHA384   ? EVP_sha384()
                       : hash == EKMOTP_HASH_SHA512 ? EVP_sha512()
                                                    : EVP_sha256();
    uint8_t mac[EKMOTP_HASH_MAX_SIZE], wanted[EKMOTP_HASH_MAX_SIZE];
    int rc = ekmotp_key_mac(key, msg, len, mac, sizeof(mac), err);

    if (rc != 0)
        return rc;
    HMAC(md, key_bytes->bytes, (int)key_bytes->len, msg, len, wanted, NULL);
    return memcmp(mac, wanted, ekmotp_hash_size(hash)) == 0 ? 0 : 1;
}

/* ---- the suite ---- */

static int every_length(ekmotp_key *key)
{
    static const size_t lengths[] = {1,   31,  32,  33,  63,  64,  65,   72,   127,
                                     128, 129, 255, 256, 511, 512, 1000, 1023, 1024};
    uint8_t msg[EKMOTP_MAC_MESSAGE_MAX];
    ekmotp_error err = {0};

    for (size_t i = 0; i < sizeof(msg); i++)
        msg[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        if (mac_and_compare(key, msg, lengths[i], &err) != 0) {
            printf("%zu bytes: ", lengths[i]);
            return fail("a MAC of some length", &err);
        }
    return 0;
}

static void *twenty(void *ctx)
{
    ekmotp_error err = {0};
    char msg[32];

    for (int i = 0; i < 20; i++) {
        snprintf(msg, sizeof(msg), "message %d", i);
        if (mac_and_compare(ctx, (const uint8_t *)msg, strlen(msg), &err) != 0) {
            printf("in a thread: %s\n", err.message);
            return ctx;
        }
    }
    return NULL;
}

static int threads(ekmotp_key *key)
{
    pthread_t thread[THREADS];
    void *bad = NULL, *result;

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, twenty, key) != 0)
            return fail("no thread", NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &result);
        bad = result ? result : bad;
    }
    return bad ? fail("threads", NULL) : 0;
}

/* Another part of this process logs out of the token: the next MAC heals. */
static int logout(ekmotp_key *key, const char *uri_text)
{
    CK_SESSION_HANDLE session;
    ek_modules modules = {0};
    ekmotp_error err = {0};
    ek_token token = {0};
    unsigned generation;
    ek_uri *uri = NULL;
    CK_RV rv;

    if (ek_uri_parse(uri_text, &uri, &err) != 0 || ek_modules_open(uri, &modules, &err) != 0 ||
        ek_token_find(uri, &modules, &token, &err) != 0 ||
        ek_module_enter(token.module, &generation, &err) != 0 ||
        ek_token_session(&token, 0, &session, &err) != 0)
        return fail("logout", &err);
    rv = ek_module_functions(token.module)->C_Logout(session);
    ek_module_functions(token.module)->C_CloseSession(session);
    ek_module_leave(token.module);
    ek_token_clear(&token);
    ek_modules_close(&modules);
    ek_uri_free(&uri);
    if (rv != CKR_OK)
        printf("C_Logout: 0x%lx\n", rv);
    if (mac_and_compare(key, (const uint8_t *)"after a logout", 14, &err) != 0)
        return fail("after a logout", &err);
    return 0;
}

static int in_fork(ekmotp_key *key)
{
    ekmotp_error err = {0};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int rc = mac_and_compare(key, (const uint8_t *)"in a fork", 9, &err);

        ekmotp_key_free(&key);
        _exit(rc == EKMOTP_E_TOKEN_AWAY ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return fail("the fork", NULL);
    if (mac_and_compare(key, (const uint8_t *)"after a fork", 12, &err) != 0)
        return fail("after a fork", &err);
    return 0;
}

static int setup(const char *uri, const char *key_file, ekmotp_hash hash, ekmotp_key **key)
{
    ekmotp_error err = {0};

    if (ek_file_read_secret(key_file, 64, &key_bytes, &err) != 0 || row_open(uri, hash, key, &err) != 0)
        return fail("opening", &err);
    return 0;
}

int row_suite(const char *uri, const char *key_file, ekmotp_hash hash)
{
    ekmotp_key *key = NULL;
    int rc = setup(uri, key_file, hash, &key);

    if (rc == 0)
        rc = every_length(key) || threads(key) || in_fork(key);
    if (rc == 0 && !getenv("NO_LOGOUT"))
        rc = logout(key, uri) || threads(key);
    ekmotp_key_free(&key);
    ek_secret_free(&key_bytes);
    if (rc == 0)
        printf("all right\n");
    return rc;
}

/* ---- the stream ---- */

typedef struct stream {
    ekmotp_key *key;
    int count;
    atomic_int tried, right, wrong, failed;
    atomic_int gate; /* MACs that may be made before the step that is under way is over */
    atomic_int stop;
} stream;

static void *flow(void *ctx)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    stream *s = ctx;
    char msg[48];

    while (!atomic_load(&s->stop) && atomic_load(&s->right) < s->count) {
        ekmotp_error err = {0};
        int rc;

        if (atomic_load(&s->right) >= atomic_load(&s->gate)) {
            nanosleep(&pause, NULL);
            continue;
        }
        snprintf(msg, sizeof(msg), "message %d", atomic_fetch_add(&s->tried, 1));
        rc = mac_and_compare(s->key, (const uint8_t *)msg, strlen(msg), &err);
        if (rc == 0) {
            atomic_fetch_add(&s->right, 1);
        } else if (rc > 0) {
            atomic_fetch_add(&s->wrong, 1);
        } else {
            if (atomic_fetch_add(&s->failed, 1) % 20 == 0)
                fprintf(stderr, "%d: %s\n", rc, err.message);
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void tell_steps(stream *s)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int told = 0;

    while (atomic_load(&s->right) < s->count && !atomic_load(&s->stop)) {
        if (atomic_load(&s->right) * 5 / s->count > told) {
            told++;
            printf("step\n");
            if (getchar() == EOF)
                atomic_store(&s->stop, 1);
            atomic_store(&s->gate, told >= 3 ? s->count : s->count / 5 * (told + 2));
        }
        nanosleep(&pause, NULL);
    }
}

int row_stream(const char *uri, const char *key_file, int count)
{
    pthread_t thread[THREADS];
    stream s = {.count = count, .gate = count / 5 * 2};

    if (setup(uri, key_file, EKMOTP_HASH_SHA256, &s.key) != 0)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, flow, &s) != 0)
            return fail("no thread", NULL);
    tell_steps(&s);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    printf("right %d wrong %d failed %d\n", s.right, s.wrong, s.failed);
    ekmotp_key_free(&s.key);
    ek_secret_free(&key_bytes);
    return s.wrong == 0 && s.right >= count ? 0 : 1;
}
