/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c: the readers of heads and bodies, and the table of limits, on their own: whatever is thrown at
 * them they look at no byte twice, take no byte that is not theirs, and end.
 */
#include "server/body.h"
#include "server/limits.h"
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const char valid[] = "POST /a?b HTTP/1.1\r\nHost: a\r\nAuthorization: EKMOTP k=YQ, n=1\r\n"
                            "Content-Length: 12\r\nX:\t y \r\n\r\n";

/* A head in memory of exactly its length, so that a sanitizer sees a step behind its end. */
static ek_head_result read_head(const char *text, size_t len, ek_head *head, const char **why)
{
    char *copy = malloc(len + (len == 0));
    size_t scanned = 0, head_len = 0;
    ek_head_result rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    *why = NULL;
    rc = ek_head_find_end(copy, len, &scanned, &head_len, why);
    ck_assert_uint_le(scanned, len);
    if (rc == EK_HEAD_OK) {
        ck_assert_uint_le(head_len, len);
        rc = ek_head_parse(copy, head_len, head, why);
        ck_assert(rc == EK_HEAD_OK || rc == EK_HEAD_BAD);
    }
    ck_assert((rc == EK_HEAD_BAD) == (*why != NULL));
    if (rc == EK_HEAD_OK) {
        ck_assert_uint_le(head->field_count, EK_HEAD_FIELDS_MAX);
        ck_assert(head->method.at >= copy && head->target.at + head->target.len <= copy + len);
        for (size_t i = 0; i < head->field_count; i++)
            ck_assert(head->fields[i].name.at > copy &&
                      head->fields[i].value.at + head->fields[i].value.len <= copy + len);
    }
    free(copy);
    return rc;
}

START_TEST(head_is_read)
{
    const size_t len = sizeof(valid) - 1;
    size_t scanned = 0, head_len = 0;
    const char *why;
    ek_head head;

    ck_assert_int_eq(ek_head_find_end(valid, len, &scanned, &head_len, &why), EK_HEAD_OK);
    ck_assert_uint_eq(head_len, len);
    ck_assert_int_eq(ek_head_parse(valid, len, &head, &why), EK_HEAD_OK);
    ck_assert(ek_slice_is(head.method, "POST") && ek_slice_is(head.target, "/a?b"));
    ck_assert_uint_eq(head.content_length, 12);
    ck_assert_uint_eq(head.field_count, 4);
    ck_assert(ek_slice_is_nocase(head.fields[3].name, "x") && ek_slice_is(head.fields[3].value, "y"));
    ck_assert(!head.close && !head.chunked && head.minor == 1);
}
END_TEST

START_TEST(head_in_pieces)
{
    const size_t len = sizeof(valid) - 1;

    for (size_t step = 1; step < len; step++) {
        size_t scanned = 0, head_len = 0, have = 0;
        const char *why;
        ek_head_result rc = EK_HEAD_MORE;

        while (rc == EK_HEAD_MORE) {
            ck_assert_uint_lt(have, len);
            have = have + step < len ? have + step : len;
            rc = ek_head_find_end(valid, have, &scanned, &head_len, &why);
        }
        ck_assert_int_eq(rc, EK_HEAD_OK);
        ck_assert_uint_eq(head_len, len);
    }
}
END_TEST

START_TEST(head_truncated)
{
    ek_head head;
    const char *why;

    for (size_t len = 0; len < sizeof(valid) - 1; len++)
        ck_assert_int_eq(read_head(valid, len, &head, &why), EK_HEAD_MORE);
}
END_TEST

