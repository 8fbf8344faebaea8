/* SPDX-License-Identifier: Apache-2.0 */
#include "server/answer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE 1024
#define INLINE_MAX 4096 /* a body up to this size travels in the same TLS record as its head */

const char *ek_answer_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status";
}

void ek_answer_init(ek_answer *answer, int status)
{
    int n;

    memset(answer, 0, offsetof(ek_answer, text));
    answer->status = status;
    answer->file = -1;
    answer->type = "text/plain; charset=utf-8";
    n = snprintf(answer->text, sizeof(answer->text), "%d %s\n", status, ek_answer_phrase(status));
    answer->text_len = n > 0 ? (size_t)n : 0;
}

void ek_answer_clear(ek_answer *answer)
{
    if (answer->body)
        evbuffer_free(answer->body);
    answer->body = NULL;
    if (answer->file >= 0)
        close(answer->file);
    answer->file = -1;
}

void ek_answer_set_text(ek_answer *answer, const char *type, const char *bytes, size_t len)
{
    if (len > sizeof(answer->text))
        len = sizeof(answer->text);
    answer->type = type;
    memcpy(answer->text, bytes, len);
    answer->text_len = len;
}

/* Appends a field to a head of n bytes and returns the new length; a full head is noticed by the caller. */
static int add_field(char *head, int n, const char *name, const char *value)
{
    int more;

    if (!value || !value[0] || n < 0 || n >= HEAD_SIZE)
        return n;
    more = snprintf(head + n, HEAD_SIZE - (size_t)n, "%s: %s\r\n", name, value);
    return more < 0 ? HEAD_SIZE : n + more;
}

int ek_answer_write(ek_answer *answer, const char *date, int head_only, struct evbuffer *out)
{
    size_t body_len = answer->body ? evbuffer_get_length(answer->body) : answer->text_len;
    uint64_t length = answer->file >= 0 ? answer->file_size : body_len;
    int has_body = answer->status != 204 && answer->status != 304;
    char head[HEAD_SIZE + INLINE_MAX], number[24];
    int n = snprintf(head, HEAD_SIZE, "HTTP/1.1 %d %s\r\nDate: %s\r\n", answer->status,
                     ek_answer_phrase(answer->status), date);

    if (has_body) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)length);
        n = add_field(head, n, "Content-Type", answer->type);
        n = add_field(head, n, "Content-Length", number);
    }
    n = add_field(head, n, "Cache-Control", "no-store");
    n = add_field(head, n, "WWW-Authenticate", answer->challenge);
    n = add_field(head, n, "Authentication-Info", answer->info);
    n = add_field(head, n, "Allow", answer->allow);
    snprintf(number, sizeof(number), "%d", answer->retry_after);
    n = add_field(head, n, "Retry-After", answer->retry_after > 0 ? number : NULL);
    n = add_field(head, n, "Connection", answer->close ? "close" : NULL);
    if (n < 0 || n + 2 >= HEAD_SIZE)
        return -1;
    head[n++] = '\r';
    head[n++] = '\n';
    if (head_only || !has_body || answer->file >= 0)
        return evbuffer_add(out, head, (size_t)n);
    if (!answer->body || body_len <= INLINE_MAX) {
        if (answer->body)
            evbuffer_copyout(answer->body, head + n, body_len);
        else
            memcpy(head + n, answer->text, body_len);
        return evbuffer_add(out, head, (size_t)n + body_len);
    }
    return evbuffer_add(out, head, (size_t)n) != 0 ? -1 : evbuffer_add_buffer(out, answer->body);
}
