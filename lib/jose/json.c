/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/jose/json.h"

#include <stdlib.h>
#include <string.h>

/* Where the scan of a text stands. */
typedef struct scan {
    char *out;
    size_t len; /* of out */
    size_t depth;
    int in_string;
    int escaped;
    size_t key_start; /* of the string that is a member's name at depth 1; SIZE_MAX: none is open */
    int n_follows;    /* the last such name is n */
    size_t n_start;   /* of the first value of n in out; 0: none yet */
} scan;

static void scan_string_char(scan *s, char c)
{
    s->out[s->len++] = c;
    if (s->escaped) {
        s->escaped = 0;
    } else if (c == '\\') {
        s->escaped = 1;
    } else if (c == '"') {
        s->in_string = 0;
        s->n_follows =
            s->key_start != SIZE_MAX && s->len - s->key_start == 3 && s->out[s->key_start + 1] == 'n';
        s->key_start = SIZE_MAX;
    }
}

static void scan_token_char(scan *s, char c)
{
    if (c == '"') {
        char before = s->len > 0 ? s->out[s->len - 1] : '\0';

        s->in_string = 1;
        s->key_start = s->depth == 1 && (before == '{' || before == ',') ? s->len : SIZE_MAX;
    } else if (c == '{' || c == '[') {
        s->depth++;
    } else if ((c == '}' || c == ']') && s->depth > 0) {
        s->depth--;
    } else if (c == ':' && s->n_follows && s->n_start == 0) {
        s->n_start = s->len + 1;
    }
    s->n_follows = 0;
    s->out[s->len++] = c;
}

static int is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
           c == '-' || c == '.';
}

/*
 * Drops the white space between tokens, bounds the depth before jansson recurses, and finds n. Whether
 * the text is JSON at all is jansson's to say.
 */
static int scan_text(const char *place, const char *text, size_t len, scan *s, ekmotp_error *err)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (s->in_string) {
            scan_string_char(s, c);
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            continue;
        } else {
            /* "1 2" is an error and must not become 12. */
            if (s->len > 0 && text[i - 1] != s->out[s->len - 1] && is_word_char(c) &&
                is_word_char(s->out[s->len - 1]))
                return ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: white space inside a value at offset %zu",
                                        place, i - 1);
            scan_token_char(s, c);
        }
        if (s->depth > EK_JSON_DEPTH_MAX)
            return ekmotp_error_set(err, EKMOTP_E_LIMIT, "%s: more than %d levels at offset %zu", place,
                                    EK_JSON_DEPTH_MAX, i);
    }
    s->out[s->len] = '\0';
    return 0;
}

/* Reads the digits at text; returns how many, 0 if they are no plain integer of at most 2^64-1. */
static size_t read_integer(const char *text, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");
    uint64_t v = 0;

    if (n == 0 || (n > 1 && text[0] == '0') || (text[n] != ',' && text[n] != '}'))
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return 0;
    }
    *value = v;
    return n;
}

int ek_json_read(const char *place, const char *text, size_t len, ek_json *json, ekmotp_error *err)
{
    scan s = {.key_start = SIZE_MAX};
    json_error_t why;
    char *tree = NULL;
    json_t *object = NULL;
    uint64_t n = 0;
    size_t n_len = 0;
    int rc;

    s.out = malloc(len + 1);
    tree = malloc(len + 1);
    if (!s.out || !tree) {
        rc = ekmotp_error_set(err, EKMOTP_E_NOMEM, "%s: out of memory", place);
        goto out;
    }
    if ((rc = scan_text(place, text, len, &s, err)) != 0)
        goto out;
    memcpy(tree, s.out, s.len + 1);
    if (s.n_start > 0 && (n_len = read_integer(tree + s.n_start, &n)) > 0) {
        memset(tree + s.n_start, ' ', n_len);
        tree[s.n_start] = '1';
    }
    object = json_loadb(tree, s.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(object)) {
        rc = ekmotp_error_set(err, EKMOTP_E_SYNTAX, "%s: is not a JSON object (%s)", place,
                              object                                              ? "an array"
                              : json_error_code(&why) == json_error_duplicate_key ? "a member stands twice"
                                                                                  : "malformed");
        goto out;
    }
    *json = (ek_json){.object = object, .text = s.out, .len = s.len, .n = n};
    object = NULL;
    s.out = NULL;
    rc = 0;
out:
    json_decref(object);
    free(tree);
    free(s.out);
    return rc;
}

void ek_json_clear(ek_json *json)
{
    if (!json)
        return;
    json_decref(json->object);
    free(json->text);
    memset(json, 0, sizeof(*json));
}

int ek_json_is_string(const json_t *value, const void *bytes, size_t len)
{
    return json_is_string(value) && json_string_length(value) == len &&
           memcmp(json_string_value(value), bytes, len) == 0;
}

const char *ek_json_shown(const json_t *value, char buf[EK_JSON_SHOWN_SIZE])
{
    size_t n = 0;
    const char *s;

    if (!value)
        return "(missing)";
    if (!json_is_string(value))
        return "(not a string)";
    s = json_string_value(value);
    for (; n < 40 && s[n] != '\0'; n++)
        buf[n] = s[n] > ' ' && s[n] < 127 ? s[n] : '?';
    memcpy(buf + n, s[n] != '\0' ? "..." : "", s[n] != '\0' ? 4 : 1);
    return buf;
}