START_TEST(head_mutated)
{
    size_t results[3] = {0};
    char text[sizeof(valid)];
    const char *why;
    ek_head head;

    srandom(1);
    for (int i = 0; i < 200000; i++) {
        memcpy(text, valid, sizeof(valid));
        for (long n = random() % 3; n >= 0; n--) {
            static const char likely[] = "\r\n\t :,;/=\0\x7f\xff"
                                         "0HC";

            text[random() % (long)(sizeof(valid) - 1)] =
                random() % 2 ? likely[random() % (long)(sizeof(likely) - 1)] : (char)random();
        }
        results[read_head(text, sizeof(valid) - 1, &head, &why)]++;
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(results[i], 0);
}
END_TEST

/* Feeds text in pieces of step bytes; gives the last result and what was read. */
static ek_body_result read_body(const ek_head *head, size_t max, const char *text, size_t len, size_t step,
                                struct evbuffer *out, size_t *left)
{
    struct evbuffer *in = evbuffer_new();
    const char *why = NULL;
    ek_body body;
    ek_body_result rc = ek_body_init(&body, head, max);

    for (size_t at = 0; rc == EK_BODY_MORE && at < len; at += step) {
        ck_assert_int_eq(evbuffer_add(in, text + at, at + step < len ? step : len - at), 0);
        rc = ek_body_read(&body, in, out, &why);
    }
    ck_assert((rc == EK_BODY_BAD) == (why != NULL));
    ck_assert_uint_le(evbuffer_get_length(out), max);
    *left = evbuffer_get_length(in);
    evbuffer_free(in);
    return rc;
}

START_TEST(bodies)
{
    static const char chunked[] = "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n";
    static const struct {
        int chunked;
        uint64_t length;
        const char *text;
        const char *body;
        ek_body_result result;
    } cases[] = {
        {0, 0, "", "", EK_BODY_DONE},
        {0, 3, "abc", "abc", EK_BODY_DONE},
        {0, 3, "ab", "ab", EK_BODY_MORE},
        {0, 21, "", "", EK_BODY_LARGE},
        {1, 0, chunked, "abc0123456789", EK_BODY_DONE},
        {1, 0, "0\r\n\r\n", "", EK_BODY_DONE},
        {1, 0, "0\r\n\r", "", EK_BODY_MORE},
        {1, 0, "00000000\r\n\r\n", "", EK_BODY_DONE},
        {1, 0, "000000000\r\n\r\n", "", EK_BODY_BAD},
        {1, 0, "15\r\n", "", EK_BODY_LARGE},
        {1, 0, "14\r\nxxxxxxxxxxxxxxxxxxxx\r\n1\r\n", "xxxxxxxxxxxxxxxxxxxx", EK_BODY_LARGE},
        {1, 0, "3\r\nabcd", "abc", EK_BODY_BAD},
        {1, 0, "3;a\r\nabc\r\n", "", EK_BODY_BAD},
        {1, 0, "0\r\nA: b\r\n\r\n", "", EK_BODY_BAD},
        {1, 0, "x\r\n", "", EK_BODY_BAD},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 8; step++) {
            ek_head head = {.chunked = cases[i].chunked, .content_length = cases[i].length};
            struct evbuffer *out = evbuffer_new();
            size_t left;

            ck_assert_msg(read_body(&head, 20, cases[i].text, strlen(cases[i].text), step, out, &left) ==
                              cases[i].result,
                          "body %zu in steps of %zu", i, step);
            ck_assert_uint_eq(evbuffer_get_length(out), strlen(cases[i].body));
            ck_assert_int_eq(memcmp(evbuffer_pullup(out, -1) ? (char *)evbuffer_pullup(out, -1) : "",
                                    cases[i].body, strlen(cases[i].body)),
                             0);
            evbuffer_free(out);
        }
    }
}
END_TEST

START_TEST(body_takes_only_its_bytes)
{
    static const char more[] = "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
    ek_head head = {.chunked = 1};
    struct evbuffer *out = evbuffer_new();
    size_t left;

    ck_assert_int_eq(read_body(&head, 20, more, sizeof(more) - 1, sizeof(more), out, &left), EK_BODY_DONE);
    ck_assert_uint_eq(left, strlen("GET / HTTP/1.1\r\n"));
    evbuffer_free(out);
}
END_TEST

