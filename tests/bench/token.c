/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c: MACs per second through the token layer in this process, beside a bare loop of C_SignInit and
 * C_Sign on the same module, token and key.
 *
 *   token MODULE TOKEN KEY PIN-FILE MILLISECONDS [bare|ours COUNT]
 *
 * Alone it prints a table for 1, 2 and 4 threads. Bare and ours take turns in short rounds, so that what else
 * the machine does hits both; the median of the rounds counts. With COUNT it makes so many MACs in one
 * thread.
 */
#include "lib/common/file.h"

#include <dlfcn.h>
#include <ekmotp/p11.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 4
#define ROUNDS 9
#define MESSAGE 72 /* bytes of the v1 profile's message for SHA-256 */

typedef struct bench {
    const char *module, *token, *name, *pin_file;
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE login;
    CK_OBJECT_HANDLE object;
    ekmotp_key *key;
    long ms;
} bench;

typedef struct runner {
    pthread_t thread;
    const bench *b;
    CK_SESSION_HANDLE session; /* of the bare loop */
    unsigned long done, limit;
} runner;

static atomic_int stop;

static void die(const char *what, CK_RV rv)
{
    fprintf(stderr, "bench token: %s: 0x%lx\n", what, rv);
    exit(1);
}

static void check(const char *what, CK_RV rv)
{
    if (rv != CKR_OK)
        die(what, rv);
}

/* ---- the bare loop ---- */

static void find_slot(bench *b)
{
    CK_ULONG count = 32, len = strlen(b->token);
    CK_SLOT_ID slots[32];
    CK_TOKEN_INFO info;

    check("C_GetSlotList", b->f->C_GetSlotList(CK_TRUE, slots, &count));
    for (CK_ULONG i = 0; i < count; i++)
        if (b->f->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, b->token, len) == 0) {
            b->slot = slots[i];
            return;
        }
    die("no such token", 0);
}

static void bare_open(bench *b)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    void *library = dlopen(b->module, RTLD_NOW);
    CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
    CK_ATTRIBUTE label = {CKA_LABEL, (void *)b->name, strlen(b->name)};
    ek_secret *pin = NULL;
    CK_ULONG found = 0;

    if (library)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&b->f) != CKR_OK)
        die("the module does not load", 0);
    if (ek_file_read_secret(b->pin_file, 64, &pin, NULL) != 0)
        die("no PIN", 0);
    check("C_Initialize", b->f->C_Initialize(&args));
    find_slot(b);
    check("C_OpenSession", b->f->C_OpenSession(b->slot, CKF_SERIAL_SESSION, NULL, NULL, &b->login));
    check("C_Login", b->f->C_Login(b->login, CKU_USER, pin->bytes, strcspn((char *)pin->bytes, "\n")));
    ek_secret_free(&pin);
    check("C_FindObjectsInit", b->f->C_FindObjectsInit(b->login, &label, 1));
    check("C_FindObjects", b->f->C_FindObjects(b->login, &b->object, 1, &found));
    check("C_FindObjectsFinal", b->f->C_FindObjectsFinal(b->login));
    if (found != 1)
        die("no such key", 0);
}

static void *bare_run(void *ctx)
{
    runner *r = ctx;
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    CK_BYTE msg[MESSAGE] = {1}, mac[64];

    while (!atomic_load_explicit(&stop, memory_order_relaxed) && r->done != r->limit) {
        CK_ULONG len = sizeof(mac);

        check("C_SignInit", r->b->f->C_SignInit(r->session, &mechanism, r->b->object));
        check("C_Sign", r->b->f->C_Sign(r->session, msg, sizeof(msg), mac, &len));
        r->done++;
    }
    return NULL;
}

/* ---- ours ---- */

static void ours_open(bench *b)
{
    const ekmotp_p11_options options = {.pin_source = b->pin_file};
    ekmotp_error err = {0};
    char uri[512];

    snprintf(uri, sizeof(uri), "pkcs11:token=%s;object=%s?module-path=%s", b->token, b->name, b->module);
    if (ekmotp_p11_key_open(uri, &options, &b->key, &err) != 0) {
        fprintf(stderr, "bench token: %s\n", err.message);
        exit(1);
    }
}

