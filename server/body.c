/* SPDX-License-Identifier: Apache-2.0 */
#include "server/body.h"

#include <string.h>

ek_body_result ek_body_init(ek_body *body, const ek_head *head, size_t max)
{
    body->chunked = head->chunked;
    body->at = head->chunked ? EK_BODY_SIZE_LINE : EK_BODY_DATA;
    body->left = head->content_length;
    body->max = max;
    if (head->content_length > max)
        return EK_BODY_LARGE;
    return head->chunked || head->content_length > 0 ? EK_BODY_MORE : EK_BODY_DONE;
}

static ek_body_result bad(const char **why, const char *text)
{
    *why = text;
    return EK_BODY_BAD;
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* 1 to 8 hexadecimal digits and CRLF. */
static ek_body_result read_size_line(ek_body *body, struct evbuffer *src, const char **why)
{
    unsigned char text[10];
    ev_ssize_t have = evbuffer_copyout(src, text, sizeof(text));
    uint64_t size = 0;
    ev_ssize_t i = 0;

    for (; i < have && i < 8 && hex_value(text[i]) >= 0; i++)
        size = size << 4 | (uint64_t)hex_value(text[i]);
    if (i == have)
        return EK_BODY_MORE;
    if (i == 0 || text[i] != '\r' || (i + 1 < have && text[i + 1] != '\n'))
        return bad(why, "a chunk has no plain size line");
    if (i + 1 == have)
        return EK_BODY_MORE;
    evbuffer_drain(src, (size_t)i + 2);
    body->left = size;
    body->at = size > 0 ? EK_BODY_DATA : EK_BODY_TRAILER;
    return EK_BODY_DONE;
}

static ek_body_result read_line_end(struct evbuffer *src, const char *text, const char **why)
{
    char two[2];
    ev_ssize_t have = evbuffer_copyout(src, two, 2);

    if (have >= 1 && two[0] != '\r')
        return bad(why, text);
    if (have < 2)
        return EK_BODY_MORE;
    if (two[1] != '\n')
        return bad(why, text);
    evbuffer_drain(src, 2);
    return EK_BODY_DONE;
}

static ek_body_result read_data(ek_body *body, struct evbuffer *src, struct evbuffer *dst)
{
    size_t have = evbuffer_get_length(src);

    if (evbuffer_get_length(dst) + body->left > body->max)
        return EK_BODY_LARGE;
    if (have > body->left)
        have = (size_t)body->left;
    if (have > 0 && evbuffer_remove_buffer(src, dst, have) < 0)
        return EK_BODY_LARGE;
    body->left -= have;
    return body->left > 0 ? EK_BODY_MORE : EK_BODY_DONE;
}

ek_body_result ek_body_read(ek_body *body, struct evbuffer *src, struct evbuffer *dst, const char **why)
{
    for (;;) {
        ek_body_result rc;

        switch (body->at) {
        case EK_BODY_SIZE_LINE:
            rc = read_size_line(body, src, why);
            break;
        case EK_BODY_DATA:
            rc = read_data(body, src, dst);
            if (rc == EK_BODY_DONE && !body->chunked)
                return EK_BODY_DONE;
            if (rc == EK_BODY_DONE)
                body->at = EK_BODY_DATA_END;
            break;
        case EK_BODY_DATA_END:
            rc = read_line_end(src, "a chunk is longer than its size", why);
            if (rc == EK_BODY_DONE)
                body->at = EK_BODY_SIZE_LINE;
            break;
        case EK_BODY_TRAILER:
        default:
            return read_line_end(src, "a chunked body has trailer fields", why);
        }
        if (rc != EK_BODY_DONE)
            return rc;
    }
}