START_TEST(body_mutated)
{
    static const char good[] = "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
    size_t results[4] = {0};

    srandom(2);
    for (int i = 0; i < 50000; i++) {
        char text[sizeof(good)];
        ek_head head = {.chunked = 1};
        struct evbuffer *out = evbuffer_new();
        size_t left;

        memcpy(text, good, sizeof(good));
        text[random() % (long)(sizeof(good) - 1)] =
            (char)(random() % 3 ? random() % 128 : "\r\n0f"[random() % 4]);
        results[read_body(&head, 20, text, sizeof(good) - 1, 1 + (size_t)(random() % 9), out, &left)]++;
        evbuffer_free(out);
    }
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_gt(results[i], 0);
}
END_TEST

static void key_of(uint32_t number, ek_limits_key *key)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(number)};

    ek_limits_key_of((const struct sockaddr *)&in, key);
}

/* The table against a plain count, with addresses that come and go. */
START_TEST(limits_count)
{
    enum { ADDRESSES = 300, MAX = 500, PER = 4 };
    unsigned counts[ADDRESSES] = {0}, all = 0, seen[3] = {0};
    ek_limits *limits = ek_limits_new(MAX, PER);

    ck_assert_ptr_nonnull(limits);
    srandom(3);
    for (int i = 0; i < 200000; i++) {
        unsigned a = (unsigned)(random() % ADDRESSES);
        ek_limits_key key;

        key_of(a * 7919, &key);
        if (random() % 5 < 3) {
            ek_limits_answer want = all >= MAX         ? EK_LIMITS_ALL
                                    : counts[a] >= PER ? EK_LIMITS_ADDRESS
                                                       : EK_LIMITS_OK;

            ck_assert_int_eq(ek_limits_enter(limits, &key), want);
            seen[want]++;
            if (want == EK_LIMITS_OK) {
                counts[a]++;
                all++;
            }
        } else if (counts[a] > 0) {
            ek_limits_leave(limits, &key);
            counts[a]--;
            all--;
        }
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(seen[i], 0);
    ek_limits_free(&limits);
    ck_assert_ptr_null(limits);
}
END_TEST

START_TEST(limits_by_network)
{
    struct sockaddr_in6 one = {.sin6_family = AF_INET6}, two = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    ek_limits_key a, b;

    inet_pton(AF_INET6, "2001:db8:0:1::1", &one.sin6_addr);
    inet_pton(AF_INET6, "2001:db8:0:1:ffff::2", &two.sin6_addr);
    ek_limits_key_of((const struct sockaddr *)&one, &a);
    ek_limits_key_of((const struct sockaddr *)&two, &b);
    ck_assert_mem_eq(&a, &b, sizeof(a)); /* one /64 */
    inet_pton(AF_INET6, "2001:db8:0:2::1", &two.sin6_addr);
    ek_limits_key_of((const struct sockaddr *)&two, &b);
    ck_assert_mem_ne(&a, &b, sizeof(a));
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &one.sin6_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.2", &two.sin6_addr);
    inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
    ek_limits_key_of((const struct sockaddr *)&one, &a);
    ek_limits_key_of((const struct sockaddr *)&two, &b);
    ck_assert_mem_ne(&a, &b, sizeof(a)); /* IPv4 in IPv6 is counted as IPv4 */
    ek_limits_key_of((const struct sockaddr *)&four, &b);
    ck_assert_mem_eq(&a, &b, sizeof(a));
    inet_pton(AF_INET6, "2001:db8::1", &one.sin6_addr);
    ek_limits_key_of((const struct sockaddr *)&one, &a);
    inet_pton(AF_INET, "32.1.13.184", &four.sin_addr); /* the first bytes of that network */
    ek_limits_key_of((const struct sockaddr *)&four, &b);
    ck_assert_mem_ne(&a, &b, sizeof(a));
}
END_TEST

UNIT_MAIN("server parsers", head_is_read, head_in_pieces, head_truncated, head_mutated, bodies,
          body_takes_only_its_bytes, body_mutated, limits_count, limits_by_network)
