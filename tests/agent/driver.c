/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c: the client's side of an agent, for the shell tests.
 *
 *   driver AGENT COMMAND ...      AGENT is the path of an agent's socket, or "spawn:PROGRAM"
 *     mac URI HEX [HASH]          prints the MAC
 *     stream URI THREADS COUNT KEYFILE [UNTIL]
 *                                 COUNT MACs of different messages from THREADS threads, each checked against
 *                                 the key bytes of KEYFILE; goes on until all were made or UNTIL seconds went
 *                                 by. Prints "right R wrong W failed F" and a line for each kind of failure
 *     rate URI THREADS SECONDS    prints MACs per second
 *     status | lock | stop | admin JSON
 *     fork URI                    uses the key on both sides of a fork
 *     hold URI FILE               opens, makes FILE, waits until it is gone, then makes a MAC of v1, more
 * than once if the token was just seen to go away
 *
 * Options come from the environment: PIN_FILE (pin_source), PIN (what the callback gives), TIMEOUT (ms);
 * STATUS names a file that the agent's status is written to once the key is open.
 */
#include "lib/common/secret.h"
#include "p11/agent/deadline.h"

#include <ekmotp/openssl.h>
#include <ekmotp/p11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int asked;

static int give_pin(void *ctx, const char *token, char *pin, size_t size, ekmotp_error *err)
{
    const char *text = ctx;

    asked++;
    fprintf(stderr, "PIN for '%s'\n", token);
    if (strlen(text) > size)
        return ekmotp_error_set(err, EKMOTP_E_LIMIT, "too long a PIN");
    memcpy(pin, text, strlen(text));
    return (int)strlen(text);
}

static int fail(int rc, const ekmotp_error *err)
{
    printf("error %d %s\n", rc, err->message);
    return 1;
}

static ekmotp_p11_options options_from_environment(void)
{
    ekmotp_p11_options o = {.pin_source = getenv("PIN_FILE")};

    if (getenv("PIN")) {
        o.pin = give_pin;
        o.pin_ctx = getenv("PIN");
    }
    if (getenv("TIMEOUT"))
        o.timeout_ms = (unsigned)atoi(getenv("TIMEOUT"));
    return o;
}

