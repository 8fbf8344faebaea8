/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: a load generator that makes a valid proof for every request: many TLS connections, one request
 * under way on each, latencies in percentiles. For any HTTPS server that answers GET with a Content-Length.
 * It prints one line of JSON.
 */
#include "config.h"

#include <argp.h>
#include <arpa/inet.h>
#include <ekmotp/client.h>
#include <ekmotp/openssl.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX (1u << 20)
#define REQUEST_SIZE 2048

typedef struct settings {
    int port, connections, threads, fresh;
    double seconds;
    const char *id, *path, *cert, *cert_key;
    ekmotp_key *key;
    EVP_PKEY *signer;
    SSL_CTX *tls;
} settings;

static settings set = {.connections = 32, .threads = 1, .seconds = 2, .id = "alice", .path = "/get"};
static atomic_ullong answered, refused, failed;
static atomic_uint sample_count;
static uint32_t samples[SAMPLES_MAX]; /* microseconds */

typedef struct connection {
    int fd;
    SSL *ssl;
    ekmotp_channel *channel;
    ekmotp_client *client;
    uint64_t sent_at;
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
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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
    n = (int)sample_count++;
    if ((unsigned)n < SAMPLES_MAX)
        samples[n] = (uint32_t)(now_us() - c->sent_at);
    return 1;
}

/* Reads what has come on a connection and sends its next request, unless the time is over. 1: still busy. */
static int turn(connection *c, int over)
{
    int rc;

    do
        rc = read_answer(c);
    while (rc == 0 && SSL_pending(c->ssl) > 0);
    if (rc == 1 && over)
        return 0;
    if (rc == 1)
        rc = send_request(c);
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
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};

        if (open_connection(&all[i]) != 0 || send_request(&all[i]) != 0 ||
            epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &event) != 0)
            failed++;
        else
            busy++;
    }
    while (busy > 0 && now_us() < end + 5000000) {
        int n = epoll_wait(ep, events, 64, 100), over = now_us() >= end;

        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;

            if (turn(c, over))
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

    while (now_us() < end) {
        int rc = open_connection(&c) == 0 && send_request(&c) == 0 ? 0 : -1;

        while (rc == 0)
            rc = read_answer(&c);
        if (rc < 0)
            failed++;
        close_connection(&c);
    }
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
    printf("{\"answered\": %llu, \"refused\": %llu, \"failed\": %llu, \"seconds\": %.3f, \"rate\": %.1f, "
           "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u}\n",
           answered, refused, failed, seconds, (double)answered / seconds, percentile(count, 0.5),
           percentile(count, 0.99), percentile(count, 0.999));
}

static int read_key(const char *path)
{
    uint8_t bytes[EKMOTP_KEY_MAX_SIZE];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0;

    if (f)
        fclose(f);
    return ekmotp_key_new_bytes(ekmotp_openssl_crypto(), EKMOTP_HASH_SHA256, bytes, n, 0, &set.key, NULL);
}

static int read_signer(const char *path)
{
    FILE *f = fopen(path, "rb");

    set.signer = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return set.signer ? 0 : -1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'p':
        set.port = atoi(arg);
        return 0;
    case 'c':
        set.connections = atoi(arg);
        return 0;
    case 't':
        set.threads = atoi(arg);
        return 0;
    case 's':
        set.seconds = atof(arg);
        return 0;
    case 'n':
        set.fresh = 1;
        return 0;
    case 'i':
        set.id = arg;
        return 0;
    case 'u':
        set.path = arg;
        return 0;
    case 'k':
        if (read_key(arg) != 0)
            argp_error(state, "%s is no client key", arg);
        return 0;
    case 'g':
        if (read_signer(arg) != 0)
            argp_error(state, "%s is no private key", arg);
        return 0;
    case 'e':
        set.cert = arg;
        return 0;
    case 'E':
        set.cert_key = arg;
        return 0;
    case ARGP_KEY_END:
        if (set.port <= 0 || set.connections < 1 || set.threads < 1 || set.threads > 64)
            argp_error(state, "name a port, and at least one connection and thread");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"port", 'p', "PORT", 0, "of the server on 127.0.0.1", 0},
        {"connections", 'c', "N", 0, "side by side (32)", 0},
        {"threads", 't', "N", 0, "of this program (1)", 0},
        {"seconds", 's', "S", 0, "to run (2)", 0},
        {"new", 'n', NULL, 0, "a new connection for each request, one per thread", 0},
        {"id", 'i', "ID", 0, "client id (alice)", 0},
        {"key", 'k', "FILE", 0, "client key: make a v1 proof for each request", 0},
        {"sign", 'g', "FILE", 0, "private key: sign each request (ES256)", 0},
        {"cert", 'e', "FILE", 0, "client certificate, for mutual TLS", 0},
        {"cert-key", 'E', "FILE", 0, "its private key", 0},
        {"path", 'u', "PATH", 0, "what to ask for (/get)", 0},
        {0},
    };
    const struct argp argp = {options, parse, NULL, "Loads an HTTPS server on this machine.",
                              NULL,    NULL,  NULL};
    pthread_t ids[64];
    uint64_t start, end;

    if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
        return 2;
    set.tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(set.tls, SSL_SESS_CACHE_OFF);
    if (set.cert && (SSL_CTX_use_certificate_file(set.tls, set.cert, SSL_FILETYPE_PEM) != 1 ||
                     SSL_CTX_use_PrivateKey_file(set.tls, set.cert_key, SSL_FILETYPE_PEM) != 1)) {
        fprintf(stderr, "load: the client certificate cannot be used\n");
        return 2;
    }
    start = now_us();
    end = start + (uint64_t)(set.seconds * 1e6);
    for (int i = 0; i < set.threads; i++)
        pthread_create(&ids[i], NULL, run, &end);
    for (int i = 0; i < set.threads; i++)
        pthread_join(ids[i], NULL);
    report((double)(now_us() - start) / 1e6);
    ekmotp_key_free(&set.key);
    EVP_PKEY_free(set.signer);
    SSL_CTX_free(set.tls);
    return failed > 0;
}
