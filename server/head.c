/* SPDX-License-Identifier: Apache-2.0 */
#include "server/head.h"

#include "lib/common/tchar.h"

#include <string.h>
#include <strings.h>

int ek_slice_is(ek_slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.at, text, slice.len) == 0;
}

int ek_slice_is_nocase(ek_slice slice, const char *text)
{
    return slice.len == strlen(text) && strncasecmp(slice.at, text, slice.len) == 0;
}

static int is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

ek_head_result ek_head_find_end(const char *bytes, size_t len, size_t *scanned, size_t *head_len,
                                const char **why)
{
    size_t i = *scanned;

    while (i < len) {
        const char *lf = memchr(bytes + i, '\n', len - i);
        size_t at;

        if (!lf) {
            i = len;
            break;
        }
        at = (size_t)(lf - bytes);
        if (at == 0 || bytes[at - 1] != '\r') {
            *why = "a line ends without a carriage return";
            return EK_HEAD_BAD;
        }
        if (at >= 3 && bytes[at - 2] == '\n') {
            *scanned = *head_len = at + 1;
            return EK_HEAD_OK;
        }
        i = at + 1;
    }
    *scanned = i;
    return EK_HEAD_MORE;
}

static ek_head_result bad(const char **why, const char *text)
{
    *why = text;
    return EK_HEAD_BAD;
}

/* "https://host:port/path" becomes "/path" (RFC 9112 section 3.2.2); other schemes are not ours. */
static int reduce_target(ek_slice *target)
{
    static const char scheme[] = "https://";
    const char *path;

    if (target->at[0] == '/' || ek_slice_is(*target, "*"))
        return 0;
    if (target->len <= sizeof(scheme) - 1 || strncasecmp(target->at, scheme, sizeof(scheme) - 1) != 0)
        return -1;
    path = memchr(target->at + sizeof(scheme) - 1, '/', target->len - (sizeof(scheme) - 1));
    if (!path || path == target->at + sizeof(scheme) - 1)
        return -1;
    target->len -= (size_t)(path - target->at);
    target->at = path;
    return 0;
}

/* method SP request-target SP HTTP-version, single spaces (RFC 9112 section 3). */
static ek_head_result parse_request_line(ek_slice line, ek_head *head, const char **why)
{
    const char *end = line.at + line.len;
    const char *p = line.at;

    while (p < end && ek_is_tchar(*p))
        p++;
    head->method = (ek_slice){line.at, (size_t)(p - line.at)};
    if (head->method.len == 0 || head->method.len > 32 || p == end || *p != ' ')
        return bad(why, "the request line has no method");
    head->target.at = ++p;
    while (p < end && (unsigned char)*p > ' ' && (unsigned char)*p < 0x7f && *p != '#')
        p++;
    head->target.len = (size_t)(p - head->target.at);
    if (head->target.len == 0 || p == end || *p != ' ' || reduce_target(&head->target) != 0)
        return bad(why, "the request target is malformed");
    p++;
    if (end - p != 8 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1'))
        return bad(why, "the HTTP version is neither 1.0 nor 1.1");
    head->minor = p[7] - '0';
    return EK_HEAD_OK;
}

/* field-name ":" OWS field-value OWS; no folding, no blank before the colon (RFC 9112 section 5). */
static ek_head_result parse_field(ek_slice line, ek_field *field, const char **why)
{
    const char *end = line.at + line.len;
    const char *p = line.at;

    if (*p == ' ' || *p == '\t')
        return bad(why, "a header field is folded");
    while (p < end && ek_is_tchar(*p))
        p++;
    field->name = (ek_slice){line.at, (size_t)(p - line.at)};
    if (p < end && (*p == ' ' || *p == '\t'))
        return bad(why, "white space stands before a colon");
    if (field->name.len == 0 || p == end || *p != ':')
        return bad(why, "a header field has no valid name");
    p++;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    field->value = (ek_slice){p, (size_t)(end - p)};
    for (; p < end; p++)
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            return bad(why, "a header field holds a control character");
    return EK_HEAD_OK;
}

static int parse_length(ek_slice value, uint64_t *out)
{
    uint64_t n = 0;

    if (value.len == 0 || value.len > 18)
        return -1;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit((unsigned char)value.at[i]))
            return -1;
        n = n * 10 + (uint64_t)(value.at[i] - '0');
    }
    *out = n;
    return 0;
}

