/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: a client for the matrix (see peer.h). Options and checks are those of ../node/client.js.
 * --event resumed, keyupdate or early-data: what happens to the connection besides.
 */
#include "peer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static options o = {"", "", "", "client1", "SHA-256", "v1", "1.3", "", ""};
static char host[256];
static unsigned port;
static uint8_t key[64];
static size_t key_len;

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

static size_t request_text(const char *credentials, char text[8192])
{
    snprintf(text, 8192, "GET /get HTTP/1.1\r\nHost: %s:%u\r\n%s\r\n", host, port, credentials);
    return strlen(text);
}

/* Sends a request and reads the whole answer; head gets its status line and fields. */
static int request(connection *c, const char *credentials, char head[8192])
{
    char text[8192], length[32];
    size_t len = 0, n;
    char *end = NULL;

    stack_write(c, text, request_text(credentials, text));
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

static void accepted(connection *c, channel *ch, fields *f)
{
    char head[8192], info[256];
    int status;

    channel_credentials(ch, f);
    status = request(c, f->text, head);
    if (status != 200)
        die("request %" PRIu64 ": status %d, not 200", f->n, status);
    field_of(head, "Authentication-Info", info, sizeof(info));
    if (strncmp(o.profile, "v1", 2) == 0)
        channel_check_server(ch, f->n, info);
}

static void refused(connection *c, const char *credentials, const char *what)
{
    char head[8192], challenge[256], info[256];
    int status = request(c, credentials, head);

    field_of(head, "WWW-Authenticate", challenge, sizeof(challenge));
    field_of(head, "Authentication-Info", info, sizeof(info));
    if (status != 401 || strncmp(challenge, "EKMOTP realm=\"", 14) != 0 || info[0] != '\0')
        die("%s: status %d, challenge %s; not a uniform 401", what, status, challenge);
}

/* The third character of the proof (of the signature, of the tag), another one. */
static void flip(fields *f)
{
    char *at = strstr(f->text, "apikey: "), *dot = strrchr(f->text, '.'), *p = strstr(f->text, "p=");

    at = at ? at + 8 : strstr(f->text, "Bearer ") ? dot + 1 : p + 2;
    at[2] = at[2] == 'A' ? 'B' : 'A';
}

static void read_options(int argc, char **argv)
{
    const struct {
        const char *name;
        const char **to;
    } known[] = {{"--url", &o.url},         {"--ca", &o.ca},         {"--client-key", &o.client_key},
                 {"--id", &o.id},           {"--hash", &o.hash},     {"--tls", &o.tls},
                 {"--profile", &o.profile}, {"--cipher", &o.cipher}, {"--event", &o.event}};
    FILE *f;

    for (int i = 1; i + 1 < argc; i += 2)
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            if (strcmp(argv[i], known[k].name) == 0)
                *known[k].to = argv[i + 1];
    if (sscanf(o.url, "https://%255[^:]:%u/", host, &port) != 2)
        die("not https://HOST:PORT/: %s", o.url);
    f = fopen(o.client_key, "rb");
    if (!f)
        die("%s cannot be read", o.client_key);
    key_len = fread(key, 1, sizeof(key), f);
    fclose(f);
}

/* A resumed session is a channel of its own: what was exported before is not exported again. */
static connection *resumed(connection *one)
{
    static const uint8_t context[] = "matrix";
    uint8_t before[32], after[32];
    connection *c = stack_connect(host, port, one);

    stack_export(one, "EXPERIMENTAL-matrix", context, 6, before, 32);
    stack_export(c, "EXPERIMENTAL-matrix", context, 6, after, 32);
    if (memcmp(before, after, 32) == 0)
        die("the resumed session exports what the first one exported");
    return c;
}

/* Rule 3: a request that comes early is not answered 200, whether the server takes it or not. */
static void early(connection *one, const fields *first)
{
    char text[8192], head[8192];
    connection *c = NULL;
    size_t n = 0;
    int taken = stack_connect_early(host, port, one, text, request_text(first->text, text), &c);

    printf("early data: %s\n", taken ? "taken" : "rejected");
    if (taken) {
        n = stack_read(c, head, sizeof(head) - 1);
        head[n] = '\0';
        if (n == 0 || strncmp(head, "HTTP/1.1 401", 12) != 0)
            die("a request in early data: %.40s", head);
        refused(c, first->text, "a request after early data");
    }
    stack_close(c);
}

int main(int argc, char **argv)
{
    fields first, more;
    connection *one, *two;
    channel *ch;

    read_options(argc, argv);
    stack_start(&o);
    one = stack_connect(host, port, NULL);
    ch = channel_open(one, &o, key, key_len);
    accepted(one, ch, &first);
    if (strcmp(o.event, "keyupdate") == 0)
        stack_key_update(one);
    accepted(one, ch, &more);
    channel_credentials(ch, &more);
    flip(&more);
    refused(one, more.text, "one bit changed");
    if (strncmp(o.profile, "v1", 2) == 0)
        refused(one, first.text, "the same request again");
    refused(one, "", "no credentials");
    channel_close(ch);
    if (strcmp(o.event, "early-data") == 0)
        early(one, &first);
    two = strcmp(o.event, "resumed") == 0 ? resumed(one) : stack_connect(host, port, NULL);
    refused(two, first.text, "the same proof on a second connection");
    ch = channel_open(two, &o, key, key_len);
    accepted(two, ch, &more);
    channel_close(ch);
    stack_close(one);
    stack_close(two);
    printf("ok %s %s TLS %s %s\n", o.profile, o.hash, o.tls, stack_name());
    return 0;
}
