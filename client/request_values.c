/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "client/command.h"
#include "client/request_values.h"
#include "client/text.h"
#include "client/tls.h"

#include <ekmotp/jose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DATA_MAX (64UL << 20) /* bytes of a request's body: it is held in memory */

void ek_value_check(struct argp_state *state, const char *option, int rc, const ekmotp_error *err)
{
    if (rc != 0)
        argp_error(state, "%s: %s", option, err->message);
}

static void no_memory(struct argp_state *state) __attribute__((noreturn));

static void no_memory(struct argp_state *state)
{
    argp_failure(state, EK_EXIT_INTERNAL, 0, "out of memory");
    exit(EK_EXIT_INTERNAL);
}

void ek_value_append(struct argp_state *state, struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    if (!longer)
        no_memory(state);
    *list = longer;
}

/* The length of a host name, or of an IPv6 address in brackets; a bracket that is not closed: -1. */
static ssize_t host_length(const char *text)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");

    if (!end)
        return -1;
    return end - text + (*end == ']');
}

static ssize_t port_length(const char *text)
{
    char *end;
    size_t digits = strspn(text, "0123456789");

    return digits == 0 || (digits < 6 && strtoul(text, &end, 10) <= 65535) ? (ssize_t)digits : -1;
}

void ek_value_connect_to(struct argp_state *state, ek_request_options *options, const char *text)
{
    const char *at = text;

    for (int part = 0; at && part < 4; part++) {
        ssize_t len = part % 2 == 0 ? host_length(at) : port_length(at);

        if (len < 0 || at[len] != (part < 3 ? ':' : '\0'))
            at = NULL;
        else
            at += len + (part < 3);
    }
    if (!at)
        argp_error(state, "--connect-to '%.100s': give HOST1:PORT1:HOST2:PORT2, IPv6 addresses in brackets",
                   text);
    ek_value_append(state, &options->connect_to, text);
}

void ek_value_header(struct argp_state *state, ek_request_options *options, const char *line)
{
    /* Ours alone: two of them would be refused, or worse. */
    static const char *const ours[] = {"Authorization", "client", "apikey"};
    size_t name = strcspn(line, ":;");

    if (name == 0 || line[name] == '\0' || strcspn(line, " \t") < name || strpbrk(line, "\r\n"))
        argp_error(state, "-H '%.100s': not a header field; give 'Name: value' on one line", line);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strlen(ours[i]) == name && strncasecmp(line, ours[i], name) == 0)
            argp_error(state, "-H: the field %s carries the proof and cannot be set", ours[i]);
    if (name == strlen("Content-Length") && strncasecmp(line, "Content-Length", name) == 0)
        argp_error(state,
                   "-H: the field Content-Length is that of the body (-d) and cannot be set: with another "
                   "one the server would wait for bytes that do not come");
    ek_value_append(state, &options->headers, line);
}

/* Takes out what curl's -d takes out of files. */
static size_t strip_lines(char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        if (text[i] != '\r' && text[i] != '\n' && text[i] != '\0')
            text[n++] = text[i];
    return n;
}

void ek_value_data(struct argp_state *state, ek_request_options *options, const char *value, int binary)
{
    ekmotp_error err = {0};
    char *text = NULL, *joined;
    size_t len = 0, gap = options->data ? 1 : 0;

    if (value[0] == '@') {
        ek_value_check(state, "-d", ek_text_file(value + 1, DATA_MAX, &text, &len, &err), &err);
        if (!binary)
            len = strip_lines(text, len);
    } else {
        text = strdup(value);
        len = strlen(value);
    }
    joined = text ? realloc(options->data, options->data_len + gap + len + 1) : NULL;
    if (!joined)
        no_memory(state);
    if (gap)
        joined[options->data_len] = '&';
    memcpy(joined + options->data_len + gap, text, len);
    options->data = joined;
    options->data_len += gap + len;
    free(text);
}

void ek_value_carrier(struct argp_state *state, ek_request_options *options, const char *name)
{
    static const char *const names[] = {"header", "jws", "jwe"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            options->carrier = (ek_carrier)i;
            options->carrier_given = 1;
            return;
        }
    argp_error(state, "--carrier: '%.100s' is none of header, jws, jwe", name);
}

void ek_value_claims(struct argp_state *state, ek_request_options *options, const char *path)
{
    ekmotp_error err = {0};
    size_t len;

    free(options->claims);
    options->claims = NULL;
    ek_value_check(state, "--claims", ek_text_file(path, EKMOTP_JOSE_TOKEN_MAX, &options->claims, &len, &err),
                   &err);
    if (strlen(options->claims) != len)
        argp_error(state, "--claims: %.300s: holds a NUL byte", path);
}

void ek_value_groups(struct argp_state *state, ek_request_options *options, const char *list)
{
    char *names = strdup(list), *groups = strdup(list);

    if (!names || !groups)
        no_memory(state);
    for (char *rest = names, *name = strsep(&rest, ",:"); name; name = strsep(&rest, ",:"))
        if (!ek_tls_has_group(name))
            argp_error(state, "--groups: this %s has no group '%.50s'", ek_tls_crypto()->name, name);
    for (char *at = strchr(groups, ','); at; at = strchr(at, ','))
        *at = ':';
    free(names);
    free(options->groups);
    options->groups = groups;
}

void ek_value_url(struct argp_state *state, ek_request_options *options, char *url)
{
    ekmotp_error err = {0};

    if (options->url_count == EK_REQUEST_URLS_MAX)
        argp_error(state, "%d URLs at most", EK_REQUEST_URLS_MAX);
    ek_value_check(state, "URL", ek_origin_parse(url, &options->origins[options->url_count], &err), &err);
    options->urls[options->url_count++] = url;
}