static void print_hex(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

static int make_mac(ekmotp_key *key, const char *hex)
{
    uint8_t msg[EKMOTP_MAC_MESSAGE_MAX], mac[EKMOTP_HASH_MAX_SIZE];
    ekmotp_error err = {0};
    size_t n = 0;
    unsigned byte;
    int rc;

    for (; n < sizeof(msg) && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        msg[n] = (uint8_t)byte;
    rc = ekmotp_key_mac(key, msg, n, mac, sizeof(mac), &err);
    if (rc != 0)
        return fail(rc, &err);
    print_hex(mac, ekmotp_hash_size(ekmotp_key_hash(key)));
    return 0;
}

typedef struct stream {
    ekmotp_key *key, *truth;
    pthread_mutex_t lock;
    unsigned next, count;
    int64_t until;
    unsigned right, wrong, failed, kinds[128];
    char last[128][EKMOTP_ERROR_MESSAGE_SIZE];
    int64_t longest;
} stream;

/* The message of the v1 channel secret whose EKM says n. */
static size_t message_of(unsigned n, uint8_t *msg)
{
    memset(msg, 0, 4 + 18 + 32 + 4);
    msg[3] = 1;
    memcpy(msg + 4, "ekmotp v1 channel", 18);
    memcpy(msg + 22, &n, sizeof(n));
    msg[4 + 18 + 32 + 2] = 1;
    return 4 + 18 + 32 + 4;
}

static int make_one(stream *s, unsigned n)
{
    uint8_t msg[128], mac[64], want[64];
    size_t len = message_of(n, msg);
    ekmotp_error err = {0};
    int64_t start = ek_time_ms(), took;
    int rc = ekmotp_key_mac(s->key, msg, len, mac, sizeof(mac), &err);

    took = ek_time_ms() - start;
    if (rc == 0 && s->truth && ekmotp_key_mac(s->truth, msg, len, want, sizeof(want), NULL) != 0)
        abort();
    pthread_mutex_lock(&s->lock);
    if (took > s->longest)
        s->longest = took;
    if (rc != 0) {
        s->failed++;
        s->kinds[-rc]++;
        memcpy(s->last[-rc], err.message, sizeof(err.message));
    } else if (s->truth && !ek_equal(mac, want, 32)) {
        s->wrong++;
    } else {
        s->right++;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static void *stream_thread(void *ctx)
{
    stream *s = ctx;

    for (;;) {
        unsigned n;

        pthread_mutex_lock(&s->lock);
        n = s->next++;
        pthread_mutex_unlock(&s->lock);
        if (n >= s->count)
            return NULL;
        /* One that failed is made again: the stream goes on. */
        while (make_one(s, n) != 0 && ek_time_ms() < s->until)
            usleep(2000);
        if (s->truth == NULL && ek_time_ms() >= s->until)
            return NULL;
    }
}

static double run_threads(stream *s, int threads)
{
    pthread_t ids[64];
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, stream_thread, s) != 0)
            abort();
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static int run_stream(ekmotp_key *key, int argc, char **argv)
{
    static stream s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    uint8_t bytes[64];
    FILE *f = fopen(argv[2], "r");
    size_t len = f ? fread(bytes, 1, sizeof(bytes), f) : 0;
    ekmotp_error err = {0};

    if (!f || ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, len,
                                   EKMOTP_KEY_ALLOW_SHORT, &s.truth, &err) != 0)
        return fail(err.code, &err);
    fclose(f);
    s.key = key;
    s.count = (unsigned)atoi(argv[1]);
    s.until = ek_time_ms() + (argc > 3 ? atoi(argv[3]) : 30) * 1000;
    run_threads(&s, atoi(argv[0]));
    printf("right %u wrong %u failed %u longest %lld\n", s.right, s.wrong, s.failed, (long long)s.longest);
    for (int i = 0; i < 128; i++)
        if (s.kinds[i])
            printf("  %u of %d: %s\n", s.kinds[i], -i, s.last[i]);
    ekmotp_key_free(&s.truth);
    return s.wrong == 0 && s.right == s.count ? 0 : 1;
}

static int run_rate(ekmotp_key *key, char **argv)
{
    static stream s = {.lock = PTHREAD_MUTEX_INITIALIZER, .count = ~0U};
    double took;

    s.key = key;
    s.until = ek_time_ms() + atoi(argv[1]) * 1000;
    took = run_threads(&s, atoi(argv[0]));
    printf("%.0f\n", s.right / took);
    return s.failed == 0 ? 0 : 1;
}

static int run_fork(ekmotp_key *key)
{
    pid_t pid;
    int status = 0, rc;

    if (make_mac(key, "00") != 0)
        return 1;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        rc = make_mac(key, "00"); /* a clear error, at once */
        ekmotp_key_free(&key);
        fflush(stdout);
        _exit(rc);
    }
    waitpid(pid, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
    return make_mac(key, "00");
}

static int run_hold(ekmotp_key *key, const char *path)
{
    uint8_t msg[128], mac[EKMOTP_HASH_MAX_SIZE];
    size_t len = message_of(0, msg);
    int64_t until = ek_time_ms() + 5000;
    ekmotp_error err = {0};
    FILE *f = fopen(path, "w");
    int rc;

    if (!f)
        return 1;
    fclose(f);
    while (access(path, F_OK) == 0)
        usleep(10000);
    while ((rc = ekmotp_key_mac(key, msg, len, mac, sizeof(mac), &err)) == EKMOTP_E_TOKEN_AWAY &&
           ek_time_ms() < until)
        usleep(10000);
    if (rc != 0)
        return fail(rc, &err);
    print_hex(mac, ekmotp_hash_size(ekmotp_key_hash(key)));
    return 0;
}

static void write_status(ekmotp_agent *agent)
{
    char *json = NULL;
    FILE *f = getenv("STATUS") ? fopen(getenv("STATUS"), "w") : NULL;

    if (f && ekmotp_agent_status(agent, &json, NULL) == 0)
        fprintf(f, "%s\n", json);
    if (f)
        fclose(f);
    free(json);
}

static int with_key(ekmotp_agent *agent, int argc, char **argv)
{
    ekmotp_p11_options o = options_from_environment();
    ekmotp_error err = {0};
    ekmotp_key *key = NULL;
    int rc;

    if (strcmp(argv[0], "mac") == 0 && argc > 3 && ekmotp_hash_parse(argv[3], &o.hash, &err) != 0)
        return fail(err.code, &err);
    rc = ekmotp_agent_key_open(agent, argv[1], &o, &key, &err);
    if (rc != 0)
        return fail(rc, &err);
    write_status(agent);
    if (strcmp(argv[0], "mac") == 0)
        rc = make_mac(key, argv[2]);
    else if (strcmp(argv[0], "stream") == 0)
        rc = run_stream(key, argc - 2, argv + 2);
    else if (strcmp(argv[0], "rate") == 0)
        rc = run_rate(key, argv + 2);
    else if (strcmp(argv[0], "fork") == 0)
        rc = run_fork(key);
    else if (strcmp(argv[0], "hold") == 0)
        rc = run_hold(key, argv[2]);
    else
        rc = 2;
    ekmotp_key_free(&key);
    return rc;
}

static int without_key(ekmotp_agent *agent, char **argv)
{
    ekmotp_error err = {0};
    char *json = NULL;
    int rc;

    if (strcmp(argv[0], "status") == 0)
        rc = ekmotp_agent_status(agent, &json, &err);
    else if (strcmp(argv[0], "lock") == 0)
        rc = ekmotp_agent_lock(agent, &err);
    else if (strcmp(argv[0], "stop") == 0)
        rc = ekmotp_agent_stop(agent, &err);
    else
        rc = ekmotp_agent_admin(agent, argv[1], 0, &json, &err);
    if (json)
        puts(json);
    free(json);
    return rc == 0 ? 0 : fail(rc, &err);
}

int main(int argc, char **argv)
{
    ekmotp_agent *agent = NULL;
    ekmotp_error err = {0};
    int rc;

    if (argc < 3)
        return 2;
    if (strncmp(argv[1], "spawn:", 6) == 0)
        rc = ekmotp_agent_spawn(argv[1] + 6, &agent, &err);
    else
        rc = ekmotp_agent_connect(argv[1], &agent, &err);
    if (rc != 0)
        return fail(rc, &err);
    if (argc == 3 || strcmp(argv[2], "admin") == 0)
        rc = without_key(agent, argv + 2);
    else
        rc = with_key(agent, argc - 2, argv + 2);
    ekmotp_agent_free(&agent);
    return rc;
}
