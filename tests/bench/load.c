/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: a load generator that makes a valid proof for every request: many TLS connections, one request
 * under way on each, latencies in percentiles. For any HTTPS server that answers GET with a Content-Length.
 * It prints one line of JSON.
 *
 * A server may end a kept connection between two requests. A request that meets such an end, without a byte
 * of an answer, is sent again on a new connection, as each HTTP client does (RFC 9112 section 9.3.1), and
 * counted as "retried". Everything else that is no whole answer has "failed".
 */
#include "config.h"

#include "load_settings.h"

#include <ekmotp/client.h>
#include <ekmotp/openssl.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX (1u << 20)
#define REQUEST_SIZE 2048

static load_settings set;
static atomic_ullong answered, refused, failed, retried;
static atomic_uint sample_count;
static uint32_t samples[SAMPLES_MAX]; /* microseconds */
static volatile sig_atomic_t stopped; /* SIGTERM: the time is over */

typedef struct connection {
    int fd;
    SSL *ssl;
    ekmotp_channel *channel;
    ekmotp_client *client;
    uint64_t sent_at;
    unsigned answers; /* on this connection */
    int last;         /* the server has said that it ends after this answer */
    size_t have;
    char in[4096];
} connection;

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void close_connection(connection *c)
{
    ekmotp_client_free(&c->client);
    ekmotp_channel_free(&c->channel);
    if (c->ssl)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static int open_connection(connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)set.port)};
    int on = 1;

    memset(c, 0, offsetof(connection, in));
    to.sin_addr = set.address;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->ssl = SSL_new(set.tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
        return -1;
    if (set.key && (ekmotp_openssl_channel_new(c->ssl, &c->channel, NULL) != 0 ||
                    ekmotp_client_new(ekmotp_openssl_crypto(), set.key, (const uint8_t *)set.id,
                                      strlen(set.id), EKMOTP_PROFILE_V1, &c->client, NULL) != 0))
        return -1;
    return 0;
}

/* "Token: NUMBER.SIGNATURE": what a DPoP client does for each request, without the JSON around it. */
static int sign(char *out, size_t size)
{
    static atomic_ullong counter;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[128];
    size_t len = sizeof(signature);
    char payload[256];
    int n, ok;

    snprintf(payload, sizeof(payload), "%0180llu", (unsigned long long)++counter);
    ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, set.signer) == 1 &&
         EVP_DigestSign(ctx, signature, &len, (const unsigned char *)payload, strlen(payload)) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return -1;
    n = snprintf(out, size, "Token: %s.", payload);
    for (size_t i = 0; i < len; i++)
        n += snprintf(out + n, size - (size_t)n, "%02x", signature[i]);
    return n + snprintf(out + n, size - (size_t)n, "\r\n");
}

static int send_request(connection *c)
{
    char request[REQUEST_SIZE];
    ekmotp_header headers[EKMOTP_HEADERS_MAX];
    size_t count = 0;
    uint64_t n;
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n", set.path);

    if (c->client && ekmotp_client_headers(c->client, c->channel, headers, &count, &n, NULL) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        len += snprintf(request + len, sizeof(request) - (size_t)len, "%s: %s\r\n", headers[i].name,
                        headers[i].value);
    if (set.signer) {
        int more = sign(request + len, sizeof(request) - (size_t)len);

        if (more < 0)
            return -1;
        len += more;
    }
    len += snprintf(request + len, sizeof(request) - (size_t)len, "\r\n");
    c->have = 0;
    c->sent_at = now_us();
    return SSL_write(c->ssl, request, len) == len ? 0 : -1;
}

/* 1: a whole answer, 0: more to come, -1: broken. */
static int read_answer(connection *c)
{
    int n = SSL_read(c->ssl, c->in + c->have, (int)(sizeof(c->in) - 1 - c->have));
    const char *end, *length;

    if (n <= 0)
        return -1;
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return 0;
    length = strcasestr(c->in, "\r\nContent-Length: ");
    if (!length || c->have < (size_t)(end - c->in) + 4 + strtoul(length + 18, NULL, 10))
        return length ? 0 : -1;
    if (strncmp(c->in, "HTTP/1.1 200", 12) == 0)
        answered++;
    else
        refused++;
    c->answers++;
    c->last = strcasestr(c->in, "\r\nConnection: close") != NULL;
    n = (int)sample_count++;
    if ((unsigned)n < SAMPLES_MAX)
        samples[n] = (uint32_t)(now_us() - c->sent_at);
    return 1;
}

/* Opens a connection and sends its first request. */
static int start(connection *c, int ep)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    if (open_connection(c) != 0 || send_request(c) != 0)
        return -1;
    return epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event);
}