static void *ours_run(void *ctx)
{
    runner *r = ctx;
    uint8_t msg[MESSAGE] = {1}, mac[64];
    ekmotp_error err = {0};

    while (!atomic_load_explicit(&stop, memory_order_relaxed) && r->done != r->limit) {
        if (ekmotp_key_mac(r->b->key, msg, sizeof(msg), mac, sizeof(mac), &err) != 0) {
            fprintf(stderr, "bench token: %s\n", err.message);
            exit(1);
        }
        r->done++;
    }
    return NULL;
}

/* ---- rounds ---- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* MACs per second, and the processor's time for each in microseconds. */
static double run(const bench *b, int threads, void *(*loop)(void *), double *cpu_us)
{
    const struct timespec length = {b->ms / 1000, b->ms % 1000 * 1000000};
    runner runners[THREADS_MAX];
    unsigned long sum = 0;
    double start, cpu;

    atomic_store(&stop, 0);
    for (int i = 0; i < threads; i++) {
        runners[i] = (runner){.b = b, .limit = (unsigned long)-1};
        if (loop == bare_run)
            check("C_OpenSession",
                  b->f->C_OpenSession(b->slot, CKF_SERIAL_SESSION, NULL, NULL, &runners[i].session));
    }
    start = seconds();
    cpu = cpu_seconds();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&runners[i].thread, NULL, loop, &runners[i]) != 0)
            die("no thread", 0);
    nanosleep(&length, NULL);
    atomic_store(&stop, 1);
    for (int i = 0; i < threads; i++) {
        pthread_join(runners[i].thread, NULL);
        sum += runners[i].done;
    }
    start = seconds() - start;
    *cpu_us = (cpu_seconds() - cpu) * 1e6 / (double)(sum ? sum : 1);
    for (int i = 0; i < threads && loop == bare_run; i++)
        b->f->C_CloseSession(runners[i].session);
    return (double)sum / start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(values[0]), compare);
    return values[ROUNDS / 2];
}

static void table(bench *b)
{
    /* The module is initialised by the bare loop; p11-kit takes part in that
     * (CKR_CRYPTOKI_ALREADY_INITIALIZED). */
    bare_open(b);
    ours_open(b);
    printf("threads  bare MAC/s  ours MAC/s  ours/bare  bare CPU us  ours CPU us  (medians of %d rounds of "
           "%ld ms)\n",
           ROUNDS, b->ms);
    for (int threads = 1; threads <= THREADS_MAX; threads *= 2) {
        double bare[ROUNDS], ours[ROUNDS], ratio[ROUNDS], bare_cpu[ROUNDS], ours_cpu[ROUNDS];

        for (int i = 0; i < ROUNDS; i++) {
            bare[i] = run(b, threads, bare_run, &bare_cpu[i]);
            ours[i] = run(b, threads, ours_run, &ours_cpu[i]);
            ratio[i] = ours[i] / bare[i];
        }
        printf("%7d %11.0f %11.0f %8.1f %% %12.2f %12.2f\n", threads, median(bare), median(ours),
               100 * median(ratio), median(bare_cpu), median(ours_cpu));
    }
    ekmotp_key_free(&b->key);
}

int main(int argc, char **argv)
{
    bench b = {0};

    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: token MODULE TOKEN KEY PIN-FILE MILLISECONDS [bare|ours COUNT]\n");
        return 2;
    }
    b.module = argv[1];
    b.token = argv[2];
    b.name = argv[3];
    b.pin_file = argv[4];
    b.ms = strtol(argv[5], NULL, 10);
    if (argc == 6) {
        table(&b);
    } else {
        runner r = {.b = &b, .limit = strtoul(argv[7], NULL, 10)};

        if (strcmp(argv[6], "ours") == 0) {
            ours_open(&b);
            ours_run(&r);
            ekmotp_key_free(&b.key);
        } else {
            bare_open(&b);
            r.session = b.login;
            bare_run(&r);
        }
    }
    return 0;
}
