/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's wire: every message there and back; every cut, flip, wrong length and other version refused. */
#include "p11/agent/wire.h"
#include "p11/agent/buffer.h"
#include "tests/unit/suite.h"

#include <ekmotp/key.h>
#include <ekmotp/p11.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAC32 "0123456789abcdef0123456789abcdef"

static const ek_wire_message samples[] = {
    {.type = EK_WIRE_HELLO, .id = 1},
    {.type = EK_WIRE_OPEN,
     .id = 2,
     .timeout_ms = 5,
     .hash = 4,
     .data = (const uint8_t *)"pkcs11:token=a",
     .len = 14},
    {.type = EK_WIRE_OPEN,
     .id = 0xffffffff,
     .timeout_ms = 0xffffffff,
     .hash = 6,
     .flags = EK_WIRE_HAS_PIN,
     .data = (const uint8_t *)"pkcs11:",
     .len = 7,
     .data2 = (const uint8_t *)"1234",
     .len2 = 4},
    {.type = EK_WIRE_OPEN,
     .id = 3,
     .hash = 5,
     .flags = EK_WIRE_HAS_PIN,
     .data = (const uint8_t *)"x",
     .len = 1},
    {.type = EK_WIRE_MAC, .id = 4, .timeout_ms = 10000, .key = 7, .data = (const uint8_t *)"\0m", .len = 2},
    {.type = EK_WIRE_CLOSE, .id = 5, .key = 9},
    {.type = EK_WIRE_STATUS, .id = 6},
    {.type = EK_WIRE_LOCK, .id = 7},
    {.type = EK_WIRE_STOP, .id = 8},
    {.type = EK_WIRE_ADMIN, .id = 9, .timeout_ms = 1, .data = (const uint8_t *)"{}", .len = 2},
    {.type = EK_WIRE_ERROR, .id = 10, .code = EKMOTP_E_TOKEN_AWAY, .data = (const uint8_t *)"away", .len = 4},
    {.type = EK_WIRE_WELCOME, .id = 11, .flags = EK_WIRE_SHARED, .data = (const uint8_t *)"0.1", .len = 3},
    {.type = EK_WIRE_OPENED,
     .id = 12,
     .key = 1,
     .flags = EK_WIRE_PIN_USED,
     .data = (const uint8_t *)MAC32,
     .len = 32},
    {.type = EK_WIRE_PIN_NEEDED, .id = 13, .data = (const uint8_t *)"token", .len = 5},
    {.type = EK_WIRE_MAC_IS, .id = 14, .data = (const uint8_t *)MAC32, .len = 32},
    {.type = EK_WIRE_DONE, .id = 15},
    {.type = EK_WIRE_TEXT, .id = 16, .data = (const uint8_t *)"{\"a\":1}", .len = 7},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static size_t frame_of(const ek_wire_message *m, uint8_t *out, size_t size)
{
    ek_writer w;
    size_t len = 0;

    ek_writer_init(&w, out, size);
    ek_wire_write(&w, m);
    ck_assert_int_eq(ek_writer_end(&w, &len), 0);
    ck_assert_uint_le(len, ek_wire_size(m));
    return len;
}

START_TEST(there_and_back)
{
    uint8_t bytes[256];
    ek_wire_message m;
    size_t used = 0;

    for (size_t i = 0; i < SAMPLES; i++) {
        const ek_wire_message *s = &samples[i];
        size_t len = frame_of(s, bytes, sizeof(bytes));

        bytes[len] = 0xee; /* what follows is another frame's */
        ck_assert_int_eq(ek_wire_parse(bytes, len + 1, &m, &used, NULL), 0);
        ck_assert_uint_eq(used, len);
        ck_assert(m.type == s->type && m.id == s->id && m.flags == s->flags && m.hash == s->hash &&
                  m.code == s->code && m.key == s->key && m.timeout_ms == s->timeout_ms);
        ck_assert_uint_eq(m.len, s->len);
        ck_assert_uint_eq(m.len2, s->len2);
        ck_assert(m.len == 0 || memcmp(m.data, s->data, s->len) == 0);
        ck_assert(m.len2 == 0 || memcmp(m.data2, s->data2, s->len2) == 0);
    }
}
END_TEST

START_TEST(cut_anywhere)
{
    uint8_t bytes[256];
    ek_wire_message m;
    size_t used = 0;

    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len = frame_of(&samples[i], bytes, sizeof(bytes));

        /* A cut stream waits for more; a frame whose length says that it ends early is malformed. */
        for (size_t cut = 0; cut < len; cut++)
            ck_assert_int_eq(ek_wire_parse(bytes, cut, &m, &used, NULL), EK_WIRE_MORE);
        for (size_t cut = EK_WIRE_HEADER; cut < len; cut++) {
            bytes[3] = (uint8_t)(cut - 4);
            ck_assert_int_eq(ek_wire_parse(bytes, len, &m, &used, NULL), EKMOTP_E_SYNTAX);
        }
        bytes[3] = (uint8_t)(len - 4 + 1); /* one byte too many */
        bytes[len] = 0;
        ck_assert_int_eq(ek_wire_parse(bytes, len + 1, &m, &used, NULL), EKMOTP_E_SYNTAX);
    }
}
END_TEST