/* uri-host [":" port], loosely: what no host can hold is refused, the name itself is not judged. */
static int is_host(ek_slice value)
{
    if (value.len == 0 || value.len > 300)
        return 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"#/<>?@\\^`{|}", c))
            return 0;
    }
    return 1;
}

/* 1 if a comma-separated list holds the word. */
static int list_has(ek_slice list, const char *word)
{
    const char *end = list.at + list.len;
    const char *p = list.at;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        ek_slice item = {p, (size_t)((comma ? comma : end) - p)};

        while (item.len > 0 && (item.at[0] == ' ' || item.at[0] == '\t')) {
            item.at++;
            item.len--;
        }
        while (item.len > 0 && (item.at[item.len - 1] == ' ' || item.at[item.len - 1] == '\t'))
            item.len--;
        if (ek_slice_is_nocase(item, word))
            return 1;
        p = comma ? comma + 1 : end;
    }
    return 0;
}

typedef struct seen {
    int host, length, encoding, keep_alive;
} seen;

/* What a field means for the framing of the message. */
static ek_head_result note_field(const ek_field *field, ek_head *head, seen *s, const char **why)
{
    if (ek_slice_is_nocase(field->name, "Host")) {
        if (s->host++)
            return bad(why, "the Host field stands twice");
        if (!is_host(field->value))
            return bad(why, "the Host field is malformed");
    } else if (ek_slice_is_nocase(field->name, "Content-Length")) {
        if (s->length++)
            return bad(why, "the Content-Length field stands twice");
        if (parse_length(field->value, &head->content_length) != 0)
            return bad(why, "the Content-Length field is no number");
    } else if (ek_slice_is_nocase(field->name, "Transfer-Encoding")) {
        if (s->encoding++ || !ek_slice_is_nocase(field->value, "chunked"))
            return bad(why, "the Transfer-Encoding is not \"chunked\" alone");
        head->chunked = 1;
    } else if (ek_slice_is_nocase(field->name, "Connection")) {
        head->close |= list_has(field->value, "close");
        s->keep_alive |= list_has(field->value, "keep-alive");
    } else if (ek_slice_is_nocase(field->name, "Expect")) {
        if (!ek_slice_is_nocase(field->value, "100-continue"))
            return bad(why, "the Expect field asks for what is not known here");
        head->expect_continue = head->minor == 1;
    }
    return EK_HEAD_OK;
}

static ek_head_result check_framing(ek_head *head, const seen *s, const char **why)
{
    if (s->host == 0 && head->minor == 1)
        return bad(why, "the Host field is missing");
    if (head->chunked && s->length)
        return bad(why, "Content-Length and Transfer-Encoding contradict each other");
    if (head->chunked && head->minor == 0)
        return bad(why, "HTTP/1.0 has no Transfer-Encoding");
    if (head->minor == 0 && !s->keep_alive)
        head->close = 1;
    return EK_HEAD_OK;
}

ek_head_result ek_head_parse(const char *bytes, size_t len, ek_head *head, const char **why)
{
    const char *p = bytes;
    const char *end = bytes + len - 2; /* the empty line */
    seen s = {0};
    int first = 1;

    head->close = head->chunked = head->expect_continue = 0;
    head->content_length = 0;
    head->field_count = 0;
    while (p < end) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        ek_slice line;
        ek_head_result rc;

        if (!cr || cr[1] != '\n')
            return bad(why, "a carriage return stands alone");
        line = (ek_slice){p, (size_t)(cr - p)};
        p = cr + 2;
        if (first) {
            rc = parse_request_line(line, head, why);
            first = 0;
        } else if (head->field_count == EK_HEAD_FIELDS_MAX) {
            rc = bad(why, "there are too many header fields");
        } else {
            ek_field *field = &head->fields[head->field_count++];

            rc = parse_field(line, field, why);
            if (rc == EK_HEAD_OK)
                rc = note_field(field, head, &s, why);
        }
        if (rc != EK_HEAD_OK)
            return rc;
    }
    return first ? bad(why, "the request line is empty") : check_framing(head, &s, why);
}
