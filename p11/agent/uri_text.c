/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "p11/agent/uri_text.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "pkcs11:"

/* One attribute of a URI: name=value. */
typedef struct attribute {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
    size_t len; /* of both and the sign between */
    int query;
} attribute;

/* Steps to the next attribute; *at starts behind the scheme. 0 at the end. */
static int next_attribute(const char **at, int *query, attribute *out)
{
    const char *p = *at, *equals;
    size_t len;

    while (*p == ';' || *p == '&' || *p == '?') {
        if (*p == '?')
            *query = 1;
        p++;
    }
    if (*p == '\0')
        return 0;
    len = strcspn(p, *query ? "&" : ";?");
    equals = memchr(p, '=', len);
    out->name = p;
    out->name_len = equals ? (size_t)(equals - p) : len;
    out->value = equals ? equals + 1 : p + len;
    out->value_len = equals ? len - out->name_len - 1 : 0;
    out->len = len;
    out->query = *query;
    *at = p + len;
    return 1;
}

static int is_named(const attribute *a, const char *name)
{
    return a->name_len == strlen(name) && strncmp(a->name, name, a->name_len) == 0;
}

static const char *start_of(const char *uri)
{
    return strncmp(uri, SCHEME, strlen(SCHEME)) == 0 ? uri + strlen(SCHEME) : uri;
}

/* The URI without the attributes of the given names. */
static char *without(const char *uri, const char *const *names)
{
    const char *at = start_of(uri);
    char *out = malloc(strlen(uri) + 1), *end = out;
    int query = 0, in_query = 0, first = 1;
    attribute a;

    if (!out)
        return NULL;
    memcpy(end, uri, (size_t)(at - uri));
    end += at - uri;
    while (next_attribute(&at, &query, &a)) {
        int drop = 0;

        for (size_t i = 0; names[i]; i++)
            drop |= is_named(&a, names[i]);
        if (drop)
            continue;
        if (a.query && !in_query)
            *end++ = '?';
        else if (!first)
            *end++ = a.query ? '&' : ';';
        in_query = a.query;
        first = 0;
        memcpy(end, a.name, a.len);
        end += a.len;
    }
    *end = '\0';
    return out;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The decoded value of an attribute (RFC 3986 section 2.1). */
static int decode(const attribute *a, char **out, ekmotp_error *err)
{
    char *text = malloc(a->value_len + 1);
    size_t n = 0;

    if (!text)
        return ekmotp_error_set(err, EKMOTP_E_NOMEM, "PKCS#11 URI: out of memory");
    for (size_t i = 0; i < a->value_len; i++) {
        int c = (unsigned char)a->value[i];

        if (c == '%') {
            int high = i + 2 < a->value_len ? hex(a->value[i + 1]) : -1;
            int low = high >= 0 ? hex(a->value[i + 2]) : -1;

            c = low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) {
            free(text);
            return ekmotp_error_set(err, EKMOTP_E_URI, "PKCS#11 URI: the value of %.*s has a bad %% sequence",
                                    (int)a->name_len, a->name);
        }
        text[n++] = (char)c;
    }
    text[n] = '\0';
    free(*out);
    *out = text;
    return 0;
}

char *ek_uri_text_plain(const char *uri)
{
    static const char *const names[] = {"pin-source", NULL};

    return without(uri, names);
}

int ek_uri_text_has(const char *uri, const char *name)
{
    const char *at = start_of(uri);
    int query = 0;
    attribute a;

    while (next_attribute(&at, &query, &a))
        if (is_named(&a, name))
            return 1;
    return 0;
}

int ek_uri_text_value(const char *uri, const char *name, char **out, ekmotp_error *err)
{
    const char *at = start_of(uri);
    char *value = NULL;
    int query = 0, rc = 0;
    attribute a;

    while (rc == 0 && next_attribute(&at, &query, &a))
        if (is_named(&a, name))
            rc = decode(&a, &value, err);
    if (rc == 0)
        *out = value;
    else
        free(value);
    return rc;
}

char *ek_uri_text_token(const char *uri)
{
    static const char *const names[] = {"object", "id", "type", NULL};

    return without(uri, names);
}

char *ek_uri_text_module(const char *uri)
{
    const char *at = start_of(uri), *best = "";
    size_t len = 0;
    int query = 0, path = 0;
    attribute a;

    while (next_attribute(&at, &query, &a)) {
        if (!is_named(&a, "module-path") && (path || !is_named(&a, "module-name")))
            continue;
        path = is_named(&a, "module-path");
        best = a.value;
        len = a.value_len;
    }
    return strndup(best, len);
}
