/* SPDX-License-Identifier: Apache-2.0 */
/* What ekmotpd reads from a connection: the head of a request and its body, at once and byte by byte. */
#include "server/body.h"
#include "server/head.h"
#include "tests/fuzz/target.h"

#include <string.h>

#define BODY_MAX 1024 /* bytes */

static void check_slice(ek_slice slice, const char *bytes, size_t len)
{
    PROMISE(slice.len == 0 || (slice.at >= bytes && slice.at + slice.len <= bytes + len));
}

static void check_head(const ek_head *head, const char *bytes, size_t len)
{
    check_slice(head->method, bytes, len);
    check_slice(head->target, bytes, len);
    PROMISE(head->method.len > 0 && head->target.len > 0 && (head->minor == 0 || head->minor == 1));
    PROMISE(!head->chunked || head->content_length == 0);
    PROMISE(head->field_count <= EK_HEAD_FIELDS_MAX);
    for (size_t i = 0; i < head->field_count; i++) {
        check_slice(head->fields[i].name, bytes, len);
        check_slice(head->fields[i].value, bytes, len);
        PROMISE(head->fields[i].name.len > 0);
        PROMISE(!memchr(head->fields[i].value.at, '\n', head->fields[i].value.len));
    }
}

/* Reads a body that arrives in steps; the bytes of it, and how many of the input it took, come back. */
static ek_body_result read_body(const ek_head *head, const char *bytes, size_t len, size_t step,
                                struct evbuffer *dst, size_t *taken)
{
    struct evbuffer *src = evbuffer_new();
    ek_body body;
    ek_body_result result = ek_body_init(&body, head, BODY_MAX);
    const char *why = NULL;
    size_t given = 0;

    if (!src)
        abort();
    while (result == EK_BODY_MORE && given < len) {
        size_t n = step < len - given ? step : len - given;

        if (evbuffer_add(src, bytes + given, n) != 0)
            abort();
        given += n;
        result = ek_body_read(&body, src, dst, &why);
        PROMISE(result != EK_BODY_BAD || why != NULL);
        PROMISE(evbuffer_get_length(dst) <= BODY_MAX);
    }
    *taken = given - evbuffer_get_length(src);
    evbuffer_free(src);
    return result;
}

static void check_body(const ek_head *head, const char *bytes, size_t len)
{
    struct evbuffer *whole = evbuffer_new(), *steps = evbuffer_new();
    size_t whole_taken = 0, steps_taken = 0, n;
    ek_body_result result = read_body(head, bytes, len, len, whole, &whole_taken);

    PROMISE(read_body(head, bytes, len, 1, steps, &steps_taken) == result);
    n = evbuffer_get_length(whole);
    if (result == EK_BODY_DONE) {
        PROMISE(whole_taken == steps_taken && n == evbuffer_get_length(steps));
        PROMISE(n == 0 || memcmp(evbuffer_pullup(whole, -1), evbuffer_pullup(steps, -1), n) == 0);
        PROMISE(head->chunked || n == head->content_length);
    }
    evbuffer_free(whole);
    evbuffer_free(steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ek_head head;
    const char *bytes = (const char *)data, *why = NULL;
    size_t scanned = 0, head_len = 0, again_len = 0, at = 0;
    ek_head_result whole = ek_head_find_end(bytes, size, &scanned, &head_len, &why), steps = EK_HEAD_MORE;

    PROMISE(whole != EK_HEAD_BAD || why != NULL);
    for (scanned = 0; steps == EK_HEAD_MORE && at < size;)
        steps = ek_head_find_end(bytes, ++at, &scanned, &again_len, &why);
    PROMISE(steps == whole || size == 0);
    if (whole != EK_HEAD_OK)
        return 0;
    PROMISE(head_len == again_len && head_len <= size);
    why = NULL;
    if (ek_head_parse(bytes, head_len, &head, &why) != EK_HEAD_OK) {
        PROMISE(why != NULL);
        return 0;
    }
    check_head(&head, bytes, head_len);
    check_body(&head, bytes + head_len, size - head_len);
    return 0;
}