START_TEST(flip_any_bit)
{
    uint8_t bytes[256], again[256];
    ek_wire_message m;
    size_t used = 0;

    for (size_t i = 0; i < SAMPLES; i++) {
        size_t len = frame_of(&samples[i], bytes, sizeof(bytes));

        /* Either it is refused, or it is another message that is written exactly like that. */
        for (size_t bit = 0; bit < 8 * len; bit++) {
            int rc;

            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            rc = ek_wire_parse(bytes, len, &m, &used, NULL);
            if (rc == 0) {
                ck_assert_uint_eq(frame_of(&m, again, sizeof(again)), used);
                ck_assert_mem_eq(again, bytes, used);
            } else {
                ck_assert(rc == EK_WIRE_MORE || rc == EKMOTP_E_SYNTAX || rc == EKMOTP_E_LIMIT ||
                          rc == EKMOTP_E_AGENT);
            }
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(other_versions)
{
    uint8_t bytes[64];
    ek_wire_message m = {0};
    ekmotp_error err;
    size_t used = 0;

    frame_of(&samples[0], bytes, sizeof(bytes));
    for (int version = 0; version < 256; version++) {
        bytes[4] = (uint8_t)version;
        m.id = 0;
        if (version == EK_WIRE_VERSION)
            continue;
        ck_assert_int_eq(ek_wire_parse(bytes, EK_WIRE_HEADER, &m, &used, &err), EKMOTP_E_AGENT);
        ck_assert_uint_eq(m.id, samples[0].id);
        ck_assert_ptr_nonnull(strstr(err.message, "version"));
    }
}
END_TEST

START_TEST(unknown_types)
{
    uint8_t bytes[64];
    ek_wire_message m;
    size_t used = 0;

    frame_of(&samples[0], bytes, sizeof(bytes));
    for (int type = 0; type < 256; type++) {
        if ((type >= EK_WIRE_HELLO && type <= EK_WIRE_ADMIN) ||
            (type >= EK_WIRE_ERROR && type <= EK_WIRE_TEXT))
            continue;
        bytes[5] = (uint8_t)type;
        ck_assert_int_eq(ek_wire_parse(bytes, EK_WIRE_HEADER, &m, &used, NULL), EKMOTP_E_SYNTAX);
    }
}
END_TEST

START_TEST(lengths)
{
    uint8_t bytes[EK_WIRE_HEADER] = {0, 0, 0, 0, EK_WIRE_VERSION, EK_WIRE_HELLO};
    ek_wire_message m;
    size_t used = 0;
    static const uint32_t bad[] = {0,          1,         5, EK_WIRE_FRAME_MAX - 3, EK_WIRE_SMALL_MAX - 3,
                                   0x7fffffff, 0xffffffff};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int b = 0; b < 4; b++)
            bytes[b] = (uint8_t)(bad[i] >> (24 - 8 * b));
        /* Refused before the rest has come: nobody has to keep it. */
        ck_assert_int_eq(ek_wire_parse(bytes, sizeof(bytes), &m, &used, NULL), EKMOTP_E_LIMIT);
    }
}
END_TEST

static int writes(const ek_wire_message *m)
{
    static uint8_t out[EK_WIRE_FRAME_MAX];
    ek_writer w;
    size_t len;

    ek_writer_init(&w, out, sizeof(out));
    ek_wire_write(&w, m);
    return ek_writer_end(&w, &len) == 0;
}

START_TEST(bounds_of_what_is_written)
{
    static uint8_t zeros[EK_WIRE_FRAME_MAX], text[EK_WIRE_FRAME_MAX];
    ek_wire_message mac = {.type = EK_WIRE_MAC, .data = zeros};
    ek_wire_message open = {.type = EK_WIRE_OPEN, .hash = 4, .data = text, .len = 8, .data2 = text};
    ek_wire_message error = {.type = EK_WIRE_ERROR};

    memset(text, 'x', sizeof(text));
    for (mac.len = 0; mac.len < 1200; mac.len++)
        ck_assert_int_eq(writes(&mac), mac.len >= 1 && mac.len <= EKMOTP_MAC_MESSAGE_MAX);
    open.flags = EK_WIRE_HAS_PIN;
    for (open.len2 = 0; open.len2 < 300; open.len2++)
        ck_assert_int_eq(writes(&open), open.len2 <= EKMOTP_PIN_MAX);
    open.len2 = 1;
    open.flags = 0;
    ck_assert_int_eq(writes(&open), 0); /* a PIN without the flag */
    open.len2 = 0;
    open.flags = 0x80;
    ck_assert_int_eq(writes(&open), 0);
    open.flags = 0;
    open.hash = 3;
    ck_assert_int_eq(writes(&open), 0);
    open.hash = 4;
    open.data = zeros;
    ck_assert_int_eq(writes(&open), 0);  /* a NUL in the URI */
    ck_assert_int_eq(writes(&error), 0); /* an error with the code 0 is none */
    error.type = 200;
    ck_assert_int_eq(writes(&error), 0);
}
END_TEST

START_TEST(buffer_over_a_socket)
{
    int pair[2];
    ek_buffer out = {0}, in = {0};
    ek_wire_message m;
    size_t used = 0, got = 0;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int round = 0; round < 300; round++)
        for (size_t i = 0; i < SAMPLES; i++)
            ck_assert_int_eq(ek_buffer_put(&out, &samples[i]), 0);
    while (got < 300 * SAMPLES) {
        int rc;

        ck_assert_int_eq(ek_buffer_write(&out, pair[0]), 0);
        ck_assert_int_ge(ek_buffer_read(&in, pair[1], 0), 0);
        while ((rc = ek_wire_parse(in.bytes + in.start, ek_buffer_len(&in), &m, &used, NULL)) == 0) {
            ck_assert_int_eq(m.type, samples[got % SAMPLES].type);
            ek_buffer_consume(&in, used);
            got++;
        }
        ck_assert_int_eq(rc, EK_WIRE_MORE);
    }
    ck_assert_uint_eq(ek_buffer_len(&in), 0);
    close(pair[1]);
    ck_assert_int_eq(ek_buffer_put(&out, &samples[0]), 0);
    ck_assert_int_eq(ek_buffer_write(&out, pair[0]), EKMOTP_E_IO); /* and no SIGPIPE */
    ck_assert_int_eq(ek_buffer_read(&in, pair[0], 1), EKMOTP_E_IO);
    close(pair[0]);
    ek_buffer_free(&out);
    ek_buffer_free(&in);
}
END_TEST

UNIT_MAIN("agent wire", there_and_back, cut_anywhere, flip_any_bit, other_versions, unknown_types, lengths,
          bounds_of_what_is_written, buffer_over_a_socket)