/* Reads what has come on a connection and sends its next request, unless the time is over. 1: still busy. */
static int turn(connection *c, int ep, int over)
{
    int rc;

    do
        rc = read_answer(c);
    while (rc == 0 && SSL_pending(c->ssl) > 0);
    if (rc == 0)
        return 1;
    if (rc == 1 && over)
        return 0;
    if (rc == 1 && !c->last)
        rc = send_request(c);
    if (rc < 0 && c->have == 0 && c->answers > 0) {
        retried++;
        rc = 1;
    }
    if (rc == 1) {
        close_connection(c);
        rc = start(c, ep);
    }
    if (rc < 0)
        failed++;
    return rc >= 0;
}

/* Keeps every connection busy until the end; what is under way then is waited for. */
static void run_kept(uint64_t end)
{
    int each = set.connections / set.threads, busy = 0, ep = epoll_create1(EPOLL_CLOEXEC);
    connection *all = calloc((size_t)each, sizeof(*all));
    struct epoll_event events[64];

    for (int i = 0; all && i < each; i++) {
        if (start(&all[i], ep) != 0)
            failed++;
        else
            busy++;
    }
    while (busy > 0 && now_us() < end + 5000000) {
        int n = epoll_wait(ep, events, 64, 100), over = stopped || now_us() >= end;

        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;

            if (turn(c, ep, over))
                continue;
            epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
            busy--;
        }
    }
    failed += (unsigned)busy;
    for (int i = 0; all && i < each; i++)
        close_connection(&all[i]);
    free(all);
    close(ep);
}

/* A new connection for each request. */
static void run_fresh(uint64_t end)
{
    connection c;

    while (!stopped && now_us() < end) {
        int rc = open_connection(&c) == 0 && send_request(&c) == 0 ? 0 : -1;

        while (rc == 0)
            rc = read_answer(&c);
        if (rc < 0)
            failed++;
        close_connection(&c);
    }
}

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void *run(void *arg)
{
    uint64_t end = *(const uint64_t *)arg;

    if (set.fresh)
        run_fresh(end);
    else
        run_kept(end);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t percentile(unsigned count, double p)
{
    return count ? samples[(unsigned)((double)(count - 1) * p)] : 0;
}

static void report(double seconds)
{
    unsigned count = sample_count < SAMPLES_MAX ? sample_count : SAMPLES_MAX;

    qsort(samples, count, sizeof(samples[0]), compare);
    printf("{\"answered\": %llu, \"refused\": %llu, \"failed\": %llu, \"retried\": %llu, \"seconds\": %.3f, "
           "\"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u}\n",
           answered, refused, failed, retried, seconds, (double)answered / seconds, percentile(count, 0.5),
           percentile(count, 0.99), percentile(count, 0.999));
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS_MAX];
    uint64_t began, end;

    load_settings_read(&set, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    began = now_us();
    end = began + (uint64_t)(set.seconds * 1e6);
    for (int i = 0; i < set.threads; i++)
        pthread_create(&ids[i], NULL, run, &end);
    for (int i = 0; i < set.threads; i++)
        pthread_join(ids[i], NULL);
    report((double)(now_us() - began) / 1e6);
    load_settings_clear(&set);
    return failed > 0;
}
