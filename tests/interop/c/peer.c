/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.c: a client of profile v1 (header carrier), written from docs/protocol.md alone, on whatever TLS stack
 * is linked to it. Options and checks are those of ../node/client.js.
 */
#include "peer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *url = "", *ca = "", *key_file = "", *id = "client1", *hash = "SHA-256", *tls = "1.3";
static char host[256];
static unsigned port;
static uint8_t key[64];
static size_t key_len;

/* What both ends know of one channel. */
typedef struct channel {
    int bits;
    size_t size;
    uint8_t exported[80]; /* EKM, then the check value */
    uint8_t secret[64];
} channel;

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s client: ", stack_name());
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void put(uint8_t *out, size_t *len, const void *data, size_t n)
{
    memcpy(out + *len, data, n);
    *len += n;
}

static void put_u32(uint8_t *out, size_t *len, uint32_t x)
{
    const uint8_t b[4] = {(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};

    put(out, len, b, 4);
}

/* Section 2.2; one block is enough. */
static void kdf(int bits, const uint8_t *k, size_t k_len, const char *label, const void *context,
                size_t context_len, uint32_t out_bits, uint8_t *out)
{
    uint8_t message[256], mac[64];
    size_t len = 0;

    put_u32(message, &len, 1);
    put(message, &len, label, strlen(label) + 1); /* the terminator is the separator */
    put(message, &len, context, context_len);
    put_u32(message, &len, out_bits);
    stack_hmac(bits, k, k_len, message, len, mac);
    memcpy(out, mac, out_bits / 8);
}

static void open_channel(connection *c, channel *ch)
{
    uint8_t context[4 + 255];
    size_t id_len = strlen(id);

    ch->bits = atoi(hash + 4);
    ch->size = (size_t)ch->bits / 8;
    context[0] = 1;
    context[1] = ch->bits == 256 ? 4 : ch->bits == 384 ? 5 : 6;
    context[2] = (uint8_t)(id_len >> 8);
    context[3] = (uint8_t)id_len;
    memcpy(context + 4, id, id_len);
    stack_export(c, "EXPERIMENTAL-ekmotp-v1", context, 4 + id_len, ch->exported, ch->size + 16);
    kdf(ch->bits, key, key_len, "ekmotp v1 channel", ch->exported, ch->size, (uint32_t)(8 * ch->size),
        ch->secret);
}

static void proof(const channel *ch, const char *label, uint64_t n, uint8_t out[32])
{
    uint8_t context[8];

    for (int i = 0; i < 8; i++)
        context[i] = (uint8_t)(n >> (56 - 8 * i));
    kdf(ch->bits, ch->secret, ch->size, label, context, 8, 256, out);
}

static void base64url(const uint8_t *in, size_t len, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int count = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (count += 8; count >= 6; count -= 6)
            *out++ = alphabet[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *out++ = alphabet[bits << (6 - count) & 63];
    *out = '\0';
}

static void authorization(const channel *ch, uint64_t n, char out[1024])
{
    char k[400], p[64], v[64];
    uint8_t mac[32];

    proof(ch, "ekmotp v1 client proof", n, mac);
    base64url((const uint8_t *)id, strlen(id), k);
    base64url(mac, 32, p);
    base64url(ch->exported + ch->size, 16, v);
    snprintf(out, 1024, "EKMOTP k=%s, n=%" PRIu64 ", p=%s, v=%s", k, n, p, v);
}

/* The value of a field of an answer; "" where there is none. */
static void field_of(const char *head, const char *name, char *out, size_t size)
{
    const char *line = head;

    out[0] = '\0';
    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            line += strlen(name) + 1;
            line += strspn(line, " ");
            snprintf(out, size, "%.*s", (int)strcspn(line, "\r"), line);
            return;
        }
    }
}

/* Sends a request and reads the whole answer; head gets its status line and fields. */
static int request(connection *c, const char *value, char head[8192])
{
    char text[2048], length[32];
    size_t len = 0, n;
    char *end = NULL;

    snprintf(text, sizeof(text), "GET /get HTTP/1.1\r\nHost: %s:%u\r\n%s%s%s\r\n", host, port,
             value ? "Authorization: " : "", value ? value : "", value ? "\r\n" : "");
    stack_write(c, text, strlen(text));
    while (!end || len < (size_t)(end - head) + 4 + strtoul(length, NULL, 10)) {
        n = stack_read(c, head + len, 8191 - len);
        if (n == 0)
            die("the server closed the connection");
        len += n;
        head[len] = '\0';
        if (!end && (end = strstr(head, "\r\n\r\n")) != NULL)
            field_of(head, "Content-Length", length, sizeof(length));
    }
    return atoi(head + strlen("HTTP/1.1 "));
}

static void accepted(connection *c, const channel *ch, uint64_t n, char value[1024])
{
    char head[8192], info[256], wanted[64] = "p=";
    uint8_t mac[32];
    int status;

    authorization(ch, n, value);
    status = request(c, value, head);
    if (status != 200)
        die("request %" PRIu64 ": status %d, not 200", n, status);
    proof(ch, "ekmotp v1 server proof", n, mac);
    base64url(mac, 32, wanted + 2);
    field_of(head, "Authentication-Info", info, sizeof(info));
    if (strcmp(info, wanted) != 0)
        die("request %" PRIu64 ": the server's proof is missing or wrong", n);
}

static void refused(connection *c, const char *value, const char *what)
{
    char head[8192], challenge[256], info[256];
    int status = request(c, value, head);

    field_of(head, "WWW-Authenticate", challenge, sizeof(challenge));
    field_of(head, "Authentication-Info", info, sizeof(info));
    if (status != 401 || strncmp(challenge, "EKMOTP realm=\"", 14) != 0 || info[0] != '\0')
        die("%s: status %d, challenge %s; not a uniform 401", what, status, challenge);
}

static void read_options(int argc, char **argv)
{
    const struct {
        const char *name;
        const char **to;
    } options[] = {{"--url", &url}, {"--ca", &ca},     {"--client-key", &key_file},
                   {"--id", &id},   {"--hash", &hash}, {"--tls", &tls}};
    FILE *f;

    for (int i = 1; i + 1 < argc; i += 2)
        for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++)
            if (strcmp(argv[i], options[k].name) == 0)
                *options[k].to = argv[i + 1];
    if (sscanf(url, "https://%255[^:]:%u/", host, &port) != 2)
        die("not https://HOST:PORT/: %s", url);
    f = fopen(key_file, "rb");
    if (!f)
        die("%s cannot be read", key_file);
    key_len = fread(key, 1, sizeof(key), f);
    fclose(f);
}

int main(int argc, char **argv)
{
    char first[1024], value[1024], *flipped;
    connection *one, *two;
    channel ch;

    read_options(argc, argv);
    stack_start(ca, tls);
    one = stack_connect(host, port);
    open_channel(one, &ch);
    accepted(one, &ch, 1, first);
    accepted(one, &ch, 2, value);
    authorization(&ch, 3, value);
    flipped = strstr(value, "p=") + 4;
    *flipped = *flipped == 'A' ? 'B' : 'A';
    refused(one, value, "one bit changed");
    refused(one, first, "the same request again");
    refused(one, NULL, "no credentials");
    two = stack_connect(host, port);
    refused(two, first, "the same proof on a second connection");
    open_channel(two, &ch);
    accepted(two, &ch, 1, value);
    stack_close(one);
    stack_close(two);
    printf("ok v1 %s TLS %s %s\n", hash, tls, stack_name());
    return 0;
}
